//! Sources: where events enter.

use millrace_core::SourceFactory;

mod files;
mod spooldir;
mod taildir;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    vec![spooldir::FACTORY, taildir::FACTORY]
}
