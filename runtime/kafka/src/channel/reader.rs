//! The thread that reads ahead for all takes of a channel, and commits the offsets of what they are done with.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use millrace_core::ChannelError;
use rdkafka::{consumer::Consumer, error::KafkaError};

use super::Shared;
use crate::{
    connection::{told, told_error},
    consumer::{Group, GroupConsumer},
    record::Filling,
};

/// How long the thread may be away from what else there is to do.
const POLL_MAX: Duration = Duration::from_millis(50);
/// How many times [`POLL_MAX`] a full store waits until partitions are paused.
const GRACE: u32 = 20;
/// Records that are added to the store at once.
const CHUNK: usize = 500;

/// A running reader.
pub(super) struct Reader {
    consumer: Arc<GroupConsumer>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Reader {
    /// The group of the channel's reader; started where there is none, or where it has ended.
    pub(super) fn group_of(shared: &Arc<Shared>) -> Result<Arc<Group>, ChannelError> {
        let mut reader = shared.reader.lock();
        if let Some(running) = reader.as_ref().filter(|reader| !reader.thread.is_finished()) {
            return Ok(running.group());
        }
        shared.store.lock().broken = None;
        let settings = &shared.settings;
        let group = Group::new(shared.name.clone(), shared.kafka_metrics.clone(), settings.revoke_wait);
        let failed = |error: KafkaError| shared.failed(told_error(&error));
        let consumer: GroupConsumer = settings.consumer.create_with_context(group).map_err(failed)?;
        consumer.subscribe(&[&settings.topic]).map_err(failed)?;
        let (consumer, stop) = (Arc::new(consumer), Arc::new(AtomicBool::new(false)));
        let reading = Reading {
            shared: Arc::clone(shared),
            consumer: Arc::clone(&consumer),
            stop: Arc::clone(&stop),
            filling: Filling::new(settings.rule.clone()),
            troubled: false,
        };
        let thread = std::thread::Builder::new()
            .name(format!("kafka {}", shared.name))
            .spawn(move || reading.run())
            .map_err(|error| shared.failed(error))?;
        let started = Self { consumer, stop, thread };
        let group = started.group();
        *reader = Some(started);
        Ok(group)
    }

    pub(super) fn group(&self) -> Arc<Group> {
        Arc::clone(self.consumer.context())
    }

    pub(super) fn consumer(&self) -> (Arc<GroupConsumer>, Arc<Group>) {
        (Arc::clone(&self.consumer), self.group())
    }

    /// Ends it: blocks until the group knows. Takes that are still open come again, here or elsewhere.
    pub(super) fn close(self) {
        self.stop.store(true, Ordering::Release);
        self.group().abandon();
        drop(self.thread.join());
        drop(self.consumer);
    }
}

struct Reading {
    shared: Arc<Shared>,
    consumer: Arc<GroupConsumer>,
    stop: Arc<AtomicBool>,
    filling: Filling,
    troubled: bool,
}

impl Reading {
    fn run(mut self) {
        let (group, consumer) = (Arc::clone(self.consumer.context()), Arc::clone(&self.consumer));
        std::thread::scope(|scope| {
            let _end = group.end_commits();
            scope.spawn(|| group.commit_all(&consumer));
            self.read_until_stopped(&group);
        });
        if let Err(error) = group.commit_now(&self.consumer) {
            let error = told_error(&error);
            tracing::warn!(channel = %self.shared.name, error, "offsets not committed at the end: events will come again");
        }
        let gone = group.flight().owned();
        self.shared.store.lock().forget(&gone);
    }

    fn read_until_stopped(&mut self, group: &Group) {
        while !self.stop.load(Ordering::Acquire) {
            self.wait_for_room(group);
            // What is there already goes together; the first is waited for.
            let wait = if self.filling.is_empty() { POLL_MAX } else { Duration::ZERO };
            let polled = self.poll(group, wait);
            if !polled || self.filling.len() >= CHUNK {
                self.hand_over();
            }
            if self.shared.store.lock().broken.is_some() {
                return;
            }
        }
    }

    fn hand_over(&mut self) {
        if !self.filling.is_empty() {
            self.shared.store.lock().add(self.filling.take().into_placed());
            self.shared.changed.notify_waiters();
        }
    }

    fn is_full(&self) -> bool {
        let settings = &self.shared.settings;
        self.shared.store.lock().is_full(settings.prefetch_events, settings.prefetch_bytes)
    }

    /// Waits while there is enough for the takes. Partitions are paused when that takes long: the group wants to hear of its
    /// member all the same.
    fn wait_for_room(&mut self, group: &Group) {
        let mut waited = 0;
        while self.is_full() && !self.stop.load(Ordering::Acquire) {
            if waited < GRACE {
                waited += 1;
                let mut store = self.shared.store.lock();
                self.shared.room.wait_for(&mut store, POLL_MAX);
                continue;
            }
            if waited == GRACE {
                waited += 1;
                self.set_paused(group, true);
            }
            self.poll(group, POLL_MAX);
            self.hand_over();
        }
        if waited > GRACE {
            self.set_paused(group, false);
        }
    }

    fn set_paused(&self, group: &Group, paused: bool) {
        group.flight().paused = paused;
        let Ok(all) = self.consumer.assignment() else { return };
        let done = if paused { self.consumer.pause(&all) } else { self.consumer.resume(&all) };
        if let Err(error) = done {
            tracing::warn!(paused, error = told_error(&error), "cannot pause or resume partitions");
        }
    }

    /// Whether there was a record.
    fn poll(&mut self, group: &Group, wait: Duration) -> bool {
        let consumer = Arc::clone(&self.consumer);
        let polled = consumer.poll(wait);
        if let Some((gone, _)) = group.take_changes() {
            self.filling.forget(&gone);
            self.shared.store.lock().forget(&gone);
        }
        match polled {
            Some(Ok(record)) => {
                self.filling.add(&record);
                self.troubled = false;
                return true;
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                self.shared.store.lock().broken = Some(told(code));
                self.shared.changed.notify_waiters();
            }
            Some(Err(error)) if !self.troubled => {
                self.troubled = true;
                let reason = group.voice.explain(&told_error(&error));
                tracing::warn!(channel = %self.shared.name, reason, "cannot read the topic, trying again");
            }
            _ => {}
        }
        false
    }
}
