//! Sources: where events enter.

use millrace_core::SourceFactory;

mod avro;
mod exec;
mod files;
mod frames;
mod http;
mod netcat;
mod netcat_udp;
mod sequence;
mod spooldir;
mod stdin;
mod stress;
mod taildir;

mod line_batch;
mod lines;
mod listener;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    vec![
        avro::FACTORY,
        exec::FACTORY,
        frames::FACTORY,
        http::FACTORY,
        netcat::FACTORY,
        netcat_udp::FACTORY,
        sequence::FACTORY,
        spooldir::FACTORY,
        stdin::FACTORY,
        stress::FACTORY,
        taildir::FACTORY,
    ]
}
