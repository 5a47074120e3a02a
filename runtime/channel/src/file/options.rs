//! The options of a file channel.

use std::{path::PathBuf, time::Duration};

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};

use super::{
    keys::{EncryptionOptions, KEY_ID_BYTES_MAX, KeySource},
    pack::Compression,
    writing::Sync,
};
use crate::room::Amount;

/// Says in `encryption` that new files are not sealed.
const NO_KEY: &str = "none";

const SYNC: &[OptionSpec] = &[OptionSpec::optional(
    "every",
    OptionKind::Duration,
    "With `interval`: how long a commit may stay in the memory of the machine, at least `1ms`",
)];

const KEY: &[OptionSpec] = &[
    OptionSpec::optional(
        "file",
        OptionKind::Path,
        "A file with the key: 32 bytes as 64 hexadecimal digits or in base64, as `openssl rand -hex 32` prints them",
    ),
    OptionSpec::optional("env", OptionKind::Text, "The name of an environment variable with the key"),
];

const ENCRYPTION: &[OptionSpec] = &[
    OptionSpec::required(
        "active",
        OptionKind::Text,
        "The id of the key that new files are encrypted with, or \"none\" to leave them open",
    ),
    OptionSpec::optional(
        "key",
        OptionKind::Blocks(KEY),
        "A key under its id: `key \"2026-11\" file=\"/etc/millrace/keys/2026-11\"`; an old one stays until no file needs it",
    ),
];

pub(crate) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "directory",
        OptionKind::Path,
        "Where its files are; by default a folder of its own under the agent's data directory",
    ),
    OptionSpec::with_default(
        "capacity",
        OptionKind::Integer { min: 1, max: 1_000_000_000 },
        "1_000_000",
        "Largest number of events",
    ),
    OptionSpec::with_default(
        "bytes",
        OptionKind::Size,
        "8GiB",
        "Largest size of all events: their bodies, header names and header values",
    ),
    OptionSpec::with_default(
        "keep-alive",
        OptionKind::Duration,
        "3s",
        "How long a put waits for room before the channel counts as full",
    ),
    OptionSpec::with_default(
        "cache",
        OptionKind::Size,
        "32MiB",
        "Size of the newest events kept in memory, so that a sink that keeps up never reads the disk",
    ),
    OptionSpec::with_default(
        "segment-size",
        OptionKind::Size,
        "64MiB",
        "Size of one file of the log; space is freed file by file",
    ),
    OptionSpec::with_default(
        "minimum-free-space",
        OptionKind::Size,
        "128MiB",
        "Space the channel leaves free on its disk; below it puts find the channel full",
    ),
    OptionSpec::with_default(
        "compression",
        OptionKind::Choice(&["none", "zstd", "lz4"]),
        "none",
        "Compression of what is put, a transaction at a time where that makes it smaller; what is there stays as it is",
    ),
    OptionSpec::optional(
        "sync",
        OptionKind::Blocks(SYNC),
        "When a commit is on the disk: `sync \"commit\"`, the default, before it is acknowledged, so nothing acknowledged \
         is ever lost; `sync \"interval\" every=\"1s\"` so long after it at the latest, so a killed or crashed agent \
         loses nothing, but a power failure or a kernel panic loses the newest commits, up to those of `every`",
    ),
    OptionSpec::optional(
        "encryption",
        OptionKind::Block(ENCRYPTION),
        "Encrypts events, positions and state on the disk (AES-256-GCM); a channel does not open without its keys",
    ),
];

/// What a file channel may hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// Where its files are.
    pub directory: PathBuf,
    /// Largest number of events.
    pub events_max: u64,
    /// Largest size of all events.
    pub bytes_max: u64,
    /// How long a put waits for room.
    pub keep_alive: Duration,
    /// Size of the newest events kept in memory.
    pub cache_bytes_max: u64,
    /// Size of one file of the log. At least 64 KiB.
    pub segment_bytes: u64,
    /// Space left free on the disk.
    pub free_bytes_min: u64,
    /// How what is put is compressed.
    pub compression: Compression,
    /// When a commit is durable.
    pub sync: Sync,
    /// Whether and with which keys files are encrypted.
    pub encryption: EncryptionOptions,
}

/// Less than this would be more header than frames.
const SEGMENT_BYTES_MIN: u64 = 64 << 10;

impl FileOptions {
    /// The defaults, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            events_max: 1_000_000,
            bytes_max: 8 << 30,
            keep_alive: Duration::from_secs(3),
            cache_bytes_max: 32 << 20,
            segment_bytes: 64 << 20,
            free_bytes_min: 128 << 20,
            compression: Compression::None,
            sync: Sync::Commit,
            encryption: EncryptionOptions::default(),
        }
    }

    pub(crate) fn from_section(section: &Section, default: PathBuf) -> Result<Self, Diagnostics> {
        let mut findings = Diagnostics::default();
        let sync = sync(section).unwrap_or_else(|finding| {
            findings.push(*finding);
            Sync::Commit
        });
        let encryption =
            section.block("encryption").map(|block| encryption(block, &mut findings)).unwrap_or_default();
        if findings.has_errors() {
            return Err(findings);
        }
        Ok(Self {
            directory: section.optional_path("directory").map_or(default, PathBuf::from),
            events_max: section.count("capacity") as u64,
            bytes_max: section.size("bytes"),
            keep_alive: section.duration("keep-alive"),
            cache_bytes_max: section.size("cache"),
            segment_bytes: section.size("segment-size").max(SEGMENT_BYTES_MIN),
            free_bytes_min: section.size("minimum-free-space"),
            compression: match section.text("compression") {
                "zstd" => Compression::Zstd,
                "lz4" => Compression::Lz4,
                _ => Compression::None,
            },
            sync,
            encryption,
        })
    }

    /// What begins a new segment when it changes.
    pub(super) fn writing(&self) -> (Compression, Sync, &EncryptionOptions) {
        (self.compression, self.sync, &self.encryption)
    }

    pub(super) fn limit(&self) -> Amount {
        Amount { events: self.events_max, bytes: self.bytes_max }
    }

    /// Why these cannot replace `self` while the channel is open.
    pub(super) fn refusal(&self, new: &Self) -> Option<String> {
        if new.directory != self.directory {
            return Some(format!(
                "directory cannot change from {} to {} while the channel is open",
                self.directory.display(),
                new.directory.display()
            ));
        }
        (new.segment_bytes != self.segment_bytes).then(|| {
            format!(
                "segment-size cannot change from {} to {} bytes while the channel is open",
                self.segment_bytes, new.segment_bytes
            )
        })
    }
}

fn sync(section: &Section) -> Result<Sync, Box<Diagnostic>> {
    let wrong = |span, reason: &str, help: &str| {
        Box::new(Diagnostic::error("file::invalid-sync", span, reason).help(help))
    };
    let (block, others) = match section.blocks("sync") {
        [] => return Ok(Sync::Commit),
        [block, others @ ..] => (block, others),
    };
    if let Some(second) = others.first() {
        return Err(wrong(second.span(), "`sync` is given twice", "keep one of them"));
    }
    match (block.name(), block.optional_duration("every")) {
        (Some("commit"), None) => Ok(Sync::Commit),
        (Some("commit"), Some(_)) => {
            let reason = "`sync \"commit\"` syncs each commit and takes no `every`";
            Err(wrong(block.span_of("every"), reason, "remove it, or write `sync \"interval\" every=\"1s\"`"))
        }
        (Some("interval"), Some(every)) if every >= Duration::from_millis(1) => Ok(Sync::Interval(every)),
        (Some("interval"), Some(_)) => {
            let reason = "`every` is shorter than a millisecond";
            Err(wrong(block.span_of("every"), reason, "write at least `every=\"1ms\"`, or `sync \"commit\"`"))
        }
        (Some("interval"), None) => {
            let reason = "`sync \"interval\"` does not say how long commits may stay unsynced";
            Err(wrong(block.span(), reason, "write `sync \"interval\" every=\"1s\"`"))
        }
        _ => {
            let help = "write `sync \"commit\"` or `sync \"interval\" every=\"1s\"`";
            Err(wrong(block.span(), "`sync` is \"commit\" or \"interval\"", help))
        }
    }
}

fn encryption(block: &Section, findings: &mut Diagnostics) -> EncryptionOptions {
    let mut keys: Vec<(String, KeySource)> = Vec::new();
    let mut wrong = |span, reason: String, help: &str| {
        findings.push(Diagnostic::error("file::invalid-encryption", span, reason).help(help));
    };
    for key in block.blocks("key") {
        let id = key.name().unwrap_or_default();
        if id.is_empty() || id.len() > KEY_ID_BYTES_MAX || id == NO_KEY {
            let reason = format!("a key needs an id of 1 to {KEY_ID_BYTES_MAX} bytes that is not {NO_KEY:?}");
            wrong(key.span(), reason, "write `key \"2026-11\" file=\"/etc/millrace/keys/2026-11\"`");
            continue;
        }
        if keys.iter().any(|(known, _)| known == id) {
            wrong(key.span(), format!("key {id:?} is given twice"), "give each key an id of its own");
            continue;
        }
        match (key.optional_path("file"), key.optional_text("env")) {
            (Some(path), None) => keys.push((id.to_owned(), KeySource::File(path.to_owned()))),
            (None, Some(name)) => keys.push((id.to_owned(), KeySource::Variable(name.to_owned()))),
            _ => {
                let reason = format!("key {id:?} comes either from a `file` or from `env`");
                wrong(key.span(), reason, "name the file, or the environment variable, that holds the key");
            }
        }
    }
    let active = block.text("active");
    if active != NO_KEY && !keys.iter().any(|(id, _)| id == active) {
        let reason = format!("the active key {active:?} is not among the keys");
        let help = format!("add `key {active:?} file=\"…\"`; `active \"{NO_KEY}\"` leaves new files open");
        wrong(block.span_of("active"), reason, &help);
    }
    EncryptionOptions { active: Some(active.to_owned()).filter(|id| id != NO_KEY), keys }
}
