//! Source and sink `kafka` beside bare clients with the same settings, on a real broker.
#![allow(clippy::disallowed_methods, reason = "a benchmark works with the real clock")]
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_core::{Batch, Event};
use millrace_testkit::{RecordingChannel, SourceRig, TestClock, build_context, section};
use millrace_tests::{KafkaBroker, temporary_folder};
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

const EVENTS: usize = 500_000;
const BODY: [u8; 200] = [b'x'; 200];
const PARTITIONS: i32 = 4;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    println!("{:<44} {:>12} {:>12} {:>8}", "", "ours /s", "bare /s", "ratio");
    // The first round warms the broker up.
    for round in 0..2 {
        let filled = format!("bare-{round}");
        let bare = produced(broker, &filled);
        for size in [1000, 10_000] {
            let ours =
                runtime.block_on(delivered(broker, folder.path(), &format!("own-{size}-{round}"), size));
            row(&format!("sink, batches of {size}"), ours, bare);
        }
        let bare = consumed(broker, &filled, &format!("bare-{round}"));
        for (index, options) in
            ["", "record-headers \"none\"; position-headers #false"].into_iter().enumerate()
        {
            let group = format!("own-{index}-{round}");
            let ours = runtime.block_on(received(broker, folder.path(), &filled, &group, options));
            row(&format!("source {options}"), ours, bare);
        }
    }
}

fn row(name: &str, ours: f64, bare: f64) {
    println!("{name:<44} {ours:>12.0} {bare:>12.0} {:>8.2}", ours / bare);
}

fn rate(begun: Instant) -> f64 {
    EVENTS as f64 / begun.elapsed().as_secs_f64()
}

fn produced(broker: &KafkaBroker, topic: &str) -> f64 {
    broker.create_topic(topic, PARTITIONS, &[]);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "1");
    let producer: BaseProducer = config.create().unwrap();
    let begun = Instant::now();
    for _ in 0..EVENTS {
        while producer.send(BaseRecord::<[u8], [u8]>::to(topic).payload(&BODY)).is_err() {
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    rate(begun)
}

async fn delivered(broker: &KafkaBroker, folder: &Path, topic: &str, size: usize) -> f64 {
    broker.create_topic(topic, PARTITIONS, &[]);
    let factory = millrace_kafka::sinks().remove(0);
    let kdl = format!("kafka \"out\" {{ bootstrap-servers {:?}; topic {topic:?} }}", broker.address());
    let context = build_context(folder, Arc::new(TestClock::at(1_700_000_000_000)));
    let mut sink = (factory.build)(&section(factory.options, &kdl), &context).unwrap();
    let events = Batch::new((0..size).map(|_| Event::new(BODY.to_vec())).collect());
    let begun = Instant::now();
    for _ in 0..EVENTS / size {
        sink.deliver(&events).await.unwrap();
    }
    let rate = rate(begun);
    sink.close().await.unwrap();
    rate
}

/// From the first record on: joining a group takes seconds.
fn consumed(broker: &KafkaBroker, topic: &str, group: &str) -> f64 {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", broker.address())
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let (mut count, mut bytes, mut begun) = (0, 0, Instant::now());
    while count < EVENTS {
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            if count == 0 {
                begun = Instant::now();
            }
            count += 1;
            bytes += record.payload().unwrap_or_default().len();
        }
    }
    assert_eq!(bytes, EVENTS * BODY.len());
    rate(begun)
}

async fn received(broker: &KafkaBroker, folder: &Path, topic: &str, group: &str, options: &str) -> f64 {
    let factory = millrace_kafka::sources().remove(0);
    let kdl = format!(
        "kafka \"in\" {{ bootstrap-servers {:?}; topics {topic:?}; group {group:?}; {options} }}",
        broker.address()
    );
    let rig = SourceRig::start(&factory, &kdl, RecordingChannel::forgetting(), folder);
    let accepted = rig.context.metrics.source("test").events_accepted;
    while accepted.get() == 0 {
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    let begun = Instant::now();
    while accepted.get() < EVENTS as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let rate = rate(begun);
    rig.stop().await.1.unwrap();
    rate
}
