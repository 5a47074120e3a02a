//! Puts into and takes from a memory channel.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use millrace_core::{Batch, BatchLimit, ChannelError, PutTransaction, TakeTransaction};
use tokio::time::Instant;

use super::{
    Shared,
    queue::{Part, join},
};
use crate::room::{Amount, NoRoom, Reservation};

pub(super) struct MemoryPut {
    shared: Arc<Shared>,
    batches: Vec<Batch>,
    reservation: Reservation,
}

impl MemoryPut {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let reservation = Reservation::new(Arc::clone(&shared.room));
        Self { shared, batches: Vec::new(), reservation }
    }
}

#[async_trait]
impl PutTransaction for MemoryPut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let channel = || self.shared.name.clone();
        match self.reservation.grow(Amount::of(&batch), self.shared.keep_alive.duration()).await {
            Ok(()) => {
                if !batch.is_empty() {
                    self.batches.push(batch);
                }
                Ok(())
            }
            Err(NoRoom::Full(reason)) => {
                self.shared.metrics.full.inc();
                Err(ChannelError::Full { channel: channel(), reason })
            }
            Err(NoRoom::TooLarge(reason)) => Err(ChannelError::TooLarge { channel: channel(), reason }),
            Err(NoRoom::Closed) => Err(self.shared.closed()),
        }
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        let Self { shared, batches, reservation } = *self;
        let mut events = 0;
        {
            let at = shared.clock.unix_millis();
            let mut queue = shared.queue.lock();
            if queue.is_closed() {
                return Err(shared.closed());
            }
            for batch in batches {
                events += batch.len() as u64;
                queue.add(batch, at);
            }
        }
        reservation.keep();
        shared.metrics.put_events.inc_by(events);
        shared.changed.notify_waiters();
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

pub(super) struct MemoryTake {
    shared: Arc<Shared>,
    taken: Vec<Part>,
}

impl MemoryTake {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, taken: Vec::new() }
    }

    /// Takes what there is; None when there is nothing, or not yet enough before the deadline.
    fn try_take(&mut self, limit: BatchLimit, fill_until: &mut Option<Instant>) -> Option<Batch> {
        let mut queue = self.shared.queue.lock();
        if queue.is_closed() {
            return Some(Batch::default());
        }
        if queue.is_empty() {
            *fill_until = None;
            return None;
        }
        if !limit.wait_max.is_zero() && !queue.fills(limit) {
            let now = Instant::now();
            if now < *fill_until.get_or_insert_with(|| now + limit.wait_max) {
                return None;
            }
        }
        let count = queue.take(limit, &mut self.taken);
        drop(queue);
        self.taken.get(self.taken.len() - count..).map(join)
    }
}

#[async_trait]
impl TakeTransaction for MemoryTake {
    async fn take(&mut self, limit: BatchLimit) -> Result<Batch, ChannelError> {
        let limit = BatchLimit { events_max: limit.events_max.max(1), ..limit };
        let mut fill_until = None;
        if let Some(batch) = self.try_take(limit, &mut fill_until) {
            return Ok(batch);
        }
        let shared = Arc::clone(&self.shared);
        loop {
            // Listening before looking: what is added in between wakes us.
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            if let Some(batch) = self.try_take(limit, &mut fill_until) {
                return Ok(batch);
            }
            match fill_until {
                None => changed.await,
                Some(deadline) => drop(tokio::time::timeout_at(deadline, changed).await),
            }
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<(), ChannelError> {
        let amount = {
            let mut queue = self.shared.queue.lock();
            if queue.is_closed() {
                return Err(self.shared.closed());
            }
            queue.forget(&self.taken)
        };
        self.taken.clear();
        self.shared.room.release(amount);
        self.shared.metrics.take_events.inc_by(amount.events);
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for MemoryTake {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let parts = std::mem::take(&mut self.taken);
        let events = parts.iter().map(|part| part.batch.len() as u64).sum();
        {
            let mut queue = self.shared.queue.lock();
            if queue.is_closed() {
                return;
            }
            queue.put_back(parts);
        }
        self.shared.metrics.rollback_events.inc_by(events);
        self.shared.changed.notify_waiters();
    }
}
