//! What a plugin costs: a fixed part per call, a part per event, a part per byte, fitted over sizes of batches and bodies, next to a
//! plugin that does nothing and to native code that does nothing.
//!
//! Each measurement is the whole way of a batch through the interceptor: call, deadline, answer checked and applied. The best of
//! many passes counts, since everything that disturbs only makes it slower.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;
use millrace_config::Diagnostics;
use millrace_core::{Batch, Event, Headers, Interceptor, InterceptorError};
use serde_json::{Value, json};

use crate::{
    error::BuildError,
    rig::{Around, Rig},
};

/// Sizes of batches.
const BATCHES: [usize; 4] = [1, 10, 100, 1000];
/// Sizes of bodies.
const BODIES: [usize; 3] = [64, 512, 2048];
/// Rounds over all sizes, however little time there is.
const ROUNDS_MIN: u32 = 3;
/// Starts from the cache, of which the best counts.
const STARTS: u32 = 3;

/// What to measure.
pub struct BenchOptions<'a> {
    /// The plugin file: an interceptor.
    pub path: &'a Path,
    /// Its options and grants.
    pub around: Around,
    /// Bodies to fill events with, one after the other; empty: text with digits in it.
    pub lines: Vec<Vec<u8>>,
    /// Time for all measurements together.
    pub time: Duration,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Bench {
    /// Fixed cost of a call, in nanoseconds.
    pub call_nanos: f64,
    /// Cost per event.
    pub event_nanos: f64,
    /// Cost per byte of body.
    pub byte_nanos: f64,
    /// Every measurement.
    pub rows: Vec<Row>,
    /// Compiling, and taking the code from the cache, each with the start of an instance.
    pub compile: Duration,
    /// See above.
    pub cached: Duration,
    /// Linear memory behind the largest batch.
    pub memory_bytes: u64,
    /// Size of the file.
    pub file_bytes: u64,
}

/// One size of batch and body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Events of the batch.
    pub events: usize,
    /// Bytes of each body, on average.
    pub body_bytes: usize,
    /// Nanoseconds per event: the plugin.
    pub plugin: f64,
    /// The same: a plugin that keeps everything and looks at nothing.
    pub keep_all: f64,
    /// The same: native code that hands the batch on.
    pub native: f64,
}

/// Why nothing was measured.
#[derive(Debug)]
pub enum BenchError {
    /// The plugin does not start: the options, or the file.
    Start(Box<(Diagnostics, millrace_config::Files)>),
    /// Something else.
    Other(BuildError),
}

impl From<BuildError> for BenchError {
    fn from(error: BuildError) -> Self {
        Self::Other(error)
    }
}

/// Measures.
///
/// # Errors
/// The plugin does not start or does not take the events.
pub async fn bench(options: &BenchOptions<'_>) -> Result<Bench, BenchError> {
    let keep_file = write_keep_all()?;
    let constant = |rig: &Rig| start(rig, keep_file.path(), &Around::default());
    // The engine is there before the plugin, as in an agent that has others.
    let beside = Rig::new()?;
    let keep_all = constant(&beside)?;
    let rig = Rig::new()?;
    constant(&rig)?.close().await;
    let begun = Instant::now();
    let plugin = start(&rig, options.path, &options.around)?;
    let compile = begun.elapsed();
    let cached = cached_start(&rig, options, &constant).await?;
    let bodies: Vec<usize> =
        if options.lines.is_empty() { BODIES.to_vec() } else { vec![average(&options.lines)] };
    let sizes: Vec<(usize, usize)> =
        bodies.into_iter().flat_map(|body_bytes| BATCHES.map(|events| (events, body_bytes))).collect();
    let mut cells = Vec::with_capacity(sizes.len());
    for (events, body_bytes) in sizes {
        let row = Row { events, body_bytes, plugin: f64::MAX, keep_all: f64::MAX, native: f64::MAX };
        cells.push((batch(&options.lines, events, body_bytes), row));
    }
    // Rounds over all sizes, so that a slow phase of the machine hits all of them.
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS_MIN || begun.elapsed() < options.time {
        for (batch, row) in &mut cells {
            row.plugin = row.plugin.min(pass(&*plugin, batch).await?);
            row.keep_all = row.keep_all.min(pass(&*keep_all, batch).await?);
            row.native = row.native.min(pass(&Native, batch).await?);
        }
        rounds += 1;
    }
    let rows: Vec<Row> = cells.into_iter().map(|(_, row)| row).collect();
    let (call_nanos, event_nanos, byte_nanos) = fit(&rows);
    let memory_bytes = memory(&rig);
    plugin.close().await;
    keep_all.close().await;
    let file_bytes = std::fs::metadata(options.path).map_err(BuildError::at(options.path))?.len();
    Ok(Bench { call_nanos, event_nanos, byte_nanos, rows, compile, cached, memory_bytes, file_bytes })
}

fn start(rig: &Rig, path: &Path, around: &Around) -> Result<Box<dyn Interceptor>, BenchError> {
    rig.interceptor(path, around).map_err(|found| BenchError::Start(Box::new((found, around.files.clone()))))
}

/// How long the same start takes for a host that finds the native code in its cache.
async fn cached_start(
    rig: &Rig,
    options: &BenchOptions<'_>,
    constant: &dyn Fn(&Rig) -> Result<Box<dyn Interceptor>, BenchError>,
) -> Result<Duration, BenchError> {
    let mut best = Duration::MAX;
    for _ in 0..STARTS {
        let again = rig.beside()?;
        constant(&again)?.close().await;
        let begun = Instant::now();
        let plugin = start(&again, options.path, &options.around)?;
        best = best.min(begun.elapsed());
        plugin.close().await;
    }
    Ok(best)
}

impl Bench {
    /// What the fitted model says that a batch takes, in nanoseconds per event.
    pub fn predicted(&self, events: usize, body_bytes: usize) -> f64 {
        self.call_nanos / events as f64 + self.event_nanos + self.byte_nanos * body_bytes as f64
    }

    /// How far the model is off at worst, as a share of what was measured: what a plugin does with its events is not always a
    /// matter of their number and size.
    pub fn off_by(&self) -> f64 {
        let off = |row: &Row| (self.predicted(row.events, row.body_bytes) / row.plugin - 1.0).abs();
        self.rows.iter().map(off).fold(0.0, f64::max)
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "events": row.events, "body_bytes": row.body_bytes, "plugin_ns_per_event": row.plugin,
                "keep_all_ns_per_event": row.keep_all, "native_ns_per_event": row.native,
                "predicted_ns_per_event": self.predicted(row.events, row.body_bytes),
            })
        };
        json!({
            "cost": { "call_ns": self.call_nanos, "event_ns": self.event_nanos, "byte_ns": self.byte_nanos },
            "model_off_percent": self.off_by() * 100.0,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "compile_us": self.compile.as_micros() as u64,
            "cached_us": self.cached.as_micros() as u64,
            "memory_bytes": self.memory_bytes,
            "file_bytes": self.file_bytes,
        })
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "cost     {:.0} ns per call + {:.1} ns per event + {:.3} ns per byte of body\n",
            self.call_nanos, self.event_nanos, self.byte_nanos
        );
        text.push_str(&format!("model    within {:.0} % of every measurement\n", self.off_by() * 100.0));
        text.push_str(&format!(
            "load     {:.1} ms compiled, {:.2} ms from the cache\n",
            self.compile.as_secs_f64() * 1e3,
            self.cached.as_secs_f64() * 1e3
        ));
        text.push_str(&format!(
            "memory   {:.0} KiB behind the largest batch\nsize     {:.1} KiB\n\n",
            self.memory_bytes as f64 / 1024.0,
            self.file_bytes as f64 / 1024.0
        ));
        text.push_str("ns per event, best pass\n  body  batch     plugin   keep-all     native      model\n");
        for row in &self.rows {
            text.push_str(&format!(
                "{:>6} {:>6} {:>10.1} {:>10.1} {:>10.1} {:>10.1}\n",
                row.body_bytes,
                row.events,
                row.plugin,
                row.keep_all,
                row.native,
                self.predicted(row.events, row.body_bytes)
            ));
        }
        text
    }
}

struct Native;

#[async_trait::async_trait]
impl Interceptor for Native {
    async fn intercept(&self, batch: Batch) -> Result<Batch, millrace_core::InterceptorError> {
        Ok(batch)
    }
}

/// One pass over about a thousand events, in nanoseconds per event.
async fn pass(interceptor: &dyn Interceptor, batch: &Batch) -> Result<f64, BuildError> {
    let turns = (1000 / batch.len()).max(1);
    let mut spent = Duration::ZERO;
    for _ in 0..turns {
        let own = batch.part(0..batch.len());
        let start = Instant::now();
        let result = interceptor.intercept(own).await;
        spent += start.elapsed();
        let refused = |error: InterceptorError| {
            BuildError::Project(format!("the plugin does not take the events: {}", error.source))
        };
        std::hint::black_box(result.map_err(refused)?);
    }
    Ok(spent.as_nanos() as f64 / (turns * batch.len()) as f64)
}

fn average(lines: &[Vec<u8>]) -> usize {
    lines.iter().map(Vec::len).sum::<usize>() / lines.len().max(1)
}

fn batch(lines: &[Vec<u8>], events: usize, body_bytes: usize) -> Batch {
    let mut headers = Headers::default();
    for (name, value) in [("host", "web-17"), ("level", "INFO"), ("source", "access")] {
        headers.set(name.into(), value.into());
    }
    let text =
        b"10.0.0.1 - - GET /cart?id=4111111111111111 HTTP/1.1 200 5321 \"Mozilla/5.0 (X11; Linux x86_64)\" ";
    let body = |row: usize| match lines.get(row % lines.len().max(1)) {
        Some(line) => Bytes::from(line.clone()),
        None => text.iter().copied().cycle().skip(row % 7).take(body_bytes).collect(),
    };
    Batch::new((0..events).map(|row| Event::with_headers(headers.clone(), body(row))).collect())
}

/// Least squares of `cost of a batch = a + b * events + c * bytes`, each row weighed by its own size, so that the model is as good for a
/// small batch as for a large one. No cost is negative: a parameter that would be is left out.
fn fit(rows: &[Row]) -> (f64, f64, f64) {
    let mut used =
        [true, true, rows.windows(2).any(|pair| matches!(pair, [a, b] if a.body_bytes != b.body_bytes))];
    loop {
        let solved = solve(rows, used);
        let Some(at) = (0..3)
            .filter(|at| used.get(*at) == Some(&true))
            .find(|at| solved.get(*at).is_some_and(|cost| *cost < 0.0))
        else {
            let [a, b, c] = solved;
            return (a, b, c);
        };
        if let Some(used) = used.get_mut(at) {
            *used = false;
        }
    }
}

#[expect(
    clippy::needless_range_loop,
    reason = "a matrix of three by four: the places say more than iterators"
)]
fn solve(rows: &[Row], used: [bool; 3]) -> [f64; 3] {
    let mut matrix = [[0.0_f64; 4]; 3];
    for row in rows {
        let cost = row.plugin * row.events as f64;
        let weight = 1.0 / (cost * cost).max(1e-9);
        let terms = [1.0, row.events as f64, (row.events * row.body_bytes) as f64];
        for i in 0..3 {
            for j in 0..3 {
                matrix[i][j] += terms[i] * terms[j] * weight;
            }
            matrix[i][3] += terms[i] * cost * weight;
        }
    }
    for i in 0..3 {
        if !used[i] {
            matrix[i] = [0.0; 4];
            (0..3).for_each(|j| matrix[j][i] = 0.0);
            matrix[i][i] = 1.0;
        }
    }
    for i in 0..3 {
        let pivot = (i..3).max_by(|a, b| matrix[*a][i].abs().total_cmp(&matrix[*b][i].abs())).unwrap_or(i);
        matrix.swap(i, pivot);
        for j in (0..3).filter(|j| *j != i) {
            let factor = matrix[j][i] / matrix[i][i];
            if factor.is_finite() {
                for k in i..4 {
                    matrix[j][k] -= factor * matrix[i][k];
                }
            }
        }
    }
    std::array::from_fn(|i| Some(matrix[i][3] / matrix[i][i]).filter(|cost| cost.is_finite()).unwrap_or(0.0))
}

/// The memory of the plugin's instance, from the host's own gauge.
fn memory(rig: &Rig) -> u64 {
    let text = rig.metrics().encode().unwrap_or_default();
    let of_memory = |line: &&str| line.starts_with("millrace_plugin_memory_bytes{");
    text.lines().filter(of_memory).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).max().unwrap_or(0)
}

/// A plugin that keeps everything, as a component made here: its core module returns the empty list.
fn write_keep_all() -> Result<tempfile::NamedTempFile, BuildError> {
    let component = crate::keep_all::component()?;
    let at = || BuildError::at("the folder for temporary files");
    let file = tempfile::Builder::new().suffix(".wasm").tempfile().map_err(at())?;
    std::fs::write(file.path(), component).map_err(at())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{Row, fit};

    fn rows(call: f64, event: f64, byte: f64) -> Vec<Row> {
        let mut rows = Vec::new();
        for body_bytes in [64, 512, 2048] {
            for events in [1, 10, 100, 1000] {
                let plugin = call / events as f64 + event + byte * body_bytes as f64;
                rows.push(Row { events, body_bytes, plugin, keep_all: 0.0, native: 0.0 });
            }
        }
        rows
    }

    #[test]
    fn the_fit_finds_what_the_costs_are_made_of() {
        for (call, event, byte) in [(300.0, 20.0, 0.1), (5000.0, 0.5, 0.0), (280.0, 0.0, 0.03)] {
            let (a, b, c) = fit(&rows(call, event, byte));
            assert!((a - call).abs() < call * 0.01, "{a}");
            assert!((b - event).abs() < 0.05 && (c - byte).abs() < 0.001, "{b} {c}");
        }
    }

    #[test]
    fn no_cost_is_negative_and_one_size_of_bodies_has_no_cost_per_byte() {
        let mut noisy = rows(300.0, 1.0, 0.0);
        noisy.iter_mut().filter(|row| row.body_bytes == 2048).for_each(|row| row.plugin *= 0.9);
        let (a, b, c) = fit(&noisy);
        assert!(a > 0.0 && b >= 0.0 && c >= 0.0, "{a} {b} {c}");
        let one: Vec<Row> = rows(300.0, 20.0, 0.0).into_iter().filter(|row| row.body_bytes == 512).collect();
        let (a, b, c) = fit(&one);
        assert!((a - 300.0).abs() < 3.0 && (b - 20.0).abs() < 0.1 && c == 0.0, "{a} {b} {c}");
    }
}
