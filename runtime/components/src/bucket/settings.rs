//! What a bucket writer has to know. Sinks make it from their options.

use std::{path::PathBuf, time::Duration};

use super::{
    names::{InProgress, NameTime},
    packer::Compression,
};
use crate::{
    escape::{Template, TimeRule},
    serializers::SerializerSpec,
};

/// When contents are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Before a batch counts as delivered.
    Batch,
    /// When a file is finished.
    Roll,
    /// Never.
    None,
}

/// When a file is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollRules {
    /// After its first event.
    pub interval: Option<Duration>,
    /// Bytes; `u64::MAX`: never.
    pub bytes_max: u64,
    /// Events; `u64::MAX`: never.
    pub events_max: u64,
    /// After its last event.
    pub idle: Option<Duration>,
}

/// Everything the options say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where files go, up to the time in their names.
    pub place: Template,
    pub time_rule: TimeRule,
    pub name_time: NameTime,
    /// What follows the number in a name.
    pub suffix: String,
    /// What a name has besides while in progress.
    pub in_progress: InProgress,
    pub roll: RollRules,
    pub serializer: SerializerSpec,
    pub compression: Compression,
    pub sync: SyncMode,
    pub open_files_max: usize,
    /// The folder of the journal.
    pub journal_folder: PathBuf,
}
