//! Sinks: where events leave.

use millrace_core::SinkFactory;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    Vec::new()
}
