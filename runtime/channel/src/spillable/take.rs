//! Taking: from memory until it is empty, then from disk.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_core::{Batch, BatchLimit, Channel, ChannelError, TakeTransaction};

use super::{Shared, route::Side};

pub(super) struct SpillTake {
    shared: Arc<Shared>,
    memory: Box<dyn TakeTransaction>,
    overflow: Box<dyn TakeTransaction>,
}

impl SpillTake {
    pub(super) async fn new(shared: Arc<Shared>) -> Result<Self, ChannelError> {
        let memory = shared.memory.begin_take().await?;
        let overflow = shared.overflow.begin_take().await?;
        Ok(Self { shared, memory, overflow })
    }
}

#[async_trait]
impl TakeTransaction for SpillTake {
    async fn take(&mut self, limit: BatchLimit) -> Result<Batch, ChannelError> {
        let Self { shared, memory, overflow } = self;
        loop {
            let mut changed = pin!(shared.route.changed());
            changed.as_mut().enable();
            // Looked at before the memory is: what was put there before anything went to disk is taken first.
            match shared.route.side() {
                Side::Memory => tokio::select! {
                    biased;
                    taken = memory.take(limit) => return taken,
                    () = changed => {}
                },
                Side::Overflow => tokio::select! {
                    biased;
                    // Nothing is added to what is there.
                    taken = memory.take(BatchLimit { wait_max: Duration::ZERO, ..limit }) => return taken,
                    taken = overflow.take(limit) => return taken,
                    () = changed => {}
                },
            }
        }
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        let Self { memory, overflow, .. } = *self;
        // The disk may fail. Then memory's events return to their places as well, since nothing of this has happened.
        overflow.commit().await?;
        memory.commit().await
    }

    fn rollback(self: Box<Self>) {}
}
