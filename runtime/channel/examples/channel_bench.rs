//! The channel rows of the speed budget: each next to its reference, in one run on one machine.
//!
//! `cargo run --release -p millrace-channel --example channel_bench [directory [memory]]`. The directory decides which
//! disk is measured; by default it is one under the current directory, since the one for temporary files is in
//! memory on many machines. Ours and the reference take turns, and the median of the rounds counts.
#![allow(clippy::disallowed_methods, reason = "a benchmark works on files and on the real clock")]
#![allow(clippy::unwrap_used, reason = "a failing benchmark has nothing better to do than to stop")]

use std::{
    fs::File,
    io::Write,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_channel::{FileChannel, FileOptions, MemoryChannel, MemoryOptions};
use millrace_core::{Batch, BatchLimit, Channel, Event, Headers, Metrics};
use millrace_storage::{SystemClock, SystemDisk};

const BODY_BYTES: usize = 512;
const BATCH: usize = 1000;
const ROUNDS: usize = 5;

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let folder = tempfile::Builder::new().prefix("channel-bench-").tempdir_in(root).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:<52} {:>16} {:>16} {:>7} {:>7}", "row", "ours", "reference", "ratio", "budget");
        if std::env::args().nth(2).as_deref() != Some("memory") {
            file_batches(folder.path()).await;
            file_producers(folder.path()).await;
            file_through(folder.path()).await;
        }
        memory(true).await;
        memory(false).await;
    });
}

/// Events as a source makes them: bodies are slices of what was read, neighbours share their headers.
fn batch(read: &bytes::Bytes, events: usize) -> Batch {
    let headers: Headers = [("host".into(), "web-01".into())].into_iter().collect();
    let body = |row: usize| read.slice(row * BODY_BYTES..(row + 1) * BODY_BYTES);
    Batch::new((0..events).map(|row| Event::with_headers(headers.clone(), body(row))).collect())
}

fn read(events: usize) -> bytes::Bytes {
    (0..events * BODY_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn row(name: &str, events: usize, ours: Vec<Duration>, reference: Vec<Duration>, budget: f64) {
    let (ours, reference) = (events as f64 / median(ours), events as f64 / median(reference));
    let ratio = ours / reference;
    let verdict = if budget == 0.0 { String::new() } else { format!("{budget:.1}") };
    println!("{name:<52} {ours:>12.0} e/s {reference:>12.0} e/s {ratio:>7.2} {verdict:>7}");
}

fn file_channel(directory: &Path) -> Arc<FileChannel> {
    let options = FileOptions { free_bytes_min: 0, ..FileOptions::new(directory) };
    let metrics = Metrics::default().channel("bench");
    Arc::new(FileChannel::new("bench", &options, Arc::new(SystemDisk), Arc::new(SystemClock), metrics))
}

async fn put(channel: &dyn Channel, batch: Batch) {
    let mut open = channel.begin_put().await.unwrap();
    open.put(batch).await.unwrap();
    open.commit().await.unwrap();
}

async fn drain(channel: &dyn Channel, events: usize) {
    let mut taken = 0;
    while taken < events {
        let mut open = channel.begin_take().await.unwrap();
        taken +=
            open.take(BatchLimit { bytes_max: usize::MAX, ..BatchLimit::default() }).await.unwrap().len();
        open.commit().await.unwrap();
    }
}

/// The same bytes, written and synced in the same sizes by a bare loop.
fn bare(directory: &Path, chunk: &[u8], count: usize) -> Duration {
    let path = directory.join("bare");
    let mut file = File::create(&path).unwrap();
    let start = Instant::now();
    for _ in 0..count {
        file.write_all(chunk).unwrap();
        file.sync_data().unwrap();
    }
    let elapsed = start.elapsed();
    std::fs::remove_file(path).unwrap();
    elapsed
}

async fn file_batches(root: &Path) {
    const BATCHES: usize = 300;
    let bytes = read(BATCH);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let directory = root.join(format!("batches-{round}"));
        let channel = file_channel(&directory);
        channel.open().await.unwrap();
        let start = Instant::now();
        for _ in 0..BATCHES {
            put(&*channel, batch(&bytes, BATCH)).await;
        }
        ours.push(start.elapsed());
        channel.close().await.unwrap();
        let root = root.to_owned();
        let chunk = bytes.clone();
        reference.push(tokio::task::spawn_blocking(move || bare(&root, &chunk, BATCHES)).await.unwrap());
        std::fs::remove_dir_all(directory).unwrap();
    }
    row("file: batches of 1000 x 512 B / write+fdatasync", BATCHES * BATCH, ours, reference, 0.7);
}

async fn file_producers(root: &Path) {
    const PRODUCERS: usize = 64;
    const EACH: usize = 60;
    const EVENTS: usize = 10;
    let bytes = read(EVENTS);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let channel = file_channel(&root.join(format!("producers-{round}")));
        channel.open().await.unwrap();
        let start = Instant::now();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| {
                let (channel, bytes) = (Arc::clone(&channel), bytes.clone());
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        put(&*channel, batch(&bytes, EVENTS)).await;
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.await.unwrap();
        }
        ours.push(start.elapsed());
        channel.close().await.unwrap();
        let (root, chunk) = (root.to_owned(), bytes.clone());
        let bare = tokio::task::spawn_blocking(move || bare(&root, &chunk, PRODUCERS * EACH / 8));
        reference.push(bare.await.unwrap() * 8);
    }
    row(
        "file: 64 producers x 10 events / one fdatasync each",
        PRODUCERS * EACH * EVENTS,
        ours,
        reference,
        10.0,
    );
}

/// A producer and a taker that keeps up, with segments being recycled.
async fn file_through(root: &Path) {
    const BATCHES: usize = 600;
    let bytes = read(BATCH);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let channel = file_channel(&root.join(format!("through-{round}")));
        channel.open().await.unwrap();
        let start = Instant::now();
        let taker = tokio::spawn({
            let channel = Arc::clone(&channel);
            async move { drain(&*channel, BATCHES * BATCH).await }
        });
        for _ in 0..BATCHES {
            put(&*channel, batch(&bytes, BATCH)).await;
        }
        taker.await.unwrap();
        ours.push(start.elapsed());
        channel.close().await.unwrap();
        let (root, chunk) = (root.to_owned(), bytes.clone());
        reference.push(tokio::task::spawn_blocking(move || bare(&root, &chunk, BATCHES)).await.unwrap());
    }
    row("file: put and take at once / write+fdatasync", BATCHES * BATCH, ours, reference, 0.0);
}

/// Put and take against a bounded channel of tokio that holds as many batches. `fresh`: events made anew for
/// each batch, as sources do; otherwise one batch handed over again and again, which measures the hand-over alone.
async fn memory(fresh: bool) {
    let batches = if fresh { 20_000 } else { 200_000 };
    let bytes = read(BATCH);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let options = MemoryOptions { keep_alive: Duration::from_secs(60), ..MemoryOptions::default() };
        let metrics = Metrics::default().channel("bench");
        let channel = Arc::new(MemoryChannel::new("bench", &options, Arc::new(SystemClock), metrics));
        let template = batch(&bytes, BATCH);
        let start = Instant::now();
        let taker = tokio::spawn({
            let channel = Arc::clone(&channel);
            async move { drain(&*channel, batches * BATCH).await }
        });
        for _ in 0..batches {
            put(&*channel, if fresh { batch(&bytes, BATCH) } else { template.clone() }).await;
        }
        taker.await.unwrap();
        ours.push(start.elapsed());

        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Batch>(10);
        let start = Instant::now();
        let taker = tokio::spawn(async move {
            let mut events = 0;
            while let Some(batch) = receiver.recv().await {
                events += batch.len();
            }
            events
        });
        for _ in 0..batches {
            sender.send(if fresh { batch(&bytes, BATCH) } else { template.clone() }).await.unwrap();
        }
        drop(sender);
        taker.await.unwrap();
        reference.push(start.elapsed());
    }
    let name = if fresh { "memory: put+take of 1000 / mpsc" } else { "memory: the hand-over alone / mpsc" };
    row(name, batches * BATCH, ours, reference, if fresh { 0.8 } else { 0.0 });
}
