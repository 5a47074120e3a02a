//! The options of the sink, checked and typed.

use std::path::PathBuf;

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

use crate::{
    bucket::{Compression, IN_PROGRESS, InProgress, NameTime, ROLL, Settings, SyncMode, roll_rules},
    escape::{
        MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, Target, Template, TimeRule,
        USE_LOCAL_TIME_STAMP, time_rule,
    },
    serializers::{APPEND_NEWLINE, AVRO, SERIALIZER, serializer_spec},
};

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "directory",
        OptionKind::Path,
        "Where files go; may hold escapes such as `%{host}` and `%Y-%m-%d`; created when needed",
    ),
    OptionSpec::with_default("prefix", OptionKind::Text, "", "What file names begin with; may hold escapes"),
    OptionSpec::optional("extension", OptionKind::Text, "What file names end with, without the dot"),
    OptionSpec::with_default(
        "name-time",
        OptionKind::Choice(&["start", "roll"]),
        "start",
        "The time in file names: the sink's start in milliseconds, or the file's as `yyyyMMddHHmmss`",
    ),
    ROLL,
    SERIALIZER,
    APPEND_NEWLINE,
    AVRO,
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "gzip", "zstd"]),
        "none",
        "Compresses each batch as a gzip member or zstd frame of its own and appends `.gz` or `.zst` to names",
    ),
    OptionSpec::optional(
        "compression-level",
        OptionKind::Integer { min: 1, max: 22 },
        "1 to 9 for gzip (default 6), 1 to 22 for zstd (default 3)",
    ),
    OptionSpec::with_default(
        "sync",
        OptionKind::Choice(&["batch", "roll", "none"]),
        "batch",
        "When contents are forced to the disk: before a batch counts as delivered, when a file is finished, or \
         never; all survive the end of the process, only `batch` survives a power failure",
    ),
    OptionSpec::with_default(
        "max-open-files",
        OptionKind::Integer { min: 1, max: 100_000 },
        "256",
        "Files in progress at the same time; the one unused for longest is finished to open another",
    ),
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
];

/// Reads a section.
pub fn settings(section: &Section, journal_folder: PathBuf) -> Result<Settings, Diagnostics> {
    let mut findings = Diagnostics::default();
    let place = place(section, &mut findings);
    let suffix = extension(section, &mut findings);
    let compression = compression(section, &mut findings);
    let rule = time_rule(section).unwrap_or_else(|found| {
        findings.extend(found);
        TimeRule::default()
    });
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(Settings {
        place,
        time_rule: rule,
        name_time: if section.text("name-time") == "roll" { NameTime::Roll } else { NameTime::Start },
        suffix: format!("{suffix}{}", compression.extension()),
        in_progress: InProgress::default(),
        roll: roll_rules(section),
        serializer: serializer_spec(section),
        compression,
        sync: match section.text("sync") {
            "roll" => SyncMode::Roll,
            "none" => SyncMode::None,
            _ => SyncMode::Batch,
        },
        open_files_max: section.count("max-open-files"),
        journal_folder,
    })
}

/// Folder and beginning of the name as one template.
fn place(section: &Section, findings: &mut Diagnostics) -> Template {
    let mut parse = |option: &str, text: &str| {
        Template::parse(text, Target::Path).unwrap_or_else(|mistakes| {
            for mistake in mistakes {
                findings.push(Diagnostic::error("escape::invalid", section.span_of(option), mistake));
            }
            Template::literal("")
        })
    };
    let mut directory = section.path("directory").to_string_lossy().into_owned();
    if !directory.ends_with('/') {
        directory.push('/');
    }
    let folder = parse("directory", &directory);
    let prefix = parse("prefix", section.text("prefix"));
    if prefix.has_separator() {
        findings.push(
            Diagnostic::error(
                "file-roll::invalid-name",
                section.span_of("prefix"),
                "a prefix cannot hold a `/`",
            )
            .help("write folders into `directory`"),
        );
    }
    folder.followed_by(prefix)
}

fn extension(section: &Section, findings: &mut Diagnostics) -> String {
    const EXTENSION_BYTES_MAX: usize = 16;
    let Some(extension) = section.optional_text("extension") else { return String::new() };
    let extension = extension.trim_start_matches('.');
    let reason = if extension.contains(['/', '\0', '%']) {
        "an extension holds neither `/` nor `%`".to_owned()
    } else if extension.len() > EXTENSION_BYTES_MAX {
        format!("an extension has at most {EXTENSION_BYTES_MAX} bytes")
    } else if format!(".{extension}").ends_with(IN_PROGRESS) {
        format!("`{IN_PROGRESS}` marks files in progress")
    } else {
        return if extension.is_empty() { String::new() } else { format!(".{extension}") };
    };
    findings.push(Diagnostic::error("file-roll::invalid-name", section.span_of("extension"), reason));
    String::new()
}

fn compression(section: &Section, findings: &mut Diagnostics) -> Compression {
    let level = section.optional_integer("compression-level");
    let level_or = |default: i32| level.and_then(|level| i32::try_from(level).ok()).unwrap_or(default);
    let (compression, level_max) = match section.text("compression") {
        "gzip" => (Compression::Gzip(u32::try_from(level_or(6)).unwrap_or(6)), 9),
        "zstd" => (Compression::Zstd(level_or(3)), 22),
        _ => (Compression::None, 0),
    };
    if let Some(level) = level
        && level > level_max
    {
        let reason = match level_max {
            0 => "nothing is compressed, so there is no level".to_owned(),
            _ => format!("gzip has levels up to {level_max}, not {level}"),
        };
        let span = section.span_of("compression-level");
        findings.push(
            Diagnostic::error("file-roll::invalid-level", span, reason).help("write `compression \"zstd\"`"),
        );
    }
    compression
}
