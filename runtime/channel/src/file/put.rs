//! Putting into a file channel.

use std::sync::{Arc, atomic::Ordering};

use async_trait::async_trait;
use millrace_core::{Batch, ChannelError, PositionUpdate, PutTransaction, StateWrites};
use tokio::sync::oneshot;

use super::{
    error::FileError,
    frame::PUT_BYTES_MAX,
    inbox::PutRequest,
    payload::put_bytes_max,
    shared::{Phase, Shared},
};
use crate::room::{Amount, NoRoom, Reservation};

pub(super) struct FilePut {
    shared: Arc<Shared>,
    batches: Vec<Batch>,
    updates: Vec<PositionUpdate>,
    states: Vec<Arc<StateWrites>>,
    payload_bytes_max: usize,
    reservation: Reservation,
}

impl FilePut {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let reservation = Reservation::new(Arc::clone(&shared.room));
        let (updates, states) = (Vec::new(), Vec::new());
        Self { shared, batches: Vec::new(), updates, states, payload_bytes_max: 0, reservation }
    }

    /// What a batch changes in positions and states.
    fn updates_of(&self, batch: &Batch) -> Vec<PositionUpdate> {
        let mut updates: Vec<_> = batch.position().cloned().into_iter().collect();
        updates.extend(batch.states().iter().map(|writes| {
            let at = self.shared.clock.unix_millis();
            writes.update_for(&self.shared.name, || self.shared.states.lock().claim(writes.owner(), at))
        }));
        updates
    }

    fn refused(&self, no_room: NoRoom) -> ChannelError {
        let channel = self.shared.name.clone();
        match no_room {
            NoRoom::Full(reason) => {
                self.shared.metrics.full.inc();
                ChannelError::Full { channel, reason }
            }
            NoRoom::TooLarge(reason) => ChannelError::TooLarge { channel, reason },
            NoRoom::Closed => self.shared.closed(),
        }
    }

    /// After the disk was full, it is looked at before anything is put: refusing here is better than at the
    /// commit, when other channels may have committed already.
    async fn check_disk(&self) -> Result<(), ChannelError> {
        if !self.shared.disk_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let checked = tokio::task::spawn_blocking(move || shared.check_disk(shared.segment_bytes)).await;
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // Segments that wait for a checkpoint to go must not wait for more to be written.
                self.shared.inbox.clean();
                self.shared.metrics.full.inc();
                Err(error.of_channel(&self.shared.name))
            }
            Err(_) => Err(self.shared.closed()),
        }
    }
}

#[async_trait]
impl PutTransaction for FilePut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let updates = self.updates_of(&batch);
        let whole = put_bytes_max(&batch, &updates)
            .and_then(|bytes| bytes.checked_add(self.payload_bytes_max))
            .filter(|bytes| *bytes <= PUT_BYTES_MAX);
        let Some(payload_bytes_max) = whole else {
            let reason = format!("one transaction holds at most {PUT_BYTES_MAX} bytes");
            return Err(ChannelError::TooLarge { channel: self.shared.name.clone(), reason });
        };
        self.check_disk().await?;
        let keep_alive = self.shared.keep_alive.duration();
        if let Err(no_room) = self.reservation.grow(Amount::of(&batch), keep_alive).await {
            return Err(self.refused(no_room));
        }
        self.payload_bytes_max = payload_bytes_max;
        self.updates.extend(updates);
        self.states.extend_from_slice(batch.states());
        if !batch.is_empty() {
            // Position, state and diverted events are not for takers: a part leaves them behind.
            self.batches.push(batch.part(0..batch.len()));
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        let Self { shared, mut batches, updates, states, payload_bytes_max, reservation } = *self;
        if shared.state.lock().phase == Phase::Closed {
            return Err(shared.closed());
        }
        if batches.is_empty() && updates.is_empty() {
            return Ok(());
        }
        let batch = match batches.len() {
            0 | 1 => batches.pop().unwrap_or_default(),
            _ => Batch::new(batches.into_iter().flat_map(Batch::into_events).collect()),
        };
        let at = shared.clock.unix_millis();
        let (reply, committed) = oneshot::channel();
        let request = PutRequest { at, batch, updates, states, payload_bytes_max, reservation, reply };
        if shared.inbox.put(request).is_err() {
            return Err(shared.closed());
        }
        match committed.await {
            Ok(outcome) => outcome.map_err(|error: FileError| error.of_channel(&shared.name)),
            Err(_) => Err(shared.closed()),
        }
    }

    fn rollback(self: Box<Self>) {}
}
