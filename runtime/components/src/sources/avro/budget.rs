//! The bytes of all requests in flight of one source: being received, or waiting for their channels.
//!
//! A connection that needs more than is left stops reading, which holds its client back. Requests that are not
//! whole yet could take all of it and wait for each other, so room for one request of the largest size is set
//! apart: whoever has that lane can always finish, and then it is the next one's.

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
    lane: Arc<Semaphore>,
}

/// The part of the budget that one request holds. Dropping it gives it back.
#[derive(Debug, Default)]
pub(super) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    lane: Option<OwnedSemaphorePermit>,
}

impl Budget {
    /// A budget of `bytes`, of which room for one request of `request_bytes_max` is the lane.
    pub(super) fn new(bytes: usize, request_bytes_max: usize) -> Self {
        let shared = bytes.saturating_sub(request_bytes_max) / GRAIN_BYTES;
        let grains = shared.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self { grains: Arc::new(Semaphore::new(grains)), lane: Arc::new(Semaphore::new(1)) }
    }

    /// Makes the share large enough for `bytes`, as soon as there is room.
    ///
    /// # Cancel safety
    /// The share stays as it was when the call is dropped.
    pub(super) async fn cover(&self, share: &mut Share, bytes: usize) {
        let needed = bytes.saturating_sub(FREE_BYTES).div_ceil(GRAIN_BYTES);
        let held = share.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = needed.checked_sub(held).filter(|more| *more > 0) else { return };
        if share.lane.is_some() {
            return;
        }
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        // The semaphores are never closed.
        tokio::select! {
            biased;
            Ok(permit) = Arc::clone(&self.grains).acquire_many_owned(more) => match &mut share.permit {
                Some(held) => held.merge(permit),
                none => *none = Some(permit),
            },
            Ok(lane) = Arc::clone(&self.lane).acquire_owned() => share.lane = Some(lane),
            else => {}
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
        let budget = Budget::new(20 * GRAIN_BYTES, 10 * GRAIN_BYTES);
        let [mut first, mut second, mut third] = [Share::default(), Share::default(), Share::default()];
        budget.cover(&mut first, FREE_BYTES).await;
        assert_eq!(budget.left_bytes(), 10 * GRAIN_BYTES);
        budget.cover(&mut first, FREE_BYTES + GRAIN_BYTES).await;
        budget.cover(&mut first, FREE_BYTES + 6 * GRAIN_BYTES).await;
        assert_eq!(budget.left_bytes(), 4 * GRAIN_BYTES);
        // More than is left: the second takes the lane and may grow, the third has to wait.
        budget.cover(&mut second, FREE_BYTES + 5 * GRAIN_BYTES).await;
        budget.cover(&mut second, FREE_BYTES + 10 * GRAIN_BYTES).await;
        assert_eq!(budget.left_bytes(), 4 * GRAIN_BYTES);
        let more = budget.cover(&mut third, FREE_BYTES + 5 * GRAIN_BYTES);
        assert!(tokio::time::timeout(Duration::from_secs(60), more).await.is_err());
        drop(second);
        budget.cover(&mut third, FREE_BYTES + 5 * GRAIN_BYTES).await;
        drop(first);
        assert_eq!(budget.left_bytes(), 10 * GRAIN_BYTES);
        drop(third);
        let mut fourth = Share::default();
        budget.cover(&mut fourth, FREE_BYTES + 10 * GRAIN_BYTES).await;
        assert_eq!(budget.left_bytes(), 0);
    }
}
