//! A sink with two phases behind a real file channel, on a disk whose power fails at every single operation: what the
//! destination shows to readers is each event once.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use millrace_channel::{FileChannel, FileOptions, MemoryChannel, MemoryOptions};
use millrace_core::{
    Batch, BatchLimit, Channel, DeliveryToken, Event, Health, Metrics, PipelineChannel, Refusal, Sink,
    SinkError,
};
use millrace_storage::Disk;
use millrace_testkit::{FakeDisk, TestClock, eventually};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{RetryPolicy, SinkRunner, put};
use crate::delivery_ledger::Ledger;

const FOLDER: &str = "/sinks/out";
const BATCH: usize = 3;

/// What outlives every crash of the agent.
#[derive(Default)]
struct Readers {
    open: BTreeMap<String, (Vec<String>, bool)>,
    committed: Vec<(String, Vec<String>)>,
    calls: Vec<String>,
    /// After how many calls each begins to fail, and how often.
    fails: HashMap<&'static str, (usize, usize)>,
    wrong: Vec<String>,
}

impl Readers {
    fn call(&mut self, what: &'static str, about: &str) -> Result<(), SinkError> {
        self.calls.push(format!("{what} {about}").trim().to_owned());
        match self.fails.get_mut(what) {
            Some((good @ 1.., _)) => *good -= 1,
            Some((0, bad @ 1..)) => {
                *bad -= 1;
                return Err(SinkError::retryable(format!("{what} fails")));
            }
            _ => {}
        }
        Ok(())
    }

    fn commit(&mut self, id: &str) {
        match self.open.remove(id) {
            Some((events, true)) => self.committed.push((id.to_owned(), events)),
            Some((_, false)) => self.wrong.push(format!("{id} is committed and was not prepared")),
            None if self.committed.iter().any(|(known, _)| known == id) => {}
            None => self.wrong.push(format!("{id} is committed and is not there")),
        }
    }

    fn events(&self) -> Vec<String> {
        self.committed.iter().flat_map(|(_, events)| events.clone()).collect()
    }
}

struct TwoPhaseSink {
    readers: Arc<Mutex<Readers>>,
    disk: FakeDisk,
    staged: Option<String>,
    /// Ids differ from run to run; the calls are told by number.
    ids: Vec<String>,
}

impl TwoPhaseSink {
    fn short(&mut self, id: &str) -> String {
        let at = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
            self.ids.push(id.to_owned());
            self.ids.len() - 1
        });
        at.to_string()
    }
}

fn id_of(token: &DeliveryToken) -> String {
    String::from_utf8_lossy(token).into_owned()
}

#[async_trait]
impl Sink for TwoPhaseSink {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let delivery = batch.delivery().unwrap();
        let (id, short) = (delivery.id.to_string(), self.short(&delivery.id));
        let mut readers = self.readers.lock();
        readers.call("deliver", &format!("{short} attempt {}", delivery.attempt))?;
        if readers.committed.iter().any(|(known, _)| *known == id) {
            readers.wrong.push(format!("{id} is delivered again"));
        }
        let text = |event: &Event| String::from_utf8_lossy(&event.body).into_owned();
        // What is refused for now comes again, what is bad does not.
        let events: Vec<String> = batch.iter().map(text).collect();
        let rows = |what: &str| -> Vec<usize> {
            (0..events.len()).filter(|row| events[*row].starts_with(what) && delivery.attempt == 1).collect()
        };
        let (bad, mut later) = (rows("bad"), rows("later"));
        if later.len() == events.len() {
            later.clear();
        }
        let left = (0..events.len()).filter(|row| !bad.contains(row) && !later.contains(row));
        let left: Vec<String> = left.map(|row| events[row].clone()).collect();
        readers.open.insert(id.clone(), (left, false));
        self.staged = Some(id);
        if bad.is_empty() && later.is_empty() {
            return Ok(());
        }
        let refusals = bad.into_iter().map(|row| Refusal { row, reason: "bad".into() }).collect();
        Err(SinkError::Partial { refusals, again: later, after: None })
    }

    fn wants_deliveries_named(&self) -> bool {
        true
    }

    fn is_two_phase(&self) -> bool {
        true
    }

    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        let id = self.staged.take().unwrap();
        let short = self.short(&id);
        let mut readers = self.readers.lock();
        readers.call("prepare", &short)?;
        readers.open.get_mut(&id).unwrap().1 = true;
        Ok(vec![Bytes::from(id)])
    }

    async fn commit(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let ids: Vec<String> = tokens.iter().map(id_of).collect();
        let shorts: Vec<String> = ids.iter().map(|id| self.short(id)).collect();
        // It is on the disk before.
        let notes: Vec<u8> = self.disk.files().into_iter().flat_map(|(_, content)| content).collect();
        let mut readers = self.readers.lock();
        readers.call("commit", &shorts.join(" "))?;
        for id in &ids {
            let name = hex::encode(id);
            if !notes.windows(name.len()).any(|part| part == name.as_bytes()) {
                readers.wrong.push(format!("{id} is committed and not noted"));
            }
            readers.commit(id);
        }
        Ok(())
    }

    async fn abort(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let shorts: Vec<String> = tokens.iter().map(|token| self.short(&id_of(token))).collect();
        let mut readers = self.readers.lock();
        readers.call("abort", &shorts.join(" "))?;
        tokens.iter().for_each(|token| drop(readers.open.remove(&id_of(token))));
        Ok(())
    }

    async fn recover(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        let mut readers = self.readers.lock();
        readers.call("recover", &tokens.len().to_string())?;
        tokens.iter().for_each(|token| readers.commit(&id_of(token)));
        readers.open.clear();
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The agent's part of one run.
struct Run {
    channel: Arc<dyn Channel>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Run {
    fn start(
        disk: &FakeDisk,
        channel: Arc<dyn Channel>,
        letters: Option<Arc<dyn Channel>>,
        readers: &Arc<Mutex<Readers>>,
    ) -> Self {
        let seam: Arc<dyn Disk> = Arc::new(disk.clone());
        let stop = CancellationToken::new();
        let named =
            |channel: &Arc<dyn Channel>| PipelineChannel { name: "c".into(), channel: Arc::clone(channel) };
        let runner = SinkRunner {
            name: "out".into(),
            channel: named(&channel),
            dead_letter: letters.as_ref().map(named),
            limit: BatchLimit { events_max: BATCH, ..BatchLimit::default() },
            retry: RetryPolicy {
                initial: Duration::from_millis(1),
                longest: Duration::from_millis(2),
                attempts_max: None,
            },
            clock: Arc::new(TestClock::default()),
            metrics: Metrics::default().sink("out"),
            health: Health::default(),
            ledger: Ledger::open(&seam, Path::new(FOLDER), 1).pop(),
            codec: None,
            stop: stop.clone(),
        };
        let sink =
            TwoPhaseSink { readers: Arc::clone(readers), disk: disk.clone(), staged: None, ids: Vec::new() };
        let task = tokio::spawn(runner.run(Box::new(sink)));
        Self { channel, stop, task }
    }

    /// Waits until the channel is empty and nothing is open, then stops.
    async fn finish(self, readers: &Arc<Mutex<Readers>>) {
        eventually("the end", || self.channel.stats().events == 0 && readers.lock().open.is_empty()).await;
        self.end().await;
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        let _closed = self.channel.close().await;
    }
}

async fn file_channel(disk: &FakeDisk) -> Option<Arc<dyn Channel>> {
    let options = FileOptions { segment_bytes: 8 << 10, free_bytes_min: 0, ..FileOptions::new("/channel") };
    let metrics = Metrics::default().channel("c");
    let channel =
        FileChannel::new("c", &options, Arc::new(disk.clone()), Arc::new(TestClock::default()), metrics);
    channel.open().await.ok()?;
    Some(Arc::new(channel))
}

fn memory_channel() -> Arc<dyn Channel> {
    let clock = Arc::new(TestClock::default());
    Arc::new(MemoryChannel::new("m", &MemoryOptions::default(), clock, Metrics::default().channel("m")))
}

fn batch(events: &[&str]) -> Batch {
    Batch::new(events.iter().map(|event| Event::new(event.as_bytes().to_vec())).collect())
}

const EVENTS: [&str; 9] = ["0", "1", "2", "3", "later 4", "5", "6", "7", "8"];

/// One life: events that are not in the channel yet are put, and delivered until the power fails or all is done. How
/// many were put for sure, and how many perhaps.
async fn live(disk: &FakeDisk, from: usize, fails_at: u64, readers: &Arc<Mutex<Readers>>) -> (usize, usize) {
    let (mut sure, mut perhaps) = (from, from);
    let Some(channel) = file_channel(disk).await else { return (sure, perhaps) };
    let run = Run::start(disk, Arc::clone(&channel), None, readers);
    while sure < EVENTS.len() {
        perhaps = sure + BATCH;
        if put(&*channel, batch(&EVENTS[sure..perhaps])).await.is_err() {
            break;
        }
        sure = perhaps;
    }
    eventually("the end of the life", || {
        disk.operations() >= fails_at || channel.stats().events == 0 && readers.lock().open.is_empty()
    })
    .await;
    run.end().await;
    (sure, perhaps)
}

async fn crashed(fails_at: u64, seed: u64, is_kill: bool) -> bool {
    let readers = Arc::<Mutex<Readers>>::default();
    let disk = FakeDisk::default();
    disk.fail_power_at(fails_at);
    let (sure, perhaps) = live(&disk, 0, fails_at, &readers).await;
    let failed = disk.operations() >= fails_at;
    let disk = if is_kill { disk.after_kill() } else { disk.after_crash(seed) };
    let channel = file_channel(&disk).await.unwrap();
    Run::start(&disk, channel, None, &readers).finish(&readers).await;
    let readers = readers.lock();
    let what = format!("power fails at {fails_at}, seed {seed}, kill {is_kill}: {:#?}", readers.calls);
    assert!(readers.wrong.is_empty(), "{:?}, {what}", readers.wrong);
    let mut events = readers.events();
    events.sort_by_key(|event| event.trim_start_matches("later ").parse::<usize>().unwrap());
    let wanted = |count: usize| events == EVENTS[..count];
    assert!(wanted(sure) || wanted(perhaps), "{events:?} of {sure} to {perhaps}, {what}");
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whenever_the_power_fails_readers_see_each_event_once() {
    let mut fails_at = 1;
    loop {
        let mut failed = false;
        for (seed, is_kill) in [(1, false), (2, false), (3, false), (0, true)] {
            failed |= crashed(fails_at, seed, is_kill).await;
        }
        if !failed {
            break;
        }
        fails_at += 1;
    }
    println!("{fails_at} operations");
    assert!(fails_at > 20, "only {fails_at} operations");
}

#[tokio::test]
async fn a_commit_that_fails_is_repeated_before_anything_else_is_delivered() {
    let (readers, disk) = (Arc::<Mutex<Readers>>::default(), FakeDisk::default());
    readers.lock().fails.extend([
        ("recover", (0, 2)),
        ("deliver", (0, 1)),
        ("prepare", (0, 2)),
        ("commit", (0, 3)),
    ]);
    let channel = file_channel(&disk).await.unwrap();
    put(&*channel, batch(&["0", "1", "2", "3", "4"])).await.unwrap();
    Run::start(&disk, Arc::clone(&channel), None, &readers).finish(&readers).await;
    let readers = readers.lock();
    assert_eq!(
        readers.calls,
        [
            "recover 0",
            "recover 0",
            "recover 0",
            "deliver 0 attempt 1",
            "deliver 0 attempt 2",
            "prepare 0",
            "deliver 0 attempt 3",
            "prepare 0",
            "deliver 0 attempt 4",
            "prepare 0",
            "commit 0",
            "commit 0",
            "commit 0",
            "commit 0",
            "deliver 1 attempt 1",
            "prepare 1",
            "commit 1",
        ]
    );
    assert_eq!(readers.events(), ["0", "1", "2", "3", "4"]);
    assert!(readers.wrong.is_empty(), "{:?}", readers.wrong);
}

#[tokio::test]
async fn a_run_that_ends_before_a_commit_works_leaves_exactly_that_token_to_the_next_one() {
    let (readers, disk) = (Arc::<Mutex<Readers>>::default(), FakeDisk::default());
    let channel = file_channel(&disk).await.unwrap();
    put(&*channel, batch(&["0", "1", "2"])).await.unwrap();
    Run::start(&disk, Arc::clone(&channel), None, &readers).finish(&readers).await;
    let channel = file_channel(&disk).await.unwrap();
    put(&*channel, batch(&["3", "4", "5"])).await.unwrap();
    readers.lock().fails.insert("commit", (0, usize::MAX));
    let run = Run::start(&disk, Arc::clone(&channel), None, &readers);
    eventually("commits fail", || readers.lock().calls.iter().filter(|call| *call == "commit 0").count() > 2)
        .await;
    assert_eq!(channel.stats().events, 0, "the take is committed before");
    run.end().await;
    readers.lock().calls.clear();
    let channel = file_channel(&disk).await.unwrap();
    Run::start(&disk, Arc::clone(&channel), None, &readers).finish(&readers).await;
    let channel = file_channel(&disk).await.unwrap();
    Run::start(&disk, channel, None, &readers).finish(&readers).await;
    let readers = readers.lock();
    assert_eq!(readers.calls, ["recover 1", "recover 0"]);
    assert_eq!(readers.events(), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn refused_rows_are_set_aside_and_rows_for_later_are_a_transaction_of_their_own() {
    let (readers, disk) = (Arc::<Mutex<Readers>>::default(), FakeDisk::default());
    let channel = file_channel(&disk).await.unwrap();
    let letters = memory_channel();
    put(&*channel, batch(&["0", "bad 1", "later 2"])).await.unwrap();
    Run::start(&disk, Arc::clone(&channel), Some(Arc::clone(&letters)), &readers).finish(&readers).await;
    let readers = readers.lock();
    assert!(readers.wrong.is_empty(), "{:?}", readers.wrong);
    assert_eq!(readers.events(), ["0", "later 2"]);
    assert_eq!(letters.stats().events, 1);
}

#[tokio::test]
async fn where_rows_have_no_numbers_what_is_prepared_goes_back_with_the_batch() {
    let (readers, disk) = (Arc::<Mutex<Readers>>::default(), FakeDisk::default());
    let channel = memory_channel();
    readers.lock().fails.insert("prepare", (1, usize::MAX));
    put(&*channel, batch(&["0", "later 1", "later 2"])).await.unwrap();
    let run = Run::start(&disk, Arc::clone(&channel), None, &readers);
    // The part is prepared; what is left is not.
    eventually("the rest fails", || readers.lock().calls.iter().any(|call| call == "prepare 1")).await;
    run.stop.cancel();
    run.task.await.unwrap();
    assert_eq!(channel.stats().events, 3);
    {
        let mut readers = readers.lock();
        assert_eq!(readers.calls.last().map(String::as_str), Some("abort 0"));
        readers.fails.clear();
    }
    Run::start(&disk, channel, None, &readers).finish(&readers).await;
    let readers = readers.lock();
    assert!(readers.wrong.is_empty(), "{:?}", readers.wrong);
    let mut events = readers.events();
    events.sort();
    assert_eq!(events, ["0", "later 1", "later 2"]);
}
