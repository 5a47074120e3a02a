//! How fast `file-roll` writes, beside a bare loop that writes the same bytes in the same portions.
//!
//! ```text
//! cargo run --release -p millrace-components --example sink_bench [folder]
//! ```
#![allow(clippy::disallowed_methods, reason = "a benchmark works on files and on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use millrace_components::sinks::{file_roll, null};
use millrace_core::{Batch, Clock, Event, Headers, Sink};
use millrace_testkit::{build_context, section};

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

const EVENTS_PER_BATCH: usize = 1000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    println!("{:<44} {:>10} {:>10} {:>8}", "", "sink MB/s", "bare MB/s", "ratio");
    for body_bytes in [214, 512] {
        for (sync, total) in [("none", 1 << 30), ("roll", 1 << 30), ("batch", 256 << 20)] {
            let options = format!("sync \"{sync}\"; roll size=\"256MiB\"");
            row(&runtime, &folder, body_bytes, total, sync, &options);
        }
    }
    for (name, options) in [
        ("places by header", "prefix \"%{host}-\"; sync \"none\""),
        ("json", "serializer \"json\"; sync \"none\""),
        ("avro-event", "serializer \"avro-event\"; sync \"none\""),
        ("parquet", "serializer \"parquet\"; sync \"none\""),
        ("parquet, zstd", "serializer \"parquet\"; parquet codec=\"zstd\"; sync \"none\""),
        ("zstd", "compression \"zstd\"; sync \"none\""),
        ("gzip", "compression \"gzip\"; sync \"none\""),
    ] {
        let sink = runtime.block_on(file_roll_run(&folder, 214, 256 << 20, options));
        println!("{:<44} {sink:>10.0}", format!("214 B, {name}, sync none"));
    }
    let nothing = runtime.block_on(null_run(214));
    println!("{:<44} {nothing:>10.0}", "214 B, null sink");
}

fn row(
    runtime: &tokio::runtime::Runtime,
    folder: &Path,
    body_bytes: usize,
    total: usize,
    sync: &str,
    options: &str,
) {
    // Alternating in short rounds, so that other users of the disk disturb both alike.
    const ROUNDS: usize = 8;
    let (mut bare_time, mut sink_time) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        bare_time += 1.0 / bare_run(folder, body_bytes, total / ROUNDS, sync);
        sink_time += 1.0 / runtime.block_on(file_roll_run(folder, body_bytes, total / ROUNDS, options));
    }
    let (bare, sink) = (ROUNDS as f64 / bare_time, ROUNDS as f64 / sink_time);
    let name = format!("{body_bytes} B, text, sync {sync}");
    println!("{name:<44} {sink:>10.0} {bare:>10.0} {:>8.2}", sink / bare);
}

/// Batches of lines whose bodies are slices of one read, as a file source makes them.
fn batches(body_bytes: usize) -> Vec<Batch> {
    let host = |name: &'static str| -> Headers { [("host".into(), name.into())].into_iter().collect() };
    let hosts = [host("web-1"), host("web-2")];
    (0..8)
        .map(|_| {
            let text: String = (0..EVENTS_PER_BATCH * body_bytes)
                .map(|at| char::from(b' ' + u8::try_from((at * 7 + at / 13) % 90).unwrap()))
                .collect();
            let read = Bytes::from(text);
            let event = |row: usize| {
                let body = read.slice(row * body_bytes..(row + 1) * body_bytes);
                Event::with_headers(hosts[row / 10 % 2].clone(), body)
            };
            Batch::new((0..EVENTS_PER_BATCH).map(event).collect())
        })
        .collect()
}

async fn file_roll_run(folder: &Path, body_bytes: usize, total: usize, options: &str) -> f64 {
    let work = tempfile::tempdir_in(folder).unwrap();
    let kdl = format!("file-roll \"bench\" {{ directory \"{}/out\"; {options} }}", work.path().display());
    let cx = build_context(&work.path().join("data"), Arc::new(SystemClock));
    let Ok(sink) = (file_roll::FACTORY.build)(&section(file_roll::FACTORY.options, &kdl), &cx) else {
        panic!("{kdl}")
    };
    deliver(sink, body_bytes, total).await
}

async fn null_run(body_bytes: usize) -> f64 {
    let work = tempfile::tempdir().unwrap();
    let cx = build_context(work.path(), Arc::new(SystemClock));
    let Ok(sink) = (null::FACTORY.build)(&section(null::FACTORY.options, "\"null\" \"bench\""), &cx) else {
        panic!("null")
    };
    deliver(sink, body_bytes, 2 << 30).await
}

async fn deliver(mut sink: Box<dyn Sink>, body_bytes: usize, total: usize) -> f64 {
    let batches = batches(body_bytes);
    let bytes = EVENTS_PER_BATCH * (body_bytes + 1);
    let start = Instant::now();
    for number in 0..total / bytes {
        sink.deliver(&batches[number % batches.len()]).await.unwrap();
    }
    sink.close().await.unwrap();
    rate(total / bytes * bytes, start)
}

/// The same bytes by the same number of calls.
fn bare_run(folder: &Path, body_bytes: usize, total: usize, sync: &str) -> f64 {
    let work = tempfile::tempdir_in(folder).unwrap();
    let batch = vec![b'x'; EVENTS_PER_BATCH * (body_bytes + 1)];
    let mut file = File::create(work.path().join("bare")).unwrap();
    let start = Instant::now();
    for _ in 0..total / batch.len() {
        file.write_all(&batch).unwrap();
        if sync == "batch" {
            file.sync_data().unwrap();
        }
    }
    if sync == "roll" {
        file.sync_data().unwrap();
    }
    rate(total / batch.len() * batch.len(), start)
}

fn rate(bytes: usize, start: Instant) -> f64 {
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}
