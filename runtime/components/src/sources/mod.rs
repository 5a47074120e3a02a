//! Sources: where events enter.

use millrace_core::SourceFactory;

mod exec;
mod http;
mod netcat;
mod netcat_udp;
mod sequence;
mod stdin;
mod stress;
mod taildir;

mod line_batch;
mod lines;
mod listener;

/// All of them.
pub fn factories() -> Vec<SourceFactory> {
    vec![
        exec::FACTORY,
        http::FACTORY,
        netcat::FACTORY,
        netcat_udp::FACTORY,
        sequence::FACTORY,
        stdin::FACTORY,
        stress::FACTORY,
        taildir::FACTORY,
    ]
}
