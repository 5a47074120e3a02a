//! `kafka`: reads topics as a member of a consumer group.
//!
//! A thread of its own polls the consumer, since that is how librdkafka works best: it fills a batch while those before it are
//! on their way into the channels, in order. When a batch has arrived its offsets are committed, never earlier. While channels are full,
//! the partitions are paused and polling goes on, so that the group keeps its member.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | the options |
//! | `poll_loop` | the thread |
//!
//! With `offsets "sink"` the source commits nothing: the `kafka` sink that names it in `offsets-of` does, in the transactions that
//! hold its events, and a reader of what is committed sees each event once. What that takes and where it ends:
//! - one memory channel, and nothing else that writes to or takes from it; both ends in one cluster; `read-committed`;
//! - every agent of the group has a `transactional-id` of its own, the same after a restart: a new one waits for what an agent
//!   that was killed left open, as long as a transaction may last (a minute);
//! - dead letters, and events that an interceptor sends to other channels, come at least once;
//! - interceptors that answer the same record with other events when it comes again (by the time, by what they saw before) decide
//!   what is sent once; where they split a record and lose the header `kafka.place`, a crash in the middle of the record can repeat
//!   some of its events;
//! - what a partition that goes to another member has left in the channel after `revoke-wait` is not sent but read again there; the
//!   same is true of what a stopping agent has not delivered in four seconds (or `revoke-wait`, where that is less).
//!
//! Differences from Flume's source: cooperative rebalancing; a batch waits 100 ms instead of 1 s to fill; a new group starts at the
//! oldest record instead of the newest, so that nothing is passed over; headers of records become headers of events without being
//! named; a key that is no text is kept (in `key-base64`); a value that is no Flume event goes to the dead-letter channel
//! instead of vanishing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use async_trait::async_trait;
use bytestring::ByteString;
use millrace_config::{Diagnostics, Section};
use millrace_core::{Batch, BuildContext, ProcessError, Source, SourceContext, SourceError, SourceFactory};
use tokio::sync::mpsc;

use self::{
    poll_loop::{Departure, PollLoop, UNDER_WAY_MAX},
    settings::{OPTIONS, Settings},
};
use crate::{
    connection::told_error,
    consumer::Group,
    exactly_once::{Journey, Ledger},
    metrics::KafkaMetrics,
};

mod poll_loop;
mod settings;

/// Declares `kafka`.
pub(crate) const FACTORY: SourceFactory = SourceFactory {
    name: "kafka",
    summary: "Reads topics of Kafka as a member of a consumer group",
    options: OPTIONS,
    open: false,
    example: r#"kafka "orders" channel="durable" {
    bootstrap-servers "kafka-1:9092" "kafka-2:9092"
    topics "orders" "returns"
    group "millrace"
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let settings = Settings::new(section, cx)?;
    let metrics = KafkaMetrics::new(&cx.metrics, &cx.component);
    Ok(Box::new(KafkaSource { settings, agent: cx.agent.clone(), metrics }))
}

struct KafkaSource {
    settings: Settings,
    agent: ByteString,
    metrics: KafkaMetrics,
}

#[async_trait]
impl Source for KafkaSource {
    fn may_end(&self) -> bool {
        false
    }

    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let Self { settings, agent, metrics } = *self;
        let ledger = settings.rule.has_place.then(|| Ledger::new(agent, cx.name.clone()));
        let group = Group::new(cx.name.clone(), metrics, settings.revoke_wait).with_ledger(ledger);
        let consumer = settings
            .config
            .create_with_context(group)
            .map_err(|error| SourceError::failed("no consumer", told_error(&error)))?;
        let (batches, mut departures) = mpsc::channel(UNDER_WAY_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let polling = PollLoop::new(settings, consumer, batches, &cx, Arc::clone(&stop));
        let group = polling.group();
        let stop = StopOnDrop { stop, group: Arc::clone(&group) };
        let thread = std::thread::Builder::new()
            .name(format!("kafka {}", cx.name))
            .spawn(move || polling.run())
            .map_err(|error| SourceError::failed("no thread", error))?;
        let accepted = accept_all(&mut departures, &group, &cx).await;
        departures.close();
        drop(stop);
        let polled = joined(thread).await;
        accepted.and(polled)
    }
}

/// Puts batches into the channels until the source shall stop or its thread has ended.
async fn accept_all(
    departures: &mut mpsc::Receiver<Departure>,
    group: &Group,
    cx: &SourceContext,
) -> Result<(), SourceError> {
    loop {
        let departure = tokio::select! {
            biased;
            () = cx.shutdown.cancelled() => return Ok(()),
            departure = departures.recv() => departure,
        };
        let Some(Departure { records, marks, journey }) = departure else { return Ok(()) };
        let (batch, corrupt) = records.into_batch();
        cx.metrics.read_failures.inc_by(corrupt);
        let accepted = match (&group.ledger, journey) {
            (Some(ledger), Some(journey)) => accept_for_sink(batch, &journey, ledger, group, cx).await,
            _ => cx.processor.accept(batch, &cx.shutdown).await,
        };
        match accepted {
            // Its offsets wait for the sink.
            Ok(()) if group.ledger.is_some() => group.lost(&marks),
            Ok(()) => group.arrived(),
            // Its offsets are not committed: it is read again.
            Err(ProcessError::ShuttingDown) => {
                group.lost(&marks);
                return Ok(());
            }
            Err(error) => {
                group.lost(&marks);
                return Err(error.into());
            }
        }
    }
}

/// Puts a batch into the channel with the number of each event, by which the sink knows which offsets to commit.
async fn accept_for_sink(
    batch: Batch,
    journey: &Journey,
    ledger: &Ledger,
    group: &Group,
    cx: &SourceContext,
) -> Result<(), ProcessError> {
    let first = ledger.next();
    let stamp = |batch| {
        let (batch, given_back) = ledger.stamp(batch, journey);
        group.metrics.events_given_back.inc_by(given_back);
        batch
    };
    let accepted = cx.processor.accept_stamped(batch, &cx.shutdown, stamp).await;
    if accepted.is_err() {
        ledger.withdraw(first);
    }
    accepted
}

/// Waits for the end of the thread without holding up one of the runtime's.
async fn joined(thread: JoinHandle<Result<(), SourceError>>) -> Result<(), SourceError> {
    match tokio::task::spawn_blocking(move || thread.join()).await {
        Ok(Ok(result)) => result,
        _ => Err(SourceError::failed("reading", "its thread panicked")),
    }
}

/// Ends the thread, whatever ends the source.
struct StopOnDrop {
    stop: Arc<AtomicBool>,
    group: Arc<Group>,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.group.abandon();
    }
}
