//! Sinks: where events leave.

pub(crate) mod avro;
pub mod console;
pub mod file_roll;
pub mod http;
pub mod logger;
pub mod null;

use millrace_core::SinkFactory;

/// All of them.
pub fn factories() -> Vec<SinkFactory> {
    vec![avro::FACTORY, console::FACTORY, file_roll::FACTORY, http::FACTORY, logger::FACTORY, null::FACTORY]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::factories;

    #[test]
    fn every_sink_is_listed_once() {
        let names: Vec<&str> = factories().iter().map(|factory| factory.name).collect();
        assert_eq!(names, ["avro", "console", "file-roll", "http", "logger", "null"]);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    }
}
