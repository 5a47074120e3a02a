//! Kafka: a source, a sink and a channel on the client of Kafka's own making (librdkafka).
//!
//! | module | holds |
//! |---|---|
//! | `connection` | where brokers are, credentials, certificates, settings that are passed through |
//! | `voice`, `metrics` | what a client says: its log, its troubles, its statistics |
//! | `marks` | how far partitions were read |
//! | `record` | a record of Kafka as an event |
//! | `producer` | sends a batch and says what became of each record |
//! | `exactly_once` | offsets of a source in the transactions of a sink |
//! | `source`, `sink`, `channel` | the components |
//!
//! Invariants:
//! - An offset is committed in Kafka only after the channels (or, for the channel, the sink) have the events before it.
//! - Calls that block (transactions, closing) never run on a thread of the runtime's own.
//! - A record is copied once when it is read, into the memory that its batch shares.

mod channel;
mod connection;
mod consumer;
mod exactly_once;
mod marks;
mod metrics;
mod producer;
mod record;
mod records;
mod sink;
mod source;
mod voice;

use millrace_core::{ChannelFactory, SinkFactory, SourceFactory, WiringRule};

/// The sources.
pub fn sources() -> Vec<SourceFactory> {
    vec![source::FACTORY]
}

/// The sinks.
pub fn sinks() -> Vec<SinkFactory> {
    vec![sink::FACTORY]
}

/// The channels.
pub fn channels() -> Vec<ChannelFactory> {
    vec![channel::FACTORY]
}

/// What has to hold between sources, channels and sinks.
pub fn rules() -> Vec<WiringRule> {
    vec![exactly_once::wiring::check]
}
