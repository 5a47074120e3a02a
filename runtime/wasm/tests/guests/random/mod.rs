//! Random valid components on random batches: one module for each interface of the package, and one for WASI.
//!
//! A case is a seed: it makes a component that calls the interface at random, and the events for it. Whatever the
//! component does, the host neither panics nor hangs, keeps its quotas, and loses and repeats no event. The seeds of an
//! ordinary run are always the same; `cargo xtask fuzz` goes on with others for as long as it is told. A seed that
//! failed goes into `seeds.txt` and is tried in every run.
//!
//! | variable | |
//! |---|---|
//! | `MILLRACE_FUZZ_SECONDS` | how long each test goes on with new seeds |
//! | `MILLRACE_FUZZ_SEED` | only this one |

mod clock;
mod codec;
mod component;
mod handover;
mod http;
mod interceptor;
mod lifecycle;
mod log;
mod metrics;
mod sink;
mod source;
mod state;
mod types;
mod values;
mod wasi;

use std::{
    collections::BTreeSet,
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use millrace_core::{Batch, Event, Interceptor};
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::component::Recipe;
use crate::support::{Rig, Setup, setup_file};

/// A case that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// The share of an instance, and how long one of its calls may take.
const MEMORY_BYTES_MAX: u64 = 16 << 20;
const CALL_TIME_MAX: Duration = Duration::from_millis(60);
/// What this process may have resident in the end: far more than all tests need, far less than an unbounded host takes.
const RESIDENT_BYTES_MAX: u64 = 4 << 30;

/// What the cases of a test came to: if hardly anything gets through, a test proves nothing.
#[derive(Default)]
struct Tally {
    plugins: AtomicU64,
    answers: AtomicU64,
    refusals: AtomicU64,
    faults: AtomicU64,
    dead_letters: AtomicU64,
}

/// One case.
struct Case {
    seed: u64,
    rng: StdRng,
    rig: Rig,
    tally: Arc<Tally>,
}

impl Drop for Case {
    fn drop(&mut self) {
        self.tally.faults.fetch_add(self.rig.count("faults_total", ""), Ordering::Relaxed);
        self.tally.dead_letters.fetch_add(self.rig.count("dead_letters_total", ""), Ordering::Relaxed);
    }
}

impl Case {
    fn new(seed: u64, tally: Arc<Tally>) -> Self {
        Self { seed, rng: StdRng::seed_from_u64(!seed), rig: Rig::new(), tally }
    }

    /// Counts a plugin that the host took, and hands it on.
    fn taken<T>(&self, plugin: Option<T>) -> Option<T> {
        self.tally.plugins.fetch_add(u64::from(plugin.is_some()), Ordering::Relaxed);
        plugin
    }

    /// Counts what a call came to.
    fn came_to(&self, is_answer: bool) {
        let count = if is_answer { &self.tally.answers } else { &self.tally.refusals };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The plugin that the seed makes.
    fn setup(&self, recipe: &Recipe) -> Setup {
        let file = self.rig.data.path().join(format!("{:x}.wasm", self.seed));
        std::fs::write(&file, component::random(self.seed, recipe)).unwrap();
        Setup { memory_bytes_max: MEMORY_BYTES_MAX, call_time_max: CALL_TIME_MAX, ..setup_file(file) }
    }

    /// The interceptor that the seed makes, if the host takes it: what it says otherwise is tested elsewhere.
    fn interceptor(&self, recipe: &Recipe, grant: Option<&'static str>) -> Option<Arc<dyn Interceptor>> {
        self.taken(self.rig.build(&Setup { grant, ..self.setup(recipe) }).ok())
    }

    /// Events with a header `id` that no component touches.
    fn batch(&mut self, rows: u32) -> Batch {
        let mut event = |row: u32| {
            let body: Vec<u8> = match self.rng.random_range(0..6) {
                0 => Vec::new(),
                1 => (0..self.rng.random_range(0..3000)).map(|_| self.rng.random()).collect(),
                _ => format!("body {row}").into_bytes(),
            };
            let mut headers = vec![("id".into(), row.to_string().into())];
            if self.rng.random() {
                headers.push(("k".into(), "välue".into()));
            }
            Event::with_headers(headers.into_iter().collect(), body)
        };
        Batch::new((0..rows).map(&mut event).collect())
    }

    /// Sends batches through an interceptor; each event comes out once, is diverted once, was dropped, or the whole
    /// batch comes back.
    async fn pass(&mut self, interceptor: &dyn Interceptor, rows: u32) {
        let drops = !component::keeps_all(self.seed);
        for _ in 0..3 {
            let batch = self.batch(rows);
            let result = interceptor.intercept(batch).await;
            self.came_to(result.is_ok());
            match result {
                Ok(out) => {
                    once_each(&out, rows, drops);
                    out.states().iter().for_each(|writes| writes.committed(None));
                }
                Err(error) => {
                    assert!(error.batch.states().is_empty());
                    once_each(&error.batch, rows, false);
                }
            }
        }
        assert!(self.rig.count("memory_bytes", "") <= MEMORY_BYTES_MAX);
    }
}

/// The events of `rows` that left, in the batch or beside it: none twice, and none missing unless it could be dropped.
fn once_each(batch: &Batch, rows: u32, drops: bool) {
    let diverted = batch.diverted().iter().map(|diverted| &diverted.event);
    let ids: Vec<&str> =
        batch.iter().chain(diverted).filter_map(|event| event.header("id").map(|id| &**id)).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "an event left twice: {ids:?}");
    assert!(unique.iter().all(|id| id.parse::<u32>().is_ok_and(|id| id < rows)), "{ids:?}");
    assert!(drops || ids.len() == rows as usize, "{} of {rows} events left: {ids:?}", ids.len());
}

/// Runs the seeds of a test: those that failed once, `count` of the ordinary ones, then others until the time is over.
fn cases<F>(test: &'static str, count: u64, case: fn(Case) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    crate::support::log_everywhere();
    let tally = Arc::new(Tally::default());
    let one = |seed| one(test, seed, &tally, case);
    if let Ok(seed) = std::env::var("MILLRACE_FUZZ_SEED") {
        return one(seed.parse().unwrap());
    }
    kept(test).into_iter().for_each(one);
    (0..count).for_each(one);
    let seconds = std::env::var("MILLRACE_FUZZ_SECONDS").map_or(0, |seconds| seconds.parse().unwrap());
    let (begun, mut tried) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        one(rand::rng().random_range(count..1 << 53));
        tried += 1;
    }
    let [plugins, answers, refusals, faults, dead_letters] =
        [&tally.plugins, &tally.answers, &tally.refusals, &tally.faults, &tally.dead_letters]
            .map(|count| count.load(Ordering::Relaxed));
    println!(
        "{test}: seeds 0 to {} and {tried} new ones: {plugins} plugins, {answers} calls answered, {refusals} not, \
         {faults} faults, {dead_letters} dead letters",
        count - 1
    );
    assert!(plugins > count / 3, "only {plugins} plugins of {count} were taken");
    assert!(answers > plugins / 10, "only {answers} calls of {plugins} plugins were answered");
    let resident = resident_bytes();
    assert!(resident < RESIDENT_BYTES_MAX, "{resident} bytes resident");
}

/// One case, on a runtime of its own that is watched from outside.
fn one<F>(test: &'static str, seed: u64, tally: &Arc<Tally>, case: fn(Case) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (done, ended) = mpsc::channel();
    let tally = Arc::clone(tally);
    let running = std::thread::Builder::new().name(format!("{test} {seed}")).spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let result = runtime.block_on(async { tokio::spawn(case(Case::new(seed, tally))).await });
        runtime.shutdown_timeout(Duration::from_secs(10));
        let _ = done.send(());
        result.unwrap();
    });
    let hangs = ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
    if hangs || running.unwrap().join().is_err() {
        keep(test, seed);
        let what = if hangs { "hangs" } else { "fails" };
        panic!(
            "{test}: seed {seed} {what}; alone: MILLRACE_FUZZ_SEED={seed} cargo test --release --workspace --test guests random::{test}"
        );
    }
}

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/random/seeds.txt")
}

/// The seeds that failed once, one a line: the test, the seed.
fn kept(test: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(seeds()).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(test)?.strip_prefix(' '));
    lines.map(|seed| seed.parse().unwrap()).collect()
}

fn keep(test: &str, seed: u64) {
    if !kept(test).contains(&seed) {
        let text = std::fs::read_to_string(seeds()).unwrap();
        std::fs::write(seeds(), format!("{text}{test} {seed}\n")).unwrap();
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
