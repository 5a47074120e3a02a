//! `kafka`: reads topics as a member of a consumer group.
//!
//! A thread of its own polls the consumer, since that is how librdkafka works best: it fills a batch while the one before is
//! on its way into the channels. When a batch has arrived its offsets are committed, never earlier. While channels are full,
//! the partitions are paused and polling goes on, so that the group keeps its member.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | the options |
//! | `poll_loop` | the thread |
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
use millrace_config::{Diagnostics, Section};
use millrace_core::{BuildContext, ProcessError, Source, SourceContext, SourceError, SourceFactory};
use tokio::sync::mpsc;

use self::{
    poll_loop::{Departure, PollLoop},
    settings::{OPTIONS, Settings},
};
use crate::{connection::told_error, consumer::Group, metrics::KafkaMetrics};

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
    Ok(Box::new(KafkaSource { settings, metrics: KafkaMetrics::new(&cx.metrics, &cx.component) }))
}

struct KafkaSource {
    settings: Settings,
    metrics: KafkaMetrics,
}

#[async_trait]
impl Source for KafkaSource {
    fn may_end(&self) -> bool {
        false
    }

    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let Self { settings, metrics } = *self;
        let group = Group::new(cx.name.clone(), metrics, settings.revoke_wait);
        let consumer = settings
            .config
            .create_with_context(group)
            .map_err(|error| SourceError::failed("no consumer", told_error(&error)))?;
        let (batches, mut departures) = mpsc::channel(1);
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
        let Some(Departure { batch, marks }) = departure else { return Ok(()) };
        match cx.processor.accept(batch, &cx.shutdown).await {
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
