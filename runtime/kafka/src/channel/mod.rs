//! `kafka`: a topic as a channel, for fleets: any number of agents put, any number take, and what is in it outlives all of them.
//!
//! - A put is kept back until its commit; that sends it and waits until the brokers have all of it. A commit that fails in
//!   between leaves some events visible, and a repetition doubles these: at least once, as with Flume's channel.
//! - A take reads as a member of a consumer group, which all sinks of the agent share. Events are handed out in the order of their
//!   partitions; offsets follow once all events before them are taken for good. A rollback returns events to their places. What
//!   an agent has taken and not committed when it dies is taken by the others.
//! - With `parse-as-flume-event` (the default) records are what Flume writes, so that agents of both kinds share a topic.
//!   A record that is no event comes out as its bytes, with a header `kafka-channel.unreadable`.
//!
//! | module | holds |
//! |---|---|
//! | `settings` | the options |
//! | `put` | one put transaction |
//! | `store` | what was read ahead, what is taken, how far a partition is done |
//! | `reader` | the thread that polls |
//! | `take` | one take transaction |

mod put;
mod reader;
mod settings;
mod store;
mod take;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytestring::ByteString;
use millrace_config::{Diagnostics, Section};
use millrace_core::{
    BuildContext, Channel, ChannelError, ChannelFactory, ChannelMetrics, ChannelStats, PutTransaction,
    TakeTransaction,
};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use self::{put::KafkaPut, reader::Reader, settings::Settings, store::Store, take::KafkaTake};
use crate::{connection::told_error, metrics::KafkaMetrics, producer::Sender};

/// Declares `kafka`.
pub(crate) const FACTORY: ChannelFactory = ChannelFactory {
    name: "kafka",
    summary: "Holds events in a topic of Kafka that any number of agents share",
    options: settings::OPTIONS,
    example: r#"kafka "fleet" {
    bootstrap-servers "kafka-1:9092" "kafka-2:9092"
    topic "events"
    group "collectors"
}"#,
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Arc<dyn Channel>, Diagnostics> {
    let shared = Shared {
        name: cx.component.clone(),
        settings: Settings::new(section, cx)?,
        metrics: cx.metrics.channel(&cx.component),
        kafka_metrics: KafkaMetrics::new(&cx.metrics, &cx.component),
        sender: tokio::sync::Mutex::new(None),
        reader: Mutex::new(None),
        store: Mutex::default(),
        room: Condvar::new(),
        changed: Notify::new(),
        closed: AtomicBool::new(false),
    };
    Ok(Arc::new(KafkaChannel { shared: Arc::new(shared) }))
}

struct KafkaChannel {
    shared: Arc<Shared>,
}

/// What the channel, its transactions and its thread share.
struct Shared {
    name: ByteString,
    settings: Settings,
    metrics: ChannelMetrics,
    kafka_metrics: KafkaMetrics,
    /// Made with the first commit.
    sender: tokio::sync::Mutex<Option<Arc<Sender>>>,
    /// Made with the first take: a channel nobody takes from is no member of its group.
    reader: Mutex<Option<Reader>>,
    store: Mutex<Store>,
    /// Tells the reader that there is room again.
    room: Condvar,
    /// Tells takers that there are events, or that the channel closes.
    changed: Notify,
    closed: AtomicBool,
}

impl Shared {
    fn failed(&self, reason: impl Into<millrace_core::BoxError>) -> ChannelError {
        ChannelError::Failed { channel: self.name.to_string(), source: reason.into() }
    }

    fn check_open(&self) -> Result<(), ChannelError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(ChannelError::Closed { channel: self.name.to_string() });
        }
        Ok(())
    }

    /// The client that sends; another one where the last can go on no more.
    async fn sender(&self) -> Result<Arc<Sender>, ChannelError> {
        let mut sender = self.sender.lock().await;
        if let Some(sender) = sender.as_ref().filter(|sender| sender.fatal().is_none()) {
            return Ok(Arc::clone(sender));
        }
        let made = Sender::new(&self.settings.producer, &self.name, &self.kafka_metrics)
            .map_err(|error| self.failed(told_error(&error)))?;
        let made = Arc::new(made);
        if let Some(old) = sender.replace(Arc::clone(&made)) {
            // It waits for its thread.
            tokio::task::spawn_blocking(move || drop(old));
        }
        Ok(made)
    }
}

#[async_trait]
impl Channel for KafkaChannel {
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        self.shared.check_open()?;
        Ok(Box::new(KafkaPut::new(Arc::clone(&self.shared))))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        self.shared.check_open()?;
        let group = Reader::group_of(&self.shared)?;
        Ok(Box::new(KafkaTake::new(Arc::clone(&self.shared), group)))
    }

    /// What this agent knows: events of the partitions that are its own.
    fn stats(&self) -> ChannelStats {
        let behind = self.shared.reader.lock().as_ref().map_or(0, |reader| reader.group().flight().behind);
        let (held, bytes) = self.shared.store.lock().held();
        ChannelStats {
            events: behind + held,
            bytes,
            events_max: u64::MAX,
            bytes_max: u64::MAX,
            oldest_age: None,
            damaged: 0,
        }
    }

    fn is_durable(&self) -> bool {
        true
    }

    async fn sync_takes(&self) -> Result<(), ChannelError> {
        let Some((consumer, group)) = self.shared.reader.lock().as_ref().map(Reader::consumer) else {
            return Ok(());
        };
        let committed = tokio::task::spawn_blocking(move || group.commit_now(&consumer));
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.shared.failed(told_error(&error))),
            Err(error) => Err(self.shared.failed(error)),
        }
    }

    async fn close(&self) -> Result<(), ChannelError> {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.changed.notify_waiters();
        let reader = self.shared.reader.lock().take();
        let sender = self.shared.sender.lock().await.take();
        // Both wait for threads, and for the broker to hear of it.
        let closed = tokio::task::spawn_blocking(move || {
            drop(sender);
            if let Some(reader) = reader {
                reader.close();
            }
        });
        closed.await.map_err(|error| self.shared.failed(error))
    }
}
