//! Sinks: where events leave the agent.
//!
//! A sink may deliver in two phases, so that each event reaches its readers exactly once: `deliver` stages, `prepare` makes
//! what is staged survive a crash and names it, the engine notes the names durably, commits the take, and `commit`
//! shows the events to readers. From the note on the delivery is decided: whatever happens, it is committed and
//! its events are not delivered again. Before the note it is as if it had never been: `recover` takes it back.

use async_trait::async_trait;

use crate::{
    batch::{Batch, BatchLimit},
    delivery::DeliveryToken,
    error::SinkError,
};

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

    /// Whether it wants batches that name their delivery ([`Batch::delivery`]). Naming costs a small synced write per
    /// batch where the channel is durable, so that a batch that comes again after a crash has the same name.
    fn wants_deliveries_named(&self) -> bool {
        false
    }

    /// How many events a batch holds at most where the configuration does not say: more where each delivery costs a sync.
    fn batch_events(&self) -> usize {
        BatchLimit::default().events_max
    }

    /// Whether it delivers in two phases. Only then are `prepare`, `commit`, `abort` and `recover` called. Such a sink
    /// also wants its deliveries named.
    fn is_two_phase(&self) -> bool {
        false
    }

    /// Makes what the last `deliver` staged survive a crash, and names it.
    ///
    /// # Errors
    /// Nothing is prepared, as if `deliver` had failed with this error.
    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        Ok(Vec::new())
    }

    /// Shows what was prepared to readers. May be repeated.
    ///
    /// # Errors
    /// It is called again until it succeeds; nothing else is delivered before.
    async fn commit(&mut self, _tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        Ok(())
    }

    /// Takes back what was prepared: its events come again. May be repeated.
    ///
    /// # Errors
    /// Reported. A later `recover` that does not name it takes it back.
    async fn abort(&mut self, _tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        Ok(())
    }

    /// Settles what a former run left: commits these, and takes back everything else that is open. Called first.
    ///
    /// # Errors
    /// It is called again until it succeeds; nothing is delivered before.
    async fn recover(&mut self, _tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        Ok(())
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
