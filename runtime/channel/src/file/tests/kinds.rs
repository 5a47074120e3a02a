//! The ways a channel may write its files; what holds for one holds for all.

use std::time::Duration;

use crate::{Compression, EncryptionOptions, FileOptions, KeySource, Sync};

/// How files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Packed,
    Sealed,
    Both,
    /// Synced so seldom that no test sees it.
    Loose,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Plain, Self::Packed, Self::Sealed, Self::Both, Self::Loose];
    /// Those whose acknowledged puts survive a power failure.
    pub(super) const DURABLE: [Self; 4] = [Self::Plain, Self::Packed, Self::Sealed, Self::Both];

    pub(super) fn is_packed(self) -> bool {
        matches!(self, Self::Packed | Self::Both | Self::Loose)
    }

    pub(super) fn is_sealed(self) -> bool {
        matches!(self, Self::Sealed | Self::Both | Self::Loose)
    }

    pub(super) fn of(self, options: FileOptions) -> FileOptions {
        let compression = match self {
            Self::Plain | Self::Sealed => Compression::None,
            Self::Packed => Compression::Zstd,
            Self::Both | Self::Loose => Compression::Lz4,
        };
        let encryption =
            if self.is_sealed() { keys(Some("2026-05"), &["2026-05"]) } else { keys(None, &["2026-05"]) };
        let sync = match self {
            Self::Loose => Sync::Interval(Duration::from_secs(3600)),
            _ => Sync::Commit,
        };
        FileOptions { compression, encryption, sync, ..options }
    }
}

/// Keys kept for tests. The name of one may be followed by that of its file: `2026-05=other`.
pub(super) fn keys(active: Option<&str>, ids: &[&str]) -> EncryptionOptions {
    let key = |id: &&str| {
        let (id, file) = id.split_once('=').unwrap_or((id, id));
        (id.to_owned(), KeySource::File(formats().join("keys").join(file)))
    };
    EncryptionOptions { active: active.map(str::to_owned), keys: ids.iter().map(key).collect() }
}

/// The folder of files that were written once and must stay readable.
pub(super) fn formats() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/formats")
}
