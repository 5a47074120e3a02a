//! The agent's own state on disk: the only crate that touches it.
//!
//! | module | holds |
//! |---|---|
//! | `disk` | the seam: what the agent asks of a disk, so that tests bring their own |
//! | `system` | the disk of the operating system |
//! | `replace` | small files replaced in one step |
//! | `bytes` | reading little-endian fields without trusting them |
//! | `positions` | positions of sources as bytes |
//! | `position_store` | one file of positions, for sources whose channels keep none |
//! | `clock` | the time of day |
//!
//! Files a user names (inputs and outputs of sources and sinks) are not state and are not read here.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests look at files themselves"))]
#![deny(missing_docs)]

mod bytes;
mod clock;
mod disk;
mod position_store;
mod positions;
mod replace;
mod system;

pub use bytes::{ByteReader, Truncated};
pub use clock::SystemClock;
pub use disk::{Disk, File, FileEntry, Guard, LockError, OpenMode};
pub use position_store::FilePositionStore;
pub use positions::{decode_positions, encode_positions};
pub use replace::{replace_file, set_aside};
pub use system::SystemDisk;
