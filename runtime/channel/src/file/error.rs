//! What can go wrong in a file channel.

use std::{io, path::Path, sync::Arc};

use millrace_core::ChannelError;
use millrace_storage::LockError;

use super::{keys::KeyError, seal::SealError};

/// Why a file channel could not do what it was asked. Cheap to clone: a failed group tells all its commits.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum FileError {
    /// A call to the disk failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done to which file.
        what: String,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The directory is not ours.
    #[error(transparent)]
    Locked(Arc<LockError>),
    /// There is not enough space on the disk.
    #[error("{0}")]
    DiskFull(String),
    /// A file was written by a later version.
    #[error(
        "{file} has format version {version}; this program reads versions up to {}",
        super::segment::VERSION
    )]
    NewerFormat {
        /// The file.
        file: String,
        /// Its version.
        version: u16,
    },
    /// A key of the options cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Something is sealed with a key that is not there.
    #[error(transparent)]
    Seal(SealError),
    /// A file is sealed with a key that is not there.
    #[error("{file}: {source}")]
    SealedFile {
        /// The file.
        file: String,
        /// The cause.
        source: SealError,
    },
    /// Nothing can be sealed.
    #[error("{0}")]
    Crypto(&'static str),
    /// What was acknowledged may not be on the disk, and can no longer be brought there.
    #[error(
        "segment {segment}: sync in the background: {source}; what was put since the sync before it is lost if the \
         machine goes down now, and nothing more is accepted until the channel is opened again"
    )]
    Unsynced {
        /// The number of the segment.
        segment: u64,
        /// The cause.
        source: Arc<io::Error>,
    },
    /// The channel has not been opened, or is closed.
    #[error("the channel is not open")]
    NotOpen,
}

impl FileError {
    /// An error of the disk; a lack of space is told apart.
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull(format!("{what}: {source}"))
            }
            _ => Self::Io { what, source: Arc::new(source) },
        }
    }

    /// Names the file whose key is missing.
    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Seal(source) => Self::SealedFile { file: path.display().to_string(), source },
            other => other,
        }
    }

    /// As the channel's callers see it.
    pub(super) fn of_channel(self, channel: &str) -> ChannelError {
        let channel = channel.to_owned();
        match self {
            Self::DiskFull(reason) => ChannelError::Full { channel, reason },
            Self::NotOpen => ChannelError::Closed { channel },
            other => ChannelError::Failed { channel, source: Box::new(other) },
        }
    }
}
