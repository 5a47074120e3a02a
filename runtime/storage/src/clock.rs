//! The time of day as the operating system tells it.
#![expect(clippy::disallowed_methods, reason = "this is the clock")]

use std::time::SystemTime;

use millrace_core::Clock;

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
