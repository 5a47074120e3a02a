//! Taking from a file channel.
//!
//! A take first claims parts of the queue, then finds their events, then gives back what is beyond its limit. A
//! claim that is dropped on the way returns to its place, so a cancelled take takes nothing.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use millrace_core::{Batch, BatchLimit, ChannelError, TakeTransaction, Taken};
use tokio::time::Instant;

use super::{
    error::FileError,
    payload::Run,
    queue::{Part, checksum},
    read::read_batch,
    shared::{Phase, Shared},
};

pub(super) struct FileTake {
    shared: Arc<Shared>,
    taken: Vec<Part>,
}

/// Parts on their way into a transaction, with the batches of their frames where those are in memory.
struct Claim {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    batches: Vec<Option<Batch>>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        self.shared.state.lock().queue.put_back(&self.parts);
        self.shared.changed.notify_waiters();
    }
}

/// What a look at the queue gave.
enum Look {
    Claimed(Claim),
    Nothing,
    Closed,
}

impl FileTake {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, taken: Vec::new() }
    }

    fn look(&self, limit: BatchLimit, fill_until: &mut Option<Instant>) -> Look {
        let state = &mut *self.shared.state.lock();
        if state.phase != Phase::Open {
            return Look::Closed;
        }
        if state.queue.is_empty() {
            *fill_until = None;
            return Look::Nothing;
        }
        if !limit.wait_max.is_zero() && !state.queue.fills(limit) {
            let now = Instant::now();
            if now < *fill_until.get_or_insert_with(|| now + limit.wait_max) {
                return Look::Nothing;
            }
        }
        let parts = state.queue.take(limit);
        let batches = parts.iter().map(|part| state.cache.find(part.sequence, part.end)).collect();
        Look::Claimed(Claim { shared: Arc::clone(&self.shared), parts, batches })
    }

    async fn claim(&self, limit: BatchLimit) -> Option<Claim> {
        let mut fill_until = None;
        loop {
            // Listening before looking: what is added in between wakes us.
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            match self.look(limit, &mut fill_until) {
                Look::Claimed(claim) => return Some(claim),
                Look::Closed => return None,
                Look::Nothing => {}
            }
            match fill_until {
                None => changed.await,
                Some(deadline) => drop(tokio::time::timeout_at(deadline, changed).await),
            }
        }
    }

    /// Keeps what is within the limit. None when all of it was damaged.
    fn keep(&mut self, mut claim: Claim, limit: BatchLimit) -> Option<Batch> {
        let parts = std::mem::take(&mut claim.parts);
        let batches = std::mem::take(&mut claim.batches);
        let mut rest = limit;
        let mut kept: Vec<Batch> = Vec::new();
        let mut back = Vec::new();
        let mut lost = Vec::new();
        for (mut part, batch) in parts.into_iter().zip(batches) {
            let Some(frame) = batch else {
                lost.push(part);
                continue;
            };
            let rows = frame.part(part.start as usize..part.end as usize);
            let full = rest.events_max == 0
                || !kept.is_empty()
                    && rows.events().first().is_some_and(|event| event.size() > rest.bytes_max);
            if full {
                back.push((part, frame));
                rest.events_max = 0;
                continue;
            }
            let count = rows.prefix_within(rest);
            let rows = if count < rows.len() {
                let front = rows.part(0..count);
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                let state = &mut *self.shared.state.lock();
                state.queue.put_back_rest(&mut part, count, front.size() as u64);
                state.cache.insert(part.sequence, frame);
                rest.events_max = count as usize;
                front
            } else {
                drop(frame);
                rows
            };
            rest.events_max -= rows.len().min(rest.events_max);
            rest.bytes_max = rest.bytes_max.saturating_sub(rows.size());
            self.taken.push(part);
            kept.push(rows);
        }
        self.give_back(back, &lost);
        (!kept.is_empty()).then(|| joined(kept))
    }

    /// Keeps exactly these rows. None when one of them is damaged: then all go back.
    fn keep_again(&mut self, mut claim: Claim, taken: Taken) -> Option<Batch> {
        if claim.batches.iter().any(Option::is_none) {
            return None;
        }
        let parts = std::mem::take(&mut claim.parts);
        let batches = std::mem::take(&mut claim.batches);
        let mut left = u32::try_from(taken.events).unwrap_or(u32::MAX);
        let mut kept = Vec::with_capacity(parts.len());
        for (mut part, frame) in parts.into_iter().zip(batches.into_iter().flatten()) {
            let state = &mut *self.shared.state.lock();
            if part.sequence == taken.first.0 && part.start < taken.first.1 {
                let front = frame.part(part.start as usize..taken.first.1 as usize);
                let skipped = taken.first.1 - part.start;
                state.queue.put_back_front(&mut part, skipped, front.size() as u64);
                state.cache.insert(part.sequence, frame.clone());
            }
            let end = part.end.min(part.start.saturating_add(left));
            let rows = frame.part(part.start as usize..end as usize);
            if end < part.end {
                let count = end - part.start;
                state.queue.put_back_rest(&mut part, count, rows.size() as u64);
                state.cache.insert(part.sequence, frame);
            }
            left -= end - part.start;
            self.taken.push(part);
            kept.push(rows);
        }
        self.shared.changed.notify_waiters();
        Some(joined(kept))
    }

    fn give_back(&self, back: Vec<(Part, Batch)>, lost: &[Part]) {
        if back.is_empty() && lost.is_empty() {
            return;
        }
        let (amount, emptied) = {
            let state = &mut *self.shared.state.lock();
            for (part, frame) in back {
                state.queue.put_back(&[part]);
                state.cache.insert(part.sequence, frame);
            }
            state.forget(lost)
        };
        self.shared.room.release(amount);
        if emptied {
            self.shared.inbox.clean();
        }
        self.shared.changed.notify_waiters();
    }
}

/// One batch of several.
fn joined(mut batches: Vec<Batch>) -> Batch {
    match batches.len() {
        1 => batches.pop().unwrap_or_default(),
        _ => Batch::new(batches.into_iter().flat_map(Batch::into_events).collect()),
    }
}

/// Reads what is not in memory. Dropped on the way, everything returns to its place.
async fn complete(claim: Claim) -> Result<Claim, FileError> {
    if claim.batches.iter().all(Option::is_some) {
        return Ok(claim);
    }
    let read = tokio::task::spawn_blocking(move || {
        let mut claim = claim;
        for (part, batch) in claim.parts.iter().zip(&mut claim.batches) {
            if batch.is_none() {
                *batch = read_batch(&claim.shared, part)?;
            }
        }
        Ok(claim)
    });
    read.await.unwrap_or(Err(FileError::NotOpen))
}

#[async_trait]
impl TakeTransaction for FileTake {
    async fn take(&mut self, limit: BatchLimit) -> Result<Batch, ChannelError> {
        let limit = BatchLimit { events_max: limit.events_max.max(1), ..limit };
        loop {
            let Some(claim) = self.claim(limit).await else { return Ok(Batch::default()) };
            let claim = complete(claim).await.map_err(|error| error.of_channel(&self.shared.name))?;
            if let Some(batch) = self.keep(claim, limit) {
                return Ok(batch);
            }
        }
    }

    async fn take_again(&mut self, taken: Taken) -> Result<Option<Batch>, ChannelError> {
        let claim = {
            let state = &mut *self.shared.state.lock();
            if state.phase != Phase::Open || !self.taken.is_empty() {
                return Ok(None);
            }
            let Some(parts) = state.queue.take_again(taken) else { return Ok(None) };
            let batches = parts.iter().map(|part| state.cache.find(part.sequence, part.end)).collect();
            Claim { shared: Arc::clone(&self.shared), parts, batches }
        };
        let claim = complete(claim).await.map_err(|error| error.of_channel(&self.shared.name))?;
        Ok(self.keep_again(claim, taken))
    }

    fn taken(&self) -> Option<Taken> {
        let first = self.taken.first()?;
        let runs: Vec<Run> = self.taken.iter().map(Part::run).collect();
        Some(Taken {
            events: self.taken.iter().map(|part| part.amount().events).sum(),
            first: (first.sequence, first.start),
            checksum: checksum(&runs),
        })
    }

    async fn commit(mut self: Box<Self>) -> Result<(), ChannelError> {
        let parts = std::mem::take(&mut self.taken);
        if parts.is_empty() {
            return if self.shared.is_open() { Ok(()) } else { Err(self.shared.closed()) };
        }
        let (amount, emptied) = {
            let state = &mut *self.shared.state.lock();
            if state.phase != Phase::Open {
                return Err(self.shared.closed());
            }
            state.forget(&parts)
        };
        self.shared.room.release(amount);
        self.shared.metrics.take_events.inc_by(amount.events);
        let shared = Arc::clone(&self.shared);
        // The events are gone from memory whatever becomes of this: failing to write it down costs repeats after
        // the next start, and a full disk must not keep a channel from being drained.
        let written = tokio::task::spawn_blocking(move || {
            let runs: Vec<Run> = parts.iter().map(Part::run).collect();
            let written = shared.takes.lock().as_mut().map_or(Ok(()), |takes| takes.append(&runs));
            match written {
                Ok(()) => shared.inbox.takes_written(),
                Err(error) => {
                    tracing::warn!(channel = shared.name, %error, "taken events may be repeated after a restart");
                }
            }
        });
        if written.await.is_err() {
            tracing::warn!(channel = self.shared.name, "taken events may be repeated after a restart");
        }
        if emptied {
            self.shared.inbox.clean();
        }
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for FileTake {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let events = self.taken.iter().map(|part| part.amount().events).sum();
        self.shared.state.lock().queue.put_back(&self.taken);
        self.shared.metrics.rollback_events.inc_by(events);
        self.shared.changed.notify_waiters();
    }
}
