//! What is in the channel, in order: pointers into segments, a fixed few bytes for each put however large.
//!
//! A part that is taken keeps its place, so that returning it puts it back between its neighbours.

use std::collections::{BTreeMap, VecDeque};

use millrace_core::{BatchLimit, Taken};

use super::payload::Run;
use crate::room::Amount;

/// Rows of one put's frame that are next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The sequence of the frame.
    pub sequence: u64,
    pub segment: u64,
    pub offset: u64,
    pub frame_bytes: u32,
    pub start: u32,
    /// The row after the last.
    pub end: u32,
    /// The size of these rows.
    pub bytes: u64,
    /// When it was committed, in milliseconds since 1970.
    pub at: u64,
}

impl Part {
    pub(super) fn amount(&self) -> Amount {
        Amount { events: u64::from(self.end - self.start), bytes: self.bytes }
    }

    pub(super) fn run(&self) -> Run {
        Run { sequence: self.sequence, start: self.start, end: self.end }
    }

    fn place(&self) -> (u64, u32) {
        (self.sequence, self.start)
    }

    /// Cuts the part: the front keeps `rows` and `bytes`; the rest.
    pub(super) fn split(&mut self, rows: u32, bytes: u64) -> Self {
        let rest = Self { start: self.start + rows, bytes: self.bytes.saturating_sub(bytes), ..*self };
        self.end = rest.start;
        self.bytes -= rest.bytes;
        rest
    }
}

#[derive(Default)]
pub(super) struct Queue {
    /// Ascending by place.
    parts: VecDeque<Part>,
    available: Amount,
    /// Taken and neither committed nor returned.
    taken: BTreeMap<(u64, u32), Part>,
    /// What is available or taken.
    held: Amount,
}

impl Queue {
    pub(super) fn add(&mut self, part: Part) {
        debug_assert!(self.parts.back().is_none_or(|last| last.place() < part.place()), "out of order");
        self.available = self.available.plus(part.amount());
        self.held = self.held.plus(part.amount());
        self.parts.push_back(part);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether a take would get all it may have.
    pub(super) fn fills(&self, limit: BatchLimit) -> bool {
        self.available.events >= limit.events_max as u64 || self.available.bytes >= limit.bytes_max as u64
    }

    /// Takes parts from the head until the limit is reached; the last one may go beyond it.
    pub(super) fn take(&mut self, limit: BatchLimit) -> Vec<Part> {
        let mut taken = Vec::new();
        let mut amount = Amount::default();
        while amount.events < limit.events_max as u64
            && amount.bytes < limit.bytes_max.max(1) as u64
            && let Some(part) = self.parts.pop_front()
        {
            amount = amount.plus(part.amount());
            self.taken.insert(part.place(), part);
            taken.push(part);
        }
        self.available.events -= amount.events;
        self.available.bytes -= amount.bytes;
        taken
    }

    /// Takes the parts that hold exactly these rows and perhaps others before and behind them. None: the rows are not all
    /// here.
    pub(super) fn take_again(&mut self, taken: Taken) -> Option<Vec<Part>> {
        let from = self.parts.partition_point(|part| part.place() <= taken.first).checked_sub(1)?;
        let (mut left, mut runs, mut until) = (taken.events, Vec::new(), from);
        while left > 0 {
            let mut run = self.parts.get(until)?.run();
            if until == from {
                run.start = taken.first.1;
                if run.sequence != taken.first.0 || run.start >= run.end {
                    return None;
                }
            }
            let rows = u64::from(run.end - run.start).min(left);
            run.end = run.start + u32::try_from(rows).unwrap_or(u32::MAX);
            left -= rows;
            until += 1;
            runs.push(run);
        }
        if checksum(&runs) != taken.checksum {
            return None;
        }
        let parts: Vec<Part> = self.parts.drain(from..until).collect();
        for part in &parts {
            let amount = part.amount();
            self.available.events -= amount.events;
            self.available.bytes -= amount.bytes;
            self.taken.insert(part.place(), *part);
        }
        Some(parts)
    }

    /// Gives the front of a taken part back to its place and keeps the rest.
    pub(super) fn put_back_front(&mut self, part: &mut Part, rows: u32, bytes: u64) {
        self.taken.remove(&part.place());
        let rest = part.split(rows, bytes);
        self.taken.insert(rest.place(), rest);
        self.insert(std::mem::replace(part, rest));
    }

    /// Keeps only the front of a taken part; the rest goes back to its place.
    pub(super) fn put_back_rest(&mut self, front: &mut Part, rows: u32, bytes: u64) {
        let rest = front.split(rows, bytes);
        self.taken.insert(front.place(), *front);
        self.insert(rest);
    }

    fn insert(&mut self, part: Part) {
        let at = self.parts.partition_point(|other| other.place() < part.place());
        self.available = self.available.plus(part.amount());
        self.parts.insert(at, part);
    }

    /// Forgets taken parts for good.
    pub(super) fn forget(&mut self, parts: &[Part]) -> Amount {
        let mut amount = Amount::default();
        for part in parts {
            if self.taken.remove(&part.place()).is_some() {
                amount = amount.plus(part.amount());
            }
        }
        self.held.events -= amount.events;
        self.held.bytes -= amount.bytes;
        amount
    }

    /// Returns taken parts to their places.
    pub(super) fn put_back(&mut self, parts: &[Part]) {
        // From the last: each then goes before the one that follows it, mostly to the very front.
        for part in parts.iter().rev() {
            if self.taken.remove(&part.place()).is_some() {
                self.insert(*part);
            }
        }
    }

    pub(super) fn held(&self) -> Amount {
        self.held
    }

    pub(super) fn oldest(&self) -> Option<u64> {
        let taken = self.taken.first_key_value().map(|(_, part)| part);
        self.parts.front().into_iter().chain(taken).min_by_key(|part| part.place()).map(|part| part.at)
    }

    /// How many parts there are, taken ones included.
    pub(super) fn len(&self) -> usize {
        self.parts.len() + self.taken.len()
    }

    /// Everything that is not taken for good. Not in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Part> {
        self.taken.values().chain(&self.parts)
    }
}

/// A checksum over the places of rows. Neighbours are joined: how a frame was cut on its way says nothing about which
/// events these are.
pub(super) fn checksum(rows: &[Run]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    let mut add = |run: Run| {
        digest.update(&run.sequence.to_le_bytes());
        digest.update(&run.start.to_le_bytes());
        digest.update(&run.end.to_le_bytes());
    };
    let mut joined: Option<Run> = None;
    for run in rows {
        joined = match joined {
            Some(last) if last.sequence == run.sequence && last.end == run.start => {
                Some(Run { end: run.end, ..last })
            }
            last => {
                last.into_iter().for_each(&mut add);
                Some(*run)
            }
        };
    }
    joined.into_iter().for_each(&mut add);
    u32::try_from(digest.finalize()).unwrap_or(u32::MAX)
}

/// Parts without the rows that were taken: what replay makes of puts and takes. Both are put in order first.
pub(super) fn without(
    mut parts: Vec<Part>,
    mut runs: Vec<Run>,
    size_of: impl Fn(&Part, Run) -> u64,
) -> Vec<Part> {
    parts.sort_unstable_by_key(Part::place);
    runs.sort_unstable();
    let mut left = Vec::with_capacity(parts.len());
    for part in parts {
        let first = runs.partition_point(|run| run.sequence < part.sequence);
        let mut rest = Some(part);
        for run in runs.get(first..).unwrap_or_default() {
            let Some(current) = rest else { break };
            if run.sequence != part.sequence {
                break;
            }
            if run.end <= current.start || run.start >= current.end {
                continue;
            }
            let keep = |start: u32, end: u32| {
                let rows = Run { sequence: part.sequence, start, end };
                Part { start, end, bytes: size_of(&part, rows), ..part }
            };
            if run.start > current.start {
                left.push(keep(current.start, run.start));
            }
            rest = (run.end < current.end).then(|| keep(run.end, current.end));
        }
        left.extend(rest);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::{Part, without};
    use crate::file::payload::Run;

    #[test]
    fn taken_rows_are_cut_out_wherever_they_are() {
        let part = |sequence, start, end| Part {
            sequence,
            segment: 1,
            offset: 0,
            frame_bytes: 0,
            start,
            end,
            bytes: u64::from(end - start),
            at: 0,
        };
        let run = |sequence, start, end| Run { sequence, start, end };
        let size = |_: &Part, rows: Run| u64::from(rows.end - rows.start);
        let parts = vec![part(3, 0, 10), part(1, 5, 10), part(2, 0, 4)];
        let runs = vec![run(3, 6, 7), run(1, 0, 7), run(2, 0, 4), run(9, 0, 9), run(3, 2, 4), run(3, 3, 4)];
        assert_eq!(
            without(parts.clone(), runs, size),
            [part(1, 7, 10), part(3, 0, 2), part(3, 4, 6), part(3, 7, 10)]
        );
        assert_eq!(without(parts, Vec::new(), size), [part(1, 5, 10), part(2, 0, 4), part(3, 0, 10)]);
    }
}
