//! Sources: where events enter.

use millrace_core::SourceFactory;

mod taildir;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    vec![taildir::FACTORY]
}
