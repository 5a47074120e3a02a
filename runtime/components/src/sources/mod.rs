//! Sources: where events enter.

use millrace_core::SourceFactory;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    Vec::new()
}
