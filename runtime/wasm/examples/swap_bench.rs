//! How long a swap keeps batches waiting: a plugin that hands over is swapped again and again while batches flow, and the
//! time between two batches is measured. `cargo run --release -p millrace-wasm --example swap_bench -- PLUGIN.wasm [SWAPS]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails ends")]

mod rig;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use millrace_core::{Batch, Event, Metrics};
use millrace_wasm::WasmHost;
use parking_lot::Mutex;

/// The longest that a swap may hold up a batch, in 99 of 100 swaps.
const PAUSE_MAX: Duration = Duration::from_millis(20);

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let plugin = PathBuf::from(arguments.next().expect("the path of a plugin"));
    let swaps: u64 = arguments.next().map_or(200, |swaps| swaps.parse().expect("a number of swaps"));
    let cache = tempfile::tempdir().unwrap();
    let host = Arc::new(WasmHost::new(cache.path()));
    let metrics = Metrics::default();
    let current = Arc::new(Mutex::new(rig::build(&host, &metrics, "swapped", &plugin, 1)));
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (current, stop) = (Arc::clone(&current), Arc::clone(&stop));
        async move {
            let mut waits = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let version = Arc::clone(&current.lock());
                let batch = Batch::new((0..100).map(|_| Event::new(vec![b'x'; 512])).collect());
                let begun = Instant::now();
                let batch = version.intercept(batch).await.expect("a batch that passes");
                waits.push(begun.elapsed());
                batch.states().iter().for_each(|writes| writes.committed(None));
                drop(batch);
                tokio::task::yield_now().await;
            }
            waits
        }
    });
    let mut longest = Vec::new();
    for generation in 2..swaps + 2 {
        let before = Arc::clone(&current.lock());
        // Compiled and configured beside the old one: no part of the pause.
        let (host, metrics, plugin) = (Arc::clone(&host), metrics.clone(), plugin.clone());
        let after =
            tokio::task::spawn_blocking(move || rig::build(&host, &metrics, "swapped", &plugin, generation))
                .await
                .unwrap();
        let begun = Instant::now();
        let ready = after.take_over(&*before).await.expect("a version that takes over");
        ready.into_iter().for_each(|ready| drop(ready.complete()));
        longest.push(begun.elapsed());
        *current.lock() = after;
        before.close().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut waits = load.await.unwrap();
    println!("{} batches of 100 events, {swaps} swaps", waits.len());
    // Each swap holds up one batch at most: the longest ones are those.
    waits.sort_unstable();
    let held = waits.split_off(waits.len().saturating_sub(usize::try_from(swaps).unwrap()));
    print_line("batches apart from the longest, one for each swap", &mut waits);
    let pause = print_line("the longest batch of each swap: the pause", &mut held.clone());
    print_line("replay, handover and switch, seen by the reload", &mut longest);
    let is_over = pause > PAUSE_MAX;
    println!(
        "swap pause, p99 {:>32.2} ms {:>22} {}",
        pause.as_secs_f64() * 1e3,
        format!("<= {} ms", PAUSE_MAX.as_millis()),
        if is_over { "OVER" } else { "ok" }
    );
    std::process::exit(i32::from(is_over));
}

/// Prints the spread, and returns what 99 of 100 stay below.
fn print_line(what: &str, times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:?}, p99 {:?}, longest {:?}", at(0.5), at(0.99), at(1.0));
    at(0.99)
}
