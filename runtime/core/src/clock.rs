//! Time as the agent sees it; tests bring their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time of day. Waiting is tokio's business, which tests can pause.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> SystemTime;

    /// Milliseconds since 1970; 0 before that.
    fn unix_millis(&self) -> u64 {
        let elapsed = self.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since 1970; 0 before that.
    fn unix_nanos(&self) -> u64 {
        let elapsed = self.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }
}
