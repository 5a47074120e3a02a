//! What plugins cost, next to the same work in native code in the same run.
//!
//! `cargo xtask guests && cargo run --release -p millrace-wasm --example plugin_bench [-- SECONDS]`
//!
//! Every row goes the whole way of a batch through the interceptor, on a worker of the runtime as a source would: call
//! with the deadline set, answer checked and applied. 512 B bodies, 3 headers, one event in ten holds the needle. Passes
//! of all rows alternate, so that a slow phase of the machine hits all of them; the best and the median are printed.
#![allow(clippy::disallowed_methods, reason = "a benchmark works on files and on the real clock")]

mod rig;

use std::{path::Path, sync::Arc, time::Instant};

use bytes::Bytes;
use millrace_core::{Batch, ByteString, Event, Headers, Interceptor, InterceptorError, Metrics};
use millrace_wasm::WasmHost;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BODY_BYTES: usize = 512;
const NEEDLE: &str = "needle-here";

/// The native counterpart of a plugin.
#[derive(Clone, Copy)]
enum Native {
    /// The flow without the interceptor.
    Nothing,
    Search,
    Mask,
    SetHeader,
}

struct Row {
    guest: &'static str,
    native: Native,
    batch: usize,
    budget: Budget,
    interceptor: Arc<dyn Interceptor>,
    ours: Vec<f64>,
    natives: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Budget {
    /// Nanoseconds per event on top of the native flow.
    Nanos(f64),
    /// As a multiple of the native code.
    Times(f64),
    /// Shown only.
    None,
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(10.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(runtime) = runtime else { return eprintln!("no runtime") };
    // On a worker, as a source would be: the hand-over is part of the cost.
    let handle = runtime.spawn(async move { bench(seconds).await });
    if let Err(error) = runtime.block_on(handle) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

async fn bench(seconds: f64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let cache = std::env::temp_dir().join(format!("millrace-plugin-bench-{}", std::process::id()));
    let host = Arc::new(WasmHost::new(cache.clone()));
    let mut rows = rows(&host, &folder.join("guests"));
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds {
        for row in &mut rows {
            row.pass().await;
        }
    }
    println!(
        "plugins: {BODY_BYTES} B bodies, 3 headers, epochs on; ns per event, best / median of {} passes",
        rows[0].ours.len()
    );
    println!(
        "{:<24}{:>6} {:>17} {:>17} {:>8} {:>10}",
        "what", "batch", "plugin", "native", "ratio", "budget"
    );
    let mut over = 0;
    for row in &mut rows {
        over += row.print();
    }
    over += chain(&rows).await;
    hand_over().await;
    for row in &rows {
        row.interceptor.close().await;
    }
    let _ = std::fs::remove_dir_all(cache);
    std::process::exit(i32::from(over > 0));
}

/// A chain of two plugins next to one of them: what is fixed about a batch is paid once, so two cost at most twice one.
async fn chain(rows: &[Row]) -> usize {
    const TIMES_MAX: f64 = 2.0;
    const ROUNDS: usize = 60;
    /// Calls in a turn, of one plugin as of two, so that a turn of each is as likely to be disturbed.
    const CALLS: usize = 40;
    let mut over = 0;
    for guest in ["reads-bodies", "masks"] {
        let Some(row) = rows.iter().find(|row| row.guest == guest && row.batch == 1000) else { continue };
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let mut round = [0.0; 2];
            for (length, nanos) in (1_usize..).zip(&mut round) {
                *nanos = match through(row, length, CALLS / length).await {
                    Ok(nanos) => nanos,
                    Err(error) => return eprintln_over(&error),
                };
            }
            rounds.push(round);
        }
        // Both turns of a round met the same machine.
        rounds.sort_by(|[one, two], [other_one, other_two]| (two / one).total_cmp(&(other_two / other_one)));
        let [one, two] = rounds[ROUNDS / 2];
        let is_over = two > one * TIMES_MAX;
        println!(
            "chain of two {guest:<17} {two:>11.1} one {one:>15.1} {:>9} {:>10} {}",
            format!("{:.2}x", two / one),
            format!("<= {TIMES_MAX}x"),
            if is_over { "OVER" } else { "ok" }
        );
        over += usize::from(is_over);
    }
    over
}

/// Nanoseconds per event for batches that go through a plugin this many times.
async fn through(row: &Row, length: usize, batches: usize) -> Result<f64, InterceptorError> {
    let inputs: Vec<Batch> = (0..batches).map(|number| batch(row.batch, number)).collect();
    let mut kept = Vec::with_capacity(batches);
    let begun = Instant::now();
    for mut input in inputs {
        for _ in 0..length {
            input = row.interceptor.intercept(input).await?;
        }
        kept.push(input);
        tokio::task::yield_now().await;
    }
    Ok(begun.elapsed().as_nanos() as f64 / (batches * row.batch) as f64)
}

/// A measurement that did not come about counts as one that is over.
fn eprintln_over(error: &dyn std::fmt::Display) -> usize {
    eprintln!("{error}");
    1
}

/// What it costs to get off the worker thread and back, in the three ways there are. The first one is used.
async fn hand_over() {
    const TURNS: u32 = 20_000;
    let (ask, asked) = std::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>();
    std::thread::spawn(move || {
        for answer in asked {
            // Whoever asked waits for it.
            let _ = answer.send(());
        }
    });
    let mut best = [f64::MAX; 3];
    for _ in 0..5 {
        for (way, best) in best.iter_mut().enumerate() {
            let begun = Instant::now();
            for turn in 0..TURNS {
                match way {
                    0 => std::hint::black_box(tokio::task::block_in_place(|| turn)),
                    1 => tokio::task::spawn_blocking(move || turn).await.unwrap_or_default(),
                    _ => {
                        let (answer, answered) = tokio::sync::oneshot::channel();
                        let _ = ask.send(answer);
                        let _ = answered.await;
                        turn
                    }
                };
                tokio::task::yield_now().await;
            }
            *best = best.min(begun.elapsed().as_nanos() as f64 / f64::from(TURNS));
        }
    }
    let [in_place, blocking, thread] = best;
    println!(
        "hand-over, ns per call, best: block in place {in_place:.0}, blocking pool {blocking:.0}, thread with a channel {thread:.0}"
    );
}

fn rows(host: &Arc<WasmHost>, guests: &Path) -> Vec<Row> {
    let what: [(&'static str, Native, Budget); 8] = [
        // The budgets are for batches of 1,000; the fixed cost of a call weighs more in smaller ones.
        ("keeps-all", Native::Nothing, Budget::Nanos(10.0)),
        ("reads-bodies", Native::Nothing, Budget::Nanos(80.0)),
        ("reads-everything", Native::Nothing, Budget::None),
        ("filters-header", Native::Nothing, Budget::None),
        ("searches", Native::Search, Budget::Times(5.0)),
        ("masks", Native::Mask, Budget::Nanos(220.0)),
        ("sets-header", Native::SetHeader, Budget::Nanos(220.0)),
        ("sets-header-rows", Native::SetHeader, Budget::None),
    ];
    let mut rows = Vec::new();
    for batch in [1000, 100] {
        for (guest, native, budget) in what {
            let interceptor =
                rig::build(host, &Metrics::default(), guest, &guests.join(format!("{guest}.wasm")), 1);
            let (ours, natives) = (Vec::new(), Vec::new());
            let budget = if batch == 1000 { budget } else { Budget::None };
            rows.push(Row { guest, native, batch, budget, interceptor, ours, natives });
        }
    }
    rows
}

impl Row {
    /// One pass: enough batches for a stable figure, ours and the native ones in turn.
    async fn pass(&mut self) {
        let batches = (20_000 / self.batch).max(10);
        let inputs: Vec<Batch> = (0..batches).map(|number| batch(self.batch, number)).collect();
        let begun = Instant::now();
        let mut kept = Vec::with_capacity(batches);
        for input in inputs {
            match self.interceptor.intercept(input).await {
                Ok(batch) => kept.push(batch),
                Err(error) => eprintln!("{error}"),
            }
            // As a source that waits for its next input: every batch has to get off the worker anew.
            tokio::task::yield_now().await;
        }
        let ours: Vec<usize> = kept.iter().map(Batch::len).collect();
        let spent = begun.elapsed();
        self.ours.push(spent.as_nanos() as f64 / (batches * self.batch) as f64);
        drop(kept);
        let inputs: Vec<Batch> = (0..batches).map(|number| batch(self.batch, number)).collect();
        let begun = Instant::now();
        let mut kept = Vec::with_capacity(batches);
        for input in inputs {
            kept.push(native(self.native, input));
            tokio::task::yield_now().await;
        }
        let spent = begun.elapsed();
        self.natives.push(spent.as_nanos() as f64 / (batches * self.batch) as f64);
        if !matches!(self.native, Native::Nothing) && ours != kept.iter().map(Batch::len).collect::<Vec<_>>()
        {
            eprintln!("{}: plugin and native code differ", self.guest);
            std::process::exit(1);
        }
    }

    fn print(&mut self) -> usize {
        let ((ours, our_median), (native, native_median)) = (best(&mut self.ours), best(&mut self.natives));
        let ratio = ours / native;
        let (budget, ok) = match self.budget {
            Budget::Nanos(limit) => (
                format!("<= {limit}"),
                Some(ours - if matches!(self.native, Native::Nothing) { native } else { 0.0 } <= limit),
            ),
            Budget::Times(limit) => (format!("<= {limit}x"), Some(ratio <= limit)),
            Budget::None => (String::new(), None),
        };
        let verdict = match ok {
            Some(true) => "ok",
            Some(false) => "OVER",
            None => "",
        };
        let ratio =
            if matches!(self.native, Native::Nothing) { "-".to_owned() } else { format!("{ratio:.1}x") };
        println!(
            "{:<24}{:>6} {:>17} {:>17} {:>8} {:>10} {verdict}",
            self.guest,
            self.batch,
            format!("{ours:.1} / {our_median:.1}"),
            format!("{native:.1} / {native_median:.1}"),
            ratio,
            budget
        );
        usize::from(ok == Some(false))
    }
}

fn best(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2])
}

/// Events as a source makes them: bodies are slices of what was read, every event with headers of its own.
fn batch(count: usize, seed: usize) -> Batch {
    let mut text = Vec::with_capacity(count * BODY_BYTES);
    let line = b"10.0.0.17 - - [22/Nov/2026:10:00:00 +0000] GET /index.html HTTP/1.1 200 5316 Mozilla/5.0 ";
    for row in 0..count {
        let start = text.len();
        while text.len() < start + BODY_BYTES {
            let room = start + BODY_BYTES - text.len();
            text.extend_from_slice(&line[..room.min(line.len())]);
        }
        if (row + seed).is_multiple_of(10) {
            text[start + 400..start + 400 + NEEDLE.len()].copy_from_slice(NEEDLE.as_bytes());
        }
    }
    let text = Bytes::from(text);
    let level = ["debug", "info", "warn"];
    let event = |row: usize| {
        let headers = Headers::from_iter([
            (ByteString::from_static("host"), ByteString::from_static("web-17.example.com")),
            (ByteString::from_static("file"), ByteString::from_static("/var/log/nginx/access.log")),
            (ByteString::from_static("level"), ByteString::from_static(level[row % 3])),
        ]);
        Event::with_headers(headers, text.slice(row * BODY_BYTES..(row + 1) * BODY_BYTES))
    };
    Batch::new((0..count).map(event).collect())
}

fn native(work: Native, mut batch: Batch) -> Batch {
    match work {
        Native::Nothing => batch,
        Native::Search => {
            let finder = memchr::memmem::Finder::new(NEEDLE);
            batch.retain(|event| finder.find(&event.body).is_none())
        }
        Native::Mask => {
            for event in batch.events_mut() {
                let mut body = event.body.to_vec();
                for byte in &mut body {
                    *byte = if byte.is_ascii_digit() { b'#' } else { *byte };
                }
                event.body = body.into();
            }
            batch
        }
        Native::SetHeader => {
            batch.change_headers(|headers| {
                headers.set(ByteString::from_static("seen"), ByteString::from_static("yes"));
            });
            batch
        }
    }
}
