//! The options that sinks with a bucket writer share.

use std::time::Duration;

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

use super::{Compression, IN_PROGRESS, RollRules};
use crate::escape::{Target, Template};

const ROLL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "interval",
        OptionKind::Duration,
        "30s",
        "How long after its first event a file is finished; `0s`: never",
    ),
    OptionSpec::optional(
        "size",
        OptionKind::Size,
        "Size a file does not exceed (unless one event does); compressed files and Parquet are checked after each batch",
    ),
    OptionSpec::optional(
        "count",
        OptionKind::Integer { min: 1, max: i64::MAX },
        "Number of events after which a file is finished",
    ),
    OptionSpec::optional(
        "idle",
        OptionKind::Duration,
        "How long after its last event a file is finished; without it only the other rules count",
    ),
];

/// `roll interval="5m" size="128MiB"`.
pub const ROLL: OptionSpec = OptionSpec::with_default(
    "roll",
    OptionKind::Block(ROLL_OPTIONS),
    "",
    "When a file is finished and the next begun",
);

/// `prefix "%{host}-"`.
pub const PREFIX: OptionSpec =
    OptionSpec::with_default("prefix", OptionKind::Text, "", "What file names begin with; may hold escapes");

/// `extension "log"`.
pub const EXTENSION: OptionSpec =
    OptionSpec::optional("extension", OptionKind::Text, "What file names end with, without the dot");

/// `compression "zstd"`.
pub const COMPRESSION: OptionSpec = OptionSpec::with_default(
    "compression",
    OptionKind::Choice(&["none", "gzip", "zstd"]),
    "none",
    "Compresses each batch as a gzip member or zstd frame of its own and appends `.gz` or `.zst` to names",
);

/// `compression-level 9`.
pub const COMPRESSION_LEVEL: OptionSpec = OptionSpec::optional(
    "compression-level",
    OptionKind::Integer { min: 1, max: 22 },
    "1 to 9 for gzip (default 6), 1 to 22 for zstd (default 3)",
);

/// `max-open-files 64`.
pub const OPEN_FILES_MAX: OptionSpec = OptionSpec::with_default(
    "max-open-files",
    OptionKind::Integer { min: 1, max: 100_000 },
    "256",
    "Files in progress at the same time; the one unused for longest is finished to open another",
);

/// Reads [`ROLL`].
pub fn roll_rules(section: &Section) -> RollRules {
    let roll = section.block("roll");
    let duration = |option| {
        roll.and_then(|roll| roll.optional_duration(option)).filter(|duration| *duration > Duration::ZERO)
    };
    // A limit of nothing is Flume's word for no limit.
    let size = roll.and_then(|roll| roll.optional_size("size")).filter(|bytes| *bytes > 0);
    let count = roll.and_then(|roll| roll.optional_integer("count"));
    RollRules {
        interval: duration("interval"),
        bytes_max: size.unwrap_or(u64::MAX),
        events_max: count.and_then(|count| u64::try_from(count).ok()).unwrap_or(u64::MAX),
        idle: duration("idle"),
    }
}

/// A folder, with the option it stands in, and [`PREFIX`] as one template.
pub fn place(section: &Section, (option, folder): (&str, &str), findings: &mut Diagnostics) -> Template {
    let mut parse = |option: &str, text: &str| {
        Template::parse(text, Target::Path).unwrap_or_else(|mistakes| {
            for mistake in mistakes {
                findings.push(Diagnostic::error("escape::invalid", section.span_of(option), mistake));
            }
            Template::literal("")
        })
    };
    let slash = if folder.is_empty() || folder.ends_with('/') { "" } else { "/" };
    let folder = parse(option, &format!("{folder}{slash}"));
    let prefix = parse("prefix", section.text("prefix"));
    if prefix.has_separator() {
        let reason = "a prefix cannot hold a `/`";
        findings.push(
            Diagnostic::error("bucket::invalid-name", section.span_of("prefix"), reason)
                .help(format!("write folders into `{option}`")),
        );
    }
    folder.followed_by(prefix)
}

/// Reads [`EXTENSION`]: with its dot, or empty.
pub fn extension(section: &Section, findings: &mut Diagnostics) -> String {
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
    findings.push(Diagnostic::error("bucket::invalid-name", section.span_of("extension"), reason));
    String::new()
}

/// Reads [`COMPRESSION`] and [`COMPRESSION_LEVEL`].
pub fn compression(section: &Section, findings: &mut Diagnostics) -> Compression {
    let level = section.optional_integer("compression-level");
    let level_or = |default: i32| level.and_then(|level| i32::try_from(level).ok()).unwrap_or(default);
    let (compression, level_max) = match section.text("compression") {
        "gzip" => (Compression::Gzip(u32::try_from(level_or(6)).unwrap_or(6)), 9),
        "zstd" => (Compression::Zstd(level_or(3)), 22),
        _ => (Compression::None, 0),
    };
    if compression != Compression::None && section.text("serializer") == "parquet" {
        let reason = "a Parquet file compresses its columns itself";
        let span = section.span_of("compression");
        findings.push(
            Diagnostic::error("bucket::invalid-compression", span, reason)
                .help("write `parquet codec=\"zstd\"` instead"),
        );
    }
    if let Some(level) = level
        && level > level_max
    {
        let reason = match level_max {
            0 => "nothing is compressed, so there is no level".to_owned(),
            _ => format!("gzip has levels up to {level_max}, not {level}"),
        };
        let span = section.span_of("compression-level");
        findings.push(
            Diagnostic::error("bucket::invalid-level", span, reason).help("write `compression \"zstd\"`"),
        );
    }
    compression
}
