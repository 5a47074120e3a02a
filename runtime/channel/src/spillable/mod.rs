//! A channel in memory that overflows to disk: a memory channel in front of a file channel.
//!
//! A transaction goes to memory, or as a whole to disk. Order is kept by one rule: as long as anything is on disk,
//! everything new goes there too, and takers empty the memory before they read the disk. When the last event on
//! disk is taken for good, memory is used again.
//!
//! What is in memory is gone with the process; what is on disk survives it and comes first after the next start.
//! So the channel is not durable, whatever a single event's luck was, and keeps no positions.
//!
//! | module | holds |
//! |---|---|
//! | `route` | where the next transaction goes |
//! | `put`, `take` | transactions |
//!
//! Differences from Flume's spillable channel: a take goes on behind the border of memory and disk, in the same
//! transaction; spilling ends when the disk is drained, not at a share of free memory.

mod put;
mod route;
mod take;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{
    BuildContext, Channel, ChannelError, ChannelFactory, ChannelMetrics, ChannelStats, Clock, PutTransaction,
    Reconfigured, TakeTransaction,
};
use millrace_storage::{Disk, SystemDisk};

use self::{put::SpillPut, route::Route, take::SpillTake};
use crate::{FileChannel, FileOptions, MemoryChannel, MemoryOptions, file};

pub(crate) const FACTORY: ChannelFactory = ChannelFactory {
    name: "spillable",
    summary: "Holds events in memory and, when that is full, on disk; what is in memory is gone with the process",
    options: OPTIONS,
    example: r#"spillable "bursts" { memory-capacity 50_000; overflow capacity=5_000_000 bytes="20GiB" }"#,
    build,
};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "memory-capacity",
        OptionKind::Integer { min: 0, max: 1_000_000_000 },
        "10_000",
        "Largest number of events in memory; 0: all go to disk",
    ),
    OptionSpec::with_default(
        "memory-bytes",
        OptionKind::Size,
        "64MiB",
        "Largest size of all events in memory: their bodies, header names and header values",
    ),
    OptionSpec::with_default(
        "overflow-timeout",
        OptionKind::Duration,
        "3s",
        "How long a put waits for room in memory before it goes to disk; while anything is on disk, no put waits",
    ),
    OptionSpec::with_default(
        "overflow",
        OptionKind::Block(file::OPTIONS),
        "",
        "The disk: the options of a `file` channel",
    ),
];

fn build(section: &Section, cx: &BuildContext) -> Result<Arc<dyn Channel>, Diagnostics> {
    let overflow = overflow_section(section);
    let options = SpillableOptions {
        memory: memory_options(section),
        overflow: FileOptions::from_section(overflow, cx.data_dir.clone())?,
    };
    let metrics = cx.metrics.channel(&cx.component);
    let clock = Arc::clone(&cx.clock);
    Ok(Arc::new(SpillableChannel::new(&cx.component, &options, Arc::new(SystemDisk), clock, metrics)))
}

fn memory_options(section: &Section) -> MemoryOptions {
    MemoryOptions {
        events_max: section.count("memory-capacity") as u64,
        bytes_max: section.size("memory-bytes"),
        keep_alive: section.duration("overflow-timeout"),
    }
}

fn overflow_section(section: &Section) -> &Section {
    // None of its options is required, so it is always there.
    let Some(overflow) = section.block("overflow") else { unreachable!("all options have defaults") };
    overflow
}

/// What a spillable channel may hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpillableOptions {
    /// The memory; its keep-alive is how long a put waits before it spills.
    pub memory: MemoryOptions,
    /// The disk.
    pub overflow: FileOptions,
}

/// A channel in memory that overflows to disk.
pub struct SpillableChannel {
    shared: Arc<Shared>,
}

/// What the channel and its transactions share.
struct Shared {
    memory: MemoryChannel,
    overflow: FileChannel,
    route: Route,
    metrics: ChannelMetrics,
}

impl SpillableChannel {
    /// A channel that is still to be opened.
    pub fn new(
        name: &str,
        options: &SpillableOptions,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        metrics: ChannelMetrics,
    ) -> Self {
        // Memory that is full is no full channel: that is counted where there is no room on disk either.
        let in_memory = ChannelMetrics { full: Default::default(), ..metrics.clone() };
        let memory = MemoryChannel::new(name, &options.memory, Arc::clone(&clock), in_memory);
        let overflow = FileChannel::new(name, &options.overflow, disk, clock, metrics.clone());
        Self { shared: Arc::new(Shared { memory, overflow, route: Route::default(), metrics }) }
    }
}

#[async_trait]
impl Channel for SpillableChannel {
    async fn open(&self) -> Result<(), ChannelError> {
        self.shared.overflow.open().await?;
        if self.shared.overflow.stats().events > 0 {
            drop(self.shared.route.spill());
        }
        Ok(())
    }

    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        Ok(Box::new(SpillPut::new(Arc::clone(&self.shared)).await?))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        Ok(Box::new(SpillTake::new(Arc::clone(&self.shared)).await?))
    }

    fn stats(&self) -> ChannelStats {
        let (memory, overflow) = (self.shared.memory.stats(), self.shared.overflow.stats());
        ChannelStats {
            events: memory.events + overflow.events,
            bytes: memory.bytes + overflow.bytes,
            events_max: memory.events_max.saturating_add(overflow.events_max),
            bytes_max: memory.bytes_max.saturating_add(overflow.bytes_max),
            oldest_age: memory.oldest_age.max(overflow.oldest_age),
            damaged: overflow.damaged,
        }
    }

    async fn sync_takes(&self) -> Result<(), ChannelError> {
        self.shared.overflow.sync_takes().await
    }

    fn reconfigure(&self, options: &Section) -> Reconfigured {
        // The disk first: what it refuses changes nothing.
        let answer = self.shared.overflow.reconfigure(overflow_section(options));
        if answer == Reconfigured::Applied {
            self.shared.memory.apply(&memory_options(options));
        }
        answer
    }

    async fn close(&self) -> Result<(), ChannelError> {
        let left = self.shared.memory.stats().events;
        self.shared.memory.close().await?;
        if left > 0 {
            tracing::warn!(events = left, "the channel closes with events in memory, which are lost");
        }
        self.shared.overflow.close().await
    }
}

impl Shared {
    /// Whether every event on disk is taken for good.
    fn is_drained(&self) -> bool {
        self.overflow.stats().events == 0
    }
}
