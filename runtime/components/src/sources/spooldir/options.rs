//! The options of the `spooldir` source, and what they mean once read.

use std::{path::PathBuf, time::Duration};

use encoding_rs::{Encoding, UTF_8};
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{ByteString, Headers};
use regex::Regex;

/// All options of `spooldir`.
///
/// Where they differ from Flume: larger batches, a limit of 1 MiB for lines instead of 2,048 characters, and no
/// back-off options, because the way into the channel waits by itself.
pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("spool-dir", OptionKind::Path, "Names the directory to read"),
    OptionSpec::with_default(
        "file-suffix",
        OptionKind::Text,
        ".COMPLETED",
        "Ends the name of a finished file",
    ),
    OptionSpec::with_default(
        "delete-policy",
        OptionKind::Choice(&["never", "immediate"]),
        "never",
        "Says whether finished files are deleted",
    ),
    OptionSpec::with_default(
        "tracking-policy",
        OptionKind::Choice(&["rename", "tracker-dir"]),
        "rename",
        "Marks finished files by a new name, or by an empty file in the tracker directory",
    ),
    OptionSpec::with_default(
        "tracker-dir",
        OptionKind::Text,
        ".flumespool",
        "Names the tracker directory; a relative one lies in the spool directory",
    ),
    OptionSpec::optional("headers", OptionKind::Map, "Sets headers on every event"),
    OptionSpec::with_default(
        "file-header",
        OptionKind::Boolean,
        "#false",
        "Sets a header with the file's path",
    ),
    OptionSpec::with_default("file-header-key", OptionKind::Text, "file", "Names the header with the path"),
    OptionSpec::with_default(
        "basename-header",
        OptionKind::Boolean,
        "#false",
        "Sets a header with the file's name",
    ),
    OptionSpec::with_default(
        "basename-header-key",
        OptionKind::Text,
        "basename",
        "Names the header with the name",
    ),
    OptionSpec::with_default(
        "include-pattern",
        OptionKind::Regex,
        "^.*$",
        "Matches the whole name of files to read",
    ),
    OptionSpec::with_default(
        "ignore-pattern",
        OptionKind::Regex,
        "^$",
        "Matches the whole name of files to leave out, also of those included",
    ),
    OptionSpec::with_default(
        "consume-order",
        OptionKind::Choice(&["oldest", "youngest", "random"]),
        "oldest",
        "Says which file is next, by its last change",
    ),
    OptionSpec::with_default(
        "poll-delay",
        OptionKind::Duration,
        "500ms",
        "Pauses between looks at the directory",
    ),
    OptionSpec::with_default(
        "recursive",
        OptionKind::Boolean,
        "#false",
        "Reads directories in the directory as well",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "2000",
        "Bounds the events of one batch",
    ),
    OptionSpec::with_default("batch-bytes", OptionKind::Size, "1MiB", "Bounds the bytes of one batch"),
    OptionSpec::with_default("input-charset", OptionKind::Text, "UTF-8", "Names the encoding of lines"),
    OptionSpec::with_default(
        "decode-error-policy",
        OptionKind::Choice(&["fail", "replace", "ignore"]),
        "fail",
        "Sets a file with undecodable bytes aside, puts U+FFFD in their place, or drops them",
    ),
    OptionSpec::with_default(
        "deserializer",
        OptionKind::Choice(&["line", "avro", "blob"]),
        "line",
        "Makes an event of every line, every Avro datum, or the whole file",
    ),
    OptionSpec::with_default(
        "line-max",
        OptionKind::Size,
        "1MiB",
        "Bounds one line; a longer one becomes several events",
    ),
    OptionSpec::with_default(
        "schema-type",
        OptionKind::Choice(&["hash", "literal"]),
        "hash",
        "Puts the fingerprint or the text of the Avro schema into a header",
    ),
    OptionSpec::with_default(
        "blob-max",
        OptionKind::Size,
        "100MB",
        "Bounds one blob; a larger file becomes several events",
    ),
    OptionSpec::with_default(
        "gzip",
        OptionKind::Boolean,
        "#true",
        "Decompresses files whose name ends in .gz",
    ),
];

/// The options, read.
pub(super) struct Settings {
    pub(super) spool_dir: PathBuf,
    pub(super) suffix: String,
    pub(super) finish: Finish,
    pub(super) headers: Headers,
    pub(super) file_header: Option<ByteString>,
    pub(super) basename_header: Option<ByteString>,
    pub(super) include: Regex,
    pub(super) ignore: Regex,
    pub(super) order: Order,
    pub(super) poll_delay: Duration,
    pub(super) recursive: bool,
    pub(super) batch_events_max: usize,
    pub(super) batch_bytes_max: usize,
    pub(super) format: Format,
    pub(super) gzip: bool,
}

/// What becomes of a finished file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finish {
    Rename,
    Delete,
    /// An empty file in this directory says so.
    Track(PathBuf),
}

/// Which file is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Oldest,
    Youngest,
    Random,
}

/// What a file consists of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Lines { bytes_max: usize, encoding: &'static Encoding, on_error: OnError },
    Avro { literal_schema: bool },
    Blob { bytes_max: usize },
}

/// What to do about bytes that are no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    Fail,
    Replace,
    Ignore,
}

impl Settings {
    /// Reads the checked options.
    ///
    /// # Errors
    /// Findings that only this source can make.
    pub(super) fn read(section: &Section) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let spool_dir = section.path("spool-dir").to_owned();
        let finish = match (section.text("delete-policy"), section.text("tracking-policy")) {
            ("immediate", "tracker-dir") => {
                let reason = "a file that is deleted cannot be tracked";
                findings.push(
                    Diagnostic::error("spooldir::policies", section.span_of("tracking-policy"), reason)
                        .help("leave out tracking-policy, or set delete-policy \"never\""),
                );
                Finish::Delete
            }
            ("immediate", _) => Finish::Delete,
            (_, "tracker-dir") => Finish::Track(spool_dir.join(section.text("tracker-dir"))),
            _ => Finish::Rename,
        };
        let header = |flag: &str, key: &str| {
            section.boolean(flag).then(|| ByteString::from(section.text(key).to_owned()))
        };
        let headers = section.map("headers").iter();
        let settings = Self {
            suffix: section.text("file-suffix").to_owned(),
            finish,
            headers: headers.map(|(name, value)| (name.clone().into(), value.clone().into())).collect(),
            file_header: header("file-header", "file-header-key"),
            basename_header: header("basename-header", "basename-header-key"),
            include: whole_name(section, "include-pattern", &mut findings),
            ignore: whole_name(section, "ignore-pattern", &mut findings),
            order: match section.text("consume-order") {
                "youngest" => Order::Youngest,
                "random" => Order::Random,
                _ => Order::Oldest,
            },
            poll_delay: section.duration("poll-delay").max(Duration::from_millis(1)),
            recursive: section.boolean("recursive"),
            batch_events_max: section.count("batch-size"),
            batch_bytes_max: bytes(section, "batch-bytes"),
            format: read_format(section, &mut findings),
            gzip: section.boolean("gzip"),
            spool_dir,
        };
        if settings.finish == Finish::Rename && settings.suffix.is_empty() {
            let reason = "finished files need a suffix to be told from others";
            findings.push(Diagnostic::error("spooldir::suffix", section.span_of("file-suffix"), reason));
        }
        if findings.has_errors() { Err(findings) } else { Ok(settings) }
    }
}

fn bytes(section: &Section, option: &str) -> usize {
    usize::try_from(section.size(option)).unwrap_or(usize::MAX / 4).clamp(4, usize::MAX / 4)
}

fn read_format(section: &Section, findings: &mut Diagnostics) -> Format {
    let charset = section.text("input-charset");
    let encoding = Encoding::for_label(charset.as_bytes());
    if encoding.is_none() {
        let reason = format!("no encoding is called {charset}");
        findings.push(Diagnostic::error(
            "spooldir::unknown-charset",
            section.span_of("input-charset"),
            reason,
        ));
    }
    match section.text("deserializer") {
        "avro" => Format::Avro { literal_schema: section.text("schema-type") == "literal" },
        "blob" => Format::Blob { bytes_max: bytes(section, "blob-max") },
        _ => Format::Lines {
            bytes_max: bytes(section, "line-max"),
            encoding: encoding.unwrap_or(UTF_8),
            on_error: match section.text("decode-error-policy") {
                "replace" => OnError::Replace,
                "ignore" => OnError::Ignore,
                _ => OnError::Fail,
            },
        },
    }
}

/// A pattern that has to match from the first character to the last.
fn whole_name(section: &Section, option: &str, findings: &mut Diagnostics) -> Regex {
    let pattern = format!("^(?:{})$", section.text(option));
    Regex::new(&pattern).unwrap_or_else(|error| {
        findings.push(Diagnostic::error("spooldir::bad-regex", section.span_of(option), error.to_string()));
        nothing()
    })
}

/// Matches no name; stands in for a pattern that was found to be wrong.
fn nothing() -> Regex {
    static NOTHING: std::sync::OnceLock<Option<Regex>> = std::sync::OnceLock::new();
    match NOTHING.get_or_init(|| Regex::new("[^\\s\\S]").ok()) {
        Some(regex) => regex.clone(),
        None => unreachable!("the expression is constant and valid"),
    }
}
