//! The plugin host against real guests, those that misbehave above all. They are built from `tests/guests` at the
//! root of the repository; a guest that cannot be built fails the tests.
#![allow(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod capabilities;
mod codecs;
mod faults;
mod hostile;
mod limits;
mod load;
mod random;
mod script_api;
mod script_faults;
mod script_redact;
mod script_rig;
mod servers;
mod sinks;
mod sources;
mod states;
mod support;
mod swaps;
mod two_phase;
mod wasi;
