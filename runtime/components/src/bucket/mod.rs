//! The bucket writer: events into files by header and time, a batch whole or not at all.
//!
//! A *bucket* is the place the templates of a sink give for an event; each bucket has at most one file that takes
//! events. Everything that does not depend on where files are kept is here: names, rules of when a file is finished,
//! the bound on files in progress, the journal of what is in progress, and the completion of what an earlier run left.
//! It is plain code that blocks and is called once per batch, on a thread that may block.
#![expect(clippy::disallowed_methods, reason = "writing files is what this is for")]

#[cfg(test)]
pub mod append_only;
mod disk;
mod error;
mod framing;
mod journal;
mod names;
mod open_file;
mod options;
mod packer;
mod parquet;
mod recovery;
mod sequence;
mod settings;
mod sink;
mod store;
mod writer;

pub use disk::Disk;
pub use error::BucketError;
pub use names::{IN_PROGRESS, InProgress, NameTime};
pub use options::{
    COMPRESSION, COMPRESSION_LEVEL, EXTENSION, OPEN_FILES_MAX, PREFIX, ROLL, compression, extension, place,
    roll_rules,
};
pub use packer::Compression;
pub use settings::{RollRules, Settings, SyncMode};
pub use sink::BucketSink;
pub use store::Store;
pub use writer::BucketWriter;
