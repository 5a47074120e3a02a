//! Putting: into memory while there is room, else the whole transaction to disk.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use millrace_core::{Batch, Channel, ChannelError, PutTransaction};

use super::{
    Shared,
    route::{Side, Spilling},
};

pub(super) struct SpillPut {
    shared: Arc<Shared>,
    /// What memory has room for so far; on disk, empty.
    batches: Vec<Batch>,
    into: Into,
}

/// Where the transaction is.
enum Into {
    Memory(Box<dyn PutTransaction>),
    Overflow { put: Box<dyn PutTransaction>, spilling: Spilling, events: u64 },
}

impl SpillPut {
    pub(super) async fn new(shared: Arc<Shared>) -> Result<Self, ChannelError> {
        let into = Into::Memory(shared.memory.begin_put().await?);
        Ok(Self { shared, batches: Vec::new(), into })
    }

    /// Adds a batch to what is in memory. Otherwise: why there was no room, where that was found out.
    async fn put_in_memory(&mut self, put: &Batch) -> Result<Result<(), Option<ChannelError>>, ChannelError> {
        let Into::Memory(memory) = &mut self.into else { return Ok(Err(None)) };
        let has_begun = !self.batches.is_empty();
        if !has_begun && self.shared.route.next(|| self.shared.is_drained()) == Side::Overflow {
            return Ok(Err(None));
        }
        let mut changed = pin!(self.shared.route.changed());
        changed.as_mut().enable();
        let tried = tokio::select! {
            biased;
            tried = memory.put(put.clone()) => tried,
            // Somebody else has waited long enough: from now on nobody waits.
            () = changed => return Ok(Err(None)),
        };
        match tried {
            Ok(()) => Ok(Ok(())),
            Err(error @ (ChannelError::Full { .. } | ChannelError::TooLarge { .. })) => Ok(Err(Some(error))),
            Err(error) => Err(error),
        }
    }

    /// Moves the transaction with one more batch to disk. Where that fails it stays where it was.
    async fn spill(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let spilling = self.shared.route.spill();
        let mut put = self.shared.overflow.begin_put().await?;
        let mut events = 0;
        for batch in self.batches.iter().cloned().chain([batch]) {
            events += batch.len() as u64;
            put.put(batch).await?;
        }
        self.batches.clear();
        self.into = Into::Overflow { put, spilling, events };
        Ok(())
    }
}

#[async_trait]
impl PutTransaction for SpillPut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        // The position and the state are not for a channel that may forget.
        let batch = batch.part(0..batch.len());
        if let Into::Overflow { put, events, .. } = &mut self.into {
            let count = batch.len() as u64;
            put.put(batch).await?;
            *events += count;
            return Ok(());
        }
        let no_room = match self.put_in_memory(&batch).await? {
            Ok(()) => {
                self.batches.push(batch);
                return Ok(());
            }
            Err(no_room) => no_room,
        };
        match (self.spill(batch).await, no_room) {
            // Memory will have room for it one day.
            (Err(ChannelError::TooLarge { .. }), Some(full @ ChannelError::Full { .. })) => {
                self.shared.metrics.full.inc();
                Err(full)
            }
            (spilled, _) => spilled,
        }
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        match self.into {
            Into::Memory(put) => put.commit().await,
            Into::Overflow { put, spilling, events } => {
                let spilled = self.shared.metrics.spilled_events.clone();
                // Whoever gives up waiting leaves the commit in doubt, and it must not land on a disk that counts as drained.
                let committed = tokio::spawn(async move {
                    let committed = put.commit().await;
                    if committed.is_ok() {
                        spilled.inc_by(events);
                    }
                    drop(spilling);
                    committed
                });
                committed.await.unwrap_or_else(|_| Err(closed(&self.shared)))
            }
        }
    }

    fn rollback(self: Box<Self>) {}
}

/// The runtime ends in the middle of a commit.
fn closed(shared: &Shared) -> ChannelError {
    ChannelError::Closed { channel: shared.memory.name().to_owned() }
}
