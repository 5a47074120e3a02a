//! Channels: where events wait between sources and sinks, and the two kinds of transactions on them.
//!
//! Dropping a transaction is rolling it back, so whatever is cancelled, panics or is swapped in the middle of
//! a batch ends in a rollback.

use std::time::Duration;

use async_trait::async_trait;
use millrace_config::Section;

use crate::{
    batch::{Batch, BatchLimit},
    delivery::Taken,
    error::ChannelError,
    position::Positions,
};

/// A channel. Any number of puts and takes may be open at the same time.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Makes the channel ready: recovers what a former run left. Called once, before anything else.
    ///
    /// # Errors
    /// The channel cannot be used at all. Damaged content is no error: it is set aside and reported.
    async fn open(&self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Starts putting.
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError>;

    /// Starts taking.
    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError>;

    /// What the channel holds now. Cheap: called for every scrape.
    fn stats(&self) -> ChannelStats;

    /// Whether what was committed survives the process.
    fn is_durable(&self) -> bool {
        false
    }

    /// The positions a source, or the state a component, committed here; None when the channel keeps none.
    fn positions(&self, _source: &str) -> Option<Positions> {
        None
    }

    /// Makes the takes that are committed survive a loss of power too, where the channel puts that off.
    ///
    /// # Errors
    /// It could not: what was taken since the last success may come again after a loss of power.
    async fn sync_takes(&self) -> Result<(), ChannelError> {
        Ok(())
    }

    /// Takes over changed options while running.
    fn reconfigure(&self, _options: &Section) -> Reconfigured {
        Reconfigured::Refused("its options cannot change while the agent runs".into())
    }

    /// Finishes writing and lets go of files. Open transactions fail from now on.
    ///
    /// # Errors
    /// Something could not be written; nothing that was committed is lost by it.
    async fn close(&self) -> Result<(), ChannelError> {
        Ok(())
    }
}

/// The answer to changed options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reconfigured {
    /// They are in force.
    Applied,
    /// They cannot be taken over, for this reason; the old ones stay.
    Refused(String),
}

/// A transaction that adds events. One batch or several; all become visible at once.
#[async_trait]
pub trait PutTransaction: Send {
    /// Adds a batch, with the position and the state it carries. Waits for room as long as the channel is configured to.
    /// A channel that keeps positions commits what [`crate::StateWrites::update_for`] says and then calls
    /// [`crate::StateWrites::committed`], whether anybody still waits for the commit or not.
    ///
    /// # Errors
    /// [`ChannelError::Full`]: no room in time; nothing was added and the transaction is still good.
    ///
    /// # Cancel safety
    /// A dropped call has added nothing.
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError>;

    /// Makes everything visible to takers, and durable where the channel is durable.
    ///
    /// # Errors
    /// Nothing became visible, unless the error is one of a disk, where it is in doubt until the next start.
    ///
    /// # Cancel safety
    /// A dropped call leaves the commit in doubt: it may still happen.
    async fn commit(self: Box<Self>) -> Result<(), ChannelError>;

    /// Forgets everything. The same as dropping.
    fn rollback(self: Box<Self>);
}

/// A transaction that removes events from the head.
#[async_trait]
pub trait TakeTransaction: Send {
    /// Takes what there is within the limit, oldest first. While there is nothing, it waits for the first event
    /// as long as the caller lets it; then up to `wait_max` for the batch to fill. Never returns an empty batch,
    /// except from a closed or closing channel.
    ///
    /// # Cancel safety
    /// A dropped call takes nothing.
    async fn take(&mut self, limit: BatchLimit) -> Result<Batch, ChannelError>;

    /// Takes exactly these rows again, wherever in the channel they are. None: they are not all there, or the channel does
    /// not number its events; then nothing was taken.
    ///
    /// # Cancel safety
    /// A dropped call takes nothing.
    async fn take_again(&mut self, _taken: Taken) -> Result<Option<Batch>, ChannelError> {
        Ok(None)
    }

    /// Which rows it holds; None where the channel does not number its events, or nothing was taken.
    fn taken(&self) -> Option<Taken> {
        None
    }

    /// Removes the taken events for good.
    ///
    /// # Errors
    /// The events will come again.
    async fn commit(self: Box<Self>) -> Result<(), ChannelError>;

    /// Returns the taken events to the head, in order. The same as dropping.
    fn rollback(self: Box<Self>);
}

/// What a channel holds and may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChannelStats {
    /// Events committed and not yet taken for good.
    pub events: u64,
    /// Their size.
    pub bytes: u64,
    /// Largest number of events.
    pub events_max: u64,
    /// Largest size.
    pub bytes_max: u64,
    /// How long the oldest event has been here, where known.
    pub oldest_age: Option<Duration>,
    /// Damaged places set aside since the channel was opened.
    pub damaged: u64,
}
