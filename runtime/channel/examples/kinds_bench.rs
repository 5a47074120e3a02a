//! What compression, encryption and a looser sync cost and save: puts, and a backlog that is read from the disk.
//!
//! `cargo run --release -p millrace-channel --example kinds_bench [directory]`. All kinds take turns in each round, and
//! the median of the rounds counts. The lines are those of a web server, made up.
#![allow(clippy::disallowed_methods, reason = "a benchmark works on files and on the real clock")]
#![allow(clippy::unwrap_used, reason = "a failing benchmark has nothing better to do than to stop")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_channel::{Compression, EncryptionOptions, FileChannel, FileOptions, KeySource, Sync};
use millrace_core::{Batch, BatchLimit, Channel, Event, Headers, Metrics};
use millrace_storage::{SystemClock, SystemDisk};

const BATCH: usize = 1000;
const BATCHES: usize = 300;
const ROUNDS: usize = 3;
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn main() {
    let root = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let folder = tempfile::Builder::new().prefix("kinds-bench-").tempdir_in(root).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(run(folder.path()));
}

fn kinds(folder: &Path) -> Vec<(&'static str, FileOptions)> {
    let key = folder.join("key");
    std::fs::write(&key, KEY).unwrap();
    let sealed = EncryptionOptions {
        active: Some("bench".into()),
        keys: vec![("bench".into(), KeySource::File(key))],
    };
    let plain =
        FileOptions { free_bytes_min: 0, cache_bytes_max: 0, ..FileOptions::new(folder.join("channel")) };
    let packed = |compression| FileOptions { compression, ..plain.clone() };
    let loose = Sync::Interval(Duration::from_secs(1));
    vec![
        ("plain", plain.clone()),
        ("zstd", packed(Compression::Zstd)),
        ("lz4", packed(Compression::Lz4)),
        ("encrypted", FileOptions { encryption: sealed.clone(), ..plain.clone() }),
        ("zstd, encrypted", FileOptions { encryption: sealed, ..packed(Compression::Zstd) }),
        ("plain, sync every 1s", FileOptions { sync: loose, ..plain.clone() }),
        ("zstd, sync every 1s", FileOptions { sync: loose, ..packed(Compression::Zstd) }),
    ]
}

/// Lines that differ as those of a log do.
fn batches() -> Vec<Batch> {
    let mut random = 1_u32;
    let mut next = |below: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) % below
    };
    let headers: Headers = [("host".into(), "web-01".into())].into_iter().collect();
    let mut line = || {
        format!(
            "192.0.{}.{} - - [24/Nov/2026:12:{:02}:{:02} +0000] \"GET /articles/{}?session={:08x} HTTP/1.1\" 200 {} \
             \"https://www.example.com/articles/{}\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\"",
            next(255),
            next(255),
            next(60),
            next(60),
            next(5000),
            next(1 << 24),
            next(90_000),
            next(5000)
        )
    };
    (0..20)
        .map(|_| Batch::new((0..BATCH).map(|_| Event::with_headers(headers.clone(), line())).collect()))
        .collect()
}

async fn open(options: &FileOptions) -> FileChannel {
    let metrics = Metrics::default().channel("bench");
    let channel = FileChannel::new("bench", options, Arc::new(SystemDisk), Arc::new(SystemClock), metrics);
    channel.open().await.unwrap();
    channel
}

/// The times of putting and of draining, and the bytes on the disk in between.
async fn measure(options: &FileOptions, batches: &[Batch]) -> (Duration, Duration, u64) {
    let channel = open(options).await;
    let start = Instant::now();
    for number in 0..BATCHES {
        let mut open = channel.begin_put().await.unwrap();
        open.put(batches[number % batches.len()].clone()).await.unwrap();
        open.commit().await.unwrap();
    }
    let put = start.elapsed();
    channel.close().await.unwrap();
    let files = std::fs::read_dir(&options.directory).unwrap();
    let bytes = files.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    let channel = open(options).await;
    let start = Instant::now();
    let mut taken = 0;
    while taken < BATCHES * BATCH {
        let mut open = channel.begin_take().await.unwrap();
        let limit = BatchLimit { events_max: BATCH, bytes_max: usize::MAX, ..BatchLimit::default() };
        taken += open.take(limit).await.unwrap().len();
        open.commit().await.unwrap();
    }
    let drained = start.elapsed();
    channel.close().await.unwrap();
    std::fs::remove_dir_all(&options.directory).unwrap();
    (put, drained, bytes)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

async fn run(folder: &Path) {
    let kinds = kinds(folder);
    let batches = batches();
    let size: usize = (0..BATCHES).map(|number| batches[number % batches.len()].size()).sum();
    let mut found = vec![(Vec::new(), Vec::new(), 0); kinds.len()];
    for _ in 0..ROUNDS {
        for ((_, options), found) in kinds.iter().zip(&mut found) {
            let (put, drained, bytes) = measure(options, &batches).await;
            found.0.push(put);
            found.1.push(drained);
            found.2 = bytes;
        }
    }
    println!("{} events of {} bytes, {BATCH} in a transaction", BATCHES * BATCH, size / (BATCHES * BATCH));
    println!(
        "{:<22} {:>12} {:>12} {:>12} {:>12} {:>8}",
        "kind", "put e/s", "put MB/s", "drain e/s", "drain MB/s", "on disk"
    );
    for ((name, _), (put, drained, bytes)) in kinds.iter().zip(found) {
        let (put, drained) = (median(put), median(drained));
        let (events, megabytes) = ((BATCHES * BATCH) as f64, size as f64 / 1e6);
        println!(
            "{name:<22} {:>12.0} {:>12.0} {:>12.0} {:>12.0} {:>7.0}%",
            events / put,
            megabytes / put,
            events / drained,
            megabytes / drained,
            bytes as f64 / size as f64 * 100.0
        );
    }
}
