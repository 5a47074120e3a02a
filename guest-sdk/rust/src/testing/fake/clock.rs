//! A clock that stands still until it is moved.

use super::{START_NANOS, with};

pub(crate) fn unix_nanos() -> u64 {
    with(|offered| offered.clock_nanos).unwrap_or(START_NANOS)
}

pub(crate) fn monotonic_nanos() -> u64 {
    unix_nanos() - START_NANOS
}
