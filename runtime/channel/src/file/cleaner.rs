//! Writes checkpoints, and removes the files that a checkpoint made superfluous.
//!
//! A segment goes when none of its events is left and a checkpoint says so: before that, a start would miss it. What
//! components keep is written before the checkpoint, so nothing of it is only in a segment that goes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{
    checkpoint::{self, Numbers},
    error::FileError,
    keys::KeyRing,
    log::Log,
    segment::FileKind,
    shared::{Shared, State},
    small_file,
};

/// A record of takes is folded into a checkpoint at this size.
const TAKES_BYTES_MAX: u64 = 16 << 20;
/// A checkpoint may take this part of what is written to the log.
const LOG_PER_CHECKPOINT: u64 = 4;
/// After a failure, not again before this.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Cleaner {
    /// How large the last checkpoint was.
    last_bytes: u64,
    /// A segment became empty and is still there.
    wanted: bool,
    /// What there is, is sealed with a key that is no longer the active one.
    rekey: bool,
    not_before: Option<Instant>,
}

impl Cleaner {
    /// Does what is due.
    pub(super) fn run(&mut self, shared: &Shared, log: &mut Log, clean: bool) {
        self.wanted |= clean;
        if shared.rekey.swap(false, Ordering::Relaxed) {
            self.rekey = true;
            shared.states.lock().changed = true;
        }
        let states_bytes = {
            let states = shared.states.lock();
            if states.changed { states.file_bytes } else { 0 }
        };
        // A disk without room cannot wait for the log to grow.
        let affordable = log.unchecked_bytes >= states_bytes * LOG_PER_CHECKPOINT
            || shared.disk_full.load(Ordering::Relaxed);
        let due = self.rekey
            || self.wanted && affordable && !empty_segments(&shared.state.lock(), log).is_empty()
            || log.unchecked_bytes
                >= shared.segment_bytes.max((self.last_bytes + states_bytes) * LOG_PER_CHECKPOINT)
            || shared.takes.lock().as_ref().is_some_and(|takes| takes.current_bytes() >= TAKES_BYTES_MAX);
        if !due || self.not_before.is_some_and(|time| Instant::now() < time) {
            return;
        }
        self.not_before = None;
        if let Err(error) = self.checkpoint(shared, log) {
            self.not_before = Some(Instant::now() + PAUSE);
            tracing::warn!(channel = shared.name, %error, "no checkpoint; the next start reads more of the log");
        }
    }

    /// Writes a checkpoint and removes what it made superfluous.
    pub(super) fn checkpoint(&mut self, shared: &Shared, log: &mut Log) -> Result<(), FileError> {
        // What a checkpoint tells of must be there whenever it is.
        log.sync()?;
        let writing = Arc::clone(&shared.writing.read());
        // Takes that are committed from here on are in the next file of takes; those before are in the state.
        let takes_from = shared.takes.lock().as_mut().map_or(0, super::take_log::TakeLog::rotate);
        let (bytes, empty, sequence) = {
            let state = shared.state.lock();
            let numbers =
                Numbers { salt: log.salt, next_segment: log.next_segment, place: state.place, takes_from };
            let queue = &state.queue;
            let bytes = checkpoint::encode(&numbers, queue.len(), queue.all(), &state.positions);
            (bytes, empty_segments(&state, log), state.place.sequence)
        };
        write_states(shared, &writing.ring, log.salt, sequence)?;
        let bytes = small_file::seal(bytes, &writing.ring)?;
        checkpoint::write(shared.disk.as_ref(), &shared.directory, &bytes)
            .map_err(|error| FileError::io(format!("{}: checkpoint", shared.directory.display()), error))?;
        log.unchecked_bytes = 0;
        self.last_bytes = bytes.len() as u64;
        self.wanted = false;
        self.rekey = false;
        remove_takes(shared, takes_from)?;
        remove_segments(shared, log, &empty)
    }
}

fn write_states(shared: &Shared, ring: &KeyRing, salt: u64, sequence: u64) -> Result<(), FileError> {
    let mut states = shared.states.lock();
    if !states.changed {
        return Ok(());
    }
    let (disk, directory) = (shared.disk.as_ref(), &shared.directory);
    states.write(disk, directory, (salt, sequence, shared.clock.unix_millis()), ring)
}

/// Segments that are written to the end, before the place of the log, and hold nothing any more.
fn empty_segments(state: &State, log: &Log) -> Vec<u64> {
    let empty = state.live.range(..state.place.segment).filter(|(_, live)| **live == 0);
    empty.map(|(id, _)| *id).filter(|id| log.active_id() != Some(*id)).collect()
}

fn remove_segments(shared: &Shared, log: &mut Log, empty: &[u64]) -> Result<(), FileError> {
    for id in empty {
        shared.state.lock().live.remove(id);
        let segment = shared.segments.write().remove(id);
        let sealed = segment.is_some_and(|segment| segment.head.seal.is_some());
        log.discard(&shared.directory.join(FileKind::Segment.file_name(*id)), sealed)?;
    }
    if empty.is_empty() {
        return Ok(());
    }
    // A file is written under a new name only after its old one is gone for good.
    shared
        .disk
        .sync_dir(&shared.directory)
        .map_err(|error| FileError::io(format!("{}: sync", shared.directory.display()), error))
}

fn remove_takes(shared: &Shared, takes_from: u64) -> Result<(), FileError> {
    let failed = |error| FileError::io(format!("{}: list", shared.directory.display()), error);
    for entry in shared.disk.list(&shared.directory).map_err(failed)? {
        if FileKind::Takes.id_of(&entry.name).is_some_and(|id| id < takes_from) {
            let path = shared.directory.join(&entry.name);
            let removed = shared.disk.remove(&path);
            removed.map_err(|error| FileError::io(format!("{}: remove", path.display()), error))?;
        }
    }
    Ok(())
}
