//! The bytes of all requests in flight of one source: being received, or waiting for their channels.
//!
//! A connection that needs more than is left stops reading, which holds its client back. Should all of it be
//! taken by requests that are not whole yet, the time limit for a frame ends one of them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One permit stands for this many bytes, so that the largest budget fits a semaphore.
const GRAIN_BYTES: usize = 4096;
/// What a connection may hold without asking; bounded by the number of connections.
const FREE_BYTES: usize = 64 * 1024;

/// Shared by all connections of a source.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    grains: Arc<Semaphore>,
}

/// The part of the budget that one request holds. Dropping it gives it back.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        let grains = (bytes / GRAIN_BYTES).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { grains: Arc::new(Semaphore::new(grains)) }
    }

    /// Makes the share large enough for `bytes`, as soon as there is room.
    ///
    /// # Cancel safety
    /// The share stays as it was when the call is dropped.
    pub(super) async fn cover(&self, share: &mut Share, bytes: usize) {
        let needed = bytes.saturating_sub(FREE_BYTES).div_ceil(GRAIN_BYTES);
        let held = share.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = needed.checked_sub(held).filter(|more| *more > 0) else { return };
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&self.grains).acquire_many_owned(more).await else { return };
        match &mut share.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
    }

    #[cfg(test)]
    fn left_bytes(&self) -> usize {
        self.grains.available_permits() * GRAIN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, FREE_BYTES, GRAIN_BYTES, Share};

    #[tokio::test(start_paused = true)]
    async fn a_share_grows_waits_for_room_and_goes_back_when_dropped() {
        let budget = Budget::new(10 * GRAIN_BYTES);
        let (mut first, mut second) = (Share::default(), Share::default());
        budget.cover(&mut first, FREE_BYTES).await;
        assert_eq!(budget.left_bytes(), 10 * GRAIN_BYTES);
        budget.cover(&mut first, FREE_BYTES + GRAIN_BYTES).await;
        budget.cover(&mut first, FREE_BYTES + 6 * GRAIN_BYTES).await;
        assert_eq!(budget.left_bytes(), 4 * GRAIN_BYTES);
        let more = budget.cover(&mut second, FREE_BYTES + 5 * GRAIN_BYTES);
        assert!(tokio::time::timeout(Duration::from_secs(60), more).await.is_err());
        drop(first);
        budget.cover(&mut second, FREE_BYTES + 5 * GRAIN_BYTES).await;
        assert_eq!(budget.left_bytes(), 5 * GRAIN_BYTES);
        drop(second);
        assert_eq!(budget.left_bytes(), 10 * GRAIN_BYTES);
    }
}
