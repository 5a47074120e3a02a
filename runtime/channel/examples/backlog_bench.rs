//! A file channel with a large backlog: memory while it grows, the time until it is ready after a stop and after a
//! killed process, and how fast the backlog is drained.
//!
//! `cargo run --release -p millrace-channel --example backlog_bench [directory [batch [million …]]]`: by default 1 and 10
//! million events of 100 bytes in batches of 1,000. Each step is a process of its own, so that memory is that of the
//! step. 50 million need 7 GB of disk.
#![allow(clippy::disallowed_methods, reason = "a benchmark works on files and on the real clock")]
#![allow(clippy::unwrap_used, reason = "a failing benchmark has nothing better to do than to stop")]

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_channel::{FileChannel, FileOptions};
use millrace_core::{Batch, BatchLimit, Channel, Event, Headers, Metrics};
use millrace_storage::{SystemClock, SystemDisk};

const BODY_BYTES: usize = 100;
/// What a restart with a backlog may take.
const READY_MAX: Duration = Duration::from_secs(2);
/// What the agent may hold in memory with a backlog.
const MEMORY_MAX_MIB: f64 = 200.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let [step, directory, events, batch] = arguments.as_slice()
        && let Some(step) = step.strip_prefix("--")
    {
        let (directory, events, batch) =
            (Path::new(directory), events.parse().unwrap(), batch.parse().unwrap());
        return runtime.block_on(run(step, directory, events, batch));
    }
    let root = arguments.first().map_or(".", String::as_str);
    let batch = arguments.get(1).map_or(1000, |batch| batch.parse().unwrap());
    let given: Vec<usize> = arguments.iter().skip(2).map(|million| million.parse().unwrap()).collect();
    let millions = if given.is_empty() { vec![1, 10] } else { given };
    println!("{:<58} {:>12} {:>14} {:>10}", "row", "time", "events", "resident");
    for million in millions {
        let folder = tempfile::Builder::new().prefix("backlog-").tempdir_in(root).unwrap();
        for step in ["fill", "ready-after-kill", "ready-after-stop", "drain"] {
            let status = Command::new(std::env::current_exe().unwrap())
                .arg(format!("--{step}"))
                .arg(folder.path())
                .args([(million * 1_000_000).to_string(), batch.to_string()])
                .status();
            assert!(status.unwrap().success(), "{step} failed");
        }
    }
}

async fn run(step: &str, directory: &Path, events: usize, batch: usize) {
    let channel = channel(directory);
    let begun = Instant::now();
    channel.open().await.unwrap();
    let ready = begun.elapsed();
    match step {
        "fill" => {
            fill(&channel, events, batch).await;
            row(&format!("16 producers put {events} in batches of {batch}"), begun.elapsed(), events, false);
            // As a killed process does: no last checkpoint.
            std::process::exit(0);
        }
        "drain" => {
            drain(&channel, events).await;
            row("drain it, a commit every 1,000", begun.elapsed(), events, false);
            assert_eq!(channel.stats().events, 0);
        }
        step => {
            assert_eq!(channel.stats().events, events as u64);
            row(&step.replace('-', " "), ready, events, true);
        }
    }
    channel.close().await.unwrap();
}

fn row(name: &str, time: Duration, events: usize, is_start: bool) {
    let resident = resident_mib();
    let missed = (is_start && time > READY_MAX) || resident > MEMORY_MAX_MIB;
    let verdict = if missed { "MISSED" } else { "ok" };
    println!("{name:<58} {:>10.3} s {events:>14} {resident:>6.1} MiB {verdict}", time.as_secs_f64());
}

/// What this process holds in memory.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn channel(directory: &Path) -> Arc<FileChannel> {
    let options = FileOptions {
        events_max: 1_000_000_000,
        bytes_max: 1 << 40,
        free_bytes_min: 1 << 30,
        ..FileOptions::new(directory.join("channel"))
    };
    let metrics = Metrics::default().channel("bench");
    Arc::new(FileChannel::new("bench", &options, Arc::new(SystemDisk), Arc::new(SystemClock), metrics))
}

/// Sixteen producers, which share their syncs.
async fn fill(channel: &Arc<FileChannel>, events: usize, size: usize) {
    const PRODUCERS: usize = 16;
    let headers: Headers = [("host".into(), "web-01".into())].into_iter().collect();
    let bytes: bytes::Bytes = (0..size * BODY_BYTES).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let body = |row: usize| bytes.slice(row * BODY_BYTES..(row + 1) * BODY_BYTES);
    let template = Batch::new((0..size).map(|row| Event::with_headers(headers.clone(), body(row))).collect());
    let batches = events / size;
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| {
            let (channel, template) = (Arc::clone(channel), template.clone());
            let share = batches / PRODUCERS + usize::from(producer < batches % PRODUCERS);
            tokio::spawn(async move {
                for _ in 0..share {
                    let mut open = channel.begin_put().await.unwrap();
                    open.put(template.clone()).await.unwrap();
                    open.commit().await.unwrap();
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await.unwrap();
    }
}

async fn drain(channel: &FileChannel, events: usize) {
    let mut taken = 0;
    while taken < events {
        let mut open = channel.begin_take().await.unwrap();
        taken += open.take(BatchLimit::default()).await.unwrap().len();
        open.commit().await.unwrap();
    }
}
