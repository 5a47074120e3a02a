//! The segments being written: which one is next, and frames appended to it durably.
//!
//! A segment is written by appending only. Whatever cannot be written or synced seals it: the next group goes to
//! a new segment whose header says with which sequence it begins, and so abandons the frames in doubt.
//!
//! A loose segment is synced from time to time only. When such a sync fails, frames in doubt were acknowledged already,
//! so the log takes nothing more.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_storage::{Disk, File, OpenMode};

use super::{
    checkpoint::Place,
    error::FileError,
    frame::HEADER_BYTES,
    segment::{FRAMES_START, FileHead, FileKind, Segment},
    writing::Writing,
};

/// How many emptied segments are kept to be written again: overwriting is faster than growing.
const SPARES_MAX: usize = 2;

pub(super) struct Log {
    pub disk: Arc<dyn Disk>,
    pub directory: PathBuf,
    pub segment_bytes: u64,
    pub salt: u64,
    pub next_segment: u64,
    /// The sequence of the next frame.
    pub next_sequence: u64,
    /// What was written since the last checkpoint.
    pub unchecked_bytes: u64,
    /// How frames are written from now on.
    pub writing: Arc<Writing>,
    /// All frames up to this sequence are durable.
    pub durable: u64,
    /// The segment with frames that count and are not durable.
    unsynced: Option<Arc<Segment>>,
    /// Why nothing more is written.
    failed: Option<FileError>,
    active: Option<Active>,
    spares: Vec<Spare>,
}

/// An emptied segment that is going to be written again.
struct Spare {
    path: PathBuf,
    /// Whether what it held was sealed. It stays in the file until it is overwritten.
    sealed: bool,
}

struct Active {
    segment: Arc<Segment>,
    end: u64,
    /// As it was when the segment was begun.
    writing: Arc<Writing>,
}

impl Log {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        segment_bytes: u64,
        salt: u64,
        (next_segment, next_sequence): (u64, u64),
        writing: Arc<Writing>,
    ) -> Self {
        Self {
            disk,
            directory,
            segment_bytes,
            salt,
            next_segment,
            next_sequence,
            unchecked_bytes: 0,
            writing,
            durable: next_sequence - 1,
            unsynced: None,
            failed: None,
            active: None,
            spares: Vec::new(),
        }
    }

    /// The segment to write to, if these bytes still belong into it.
    pub(super) fn active_for(&self, bytes: usize) -> Option<Arc<Segment>> {
        let active = self.active.as_ref()?;
        let end = active.end.saturating_add(bytes as u64 + HEADER_BYTES as u64);
        let fits = end <= self.segment_bytes || active.end == FRAMES_START;
        let same = Arc::ptr_eq(&active.writing, &self.writing);
        (fits && same).then(|| Arc::clone(&active.segment))
    }

    pub(super) fn active_id(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.segment.id)
    }

    pub(super) fn end(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.end)
    }

    /// How much space the next segment will need that is not ours yet.
    pub(super) fn next_segment_needs(&self) -> u64 {
        if self.spares.is_empty() { self.segment_bytes } else { 0 }
    }

    /// Begins a new segment.
    pub(super) fn roll(&mut self) -> Result<Arc<Segment>, FileError> {
        self.active = None;
        // A segment says that everything in front of it is durable.
        self.sync()?;
        let kind = FileKind::Segment;
        let head = FileHead::make(kind, self.next_segment, self.salt, self.next_sequence, &self.writing)?;
        let spare = self.spare();
        let (disk, bytes) = (self.disk.as_ref(), self.segment_bytes);
        let segment = Segment::create(disk, &self.directory, head, |path| prepare(disk, path, spare, bytes))?;
        let segment = Arc::new(segment);
        self.next_segment += 1;
        let writing = Arc::clone(&self.writing);
        self.active = Some(Active { segment: Arc::clone(&segment), end: FRAMES_START, writing });
        Ok(segment)
    }

    /// A file to write again. A segment is not sealed while behind its end it still says what an older one held.
    fn spare(&mut self) -> Option<PathBuf> {
        let sealing = self.writing.ring.active_id().is_some();
        while let Some(spare) = self.spares.pop() {
            if spare.sealed || !sealing {
                return Some(spare.path);
            }
            // If it stays, the next opening removes it.
            let _gone = self.disk.remove(&spare.path);
        }
        None
    }

    /// Writes nothing more to the active segment.
    pub(super) fn give_up(&mut self) {
        self.active = None;
    }

    /// Whether frames count that are not durable.
    pub(super) fn is_unsynced(&self) -> bool {
        self.unsynced.is_some() && self.failed.is_none()
    }

    /// Makes everything that counts durable.
    ///
    /// # Errors
    /// It may be lost. A second sync would prove nothing, so every later call fails the same way.
    pub(super) fn sync(&mut self) -> Result<(), FileError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let Some(segment) = self.unsynced.take() else { return Ok(()) };
        if let Err(error) = segment.file.sync_data() {
            let failed = FileError::Unsynced { segment: segment.id, source: Arc::new(error) };
            self.active = None;
            self.failed = Some(failed.clone());
            return Err(failed);
        }
        self.durable = self.next_sequence - 1;
        Ok(())
    }

    /// Writes frames, which end in a frame header of zeros, and makes them durable, or in a loose segment leaves that to
    /// [`Self::sync`]. Says where they end.
    ///
    /// # Errors
    /// Nothing of it counts, whatever a later start finds: the segment is sealed.
    pub(super) fn append(&mut self, frames: &[u8], count: u64) -> Result<Place, FileError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let Some(mut active) = self.active.take() else { return Err(FileError::NotOpen) };
        let file = &active.segment.file;
        let id = active.segment.id;
        let failed = |what: &str, error| FileError::io(format!("segment {id}: {what}"), error);
        file.write_all_at(frames, active.end).map_err(|error| failed("write", error))?;
        let loose = active.segment.head.loose;
        if !loose {
            file.sync_data().map_err(|error| failed("sync", error))?;
        }
        active.end += (frames.len() - HEADER_BYTES) as u64;
        self.next_sequence += count;
        if loose {
            self.unsynced = Some(Arc::clone(&active.segment));
        } else {
            self.durable = self.next_sequence - 1;
        }
        self.unchecked_bytes += frames.len() as u64;
        let place =
            Place { segment: active.segment.id, offset: active.end, sequence: self.next_sequence - 1 };
        self.active = Some(active);
        Ok(place)
    }

    /// Gives the unused end of the active segment back to the disk.
    pub(super) fn trim(&mut self) -> Result<(), FileError> {
        self.sync()?;
        let Some(active) = self.active.take() else { return Ok(()) };
        let trimmed = active.segment.file.set_len(active.end).and_then(|()| active.segment.file.sync_data());
        trimmed.map_err(|error| FileError::io(format!("segment {}: trim", active.segment.id), error))
    }

    /// Removes an emptied segment, or keeps its file for a later one. The directory is not synced.
    pub(super) fn discard(&mut self, path: &Path, sealed: bool) -> Result<(), FileError> {
        let failed = |error| FileError::io(format!("{}: remove", path.display()), error);
        let whole = self.disk.open(path, OpenMode::Read).and_then(|file| file.len()).map_err(failed)?;
        if whole == self.segment_bytes && self.spares.len() < SPARES_MAX {
            let spare = path.with_extension("spare");
            self.disk.rename(path, &spare).map_err(failed)?;
            self.spares.push(Spare { path: spare, sealed });
            return Ok(());
        }
        self.disk.remove(path).map_err(failed)
    }
}

fn prepare(
    disk: &dyn Disk,
    path: &Path,
    spare: Option<PathBuf>,
    bytes: u64,
) -> Result<Box<dyn File>, FileError> {
    if let Some(spare) = spare
        && disk.rename(&spare, path).is_ok()
        && let Ok(file) = disk.open(path, OpenMode::Write)
    {
        return Ok(file);
    }
    let file = Segment::fresh(disk, path)?;
    if let Err(error) = file.allocate(bytes) {
        drop(file);
        let _gone = disk.remove(path);
        return Err(FileError::io(format!("{}: allocate {bytes} bytes", path.display()), error));
    }
    Ok(file)
}
