//! The components of Kafka against a real broker.

mod channel;
mod delivery;
mod exactly_once;
mod refusals;
mod sink;
mod source;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use millrace_core::{Batch, Event, Sink, SinkFactory, SourceFactory};
use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, section};
use millrace_tests::KafkaBroker;

/// A name that no other test has.
fn fresh(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A topic of its own.
fn topic(broker: &KafkaBroker, name: &str, partitions: i32) -> String {
    let name = fresh(name);
    broker.create_topic(&name, partitions, &[]);
    name
}

fn source_factory() -> SourceFactory {
    millrace_kafka::sources().remove(0)
}

fn sink_factory() -> SinkFactory {
    millrace_kafka::sinks().remove(0)
}

/// A source in front of a recording channel; `options` may hold `topics` and all else but the brokers.
fn source(folder: &Path, broker: &KafkaBroker, options: &str) -> SourceRig {
    source_into(folder, broker, options, RecordingChannel::default())
}

fn source_into(folder: &Path, broker: &KafkaBroker, options: &str, channel: RecordingChannel) -> SourceRig {
    let kdl = format!("kafka \"in\" {{ bootstrap-servers {:?}; {options} }}", broker.address());
    SourceRig::start(&source_factory(), &kdl, channel, folder)
}

/// A sink; `options` hold all else but the brokers.
fn sink(folder: &Path, address: &str, options: &str) -> Box<dyn Sink> {
    let factory = sink_factory();
    let kdl = format!("kafka \"out\" {{ bootstrap-servers {address:?}; {options} }}");
    let context = build_context(folder, Arc::new(TestClock::at(1_700_000_000_000)));
    let section = section(factory.options, &kdl);
    match (factory.build)(&section, &context) {
        Ok(sink) => sink,
        Err(findings) => panic!("{kdl}: {findings:?}"),
    }
}

fn event(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Event {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Event::with_headers(headers.collect(), body.into())
}

fn batch(events: impl IntoIterator<Item = Event>) -> Batch {
    Batch::new(events.into_iter().collect())
}
