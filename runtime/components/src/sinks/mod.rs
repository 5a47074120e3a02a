//! Sinks: where events leave.

use millrace_core::SinkFactory;

pub(crate) mod avro;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    vec![avro::FACTORY]
}
