//! How long a swap keeps batches waiting: a plugin that hands over is swapped again and again while batches flow, and the
//! time between two batches is measured. `cargo run --release -p millrace-wasm --example swap_bench -- PLUGIN.wasm [SWAPS]`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails ends")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use millrace_config::{MapEnvironment, PluginSpec, Span, Spanned, check, parse_nodes};
use millrace_core::{Batch, BuildContext, Clock, Event, Interceptor, Metrics, PluginHost};
use millrace_wasm::{WasmHost, interceptors};
use parking_lot::Mutex;

struct Wall;

impl Clock for Wall {
    #[allow(clippy::disallowed_methods, reason = "the clock of this program")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

fn build(
    host: &Arc<WasmHost>,
    metrics: &Metrics,
    plugin: &std::path::Path,
    generation: u64,
) -> Arc<dyn Interceptor> {
    let (nodes, files, _) = parse_nodes("bench.kdl", "wasm \"bench\"", &MapEnvironment::default());
    let factory = &interceptors()[0];
    let (section, _) = check(&nodes[0], factory.options, factory.open, &files);
    let plugin = PluginSpec {
        name: Spanned::new("bench".into(), Span::default()),
        path: Spanned::new(plugin.to_owned(), Span::default()),
        digest: None,
        memory_bytes_max: 64 << 20,
        call_time_max: Some(Duration::from_secs(1)),
        instances_max: 2,
        log_lines_max: 100,
        state_bytes_max: 16 << 20,
        grant: None,
        node: nodes[0].clone(),
        script: None,
    };
    let cx = BuildContext {
        agent: "bench".into(),
        component: "in/bench".into(),
        data_dir: std::env::temp_dir(),
        generation,
        lane: 0,
        lanes: 1,
        clock: Arc::new(Wall),
        metrics: metrics.clone(),
        plugins: Arc::new([plugin]),
        plugin_host: Arc::clone(host) as Arc<dyn PluginHost>,
    };
    (factory.build)(&section, &cx).map(Arc::from).unwrap_or_else(|found| panic!("{found:?}"))
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let plugin = PathBuf::from(arguments.next().expect("the path of a plugin"));
    let swaps: u64 = arguments.next().map_or(200, |swaps| swaps.parse().expect("a number of swaps"));
    let cache = tempfile::tempdir().unwrap();
    let host = Arc::new(WasmHost::new(cache.path()));
    let metrics = Metrics::default();
    let current = Arc::new(Mutex::new(build(&host, &metrics, &plugin, 1)));
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
            tokio::task::spawn_blocking(move || build(&host, &metrics, &plugin, generation)).await.unwrap();
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
    print_line("the longest batch of each swap: the pause", &mut held.clone());
    print_line("replay, handover and switch, seen by the reload", &mut longest);
}

fn print_line(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{what}: median {:?}, p99 {:?}, longest {:?}", at(0.5), at(0.99), at(1.0));
}
