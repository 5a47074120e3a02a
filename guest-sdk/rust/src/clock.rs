//! Time, for plugins that are granted a clock. A plugin that reads it imports `clock`; one that wants to
//! give the same answer for the same events uses [`Batch::formed_at`](crate::Batch::formed_at) instead.
//!
//! In tests the clock of [`testing::Host`](crate::testing::Host) stands still until it is moved.

use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::bindings::millrace::plugin::clock as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::fake::clock as host;

/// Gives the time since 1970, with nanoseconds. It can jump, as the clock of the machine can.
pub fn now() -> Duration {
    Duration::from_nanos(host::unix_nanos())
}

/// Gives the time since some moment before the plugin started, with nanoseconds. It never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(host::monotonic_nanos())
}
