//! The last batches as they came in, for the replay before a switch.
//!
//! Bounded in batches, events and bytes. A busy interceptor keeps one batch now and then instead of each: keeping one
//! costs its next change a copy of the list of events.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use millrace_core::{Batch, BatchLimit};
use parking_lot::Mutex;

/// Events of one batch that are kept; the rest is left out.
const EVENTS_MAX: usize = 2_000;

/// Bytes of one batch that are kept.
const BYTES_MAX: usize = 1 << 20;

/// Bytes of all batches that are kept.
const BYTES_IN_ALL_MAX: usize = 8 << 20;

/// Once there are enough, a further one is kept after so long.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Kept {
    batches: VecDeque<Batch>,
    bytes: usize,
    last: Option<Instant>,
}

/// The last batches.
pub(crate) struct Recent {
    batches_max: usize,
    kept: Mutex<Kept>,
}

impl Recent {
    pub(crate) fn new(batches_max: usize) -> Self {
        Self { batches_max, kept: Mutex::default() }
    }

    /// Keeps a batch that comes in, if it is time for one.
    pub(crate) fn note(&self, batch: &Batch) {
        if self.batches_max == 0 {
            return;
        }
        let kept = &mut *self.kept.lock();
        let now = Instant::now();
        if kept.batches.len() >= self.batches_max && kept.last.is_some_and(|last| now - last < PAUSE) {
            return;
        }
        kept.last = Some(now);
        let limit = BatchLimit { events_max: EVENTS_MAX, bytes_max: BYTES_MAX, wait_max: Duration::ZERO };
        self.push(kept, batch.part(0..batch.prefix_within(limit)));
    }

    fn push(&self, kept: &mut Kept, batch: Batch) {
        kept.bytes += batch.size();
        kept.batches.push_back(batch);
        while kept.batches.len() > self.batches_max || kept.bytes > BYTES_IN_ALL_MAX {
            match kept.batches.pop_front() {
                Some(gone) => kept.bytes = kept.bytes.saturating_sub(gone.size()),
                None => break,
            }
        }
    }

    /// The batches, oldest first.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.kept.lock().batches.iter().cloned().collect()
    }

    /// Takes over what the version before kept.
    pub(crate) fn inherit(&self, before: &Self) {
        let batches = before.batches();
        let kept = &mut *self.kept.lock();
        batches.into_iter().for_each(|batch| self.push(kept, batch));
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::{Batch, Event};

    use super::{BYTES_MAX, EVENTS_MAX, Recent};

    #[test]
    fn batches_events_and_bytes_are_bounded_and_the_last_ones_stay() {
        let recent = Recent::new(3);
        for number in 0..5 {
            let kept = &mut *recent.kept.lock();
            recent.push(kept, Batch::new(vec![Event::new(number.to_string())]));
        }
        let bodies: Vec<_> = recent.batches().iter().map(|batch| batch.events()[0].body.clone()).collect();
        assert_eq!(bodies, ["2", "3", "4"]);
        let recent = Recent::new(100);
        recent.note(&Batch::new(vec![Event::new("x"); EVENTS_MAX + 1]));
        assert_eq!(recent.batches()[0].len(), EVENTS_MAX);
        for _ in 0..20 {
            recent.note(&Batch::new(vec![Event::new(vec![0; BYTES_MAX])]));
        }
        assert_eq!(recent.batches().len(), 8);
        let next = Recent::new(2);
        next.inherit(&recent);
        assert_eq!(next.batches().len(), 2);
        Recent::new(0).note(&Batch::new(vec![Event::new("x")]));
    }
}
