//! A member of a consumer group: what happens when partitions come and go, and the commits of offsets.
//!
//! Rebalances run on the thread that polls the consumer. Before partitions are given away, the batch that is on its way
//! gets time to arrive, and then its offsets are committed: whoever gets the partitions next starts behind it. Commits run
//! on a thread of their own, one at a time; what becomes due meanwhile goes together with the next one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytestring::ByteString;
use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::{
    ClientConfig, ClientContext, Statistics, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::{KafkaError, KafkaResult},
};

use crate::{
    connection::told_error,
    exactly_once::Ledger,
    marks::{Marks, partitions},
    metrics::KafkaMetrics,
    voice::Voice,
};

/// Between a commit of offsets that failed and the next one.
const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// The consumer of a group.
pub(crate) type GroupConsumer = BaseConsumer<Group>;

/// What a consumer and those who work with its records share.
pub(crate) struct Group {
    pub(crate) voice: Voice,
    pub(crate) metrics: KafkaMetrics,
    flight: Mutex<Flight>,
    landed: Condvar,
    /// Whether partitions came or went since somebody asked.
    changed: AtomicBool,
    /// How long a partition that shall go waits for the batch under way.
    revoke_wait: Duration,
    /// What waits for the sink that commits the offsets; None: they are committed here.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

/// What is under way.
#[derive(Default)]
pub(crate) struct Flight {
    /// How far the batches reach that were handed on and have not arrived.
    out: Vec<Marks>,
    /// How far batches have arrived of which Kafka does not know yet.
    arrived: Marks,
    /// Whether a commit of offsets is under way.
    committing: bool,
    /// Whether the thread that commits shall end.
    ending: bool,
    /// Partitions that are this consumer's: it speaks for no others.
    owned: Vec<(ByteString, i32)>,
    /// Partitions that went since somebody asked.
    gone: Vec<(ByteString, i32)>,
    /// Whether nothing may be read for now: partitions that come are paused as well.
    pub(crate) paused: bool,
    /// Partitions came since somebody asked.
    came: bool,
    /// Records behind, over all partitions.
    pub(crate) behind: u64,
}

impl Flight {
    /// The partitions that are this consumer's.
    pub(crate) fn owned(&self) -> Vec<(ByteString, i32)> {
        self.owned.clone()
    }

    /// What Kafka does not know yet of the partitions that are still this consumer's.
    fn take_arrived(&mut self) -> Option<Marks> {
        let mut marks = std::mem::take(&mut self.arrived);
        marks.keep(&self.owned);
        (!marks.is_empty()).then_some(marks)
    }
}

impl Group {
    pub(crate) fn new(component: ByteString, metrics: KafkaMetrics, revoke_wait: Duration) -> Self {
        let (flight, landed, changed) = (Mutex::default(), Condvar::new(), AtomicBool::new(false));
        Self { voice: Voice::new(component), metrics, flight, landed, changed, revoke_wait, ledger: None }
    }

    /// Leaves offsets to a sink.
    pub(crate) fn with_ledger(self, ledger: Option<Arc<Ledger>>) -> Self {
        Self { ledger, ..self }
    }

    pub(crate) fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock()
    }

    /// A batch is handed on.
    pub(crate) fn departed(&self, marks: Marks) {
        self.flight.lock().out.push(marks);
    }

    /// The oldest batch under way is where it shall be.
    pub(crate) fn arrived(&self) {
        let mut flight = self.flight.lock();
        if !flight.out.is_empty() {
            let marks = flight.out.remove(0);
            flight.arrived.merge(&marks);
        }
        self.landed.notify_all();
    }

    /// A batch under way is where it shall be, and with it everything before these marks.
    pub(crate) fn arrived_with(&self, batch: &Marks, reached: &Marks) {
        self.flight.lock().arrived.merge(reached);
        self.lost(batch);
    }

    /// A batch will never arrive, or comes again.
    pub(crate) fn lost(&self, marks: &Marks) {
        let mut flight = self.flight.lock();
        if let Some(place) = flight.out.iter().position(|out| out == marks) {
            flight.out.remove(place);
        }
        self.landed.notify_all();
    }

    /// Nobody waits for batches any more.
    pub(crate) fn abandon(&self) {
        self.flight.lock().out.clear();
        self.landed.notify_all();
    }

    /// Whether no batch is under way, after waiting for that so long.
    pub(crate) fn wait_until_landed(&self, wait: Duration) -> bool {
        self.wait_for_fewer_than(1, wait)
    }

    /// Whether fewer batches than these are under way.
    pub(crate) fn has_fewer_than(&self, batches: usize) -> bool {
        self.flight.lock().out.len() < batches
    }

    /// The same after waiting for it so long.
    pub(crate) fn wait_for_fewer_than(&self, batches: usize, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let mut flight = self.flight.lock();
        while flight.out.len() >= batches {
            if self.landed.wait_until(&mut flight, deadline).timed_out() {
                return flight.out.len() < batches;
            }
        }
        true
    }

    /// What went since the last time, and whether something came; None when nothing has changed, which costs nothing.
    pub(crate) fn take_changes(&self) -> Option<(Vec<(ByteString, i32)>, bool)> {
        if !self.changed.load(Ordering::Acquire) || !self.changed.swap(false, Ordering::AcqRel) {
            return None;
        }
        let mut flight = self.flight.lock();
        Some((std::mem::take(&mut flight.gone), std::mem::take(&mut flight.came)))
    }

    /// Tells Kafka how far batches have arrived whenever one has, until [`Group::end_commits`]. For a thread of its own: only
    /// who waits for the answer hears of a failure.
    pub(crate) fn commit_all(&self, consumer: &GroupConsumer) {
        loop {
            {
                let mut flight = self.flight.lock();
                while flight.arrived.is_empty() && !flight.ending {
                    self.landed.wait(&mut flight);
                }
                if flight.ending {
                    return;
                }
            }
            if self.commit_now(consumer).is_err() {
                let mut flight = self.flight.lock();
                if !flight.ending {
                    self.landed.wait_for(&mut flight, COMMIT_PAUSE);
                }
            }
        }
    }

    /// Ends the thread of [`Group::commit_all`] when dropped.
    pub(crate) fn end_commits(&self) -> impl Drop + '_ {
        EndCommits(self)
    }

    /// Tells Kafka how far batches have arrived and waits for the answer.
    pub(crate) fn commit_now(&self, consumer: &GroupConsumer) -> KafkaResult<()> {
        let marks = {
            let mut flight = self.flight.lock();
            while flight.committing {
                self.landed.wait(&mut flight);
            }
            let Some(marks) = flight.take_arrived() else { return Ok(()) };
            flight.committing = true;
            marks
        };
        let committed = consumer.commit(&marks.to_list(), CommitMode::Sync);
        let mut flight = self.flight.lock();
        flight.committing = false;
        match &committed {
            Ok(()) => _ = self.metrics.offset_commits.inc(),
            Err(error) => {
                self.metrics.offset_commit_failures.inc();
                tracing::warn!(error = told_error(error), "offsets not committed, trying again");
                // Marks never go back: whatever has arrived meanwhile stays.
                flight.arrived.merge(&marks);
            }
        }
        self.landed.notify_all();
        committed
    }

    fn revoked(&self, consumer: &GroupConsumer, list: &TopicPartitionList) {
        let gone = partitions(list);
        if !consumer.assignment_lost() {
            let deadline = Instant::now() + self.revoke_wait;
            let landed = self.wait_until_landed(self.revoke_wait);
            match &self.ledger {
                None if landed => {}
                None => {
                    tracing::warn!("partitions go while their events are under way: these will be read twice")
                }
                Some(ledger) if ledger.wait_until_settled(Some(&gone), deadline) => {}
                Some(_) => tracing::info!(
                    "partitions go before their events are sent: they are left to the next owner"
                ),
            }
            // What cannot be committed now never can: the next owner reads it again.
            drop(self.commit_now(consumer));
        }
        if let Some(ledger) = &self.ledger {
            ledger.revoked(&gone);
        }
        let mut flight = self.flight.lock();
        flight.owned.retain(|owned| !gone.contains(owned));
        for (topic, partition) in &gone {
            self.metrics.forget(topic, *partition);
        }
        flight.gone.extend(gone);
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, _facility: &str, line: &str) {
        self.voice.log(level, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "the client of Kafka reports an error");
    }

    fn stats(&self, statistics: Statistics) {
        self.flight.lock().behind = self.metrics.take_over(&statistics);
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => self.revoked(consumer, list),
            Rebalance::Assign(list) => {
                tracing::info!(partitions = list.count(), "partitions assigned");
                if let Some(ledger) = &self.ledger {
                    ledger.assigned(&partitions(list));
                }
                let mut flight = self.flight.lock();
                flight.came = true;
                flight.owned.extend(partitions(list));
            }
            Rebalance::Error(error) => {
                tracing::warn!(error = told_error(error), "the group cannot be balanced")
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.metrics.rebalances.inc();
        self.changed.store(true, Ordering::Release);
        if let Rebalance::Assign(list) = rebalance
            && self.flight.lock().paused
            && let Err(error) = consumer.pause(list)
        {
            tracing::warn!(error = told_error(&error), "cannot pause partitions");
        }
        if let Ok(list) = consumer.assignment() {
            self.metrics.partitions.set(list.count().try_into().unwrap_or(i64::MAX));
        }
    }
}

struct EndCommits<'a>(&'a Group);

impl Drop for EndCommits<'_> {
    fn drop(&mut self) {
        self.0.flight.lock().ending = true;
        self.0.landed.notify_all();
    }
}

/// What a consumer group adds to the settings of a client.
pub(crate) fn group_settings(config: &mut ClientConfig, group: &str, start: &str) {
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", start)
        // The client's own second is an age once what was fetched ahead is used up.
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "32768");
}
