//! Exactly once from topic to topic: offsets of a source are committed in the transactions of a sink.
//!
//! ```text
//! source --stamps events--> interceptors' leftovers --> memory channel --> sink
//!    \------------------------- ledger ---------------------------------/
//! ```
//! A ledger belongs to one consumer and ends with it; the sink finds it by the number in the header of each event. It knows every
//! event in the channel by its number and says how far the offsets go that a transaction may hold.
//!
//! | module | holds |
//! |---|---|
//! | `queue` | the events in the channel, and how far partitions are done with |
//! | `stamp` | numbers for events |
//! | `conclude` | offsets into a transaction, the commit, and what was in doubt |
//!
//! Invariants:
//! - An event is sent only while its partition is the consumer's. The group's metadata are taken before that is looked at, so
//!   a broker refuses offsets of a partition that went meanwhile, and with them the transaction.
//! - Offsets never pass an event that is neither delivered nor a dead letter. Where a transaction ends within the events of
//!   one record, the offset is that record's, and its metadata say how many of its events are delivered.
//! - A commit whose answer was lost is looked up in the offsets before anything is sent again.

mod conclude;
mod queue;
mod stamp;
#[cfg(test)]
mod tests;
pub(crate) mod wiring;

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, OnceLock, Weak},
    time::{Duration, Instant},
};

use bytestring::ByteString;
use parking_lot::{Condvar, Mutex};
use rdkafka::{TopicPartitionList, consumer::Consumer, error::KafkaResult};

use self::{
    conclude::Doubt,
    queue::{Position, Queue, Tenure},
};
pub(crate) use self::{
    conclude::{Concluded, Freight},
    queue::Standing,
    stamp::Journey,
};
use crate::{consumer::GroupConsumer, marks::Marks, record::PLACE, records::Place};

/// How long a broker may take to tell offsets.
const LOOK_UP_MAX: Duration = Duration::from_secs(10);

/// The ledgers of this process: few, and looked for once per batch.
static LEDGERS: Mutex<Vec<Weak<Ledger>>> = Mutex::new(Vec::new());

/// What one consumer has on its way to the sink that commits its offsets.
pub(crate) struct Ledger {
    id: u64,
    agent: ByteString,
    source: ByteString,
    queue: Mutex<Queue>,
    /// Something was settled.
    settled: Condvar,
    /// A commit of which nobody knows whether it happened.
    doubt: Mutex<Option<Doubt>>,
    /// Never an owner: the consumer's context has this ledger.
    consumer: OnceLock<Weak<GroupConsumer>>,
}

impl Ledger {
    /// The ledger of a consumer to come.
    pub(crate) fn new(agent: ByteString, source: ByteString) -> Arc<Self> {
        let ledger = Arc::new(Self {
            id: RandomState::new().build_hasher().finish(),
            agent,
            source,
            queue: Mutex::default(),
            settled: Condvar::new(),
            doubt: Mutex::default(),
            consumer: OnceLock::new(),
        });
        let mut ledgers = LEDGERS.lock();
        ledgers.retain(|known| known.strong_count() > 0);
        ledgers.push(Arc::downgrade(&ledger));
        ledger
    }

    /// The ledgers of these sources.
    pub(crate) fn of(agent: &str, sources: &[String]) -> Vec<Arc<Self>> {
        let all: Vec<_> = LEDGERS.lock().iter().filter_map(Weak::upgrade).collect();
        all.into_iter()
            .filter(|ledger| ledger.agent == agent && sources.iter().any(|name| ledger.source == name))
            .collect()
    }

    fn find(id: u64) -> Option<Arc<Self>> {
        LEDGERS.lock().iter().filter_map(Weak::upgrade).find(|ledger| ledger.id == id)
    }

    pub(crate) fn set_consumer(&self, consumer: &Arc<GroupConsumer>) {
        // There is one consumer, and this is called once.
        drop(self.consumer.set(Arc::downgrade(consumer)));
    }

    fn consumer(&self) -> Option<Arc<GroupConsumer>> {
        self.consumer.get()?.upgrade()
    }

    pub(crate) fn assigned(&self, partitions: &[(ByteString, i32)]) {
        let mut queue = self.queue.lock();
        partitions.iter().for_each(|(topic, partition)| queue.assign(topic, *partition));
    }

    /// Partitions have gone: none of their events is sent from now on.
    pub(crate) fn revoked(&self, partitions: &[(ByteString, i32)]) {
        let mut queue = self.queue.lock();
        partitions.iter().for_each(|(topic, partition)| queue.revoke(topic, *partition));
        self.settled.notify_all();
    }

    /// The consumer leaves: what is left is read again by whoever comes next.
    pub(crate) fn close(&self) {
        self.queue.lock().close();
        self.settled.notify_all();
    }

    /// A batch is handed on.
    pub(crate) fn depart(&self, places: &[Place], marks: &Marks) -> Journey {
        let queue = self.queue.lock();
        let mut last: Option<(&Place, Option<Tenure>)> = None;
        let places = places
            .iter()
            .map(|place| {
                let tenure = match &last {
                    Some((before, tenure)) if before.is_of_same_partition(place) => *tenure,
                    _ => queue.tenure(&place.topic, place.partition),
                };
                last = Some((place, tenure));
                Some((tenure?, place.offset))
            })
            .collect();
        let ends =
            marks.iter().filter_map(|mark| Some((queue.tenure(&mark.topic, mark.partition)?, mark.next)));
        Journey { places, ends: ends.collect() }
    }

    /// Asks where partitions of a batch begin, if nobody has asked yet. Blocks.
    ///
    /// # Errors
    /// The broker does not say; nothing of the batch may go on before it does.
    pub(crate) fn learn_starts(&self, consumer: &GroupConsumer, journey: &Journey) -> KafkaResult<()> {
        let unknown: Vec<Tenure> = {
            let queue = self.queue.lock();
            let is_unknown =
                |tenure: &Tenure| queue.holding(*tenure).is_some_and(|holding| holding.start.is_none());
            journey.ends.iter().map(|(tenure, _)| *tenure).filter(is_unknown).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let starts = self.look_up(consumer, &unknown)?;
        let mut queue = self.queue.lock();
        starts.into_iter().for_each(|(tenure, start)| queue.begin(tenure, start));
        Ok(())
    }

    /// How far Kafka knows that tenures are done with. Blocks.
    fn look_up(&self, consumer: &GroupConsumer, tenures: &[Tenure]) -> KafkaResult<Vec<(Tenure, Position)>> {
        let list = self.list(tenures.iter().map(|tenure| (*tenure, Position::default())));
        let known = consumer.committed_offsets(list, LOOK_UP_MAX)?;
        let queue = self.queue.lock();
        let mut found = Vec::with_capacity(tenures.len());
        for element in known.elements() {
            element.error()?;
            let tenure = queue.tenure(element.topic(), element.partition());
            found.extend(
                tenure
                    .filter(|tenure| tenures.contains(tenure))
                    .map(|tenure| (tenure, conclude::position_of(&element))),
            );
        }
        Ok(found)
    }

    /// Positions as librdkafka wants them; those of tenures that have ended are left out.
    fn list(&self, positions: impl Iterator<Item = (Tenure, Position)>) -> TopicPartitionList {
        let queue = self.queue.lock();
        let mut list = TopicPartitionList::new();
        for (tenure, position) in positions {
            if let Some(holding) = queue.holding(tenure) {
                conclude::add_position(&mut list, holding, position);
            }
        }
        list
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.queue.lock().next()
    }

    /// A batch did not get into the channel whole, and the source ends: it is read again, from this event on.
    pub(crate) fn withdraw(&self, from: u64) {
        self.queue.lock().withdraw(from);
        self.settled.notify_all();
    }

    /// Whether nothing of these partitions, or of any, is on its way, after waiting for that until then.
    pub(crate) fn wait_until_settled(
        &self,
        partitions: Option<&[(ByteString, i32)]>,
        deadline: Instant,
    ) -> bool {
        let mut queue = self.queue.lock();
        while !queue.is_settled(partitions) {
            if self.settled.wait_until(&mut queue, deadline).timed_out() {
                return queue.is_settled(partitions);
            }
        }
        true
    }

    /// What each of these events is now; ascending numbers, as the channel has handed them out.
    pub(crate) fn standings(&self, serials: &[u64]) -> Vec<Standing> {
        let mut queue = self.queue.lock();
        queue.overtaken(serials);
        serials.iter().map(|serial| queue.standing(*serial)).collect()
    }

    /// These events went elsewhere, or are never sent.
    pub(crate) fn settle(&self, serials: &[u64]) {
        self.queue.lock().settle(serials);
        self.settled.notify_all();
    }

    /// Whether there are offsets to commit without any event.
    pub(crate) fn has_offsets_left(&self) -> bool {
        self.queue.lock().positions(&[]).is_some_and(|positions| !positions.is_empty())
    }
}

/// The ledger and the number of an event out of its header. None: it has no such header.
pub(crate) fn read_stamp(event: &millrace_core::Event) -> Option<(u64, u64)> {
    let (id, serial) = event.header(PLACE)?.split_once('-')?;
    Some((u64::from_str_radix(id, 16).ok()?, serial.parse().ok()?))
}
