//! The options of a file channel.

use std::{path::PathBuf, time::Duration};

use millrace_config::{OptionKind, OptionSpec, Section};

use crate::room::Amount;

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
        }
    }

    pub(crate) fn from_section(section: &Section, default: PathBuf) -> Self {
        Self {
            directory: section.optional_path("directory").map_or(default, PathBuf::from),
            events_max: section.count("capacity") as u64,
            bytes_max: section.size("bytes"),
            keep_alive: section.duration("keep-alive"),
            cache_bytes_max: section.size("cache"),
            segment_bytes: section.size("segment-size").max(SEGMENT_BYTES_MIN),
            free_bytes_min: section.size("minimum-free-space"),
        }
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
