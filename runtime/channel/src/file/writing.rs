//! How what is put is written from now on: packed, sealed, synced when. Changes with the options, as a whole; each change
//! begins a new segment.

use std::time::Duration;

use super::{
    keys::{KeyError, KeyRing},
    options::FileOptions,
    pack::Compression,
};

/// When a put is durable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sync {
    /// Before its commit is acknowledged.
    #[default]
    Commit,
    /// At most so long after it: acknowledged puts survive the process, and the newest are lost with the machine.
    Interval(Duration),
}

#[derive(Debug, Default)]
pub(super) struct Writing {
    pub compression: Compression,
    pub sync: Sync,
    pub ring: KeyRing,
}

impl Writing {
    /// As the options say. Reads keys, and so blocks.
    pub(super) fn of(options: &FileOptions) -> Result<Self, KeyError> {
        let ring = KeyRing::load(&options.encryption)?;
        Ok(Self { compression: options.compression, sync: options.sync, ring })
    }

    /// Whether puts count before they are durable.
    pub(super) fn is_loose(&self) -> bool {
        self.sync != Sync::Commit
    }
}
