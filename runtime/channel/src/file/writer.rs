//! The log thread: group commit.
//!
//! Every put that waits at that moment goes into one write and one sync. Only this thread writes segments and
//! checkpoints, so their order needs no lock. Takers see a put, and its producer hears of it, when it is durable.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use millrace_core::is_state_owner;

use super::{
    checkpoint::Place,
    cleaner::Cleaner,
    error::FileError,
    frame::{self, HEADER_BYTES, Kind, frame_bytes},
    inbox::{Ending, PutRequest},
    log::Log,
    pack::Packer,
    payload::encode_put,
    queue::Part,
    seal::TAG_BYTES,
    segment::Segment,
    shared::{Phase, Shared},
    writing::Sync,
};

/// A group is closed when it is about this large, which bounds memory and the time of one write.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// Larger than this the write buffer is not kept.
const BUFFER_BYTES_MAX: usize = 16 << 20;
/// How long takes may stay unsynced.
const TAKES_SYNC: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    shared: Arc<Shared>,
    log: Log,
    cleaner: Cleaner,
    frames: Vec<u8>,
    parts: Vec<Part>,
    packer: Packer,
    /// When frames that count must be durable.
    sync_log_at: Option<Instant>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, log: Log) -> Self {
        let (frames, parts) = (Vec::new(), Vec::new());
        let (cleaner, packer) = (Cleaner::default(), Packer::default());
        Self { shared, log, cleaner, frames, parts, packer, sync_log_at: None }
    }

    /// Works until the inbox ends.
    pub(super) fn run(mut self) -> Result<(), FileError> {
        let mut sync_takes_at = None;
        loop {
            let deadline = [sync_takes_at, self.sync_log_at].into_iter().flatten().min();
            let work = self.shared.inbox.wait(deadline);
            if work.takes_written {
                sync_takes_at.get_or_insert_with(|| Instant::now() + TAKES_SYNC);
            }
            self.commit(work.puts);
            self.sync_log_in_time();
            if sync_takes_at.is_some_and(|at| at <= Instant::now()) {
                self.sync_takes();
                sync_takes_at = None;
            }
            match work.ending {
                Some(Ending::Close) => return self.close(),
                Some(Ending::Abandon) => return Ok(()),
                None => self.cleaner.run(&self.shared, &mut self.log, work.clean),
            }
        }
    }

    fn close(mut self) -> Result<(), FileError> {
        self.sync_takes();
        let trimmed = self.log.trim();
        self.cleaner.checkpoint(&self.shared, &mut self.log)?;
        trimmed
    }

    /// Syncs a loose segment when its first unsynced frame has waited long enough.
    fn sync_log_in_time(&mut self) {
        if !self.log.is_unsynced() {
            self.sync_log_at = None;
            return;
        }
        let now = Instant::now();
        let wait = match self.log.writing.sync {
            Sync::Interval(every) => every,
            Sync::Commit => Duration::ZERO,
        };
        if *self.sync_log_at.get_or_insert(now + wait) > now {
            return;
        }
        self.sync_log_at = None;
        if let Err(error) = self.log.sync() {
            tracing::error!(channel = self.shared.name, %error, "acknowledged events are in doubt");
        }
    }

    fn sync_takes(&self) {
        if let Err(error) = self.shared.sync_takes() {
            tracing::warn!(channel = self.shared.name, %error, "takes may be repeated after a power failure");
        }
    }

    fn commit(&mut self, puts: Vec<PutRequest>) {
        let mut group = Vec::new();
        let mut bytes = 0;
        for put in puts {
            let put_bytes = frame_bytes(put.payload_bytes_max + TAG_BYTES);
            if bytes + put_bytes > GROUP_BYTES_MAX && !group.is_empty() {
                self.commit_group(std::mem::take(&mut group), bytes);
                bytes = 0;
            }
            bytes += put_bytes;
            group.push(put);
        }
        if !group.is_empty() {
            self.commit_group(group, bytes);
        }
    }

    fn commit_group(&mut self, group: Vec<PutRequest>, bytes_max: usize) {
        let outcome = self.write_group(&group, bytes_max);
        self.frames.clear();
        self.frames.shrink_to(BUFFER_BYTES_MAX);
        match outcome {
            Ok(place) => {
                let replies = self.publish(group, place);
                // Whoever gave up waiting finds the events in the channel all the same.
                replies.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
            }
            Err(error) => {
                let full = matches!(error, FileError::DiskFull(_));
                self.shared.disk_full.fetch_or(full, Ordering::Relaxed);
                tracing::warn!(channel = self.shared.name, commits = group.len(), %error, "commits failed");
                for PutRequest { reservation, reply, .. } in group {
                    drop(reservation);
                    let _gave_up = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn write_group(&mut self, group: &[PutRequest], bytes_max: usize) -> Result<Place, FileError> {
        self.log.writing = self.shared.writing.read().clone();
        match self.encode_group(group, bytes_max) {
            Ok(count) => self.log.append(&self.frames, count),
            Err(error) => {
                // Sequences of this segment may have been used to seal what is now thrown away.
                self.log.give_up();
                Err(error)
            }
        }
    }

    /// Fills the write buffer; says how many frames are in it.
    fn encode_group(&mut self, group: &[PutRequest], bytes_max: usize) -> Result<u64, FileError> {
        let segment = match self.log.active_for(bytes_max) {
            Some(segment) => segment,
            None => self.roll()?,
        };
        let base = self.log.end();
        let durable = self.log.durable;
        let compression = self.log.writing.compression;
        let mut sequence = self.log.next_sequence;
        // A new segment's buffer already holds the positions.
        if !self.frames.is_empty() {
            sequence += 1;
        }
        self.parts.clear();
        for put in group {
            let start = frame::begin(&mut self.frames);
            encode_put(put.at, &put.batch, &put.updates, &mut self.frames);
            let (offset, stamp) = (base + start as u64, (Kind::Put, sequence, durable));
            let packing = (compression, &mut self.packer);
            segment.coding.finish(&mut self.frames, start, stamp, offset, packing)?;
            self.parts.push(part(put, sequence, segment.id, offset, self.frames.len() - start));
            sequence += 1;
        }
        let end = self.frames.len();
        self.frames.resize(end + HEADER_BYTES, 0);
        Ok(sequence - self.log.next_sequence)
    }

    /// Tells components that what they wrote counts. Their next batches may begin when the group is gone.
    fn publish_states(&self, group: &[PutRequest]) {
        if group.iter().all(|put| put.states.is_empty()) {
            return;
        }
        {
            let mut states = self.shared.states.lock();
            for put in group {
                for update in put.updates.iter().filter(|update| is_state_owner(&update.source)) {
                    states.apply(update, put.at);
                }
            }
        }
        let committed = group.iter().flat_map(|put| &put.states);
        committed.for_each(|writes| writes.committed(Some(&self.shared.name)));
    }

    /// Begins a segment, whose first frame is going to be the positions of all sources: the older segments with
    /// the commits of these positions can then go.
    fn roll(&mut self) -> Result<Arc<Segment>, FileError> {
        self.shared.check_disk(self.log.next_segment_needs())?;
        let segment = self.log.roll()?;
        self.shared.segments.write().insert(segment.id, Arc::clone(&segment));
        let start = frame::begin(&mut self.frames);
        {
            let state = &mut *self.shared.state.lock();
            state.live.insert(segment.id, 0);
            millrace_storage::encode_positions(&state.positions, &mut self.frames);
        }
        let stamp = (Kind::Positions, self.log.next_sequence, self.log.durable);
        let packing = (self.log.writing.compression, &mut self.packer);
        segment.coding.finish(&mut self.frames, start, stamp, self.log.end(), packing)?;
        Ok(segment)
    }

    fn publish(
        &mut self,
        group: Vec<PutRequest>,
        place: Place,
    ) -> Vec<tokio::sync::oneshot::Sender<Result<(), FileError>>> {
        self.publish_states(&group);
        let mut replies = Vec::with_capacity(group.len());
        let mut events = 0;
        {
            let state = &mut *self.shared.state.lock();
            for (put, part) in group.into_iter().zip(&self.parts) {
                for update in put.updates.iter().filter(|update| !is_state_owner(&update.source)) {
                    update.apply_to(state.positions.entry(update.source.to_string()).or_default());
                }
                if !put.batch.is_empty() {
                    events += part.amount().events;
                    *state.live.entry(part.segment).or_default() += part.amount().events;
                    state.queue.add(*part);
                    if state.phase == Phase::Open {
                        state.cache.insert(part.sequence, put.batch);
                    }
                }
                put.reservation.keep();
                replies.push(put.reply);
            }
            state.place = place;
        }
        self.shared.disk_full.store(false, Ordering::Relaxed);
        self.shared.metrics.put_events.inc_by(events);
        self.shared.changed.notify_waiters();
        replies
    }
}

fn part(put: &PutRequest, sequence: u64, segment: u64, offset: u64, frame_bytes: usize) -> Part {
    Part {
        sequence,
        segment,
        offset,
        // The payload was checked against its largest size when the events were put.
        frame_bytes: u32::try_from(frame_bytes).unwrap_or(u32::MAX),
        start: 0,
        end: u32::try_from(put.batch.len()).unwrap_or(u32::MAX),
        bytes: put.batch.size() as u64,
        at: put.at,
    }
}
