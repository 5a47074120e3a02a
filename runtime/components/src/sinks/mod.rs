//! Sinks: where events leave.

pub mod console;
pub mod file_roll;
pub mod http;
pub mod logger;
pub mod null;

use millrace_core::SinkFactory;

pub(crate) mod avro;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    vec![
        avro::FACTORY,
        console::FACTORY,
        file_roll::FACTORY,
        http::FACTORY,
        logger::FACTORY,
        null::FACTORY,
    ]
}
