//! The thread that polls: fills a batch while another is on its way, pauses when that takes long, commits what has arrived.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use millrace_core::{Clock, Health, HealthState, SourceContext, SourceError, SourceMetrics};
use rdkafka::{
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::mpsc;

use super::settings::Settings;
use crate::{
    connection::{told, told_error},
    consumer::{Group, GroupConsumer},
    exactly_once::{Journey, Ledger},
    marks::Marks,
    record::Filling,
    records::Records,
};

/// How long the thread may be away from what else there is to do.
const POLL_MAX: Duration = Duration::from_millis(100);
/// Batches on their way into the channels, in order: one is put while the others wait, and nobody waits for whoever wakes up.
pub(super) const UNDER_WAY_MAX: usize = 4;
/// The same while a batch waits for those before it.
const POLL_WAITING: Duration = Duration::from_millis(5);
/// How many records are taken without looking at anything else.
const RUN_RECORDS_MAX: usize = 256;
/// How long a full batch waits for the one before it until partitions are paused; what was fetched ahead is fetched again then.
const GRACE: Duration = Duration::from_secs(1);
/// How long a consumer that ends stays a member for the sink that commits its offsets; less than a reload waits for a source.
const LEAVE_MAX: Duration = Duration::from_secs(4);

/// A batch on its way into the channels.
pub(super) struct Departure {
    pub(super) records: Records,
    pub(super) marks: Marks,
    /// Where its records were, if a sink commits the offsets.
    pub(super) journey: Option<Journey>,
}

/// The thread's own.
pub(super) struct PollLoop {
    settings: Settings,
    consumer: Arc<GroupConsumer>,
    filling: Filling,
    /// When the batch that is being filled has waited long enough.
    due: Option<Instant>,
    departures: mpsc::Sender<Departure>,
    stop: Arc<AtomicBool>,
    health: Health,
    clock: Arc<dyn Clock>,
    metrics: SourceMetrics,
    /// Whether the last that was heard was an error.
    troubled: bool,
}

impl PollLoop {
    pub(super) fn new(
        settings: Settings,
        consumer: GroupConsumer,
        departures: mpsc::Sender<Departure>,
        cx: &SourceContext,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let consumer = Arc::new(consumer);
        if let Some(ledger) = &consumer.context().ledger {
            ledger.set_consumer(&consumer);
        }
        Self {
            filling: Filling::new(settings.rule.clone()),
            settings,
            consumer,
            due: None,
            departures,
            stop,
            health: cx.health.clone(),
            clock: Arc::clone(&cx.clock),
            metrics: cx.metrics.clone(),
            troubled: false,
        }
    }

    pub(super) fn group(&self) -> Arc<Group> {
        Arc::clone(self.consumer.context())
    }

    /// Polls until it shall stop. Then the consumer is closed, which commits what has arrived and leaves the group.
    pub(super) fn run(mut self) -> Result<(), SourceError> {
        let topics: Vec<&str> = self.settings.topics.iter().map(String::as_str).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(|error| SourceError::failed("cannot subscribe", told_error(&error)))?;
        let (group, consumer) = (self.group(), Arc::clone(&self.consumer));
        let polled = std::thread::scope(|scope| {
            let _end = group.end_commits();
            if group.ledger.is_none() {
                scope.spawn(|| group.commit_all(&consumer));
            }
            self.poll_until_stopped(&group)
        });
        if let Some(ledger) = &group.ledger {
            self.stay_until_settled(&group, ledger);
        }
        // Whoever is revoked while the consumer closes has nothing under way any more.
        if let Err(error) = group.commit_now(&self.consumer) {
            let error = told_error(&error);
            tracing::warn!(error, "offsets not committed at the end: events will be read twice");
        }
        polled
    }

    /// Remains a member for as long as the sink commits what is left in the channel. What is not done then is read again.
    fn stay_until_settled(&mut self, group: &Group, ledger: &Ledger) {
        self.set_paused(group, true);
        let until = Instant::now() + self.settings.revoke_wait.min(LEAVE_MAX);
        while !ledger.wait_until_settled(None, Instant::now() + POLL_WAITING) && Instant::now() < until {
            if let Err(error) = self.poll_once(group, POLL_WAITING) {
                self.note_failure(&error);
                break;
            }
        }
        ledger.close();
    }

    fn poll_until_stopped(&mut self, group: &Group) -> Result<(), SourceError> {
        while !self.stop.load(Ordering::Acquire) {
            if self.is_ready() {
                if !group.has_fewer_than(UNDER_WAY_MAX) {
                    self.hold_back(group);
                    continue;
                }
                self.depart(group);
            }
            self.poll(group)?;
        }
        Ok(())
    }

    /// Whether the batch goes on as it is.
    fn is_ready(&self) -> bool {
        self.is_full() || (!self.filling.is_empty() && self.due.is_some_and(|due| due <= Instant::now()))
    }

    fn is_full(&self) -> bool {
        self.filling.len() >= self.settings.batch_events_max
            || self.filling.bytes() >= self.settings.batch_bytes_max
    }

    fn depart(&mut self, group: &Group) {
        self.due = None;
        let records = self.filling.take();
        let marks = records.marks();
        let journey = group.ledger.as_ref().map(|ledger| ledger.depart(&records.places(), &marks));
        if let (Some(ledger), Some(journey)) = (&group.ledger, &journey) {
            self.learn_starts(ledger, journey);
        }
        group.departed(marks.clone());
        // There is room for so many. Closed: the source stops, and this is read again.
        if self.departures.try_send(Departure { records, marks: marks.clone(), journey }).is_err() {
            group.lost(&marks);
            self.stop.store(true, Ordering::Release);
        }
    }

    /// A batch goes on only when it is known which of its events were delivered before.
    fn learn_starts(&self, ledger: &Ledger, journey: &Journey) {
        while let Err(error) = ledger.learn_starts(&self.consumer, journey) {
            tracing::warn!(
                error = told_error(&error),
                "cannot ask for the offsets of the group, trying again"
            );
            self.health.failed(self.clock.now(), &told_error(&error));
            if self.stop.load(Ordering::Acquire) {
                return ledger.close();
            }
            std::thread::sleep(POLL_MAX);
        }
    }

    /// A batch is ready and too many before it have not arrived.
    fn hold_back(&mut self, group: &Group) {
        if !self.is_full() {
            // There is room for more.
            return self.poll_once(group, POLL_WAITING).unwrap_or_else(|error| self.note_failure(&error));
        }
        if group.wait_for_fewer_than(UNDER_WAY_MAX, GRACE) {
            return;
        }
        self.set_paused(group, true);
        while !self.stop.load(Ordering::Acquire) && !group.has_fewer_than(UNDER_WAY_MAX) {
            // Nothing comes while all is paused, but the group wants to hear of its member.
            if let Err(error) = self.poll_once(group, POLL_MAX) {
                self.note_failure(&error);
            }
        }
        self.set_paused(group, false);
    }

    fn set_paused(&self, group: &Group, paused: bool) {
        group.flight().paused = paused;
        let Ok(all) = self.consumer.assignment() else { return };
        let done = if paused { self.consumer.pause(&all) } else { self.consumer.resume(&all) };
        tracing::debug!(paused, partitions = all.count(), "the channels are full, or have room again");
        if let Err(error) = done {
            tracing::warn!(paused, error = told_error(&error), "cannot pause or resume partitions");
        }
    }

    fn poll(&mut self, group: &Group) -> Result<(), SourceError> {
        let wait = match self.due {
            _ if !group.has_fewer_than(UNDER_WAY_MAX) => POLL_WAITING,
            Some(due) => due.saturating_duration_since(Instant::now()).min(POLL_MAX),
            None => POLL_MAX,
        };
        self.poll_once(group, wait)
    }

    /// Waits for a record, and takes those that are there already along with it: looking at the clock and at what else there is
    /// to do costs as much as a record.
    fn poll_once(&mut self, group: &Group, wait: Duration) -> Result<(), SourceError> {
        let consumer = Arc::clone(&self.consumer);
        let mut more = self.poll_record(group, &consumer, wait)?;
        for _ in 1..RUN_RECORDS_MAX {
            if !more || self.is_full() {
                break;
            }
            more = self.poll_record(group, &consumer, Duration::ZERO)?;
        }
        Ok(())
    }

    /// Whether there was a record.
    fn poll_record(
        &mut self,
        group: &Group,
        consumer: &GroupConsumer,
        wait: Duration,
    ) -> Result<bool, SourceError> {
        let polled = consumer.poll(wait);
        // Before anything is added: a partition may have gone and come back.
        if let Some((gone, came)) = group.take_changes() {
            self.filling.forget(&gone);
            if came {
                self.recovered(group);
            }
        }
        match polled {
            Some(Ok(record)) => {
                if self.filling.is_empty() {
                    self.due = Some(Instant::now() + self.settings.batch_wait);
                }
                self.filling.add(&record);
                self.recovered(group);
                Ok(true)
            }
            Some(Err(error)) => self.failed(group, &error).map(|()| false),
            None => Ok(false),
        }
    }

    fn recovered(&mut self, group: &Group) {
        if self.troubled {
            self.troubled = false;
            group.voice.forget();
            self.health.set(HealthState::Running);
        }
    }

    /// Most errors pass: the client goes on trying. The others end the source, which is then built anew.
    fn failed(&mut self, group: &Group, error: &KafkaError) -> Result<(), SourceError> {
        let code = match error {
            KafkaError::MessageConsumptionFatal(code) => {
                return Err(SourceError::failed("the consumer cannot go on", told(*code)));
            }
            KafkaError::PartitionEOF(_) => return Ok(()),
            error => error.rdkafka_error_code(),
        };
        let what = match code {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::TopicAuthorizationFailed) => {
                format!("topics {}", self.settings.topics.join(", "))
            }
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => format!("group {}", self.settings.group),
            Some(RDKafkaErrorCode::AutoOffsetReset) => "no offset to start at".to_owned(),
            _ => format!("brokers {}", self.settings.config.get("bootstrap.servers").unwrap_or_default()),
        };
        let reason = group.voice.explain(&format!("{what}: {}", told_error(error)));
        if !self.troubled {
            tracing::warn!(reason, "cannot read from Kafka, trying again");
        }
        self.troubled = true;
        self.metrics.read_failures.inc();
        self.health.failed(self.clock.now(), &reason);
        Ok(())
    }

    fn note_failure(&self, error: &SourceError) {
        // It comes again with the next poll, where it can be returned.
        self.health.failed(self.clock.now(), error);
    }
}
