//! Sink processors: sinks made of sinks.

use millrace_core::SinkProcessorFactory;

/// All of them.
pub fn factories() -> Vec<SinkProcessorFactory> {
    Vec::new()
}
