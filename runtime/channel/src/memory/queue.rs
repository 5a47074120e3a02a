//! The events of a memory channel in order: parts of batches, each with its place in the order of commits.
//!
//! A part that is taken keeps its place, so that returning it puts it back between its neighbours, whatever
//! else was taken and returned in between.

use std::collections::{BTreeMap, VecDeque};

use millrace_core::{Batch, BatchLimit};

use crate::room::Amount;

/// Events next to each other in one batch.
pub(super) struct Part {
    /// The place of the first event: how many events were committed before it.
    pub first: u64,
    pub batch: Batch,
    pub bytes: u64,
    /// When it was committed, in milliseconds since 1970.
    pub at: u64,
}

impl Part {
    pub(super) fn amount(&self) -> Amount {
        Amount { events: self.batch.len() as u64, bytes: self.bytes }
    }
}

#[derive(Default)]
pub(super) struct Queue {
    /// Ascending by place.
    parts: VecDeque<Part>,
    /// What the parts hold together.
    available: Amount,
    /// What is taken and neither committed nor returned.
    taken: Amount,
    /// The commit times of the taken parts by their places.
    taken_at: BTreeMap<u64, u64>,
    next: u64,
    closed: bool,
}

impl Queue {
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Drops everything.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    pub(super) fn add(&mut self, batch: Batch, at: u64) {
        // The position and diverted events are not for takers: a part leaves them behind.
        let batch = batch.part(0..batch.len());
        let part = Part { first: self.next, bytes: batch.size() as u64, batch, at };
        self.next += part.batch.len() as u64;
        self.available = self.available.plus(part.amount());
        self.parts.push_back(part);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a take would get all it may have.
    pub(super) fn fills(&self, limit: BatchLimit) -> bool {
        self.available.events >= limit.events_max as u64 || self.available.bytes >= limit.bytes_max as u64
    }

    /// Takes parts from the head into `taken`; says how many.
    pub(super) fn take(&mut self, limit: BatchLimit, taken: &mut Vec<Part>) -> usize {
        let mut rest = limit;
        let mut count = 0;
        while let Some(mut part) = self.parts.pop_front() {
            let fits =
                count == 0 || part.batch.events().first().is_some_and(|event| event.size() <= rest.bytes_max);
            if !fits {
                self.parts.push_front(part);
                break;
            }
            let rows = part.batch.prefix_within(rest);
            if rows < part.batch.len() {
                self.parts.push_front(split(&mut part, rows));
            }
            rest.events_max -= part.batch.len().min(rest.events_max);
            rest.bytes_max = rest.bytes_max.saturating_sub(usize::try_from(part.bytes).unwrap_or(usize::MAX));
            self.lend(&part);
            taken.push(part);
            count += 1;
            if rest.events_max == 0 || rest.bytes_max == 0 {
                break;
            }
        }
        count
    }

    fn lend(&mut self, part: &Part) {
        let amount = part.amount();
        self.available.events -= amount.events;
        self.available.bytes -= amount.bytes;
        self.taken = self.taken.plus(amount);
        self.taken_at.insert(part.first, part.at);
    }

    /// Forgets taken parts for good; says what they held.
    pub(super) fn forget(&mut self, parts: &[Part]) -> Amount {
        let mut amount = Amount::default();
        for part in parts {
            self.taken_at.remove(&part.first);
            amount = amount.plus(part.amount());
        }
        self.taken.events -= amount.events;
        self.taken.bytes -= amount.bytes;
        amount
    }

    /// Returns taken parts to their places.
    pub(super) fn put_back(&mut self, parts: Vec<Part>) {
        let amount = self.forget(&parts);
        self.available = self.available.plus(amount);
        // From the last: each then goes before the one that follows it, mostly to the very front.
        for part in parts.into_iter().rev() {
            let at = self.parts.partition_point(|other| other.first < part.first);
            self.parts.insert(at, part);
        }
    }

    /// Everything not taken for good, and the time of its oldest commit.
    pub(super) fn held_and_oldest(&self) -> (Amount, Option<u64>) {
        let head = self.parts.front().map(|part| (part.first, part.at));
        let taken = self.taken_at.first_key_value().map(|(first, at)| (*first, *at));
        let oldest = head.into_iter().chain(taken).min().map(|(_, at)| at);
        (self.available.plus(self.taken), oldest)
    }
}

/// Cuts a part; it keeps the front and the rest is returned.
fn split(part: &mut Part, rows: usize) -> Part {
    let front = part.batch.part(0..rows);
    let bytes = front.size() as u64;
    let rest = Part {
        first: part.first + rows as u64,
        batch: part.batch.part(rows..part.batch.len()),
        bytes: part.bytes - bytes,
        at: part.at,
    };
    part.batch = front;
    part.bytes = bytes;
    rest
}

/// The events of several parts as one batch; of a single part without touching its events.
pub(super) fn join(parts: &[Part]) -> Batch {
    match parts {
        [only] => only.batch.clone(),
        several => {
            let count = several.iter().map(|part| part.batch.len()).sum();
            let mut events = Vec::with_capacity(count);
            for part in several {
                events.extend_from_slice(part.batch.events());
            }
            Batch::new(events)
        }
    }
}
