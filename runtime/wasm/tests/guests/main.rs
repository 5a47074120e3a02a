//! The plugin host against real guests, those that misbehave above all. They are built from `tests/guests` at the
//! root of the repository; a guest that cannot be built fails the tests.
#![allow(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod faults;
mod limits;
mod load;
mod states;
mod support;
mod swaps;
