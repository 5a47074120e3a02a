//! Sinks: where events leave the agent.

use async_trait::async_trait;

use crate::{batch::Batch, error::SinkError};

/// A destination. A sink processor is a sink made of sinks.
#[async_trait]
pub trait Sink: Send {
    /// Delivers a batch. When it returns `Ok` the destination has all of it: the channel forgets it now, so
    /// nothing may be held back. Connecting belongs here, where retries are.
    ///
    /// # Errors
    /// [`SinkError::retry`] says whether the same events come again.
    ///
    /// # Cancel safety
    /// A dropped call leaves the delivery in doubt: the same events come again.
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError>;

    /// Whether it wants batches that name their delivery ([`Batch::delivery`]). Naming costs a small write per batch
    /// where the channel is durable, so that a batch that comes again after a crash has the same name.
    fn wants_deliveries_named(&self) -> bool {
        false
    }

    /// Work that is due although no batch came: rolling a file by time, closing an idle connection. Called when
    /// the channel was empty for a while (about once a second).
    ///
    /// # Errors
    /// Reported and counted; the next batch is delivered all the same.
    async fn idle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// What was delivered last is settled: the channel has forgotten the batch, or, where that failed, brings it again.
    fn settled(&mut self, _committed: bool) {}

    /// Finishes what is open. Nothing is delivered afterwards.
    ///
    /// # Errors
    /// Reported; everything that `deliver` confirmed stays delivered.
    async fn close(self: Box<Self>) -> Result<(), SinkError>;
}
