//! Sinks: where events leave.

pub mod file_roll;
pub mod null;

use millrace_core::SinkFactory;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    vec![
        file_roll::FACTORY, //
        null::FACTORY,
    ]
}
