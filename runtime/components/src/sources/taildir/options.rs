//! The options of the `taildir` source, and what they mean once read.

use std::{path::Path, time::Duration};

use encoding_rs::Encoding;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section, Span};
use millrace_core::{ByteString, Headers};
use regex::bytes::Regex;

use super::{
    discovery::{Exclusion, Pattern},
    frame::{Framing, LineEnd, LongLines, Multiline},
};

/// All options of `taildir`.
///
/// Where they differ from Flume: a batch holds up to 5,000 events of several files instead of 100 of one,
/// because it never waits to fill and every batch costs one commit; lines have a limit; `poll` is the longest
/// a change can go unnoticed, not a pause after every round.
pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("path", OptionKind::Paths, "Names the files, by globs; `**` stands for directories"),
    OptionSpec::optional(
        "exclude",
        OptionKind::Texts,
        "Leaves out files whose name, or path, matches a glob",
    ),
    OptionSpec::optional("headers", OptionKind::Map, "Sets headers on every event"),
    OptionSpec::optional(
        "group",
        OptionKind::Blocks(GROUP_OPTIONS),
        "Names further files with headers of their own",
    ),
    OptionSpec::with_default(
        "start",
        OptionKind::Choice(&["head", "tail"]),
        "head",
        "Says where files begin that are there when the source runs for the first time",
    ),
    OptionSpec::with_default(
        "file-header",
        OptionKind::Boolean,
        "#false",
        "Sets a header with the file's path",
    ),
    OptionSpec::with_default("file-header-key", OptionKind::Text, "file", "Names the header with the path"),
    OptionSpec::with_default(
        "byte-offset-header",
        OptionKind::Boolean,
        "#false",
        "Sets the header `byteoffset`: where in the file the event begins",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "5000",
        "Bounds the events of one batch",
    ),
    OptionSpec::with_default("batch-bytes", OptionKind::Size, "1MiB", "Bounds the bytes of one batch"),
    OptionSpec::with_default("line-max", OptionKind::Size, "1MiB", "Bounds one event; what is longer is cut"),
    OptionSpec::with_default(
        "long-lines",
        OptionKind::Choice(&["split", "truncate"]),
        "split",
        "Makes every piece of a cut line an event, later ones with the header `continued`, or drops the rest",
    ),
    OptionSpec::optional("multiline", OptionKind::Block(MULTILINE_OPTIONS), "Joins lines into events"),
    OptionSpec::optional(
        "encoding",
        OptionKind::Text,
        "Names the encoding to convert to UTF-8; without it bytes pass",
    ),
    OptionSpec::with_default(
        "poll",
        OptionKind::Duration,
        "250ms",
        "Bounds how long a change goes unnoticed",
    ),
    OptionSpec::with_default(
        "watch",
        OptionKind::Boolean,
        "#true",
        "Lets the system tell of changes earlier",
    ),
    OptionSpec::with_default("idle-timeout", OptionKind::Duration, "120s", "Closes files that do not grow"),
    OptionSpec::with_default(
        "rotate-wait",
        OptionKind::Duration,
        "5s",
        "Keeps a file that lost its name open after its last growth; then its unfinished line is an event",
    ),
    OptionSpec::optional(
        "partial-timeout",
        OptionKind::Duration,
        "Makes an unfinished last line an event after this time without growth",
    ),
    OptionSpec::optional(
        "ignore-older",
        OptionKind::Duration,
        "Leaves out files that did not change for this time",
    ),
];

const GROUP_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("path", OptionKind::Paths, "Names the files of the group, by globs"),
    OptionSpec::optional(
        "exclude",
        OptionKind::Texts,
        "Leaves out files whose name, or path, matches a glob",
    ),
    OptionSpec::optional("headers", OptionKind::Map, "Sets headers on the events of the group"),
];

const MULTILINE_OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("start", OptionKind::Regex, "Matches the first line of an event"),
    OptionSpec::optional("continue", OptionKind::Regex, "Matches the further lines of an event"),
    OptionSpec::optional("end", OptionKind::Regex, "Matches the last line of an event"),
    OptionSpec::with_default(
        "lines-max",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "500",
        "Bounds the lines of one event",
    ),
    OptionSpec::with_default(
        "timeout",
        OptionKind::Duration,
        "1s",
        "Ends an event when its file has not grown for this time",
    ),
];

/// The options, read.
pub(super) struct Settings {
    pub(super) groups: Vec<Group>,
    pub(super) start_at_tail: bool,
    pub(super) file_header: Option<ByteString>,
    pub(super) byte_offset_header: bool,
    pub(super) batch_events_max: usize,
    pub(super) batch_bytes_max: usize,
    pub(super) framing: Framing,
    pub(super) multiline_timeout: Option<Duration>,
    pub(super) encoding: Option<&'static Encoding>,
    pub(super) poll: Duration,
    pub(super) watch: bool,
    pub(super) idle_timeout: Duration,
    pub(super) rotate_wait: Duration,
    pub(super) partial_timeout: Option<Duration>,
    pub(super) ignore_older: Option<Duration>,
}

/// Files that carry the same headers.
pub(super) struct Group {
    pub(super) patterns: Vec<Pattern>,
    pub(super) exclusions: Vec<Exclusion>,
    headers: Headers,
}

impl Group {
    /// The headers of a file's events.
    pub(super) fn headers_for(&self, path: &Path, file_header: Option<&ByteString>) -> Headers {
        let mut headers = self.headers.clone();
        if let Some(name) = file_header {
            headers.set(name.clone(), path.to_string_lossy().into_owned().into());
        }
        headers
    }
}

impl Settings {
    /// Reads the checked options.
    ///
    /// # Errors
    /// Findings that only this source can make: globs, encodings, combinations.
    pub(super) fn read(section: &Section) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let mut groups = Vec::new();
        if section.has("path") {
            groups.push(read_group(section, &mut findings));
        }
        for group in section.blocks("group") {
            groups.push(read_group(group, &mut findings));
        }
        if groups.is_empty() {
            let finding = Diagnostic::error("taildir::no-path", section.span(), "no file is named");
            findings.push(finding.help("add `path \"/var/log/*.log\"`"));
        }
        let encoding = read_encoding(section, &mut findings);
        let multiline = section.block("multiline").filter(|block| is_given(section, block));
        let settings = Self {
            groups,
            start_at_tail: section.text("start") == "tail",
            file_header: section
                .boolean("file-header")
                .then(|| section.text("file-header-key").to_owned().into()),
            byte_offset_header: section.boolean("byte-offset-header"),
            batch_events_max: section.count("batch-size"),
            batch_bytes_max: bytes(section, "batch-bytes"),
            framing: Framing {
                line_bytes_max: bytes(section, "line-max").max(4),
                long_lines: match section.text("long-lines") {
                    "truncate" => LongLines::Truncate,
                    _ => LongLines::Split,
                },
                multiline: multiline.and_then(|block| read_multiline(block, &mut findings)),
                line_end: LineEnd::of(encoding),
            },
            multiline_timeout: multiline.map(|block| block.duration("timeout")),
            encoding,
            poll: section.duration("poll").max(Duration::from_millis(1)),
            watch: section.boolean("watch"),
            idle_timeout: section.duration("idle-timeout"),
            rotate_wait: section.duration("rotate-wait"),
            partial_timeout: section.optional_duration("partial-timeout"),
            ignore_older: section.optional_duration("ignore-older"),
        };
        if findings.has_errors() { Err(findings) } else { Ok(settings) }
    }
}

/// A block of options that all may be left out is always there; it is meant only where it was written.
fn is_given(section: &Section, block: &Section) -> bool {
    section.node().children_named(block.kind()).next().is_some()
}

fn bytes(section: &Section, option: &str) -> usize {
    usize::try_from(section.size(option)).unwrap_or(usize::MAX / 4).min(usize::MAX / 4)
}

fn read_group(section: &Section, findings: &mut Diagnostics) -> Group {
    let mut group = Group {
        patterns: Vec::new(),
        exclusions: Vec::new(),
        headers: section
            .map("headers")
            .iter()
            .map(|(name, value)| (name.clone().into(), value.clone().into()))
            .collect(),
    };
    for path in section.paths("path") {
        match Pattern::parse(path) {
            Ok(pattern) => group.patterns.push(pattern),
            Err(error) => findings.push(bad_glob(section.span_of("path"), &error)),
        }
    }
    for pattern in section.texts("exclude") {
        match Exclusion::parse(&pattern.value) {
            Ok(exclusion) => group.exclusions.push(exclusion),
            Err(error) => findings.push(bad_glob(pattern.span, &error)),
        }
    }
    group
}

fn bad_glob(span: Span, error: &globset::Error) -> Diagnostic {
    Diagnostic::error("taildir::bad-glob", span, error.to_string()).label("not a glob")
}

fn read_encoding(section: &Section, findings: &mut Diagnostics) -> Option<&'static Encoding> {
    let name = section.optional_text("encoding")?;
    let encoding = Encoding::for_label(name.as_bytes());
    if encoding.is_none() {
        let span = section.span_of("encoding");
        let finding =
            Diagnostic::error("taildir::unknown-encoding", span, format!("no encoding is called {name}"));
        findings.push(finding.help("for example \"utf-16le\", \"windows-1252\" or \"shift_jis\""));
    }
    encoding
}

fn read_multiline(block: &Section, findings: &mut Diagnostics) -> Option<Multiline> {
    let mut compile = |option: &str| {
        let compiled = Regex::new(block.optional_text(option)?);
        compiled
            .map_err(|error| {
                findings.push(Diagnostic::error(
                    "taildir::bad-regex",
                    block.span_of(option),
                    error.to_string(),
                ));
            })
            .ok()
    };
    let multiline = Multiline {
        start: compile("start"),
        continuation: compile("continue"),
        end: compile("end"),
        lines_max: block.count("lines-max"),
    };
    if multiline.start.is_none() && multiline.continuation.is_none() && multiline.end.is_none() {
        let finding =
            Diagnostic::error("taildir::no-pattern", block.span(), "no pattern says how lines are joined");
        findings.push(finding.help(r##"add `start #"^\d{4}-"#`, `continue #"^\s"#` or `end ";$"`"##));
        return None;
    }
    Some(multiline)
}
