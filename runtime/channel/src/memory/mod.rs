//! A channel in memory, bounded by events and by bytes.
//!
//! It keeps the batches as they were put, sharing their events: put and take cost per batch, not per event.
//! Events that were taken and not yet committed go on occupying room, and return to their places when the take
//! is rolled back. Whatever is in it is gone with the process.

mod queue;
mod transaction;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{
    BuildContext, Channel, ChannelError, ChannelFactory, ChannelMetrics, ChannelStats, Clock, PutTransaction,
    Reconfigured, TakeTransaction,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::{
    queue::Queue,
    transaction::{MemoryPut, MemoryTake},
};
use crate::{
    keep_alive::KeepAlive,
    room::{Amount, Room},
};

pub(crate) const FACTORY: ChannelFactory = ChannelFactory {
    name: "memory",
    summary: "Holds events in memory; fast, and gone with the process",
    options: OPTIONS,
    example: r#"memory "fast" { capacity 10_000; bytes "64MiB" }"#,
    build,
};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "capacity",
        OptionKind::Integer { min: 1, max: 1_000_000_000 },
        "10_000",
        "Largest number of events",
    ),
    OptionSpec::with_default(
        "bytes",
        OptionKind::Size,
        "64MiB",
        "Largest size of all events: their bodies, header names and header values",
    ),
    OptionSpec::with_default(
        "keep-alive",
        OptionKind::Duration,
        "3s",
        "How long a put waits for room before the channel counts as full",
    ),
];

fn build(section: &Section, cx: &BuildContext) -> Result<Arc<dyn Channel>, Diagnostics> {
    let metrics = cx.metrics.channel(&cx.component);
    let options = MemoryOptions::from_section(section);
    Ok(Arc::new(MemoryChannel::new(&cx.component, &options, Arc::clone(&cx.clock), metrics)))
}

/// What a memory channel may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Largest number of events.
    pub events_max: u64,
    /// Largest size of all events.
    pub bytes_max: u64,
    /// How long a put waits for room.
    pub keep_alive: Duration,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self { events_max: 10_000, bytes_max: 64 << 20, keep_alive: Duration::from_secs(3) }
    }
}

impl MemoryOptions {
    fn from_section(section: &Section) -> Self {
        Self {
            events_max: section.count("capacity") as u64,
            bytes_max: section.size("bytes"),
            keep_alive: section.duration("keep-alive"),
        }
    }

    fn limit(&self) -> Amount {
        Amount { events: self.events_max, bytes: self.bytes_max }
    }
}

/// A channel in memory.
pub struct MemoryChannel {
    shared: Arc<Shared>,
}

/// What the channel and its transactions share.
struct Shared {
    name: String,
    room: Arc<Room>,
    keep_alive: KeepAlive,
    queue: Mutex<Queue>,
    /// Wakes waiting takers: something was added or returned, or the channel closed.
    changed: Notify,
    clock: Arc<dyn Clock>,
    metrics: ChannelMetrics,
}

impl Shared {
    fn closed(&self) -> ChannelError {
        ChannelError::Closed { channel: self.name.clone() }
    }
}

impl MemoryChannel {
    /// An empty channel.
    pub fn new(name: &str, options: &MemoryOptions, clock: Arc<dyn Clock>, metrics: ChannelMetrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                room: Room::new(options.limit()),
                keep_alive: KeepAlive::new(options.keep_alive),
                queue: Mutex::new(Queue::default()),
                changed: Notify::new(),
                clock,
                metrics,
            }),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// Takes over other limits. Smaller ones than what is in the channel only hold puts back.
    pub fn apply(&self, options: &MemoryOptions) {
        self.shared.keep_alive.set(options.keep_alive);
        self.shared.room.set_limit(options.limit());
    }
}

#[async_trait]
impl Channel for MemoryChannel {
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        if self.shared.room.is_closed() {
            return Err(self.shared.closed());
        }
        Ok(Box::new(MemoryPut::new(Arc::clone(&self.shared))))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        if self.shared.room.is_closed() {
            return Err(self.shared.closed());
        }
        Ok(Box::new(MemoryTake::new(Arc::clone(&self.shared))))
    }

    fn stats(&self) -> ChannelStats {
        let (_, limit) = self.shared.room.used_and_limit();
        let (held, oldest) = self.shared.queue.lock().held_and_oldest();
        ChannelStats {
            events: held.events,
            bytes: held.bytes,
            events_max: limit.events,
            bytes_max: limit.bytes,
            oldest_age: oldest
                .map(|at| Duration::from_millis(self.shared.clock.unix_millis().saturating_sub(at))),
            damaged: 0,
        }
    }

    fn reconfigure(&self, options: &Section) -> Reconfigured {
        self.apply(&MemoryOptions::from_section(options));
        Reconfigured::Applied
    }

    async fn close(&self) -> Result<(), ChannelError> {
        self.shared.room.close();
        self.shared.queue.lock().close();
        self.shared.changed.notify_waiters();
        Ok(())
    }
}
