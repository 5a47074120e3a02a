//! The channels: where events wait between sources and sinks.
//!
//! | module | holds |
//! |---|---|
//! | `memory` | a channel in memory: fast, gone with the process |
//! | `file` | a channel on disk: a commit is durable (`FORMAT.md` is the authority on its files) |
//! | `spillable` | memory that overflows to disk |
//! | `room` | how much a channel may hold, and who waits for room; shared by both |
#![deny(missing_docs)]

mod factories;
mod file;
mod keep_alive;
mod memory;
mod room;
mod spillable;

pub use factories::factories;
pub use file::{Compression, EncryptionOptions, FileChannel, FileOptions, KeySource, Sync};
pub use memory::{MemoryChannel, MemoryOptions};
pub use spillable::{SpillableChannel, SpillableOptions};
