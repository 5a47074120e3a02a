//! The sink `hdfs` beside a bare loop around the same client: the same bytes, synced as often.
#![allow(clippy::disallowed_methods, reason = "a benchmark works with the real clock")]
#![allow(clippy::unwrap_used)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hdfs_native::{ClientBuilder, WriteOptions};
use millrace_core::{Batch, Event};
use millrace_testkit::{TestClock, build_context, section};
use millrace_tests::Hdfs;

const BATCHES: usize = 300;
const EVENTS: usize = 1000;
const BODY_BYTES: usize = 199;

fn main() {
    let cluster = Hdfs::start(3);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{:<24} {:>10} {:>10} {:>8}", "", "sink MB/s", "bare MB/s", "ratio");
    // The first round warms the DataNodes up.
    for round in 0..4 {
        let bare = runtime.block_on(bare(&cluster, round));
        let sink = runtime.block_on(sink(&cluster, round));
        let bytes = (BATCHES * EVENTS * (BODY_BYTES + 1)) as f64 / 1e6;
        let rate = |time: Duration| bytes / time.as_secs_f64();
        let name = if round == 0 { "cold".to_owned() } else { format!("{BATCHES} syncs, round {round}") };
        println!(
            "{name:<24} {:>10.1} {:>10.1} {:>8.2}",
            rate(sink),
            rate(bare),
            bare.as_secs_f64() / sink.as_secs_f64()
        );
    }
}

async fn bare(cluster: &Hdfs, round: usize) -> Duration {
    let client = ClientBuilder::new().with_url(cluster.url()).build().unwrap();
    let bytes = Bytes::from(vec![b'x'; EVENTS * (BODY_BYTES + 1)]);
    let begun = Instant::now();
    let mut writer = client.create(&format!("/bare-{round}"), WriteOptions::default()).await.unwrap();
    for _ in 0..BATCHES {
        writer.write_bytes(bytes.clone()).await.unwrap();
        writer.hsync().await.unwrap();
    }
    writer.close().await.unwrap();
    begun.elapsed()
}

async fn sink(cluster: &Hdfs, round: usize) -> Duration {
    let factory = millrace_hdfs::factories().remove(0);
    let kdl = format!(
        "hdfs \"out\" {{ path \"{}/sink-{round}\"; file-type \"data-stream\"; roll interval=\"0s\" }}",
        cluster.url()
    );
    let context = build_context(&cluster.folder().join("state"), Arc::new(TestClock::at(1_700_000_000_000)));
    let mut sink = (factory.build)(&section(factory.options, &kdl), &context).unwrap();
    let batch = Batch::new((0..EVENTS).map(|_| Event::new(vec![b'x'; BODY_BYTES])).collect());
    let begun = Instant::now();
    for _ in 0..BATCHES {
        sink.deliver(&batch).await.unwrap();
    }
    sink.close().await.unwrap();
    begun.elapsed()
}
