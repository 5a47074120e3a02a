//! Sinks: where events leave.

pub mod file_roll;
pub mod null;

use millrace_core::SinkFactory;

pub(crate) mod avro;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    vec![avro::FACTORY, 
        file_roll::FACTORY, //
        null::FACTORY,
    ]
}
