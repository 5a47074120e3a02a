//! One take: hands out what the reader has read, in the order in which it was read.

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use millrace_core::{Batch, BatchLimit, ChannelError, TakeTransaction};
use tokio::time::Instant;

use super::{
    Shared,
    store::{Store, Taken},
};
use crate::{consumer::Group, marks::Marks};

pub(super) struct KafkaTake {
    shared: Arc<Shared>,
    group: Arc<Group>,
    taken: Vec<Taken>,
    /// By what the group knows each of the takes.
    under_way: Vec<Marks>,
}

impl KafkaTake {
    pub(super) fn new(shared: Arc<Shared>, group: Arc<Group>) -> Self {
        Self { shared, group, taken: Vec::new(), under_way: Vec::new() }
    }

    /// What there is; None when there is nothing, or not yet enough before the deadline.
    fn try_take(
        &mut self,
        limit: BatchLimit,
        fill_until: &mut Option<Instant>,
    ) -> Result<Option<Batch>, ChannelError> {
        if self.shared.check_open().is_err() {
            return Ok(Some(Batch::default()));
        }
        let mut store = self.shared.store.lock();
        if store.is_empty() {
            *fill_until = None;
            return match &store.broken {
                Some(reason) => Err(self.shared.failed(reason.clone())),
                None => Ok(None),
            };
        }
        if !limit.wait_max.is_zero() && !store.fills(limit) {
            let now = Instant::now();
            if now < *fill_until.get_or_insert_with(|| now + limit.wait_max) {
                return Ok(None);
            }
        }
        let taken = store.take(limit);
        let marks = Store::marks(&taken);
        self.group.departed(marks.clone());
        drop(store);
        self.shared.room.notify_all();
        let batch = Batch::new(taken.iter().map(|(_, item)| item.event.clone()).collect());
        self.under_way.push(marks);
        self.taken.extend(taken);
        Ok(Some(batch))
    }

    fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        if !taken.is_empty() {
            self.shared.metrics.rollback_events.inc_by(taken.len() as u64);
            self.shared.store.lock().give_back(taken);
            self.shared.changed.notify_waiters();
        }
        for marks in self.under_way.drain(..) {
            self.group.lost(&marks);
        }
    }
}

#[async_trait]
impl TakeTransaction for KafkaTake {
    async fn take(&mut self, limit: BatchLimit) -> Result<Batch, ChannelError> {
        let limit = BatchLimit { events_max: limit.events_max.max(1), ..limit };
        let shared = Arc::clone(&self.shared);
        let mut fill_until = None;
        loop {
            // Listening before looking: what is added in between wakes us.
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            if let Some(batch) = self.try_take(limit, &mut fill_until)? {
                return Ok(batch);
            }
            match fill_until {
                None => changed.await,
                Some(until) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(until) => {}
                    }
                }
            }
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<(), ChannelError> {
        let taken = std::mem::take(&mut self.taken);
        let reached = self.shared.store.lock().finish(&taken);
        self.shared.metrics.take_events.inc_by(taken.len() as u64);
        for marks in self.under_way.drain(..) {
            self.group.arrived_with(&marks, &reached);
        }
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for KafkaTake {
    fn drop(&mut self) {
        self.give_back();
    }
}
