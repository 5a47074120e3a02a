//! Sources: where events enter.

use millrace_core::SourceFactory;

mod avro;
mod files;
mod spooldir;
mod taildir;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    vec![avro::FACTORY, spooldir::FACTORY, taildir::FACTORY]
}
