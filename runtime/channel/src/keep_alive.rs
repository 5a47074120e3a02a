//! How long a put waits for room: read by every put, changed by a reload.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A duration that can change while it is in use.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    nanos: AtomicU64,
}

impl KeepAlive {
    pub(crate) fn new(duration: Duration) -> Self {
        let keep_alive = Self { nanos: AtomicU64::new(0) };
        keep_alive.set(duration);
        keep_alive
    }

    pub(crate) fn set(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}
