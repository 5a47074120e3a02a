//! The options of the sink, checked and typed.

use std::path::PathBuf;

use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};

use crate::{
    bucket::{
        COMPRESSION, COMPRESSION_LEVEL, EXTENSION, InProgress, NameTime, OPEN_FILES_MAX, PREFIX, ROLL,
        Settings, SyncMode, compression, extension, place, roll_rules,
    },
    escape::{
        MISSING_HEADER, MISSING_TIMESTAMP, ROUND, TIME_ZONE, TimeRule, USE_LOCAL_TIME_STAMP, time_rule,
    },
    serializers::{APPEND_NEWLINE, AVRO, PARQUET, SERIALIZER, serializer_spec},
};

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec::required(
        "directory",
        OptionKind::Path,
        "Where files go; may hold escapes such as `%{host}` and `%Y-%m-%d`; created when needed",
    ),
    PREFIX,
    EXTENSION,
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
    PARQUET,
    COMPRESSION,
    COMPRESSION_LEVEL,
    OptionSpec::with_default(
        "sync",
        OptionKind::Choice(&["batch", "roll", "none"]),
        "batch",
        "When contents are forced to the disk: before a batch counts as delivered, when a file is finished, or \
         never; all survive the end of the process, only `batch` survives a power failure",
    ),
    OPEN_FILES_MAX,
    USE_LOCAL_TIME_STAMP,
    TIME_ZONE,
    ROUND,
    MISSING_TIMESTAMP,
    MISSING_HEADER,
];

/// Reads a section.
pub fn settings(section: &Section, journal_folder: PathBuf) -> Result<Settings, Diagnostics> {
    let mut findings = Diagnostics::default();
    let folder = section.path("directory").to_string_lossy().into_owned();
    let place = place(section, ("directory", &folder), &mut findings);
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
