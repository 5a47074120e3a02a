//! The record of what was taken for good, in files of its own beside the segments.
//!
//! It is written before a take's commit returns, so that a killed process repeats nothing; it is synced at most
//! once a second by the log thread, so that a commit of takes waits for no disk. What a power failure costs here
//! is repeated, never lost. A checkpoint covers all files before the current one, which are then removed.

use std::{path::PathBuf, sync::Arc};

use millrace_storage::Disk;

use super::{
    error::FileError,
    frame::{self, HEADER_BYTES, Kind},
    pack::{Compression, Packer},
    payload::{Run, encode_runs},
    segment::{FRAMES_START, FileHead, FileKind, Segment},
    writing::Writing,
};

pub(super) struct TakeLog {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    salt: u64,
    next_id: u64,
    current: Option<Current>,
    bytes: Vec<u8>,
    /// How the next file is written.
    pub writing: Arc<Writing>,
}

struct Current {
    file: Arc<Segment>,
    end: u64,
    sequence: u64,
    durable: u64,
}

/// A file to be synced outside of the lock, and what it then holds.
pub(super) struct Unsynced {
    file: Arc<Segment>,
    sequence: u64,
}

impl TakeLog {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        salt: u64,
        next_id: u64,
        writing: Arc<Writing>,
    ) -> Self {
        Self { disk, directory, salt, next_id, current: None, bytes: Vec::new(), writing }
    }

    /// Writes one commit of takes.
    ///
    /// # Errors
    /// It could not be written; the next one begins a new file.
    pub(super) fn append(&mut self, runs: &[Run]) -> Result<(), FileError> {
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.create()?,
        };
        self.bytes.clear();
        let start = frame::begin(&mut self.bytes);
        encode_runs(runs, &mut self.bytes);
        current.sequence += 1;
        let stamp = (Kind::Take, current.sequence, current.durable);
        let packing = (Compression::None, &mut Packer::default());
        current.file.coding.finish(&mut self.bytes, start, stamp, current.end, packing)?;
        let frame_bytes = self.bytes.len();
        self.bytes.resize(frame_bytes + HEADER_BYTES, 0);
        let written = current.file.file.write_all_at(&self.bytes, current.end);
        written.map_err(|error| FileError::io(format!("{}: write", current.file.path.display()), error))?;
        current.end += frame_bytes as u64;
        self.current = Some(current);
        Ok(())
    }

    fn create(&mut self) -> Result<Current, FileError> {
        let head = FileHead::make(FileKind::Takes, self.next_id, self.salt, 1, &self.writing)?;
        let disk = self.disk.as_ref();
        let file = Segment::create(disk, &self.directory, head, |path| Segment::fresh(disk, path))?;
        self.next_id += 1;
        Ok(Current { file: Arc::new(file), end: FRAMES_START, sequence: 0, durable: 0 })
    }

    /// How large the current file is.
    pub(super) fn current_bytes(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.end)
    }

    /// Begins a new file with the next take; says which number it will have.
    pub(super) fn rotate(&mut self) -> u64 {
        self.current = None;
        self.next_id
    }

    /// The id of the key that the current file is sealed with.
    pub(super) fn current_seal(&self) -> Option<&Arc<Segment>> {
        self.current.as_ref().map(|current| &current.file).filter(|file| file.head.seal.is_some())
    }

    pub(super) fn unsynced(&self) -> Option<Unsynced> {
        let current = self.current.as_ref().filter(|current| current.durable < current.sequence)?;
        Some(Unsynced { file: Arc::clone(&current.file), sequence: current.sequence })
    }

    /// Notes what was synced.
    pub(super) fn synced(&mut self, unsynced: &Unsynced) {
        if let Some(current) = self.current.as_mut().filter(|current| current.file.id == unsynced.file.id) {
            current.durable = current.durable.max(unsynced.sequence);
        }
    }
}

impl Unsynced {
    pub(super) fn sync(&self) -> Result<(), FileError> {
        let synced = self.file.file.sync_data();
        synced.map_err(|error| FileError::io(format!("{}: sync", self.file.path.display()), error))
    }
}
