//! Recently committed batches, so that a taker who keeps up never reads the disk.
//!
//! Bounded by bytes. Events leave the channel in order, so the batch that is needed last is the newest: it is
//! the one to go when there is no room.

use std::collections::BTreeMap;

use millrace_core::Batch;

pub(super) struct Cache {
    batches: BTreeMap<u64, Batch>,
    bytes: usize,
    bytes_max: usize,
}

/// What a batch costs besides its bodies and headers.
const EVENT_BYTES: usize = 64;

fn cost(batch: &Batch) -> usize {
    batch.size() + batch.len() * EVENT_BYTES
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { batches: BTreeMap::new(), bytes: 0, bytes_max }
    }

    pub(super) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.shrink(0);
    }

    /// Keeps the batch of a frame if there is room for it, or if others are needed later.
    pub(super) fn insert(&mut self, sequence: u64, batch: Batch) {
        let cost = cost(&batch);
        if cost > self.bytes_max {
            return;
        }
        let newest = self.batches.last_key_value().is_none_or(|(last, _)| *last < sequence);
        if newest && self.bytes + cost > self.bytes_max {
            return;
        }
        self.shrink(cost);
        self.bytes += cost;
        if let Some(before) = self.batches.insert(sequence, batch) {
            self.bytes -= self::cost(&before);
        }
    }

    fn shrink(&mut self, cost: usize) {
        while self.bytes + cost > self.bytes_max
            && let Some((_, batch)) = self.batches.pop_last()
        {
            self.bytes -= self::cost(&batch);
        }
    }

    /// The batch of a frame; given away for good when its last row is wanted.
    pub(super) fn find(&mut self, sequence: u64, end: u32) -> Option<Batch> {
        let batch = self.batches.get(&sequence)?;
        if (end as usize) < batch.len() {
            return Some(batch.clone());
        }
        let batch = self.batches.remove(&sequence)?;
        self.bytes -= cost(&batch);
        Some(batch)
    }

    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::{Batch, Event};

    use super::{Cache, EVENT_BYTES};

    #[test]
    fn the_newest_goes_first_and_the_bound_holds() {
        let batch = || Batch::new(vec![Event::new("0123456789")]);
        let mut cache = Cache::new(3 * (10 + EVENT_BYTES));
        for sequence in [2, 3, 4, 5] {
            cache.insert(sequence, batch());
        }
        assert!(cache.find(5, 1).is_none());
        cache.insert(1, batch());
        assert!(cache.find(4, 1).is_none());
        assert_eq!(cache.bytes, 3 * (10 + EVENT_BYTES));
        assert!([1, 2, 3].into_iter().all(|sequence| cache.find(sequence, 1).is_some()));
        assert_eq!((cache.bytes, cache.batches.len()), (0, 0));
    }
}
