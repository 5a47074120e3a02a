//! What can go wrong with files. All of it may pass: space is freed, rights are given, a disk comes back.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::serializers::SerializeError;

/// A failure, with the file it is about.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Events could not be turned into bytes.
    #[error(transparent)]
    Serialize(#[from] SerializeError),
    /// Bytes could not be compressed.
    #[error("cannot compress with {codec}: {source}")]
    Compress {
        /// The codec.
        codec: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A file that was given up still has a writer.
    #[error("{} is given up and not settled yet", path.display())]
    Unsettled {
        /// The file.
        path: PathBuf,
    },
    /// Finished files pile up.
    #[error("{files} finished files cannot be given their names, the last error: {last}")]
    Unfinished {
        /// How many.
        files: usize,
        /// Why the last one cannot.
        last: String,
    },
}

impl BucketError {
    /// Says what was done to which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
