//! A channel that keeps what was committed, in order, and refuses on demand.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use millrace_core::{
    Batch, BatchLimit, BoxError, Channel, ChannelError, ChannelStats, Event, PositionStore, PositionUpdate,
    Positions, PutTransaction, TakeTransaction,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Default)]
struct State {
    batches: Mutex<Vec<Vec<Event>>>,
    positions: Mutex<BTreeMap<String, Positions>>,
    refusals: AtomicUsize,
    forgets: bool,
    changed: Notify,
}

/// Keeps committed batches and positions; takes are not supported.
#[derive(Clone, Default)]
pub struct RecordingChannel {
    state: Arc<State>,
}

impl RecordingChannel {
    /// A channel that lets go of what is committed: for measurements.
    pub fn forgetting() -> Self {
        Self { state: Arc::new(State { forgets: true, ..State::default() }) }
    }

    /// The next `count` puts find the channel full.
    pub fn refuse_next(&self, count: usize) {
        self.state.refusals.store(count, Ordering::SeqCst);
    }

    /// How many refusals are still to come.
    pub fn refusals_left(&self) -> usize {
        self.state.refusals.load(Ordering::SeqCst)
    }

    /// The committed batches, position-only ones left out.
    pub fn batches(&self) -> Vec<Vec<Event>> {
        self.state.batches.lock().clone()
    }

    /// All committed events in order.
    pub fn events(&self) -> Vec<Event> {
        self.batches().into_iter().flatten().collect()
    }

    /// All committed bodies in order, as text; bytes that are not UTF-8 are replaced.
    pub fn bodies(&self) -> Vec<String> {
        self.events().iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
    }

    /// Waits until this many events are committed.
    ///
    /// # Panics
    /// They are not within half a minute.
    pub async fn wait_for_events(&self, count: usize) -> Vec<Event> {
        crate::within(&format!("{count} events"), async {
            loop {
                let changed = self.state.changed.notified();
                let committed: usize = self.state.batches.lock().iter().map(Vec::len).sum();
                if committed >= count {
                    return self.events();
                }
                changed.await;
            }
        })
        .await
    }
}

#[async_trait]
impl Channel for RecordingChannel {
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        Ok(Box::new(RecordingPut { state: Arc::clone(&self.state), batches: Vec::new() }))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        Ok(Box::new(NoTake))
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats { events: self.events().len() as u64, ..ChannelStats::default() }
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn positions(&self, source: &str) -> Option<Positions> {
        Some(self.state.positions.lock().get(source).cloned().unwrap_or_default())
    }
}

struct RecordingPut {
    state: Arc<State>,
    batches: Vec<Batch>,
}

#[async_trait]
impl PutTransaction for RecordingPut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let refused =
            self.state.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if refused.is_ok() {
            return Err(ChannelError::Full {
                channel: "recording".into(),
                reason: "as the test wants it".into(),
            });
        }
        self.batches.push(batch);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        for batch in self.batches {
            if let Some(update) = batch.position() {
                update.apply_to(self.state.positions.lock().entry(update.source.to_string()).or_default());
            }
            if !batch.is_empty() && !self.state.forgets {
                self.state.batches.lock().push(batch.into_events());
            }
        }
        self.state.changed.notify_waiters();
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

struct NoTake;

#[async_trait]
impl TakeTransaction for NoTake {
    async fn take(&mut self, _limit: BatchLimit) -> Result<Batch, ChannelError> {
        Ok(Batch::default())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

/// A position store in memory.
#[derive(Default)]
pub struct MemoryPositions {
    positions: Mutex<BTreeMap<String, Positions>>,
}

impl PositionStore for MemoryPositions {
    fn load(&self, source: &str) -> Positions {
        self.positions.lock().get(source).cloned().unwrap_or_default()
    }

    fn update(&self, update: &PositionUpdate) {
        update.apply_to(self.positions.lock().entry(update.source.to_string()).or_default());
    }

    fn flush(&self) -> Result<(), BoxError> {
        Ok(())
    }
}
