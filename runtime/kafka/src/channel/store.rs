//! What was read and is not done with: events that wait, and per partition which of those handed out are not committed.
//!
//! An offset may be committed when every event before it is taken for good, in whatever order takes are committed. A partition
//! that goes and comes back begins a new epoch: what was taken before says nothing about it any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytestring::ByteString;
use millrace_core::{BatchLimit, Event};

use crate::{marks::Marks, records::Placed};

/// An event that was read, with its place.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) event: Event,
    partition: i32,
    epoch: u64,
    offset: i64,
}

#[derive(Debug, Default)]
struct Partition {
    topic: ByteString,
    epoch: u64,
    /// The offset after the last one read.
    next: i64,
    /// Read, and not taken for good.
    open: BTreeSet<i64>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Store {
    /// By the order in which they were read, so that a rollback finds the places.
    waiting: BTreeMap<u64, Item>,
    bytes: usize,
    partitions: HashMap<i32, Partition>,
    order: u64,
    epochs: u64,
    /// Why the reader has ended, for whoever waits for events.
    pub(super) broken: Option<String>,
}

/// An item that is taken, and its place in the order.
pub(super) type Taken = (u64, Item);

impl Store {
    pub(super) fn add(&mut self, placed: Vec<Placed>) {
        for Placed { event, topic, partition, offset } in placed {
            let known = self.partitions.entry(partition).or_insert_with(|| {
                self.epochs += 1;
                Partition { topic, epoch: self.epochs, ..Partition::default() }
            });
            known.next = offset + 1;
            known.open.insert(offset);
            self.bytes += event.size();
            self.waiting.insert(self.order, Item { event, partition, epoch: known.epoch, offset });
            self.order += 1;
        }
    }

    /// Forgets partitions that are somebody else's now.
    pub(super) fn forget(&mut self, partitions: &[(ByteString, i32)]) {
        for (_, partition) in partitions {
            self.partitions.remove(partition);
        }
        let known = &self.partitions;
        let mut bytes = 0;
        self.waiting.retain(|_, item| {
            let stays = known.get(&item.partition).is_some_and(|partition| partition.epoch == item.epoch);
            bytes += if stays { item.event.size() } else { 0 };
            stays
        });
        self.bytes = bytes;
    }

    pub(super) fn is_full(&self, events: usize, bytes: usize) -> bool {
        self.waiting.len() >= events || self.bytes >= bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a take of this limit would be a full one.
    pub(super) fn fills(&self, limit: BatchLimit) -> bool {
        self.waiting.len() >= limit.events_max || self.bytes >= limit.bytes_max
    }

    pub(super) fn take(&mut self, limit: BatchLimit) -> Vec<Taken> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < limit.events_max.max(1) {
            let Some(first) = self.waiting.first_entry() else { break };
            let size = first.get().event.size();
            if !taken.is_empty() && bytes + size > limit.bytes_max {
                break;
            }
            bytes += size;
            taken.push(first.remove_entry());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }

    /// These are taken for good. Returns how far their partitions are done with.
    pub(super) fn finish(&mut self, taken: &[Taken]) -> Marks {
        let mut marks = Marks::default();
        for (_, item) in taken {
            if let Some(partition) = self.of(item) {
                partition.open.remove(&item.offset);
            }
        }
        for (_, item) in taken {
            if let Some(partition) = self.of(item) {
                let reached = partition.open.first().copied().unwrap_or(partition.next);
                let topic = partition.topic.clone();
                marks.note(&topic, item.partition, reached);
            }
        }
        marks
    }

    /// These come again, in their places; what is somebody else's now comes there.
    pub(super) fn give_back(&mut self, taken: Vec<Taken>) {
        for (order, item) in taken {
            if self.of(&item).is_some() {
                self.bytes += item.event.size();
                self.waiting.insert(order, item);
            }
        }
    }

    /// The marks that name a take among others.
    pub(super) fn marks(taken: &[Taken]) -> Marks {
        let mut marks = Marks::default();
        for (_, item) in taken {
            marks.note(&ByteString::new(), item.partition, item.offset);
        }
        marks
    }

    /// Events that were read and are not taken for good, and the bytes of those that wait.
    pub(super) fn held(&self) -> (u64, u64) {
        let open = self.partitions.values().map(|partition| partition.open.len() as u64).sum();
        (open, self.bytes as u64)
    }

    fn of(&mut self, item: &Item) -> Option<&mut Partition> {
        self.partitions.get_mut(&item.partition).filter(|partition| partition.epoch == item.epoch)
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::{BatchLimit, Event};

    use super::{Store, Taken};
    use crate::records::Placed;

    fn placed(partition: i32, offset: i64) -> Placed {
        Placed { event: Event::new(format!("{partition}/{offset}")), topic: "t".into(), partition, offset }
    }

    fn limit(events_max: usize) -> BatchLimit {
        BatchLimit { events_max, ..BatchLimit::default() }
    }

    fn bodies(taken: &[Taken]) -> Vec<String> {
        taken.iter().map(|(_, item)| String::from_utf8_lossy(&item.event.body).into_owned()).collect()
    }

    fn reached(store: &mut Store, taken: &[Taken]) -> Vec<(i32, i64)> {
        store.finish(taken).iter().map(|mark| (mark.partition, mark.next)).collect()
    }

    #[test]
    fn offsets_follow_only_when_everything_before_them_is_done() {
        let mut store = Store::default();
        store.add((0..6).map(|offset| placed(0, offset)).collect());
        let (first, second) = (store.take(limit(2)), store.take(limit(2)));
        assert_eq!(reached(&mut store, &second), [(0, 0)]);
        assert_eq!(reached(&mut store, &first), [(0, 4)]);
        let third = store.take(limit(9));
        // Offsets have gaps where transactions were.
        store.add(vec![placed(0, 9)]);
        assert_eq!(reached(&mut store, &third), [(0, 9)]);
        assert_eq!(store.held(), (1, 3));
    }

    #[test]
    fn what_is_given_back_comes_in_its_old_place_whatever_the_order() {
        let mut store = Store::default();
        store.add((0..3).flat_map(|offset| [placed(0, offset), placed(1, offset)]).collect());
        let (first, second) = (store.take(limit(2)), store.take(limit(2)));
        store.give_back(second);
        store.give_back(first);
        assert_eq!(bodies(&store.take(limit(9))), ["0/0", "1/0", "0/1", "1/1", "0/2", "1/2"]);
    }

    #[test]
    fn a_partition_that_goes_takes_its_events_along_and_begins_anew_when_it_comes_back() {
        let mut store = Store::default();
        store.add(vec![placed(0, 0), placed(1, 0), placed(0, 1)]);
        let old = store.take(limit(1));
        store.forget(&[("t".into(), 0)]);
        store.add(vec![placed(0, 0)]);
        store.give_back(old.clone());
        assert_eq!(reached(&mut store, &old), []);
        let rest = store.take(limit(9));
        assert_eq!(bodies(&rest), ["1/0", "0/0"]);
        assert_eq!(reached(&mut store, &rest), [(1, 1), (0, 1)]);
        assert_eq!(store.held(), (0, 0));
    }
}
