use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{ChannelProcessor, Pipeline, PipelineChannel, PipelineInterceptor};
use crate::{
    Batch, BoxError, Channel, ChannelError, ChannelStats, Clock, Destination, Event, Health, Interceptor,
    InterceptorError, InterceptorMetrics, PositionStore, PositionUpdate, Positions, ProcessError,
    PutTransaction, Rejection, Route, Selector, SourceMetrics, TakeTransaction,
};

/// A line for every put and commit, in order, over all channels of a test.
type Journal = Arc<Mutex<Vec<String>>>;

#[derive(Clone)]
struct Fake {
    name: &'static str,
    journal: Journal,
    full: Arc<AtomicUsize>,
    fails_commit: Arc<AtomicBool>,
    events_max: usize,
    committed: Arc<Mutex<Vec<(String, Vec<Event>, Option<PositionUpdate>)>>>,
}

impl Fake {
    fn new(name: &'static str, journal: &Journal) -> Self {
        Self {
            name,
            journal: Arc::clone(journal),
            full: Arc::default(),
            fails_commit: Arc::default(),
            events_max: usize::MAX,
            committed: Arc::default(),
        }
    }

    fn bodies(&self) -> Vec<String> {
        let committed = self.committed.lock();
        let events = committed.iter().flat_map(|(_, events, _)| events);
        events.map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
    }
}

#[async_trait]
impl Channel for Fake {
    async fn begin_put(&self) -> Result<Box<dyn PutTransaction>, ChannelError> {
        Ok(Box::new(FakePut { channel: self.clone(), batches: Vec::new() }))
    }

    async fn begin_take(&self) -> Result<Box<dyn TakeTransaction>, ChannelError> {
        Err(ChannelError::Closed { channel: self.name.into() })
    }

    fn stats(&self) -> ChannelStats {
        ChannelStats::default()
    }
}

struct FakePut {
    channel: Fake,
    batches: Vec<Batch>,
}

#[async_trait]
impl PutTransaction for FakePut {
    async fn put(&mut self, batch: Batch) -> Result<(), ChannelError> {
        let channel = self.channel.name.to_owned();
        if batch.len() > self.channel.events_max {
            return Err(ChannelError::TooLarge {
                channel,
                reason: "more events than the channel holds".into(),
            });
        }
        let full =
            self.channel.full.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if full.is_ok() {
            return Err(ChannelError::Full { channel, reason: "test".into() });
        }
        self.channel.journal.lock().push(format!("put {channel}"));
        self.batches.push(batch);
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), ChannelError> {
        let name = self.channel.name.to_owned();
        if self.channel.fails_commit.load(Ordering::SeqCst) {
            return Err(ChannelError::Failed { channel: name, source: "disk".into() });
        }
        self.channel.journal.lock().push(format!("commit {name}"));
        for batch in self.batches {
            let position = batch.position().cloned();
            self.channel.committed.lock().push((name.clone(), batch.into_events(), position));
        }
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
    }
}

#[derive(Default)]
struct Store(Mutex<Vec<PositionUpdate>>);

impl PositionStore for Store {
    fn load(&self, _source: &str) -> Positions {
        Positions::new()
    }

    fn update(&self, update: &PositionUpdate) {
        self.0.lock().push(update.clone());
    }

    fn flush(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Routes by body: `a…` to channel 0, `b…` to 1, `*…` to both, `o…` to 0 with 1 optional, others nowhere.
struct ByFirstByte;

impl Selector for ByFirstByte {
    fn select(&self, event: &Event) -> Route<'_> {
        match event.body.first() {
            Some(b'a') => Route { required: &[0], optional: &[] },
            Some(b'b') => Route { required: &[1], optional: &[] },
            Some(b'*') => Route { required: &[0, 1], optional: &[] },
            Some(b'o') => Route { required: &[0], optional: &[1] },
            _ => Route::default(),
        }
    }
}

struct Rig {
    journal: Journal,
    first: Fake,
    second: Fake,
    letters: Fake,
    store: Arc<Store>,
    metrics: SourceMetrics,
}

impl Rig {
    fn new() -> Self {
        let journal = Journal::default();
        Self {
            first: Fake::new("first", &journal),
            second: Fake::new("second", &journal),
            letters: Fake::new("letters", &journal),
            journal,
            store: Arc::default(),
            metrics: SourceMetrics::default(),
        }
    }

    fn pipeline(&self, position_home: Option<usize>, interceptors: Vec<PipelineInterceptor>) -> Pipeline {
        let channel =
            |fake: &Fake| PipelineChannel { name: fake.name.into(), channel: Arc::new(fake.clone()) };
        Pipeline {
            interceptors,
            selector: Arc::new(ByFirstByte),
            channels: Arc::new([channel(&self.first), channel(&self.second)]),
            dead_letter: Some(channel(&self.letters)),
            position_home,
        }
    }

    fn processor(&self, pipeline: Pipeline) -> ChannelProcessor {
        ChannelProcessor::new(
            "web".into(),
            pipeline,
            Arc::clone(&self.store) as _,
            Arc::new(StandingClock),
            self.metrics.clone(),
            Health::default(),
        )
    }

    fn journal(&self) -> Vec<String> {
        self.journal.lock().clone()
    }
}

fn batch(bodies: &[&'static str]) -> Batch {
    Batch::new(bodies.iter().map(|body| Event::new(*body)).collect())
}

fn position() -> PositionUpdate {
    PositionUpdate::set("web".into(), "key", "42")
}

#[tokio::test]
async fn room_is_reserved_everywhere_before_the_first_commit() {
    let rig = Rig::new();
    rig.processor(rig.pipeline(None, Vec::new())).process(batch(&["*1", "*2"])).await.unwrap();
    assert_eq!(rig.journal(), ["put first", "put second", "commit first", "commit second"]);
    assert_eq!(
        (rig.first.bodies(), rig.second.bodies()),
        (vec!["*1".into(), "*2".into()], vec!["*1".into(), "*2".into()])
    );
}

#[tokio::test]
async fn a_full_channel_leaves_the_others_untouched() {
    let rig = Rig::new();
    rig.second.full.store(1, Ordering::SeqCst);
    let error = rig.processor(rig.pipeline(None, Vec::new())).process(batch(&["*1"])).await.unwrap_err();
    assert!(matches!(error, ProcessError::Channel(ChannelError::Full { .. })));
    assert_eq!(rig.journal(), ["put first"]);
    assert_eq!((rig.metrics.put_failures.get(), rig.metrics.partial_commits.get()), (1, 0));
}

#[tokio::test]
async fn a_commit_that_fails_after_another_is_counted_as_partial() {
    let rig = Rig::new();
    rig.second.fails_commit.store(true, Ordering::SeqCst);
    assert!(rig.processor(rig.pipeline(None, Vec::new())).process(batch(&["*1"])).await.is_err());
    assert_eq!((rig.metrics.put_failures.get(), rig.metrics.partial_commits.get()), (1, 1));
}

#[tokio::test]
async fn events_are_routed_one_by_one_and_keep_their_order() {
    let rig = Rig::new();
    rig.processor(rig.pipeline(None, Vec::new()))
        .process(batch(&["a1", "b1", "x", "a2", "*1"]))
        .await
        .unwrap();
    assert_eq!(rig.first.bodies(), ["a1", "a2", "*1"]);
    assert_eq!(rig.second.bodies(), ["b1", "*1"]);
    assert_eq!(rig.metrics.events_unrouted.get(), 1);
}

#[tokio::test]
async fn the_home_of_the_position_is_committed_last_even_without_events_of_its_own() {
    let rig = Rig::new();
    rig.processor(rig.pipeline(Some(0), Vec::new()))
        .process(batch(&["b1"]).with_position(position()))
        .await
        .unwrap();
    assert_eq!(rig.journal(), ["put first", "put second", "commit second", "commit first"]);
    assert_eq!(rig.first.committed.lock()[0].2, Some(position()));
    assert_eq!(rig.second.committed.lock()[0].2, None);
    assert!(rig.store.0.lock().is_empty());
}

#[tokio::test]
async fn a_position_without_a_home_goes_to_the_store_after_the_commit() {
    let rig = Rig::new();
    let processor = rig.processor(rig.pipeline(None, Vec::new()));
    rig.first.fails_commit.store(true, Ordering::SeqCst);
    assert!(processor.process(batch(&["a1"]).with_position(position())).await.is_err());
    assert!(rig.store.0.lock().is_empty());
    rig.first.fails_commit.store(false, Ordering::SeqCst);
    processor.process(batch(&["a1"]).with_position(position())).await.unwrap();
    assert_eq!(*rig.store.0.lock(), [position()]);
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_left_still_moves_the_position() {
    let rig = Rig::new();
    rig.processor(rig.pipeline(Some(1), Vec::new()))
        .process(batch(&[]).with_position(position()))
        .await
        .unwrap();
    assert_eq!(rig.journal(), ["put second", "commit second"]);
}

#[tokio::test]
async fn an_optional_channel_that_is_full_is_left_out() {
    let rig = Rig::new();
    rig.second.full.store(1, Ordering::SeqCst);
    let processor = rig.processor(rig.pipeline(None, Vec::new()));
    processor.process(batch(&["o1"])).await.unwrap();
    processor.process(batch(&["o2"])).await.unwrap();
    assert_eq!(
        (rig.first.bodies(), rig.second.bodies()),
        (vec!["o1".into(), "o2".into()], vec!["o2".into()])
    );
    assert_eq!(rig.metrics.optional_failures.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn accept_tries_again_until_there_is_room_and_stores_once() {
    let rig = Rig::new();
    rig.first.full.store(25, Ordering::SeqCst);
    let processor = rig.processor(rig.pipeline(None, Vec::new()));
    processor.accept(batch(&["a1", "a2"]), &CancellationToken::new()).await.unwrap();
    assert_eq!(rig.first.bodies(), ["a1", "a2"]);
    assert_eq!(rig.metrics.events_received.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn accept_gives_up_when_the_agent_stops() {
    let rig = Rig::new();
    rig.first.full.store(usize::MAX, Ordering::SeqCst);
    let processor = rig.processor(rig.pipeline(None, Vec::new()));
    let shutdown = CancellationToken::new();
    let accepting = processor.accept(batch(&["a1"]), &shutdown);
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        shutdown.cancel();
    };
    let (result, ()) = tokio::join!(accepting, stopping);
    assert!(matches!(result, Err(ProcessError::ShuttingDown)));
    assert!(rig.first.bodies().is_empty());
}

#[tokio::test]
async fn a_batch_too_large_for_a_channel_is_cut_in_order_and_the_position_comes_last() {
    let rig = Rig::new();
    let mut first = rig.first.clone();
    first.events_max = 2;
    let mut pipeline = rig.pipeline(Some(0), Vec::new());
    pipeline.channels = Arc::new([PipelineChannel { name: "first".into(), channel: Arc::new(first) }]);
    let whole = batch(&["a1", "a2", "a3", "a4", "a5"]).with_position(position());
    rig.processor(pipeline).accept(whole, &CancellationToken::new()).await.unwrap();
    assert_eq!(rig.first.bodies(), ["a1", "a2", "a3", "a4", "a5"]);
    let committed = rig.first.committed.lock();
    let with_position: Vec<bool> = committed.iter().map(|(_, _, position)| position.is_some()).collect();
    assert!(with_position.iter().rev().skip(1).all(|has| !has) && with_position.last() == Some(&true));
}

#[tokio::test]
async fn an_event_no_channel_can_hold_becomes_a_dead_letter() {
    let rig = Rig::new();
    let mut first = rig.first.clone();
    first.events_max = 0;
    let mut pipeline = rig.pipeline(None, Vec::new());
    pipeline.channels = Arc::new([PipelineChannel { name: "first".into(), channel: Arc::new(first) }]);
    rig.processor(pipeline).accept(batch(&["a1"]), &CancellationToken::new()).await.unwrap();
    let letters = rig.letters.committed.lock();
    let letter = &letters[0].1[0];
    assert_eq!(letter.body, "a1");
    assert_eq!(letter.header("dead-letter.component").unwrap(), "web");
    assert_eq!(letter.header("dead-letter.reason").unwrap(), "more events than the channel holds");
    assert_eq!(letter.header("dead-letter.time").unwrap(), "1700000000123");
}

/// Fails the first `failures` times, then diverts: `r…` is rejected, `c…` goes to the second channel.
struct Diverting {
    failures: AtomicUsize,
}

#[async_trait]
impl Interceptor for Diverting {
    async fn intercept(&self, batch: Batch) -> Result<Batch, InterceptorError> {
        let failing =
            self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if failing.is_ok() {
            let batch = Box::new(batch);
            return Err(InterceptorError {
                interceptor: "divert".into(),
                after: None,
                batch,
                source: "busy".into(),
            });
        }
        let mut diverted = Vec::new();
        let mut kept = batch.retain(|event| {
            let stays = !matches!(event.body.first(), Some(b'r' | b'c'));
            if !stays {
                diverted.push(event.clone());
            }
            stays
        });
        for event in diverted {
            let destination = match event.body.first() {
                Some(b'r') => {
                    Destination::DeadLetter(Rejection::new("divert", "unwanted").detail("kind", "test"))
                }
                _ => Destination::Channel("second".into()),
            };
            kept.divert(event, destination);
        }
        Ok(kept)
    }
}

fn diverting(failures: usize) -> Vec<PipelineInterceptor> {
    let interceptor = Arc::new(Diverting { failures: AtomicUsize::new(failures) });
    vec![PipelineInterceptor { name: "divert".into(), interceptor, metrics: InterceptorMetrics::default() }]
}

#[tokio::test]
async fn diverted_events_are_committed_with_the_batch() {
    let rig = Rig::new();
    rig.processor(rig.pipeline(None, diverting(0))).process(batch(&["a1", "r1", "c1", "a2"])).await.unwrap();
    assert_eq!(
        (rig.first.bodies(), rig.second.bodies()),
        (vec!["a1".into(), "a2".into()], vec!["c1".into()])
    );
    let letters = rig.letters.committed.lock();
    assert_eq!(letters[0].1[0].header("dead-letter.kind").unwrap(), "test");
    assert_eq!(rig.journal()[..3], ["put first", "put second", "put letters"]);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_that_fails_is_tried_again_with_the_same_events() {
    let rig = Rig::new();
    let processor = rig.processor(rig.pipeline(None, diverting(3)));
    processor.accept(batch(&["a1", "r1"]), &CancellationToken::new()).await.unwrap();
    assert_eq!((rig.first.bodies(), rig.letters.bodies()), (vec!["a1".into()], vec!["r1".into()]));
}

#[tokio::test(start_paused = true)]
async fn a_swap_replaces_a_failing_interceptor_for_the_batch_in_hand() {
    let rig = Rig::new();
    let processor = rig.processor(rig.pipeline(None, diverting(usize::MAX)));
    let shutdown = CancellationToken::new();
    let accepting = processor.accept(batch(&["a1"]), &shutdown);
    let swapping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(processor.swap(rig.pipeline(None, diverting(0))));
    };
    let (result, ()) = tokio::join!(accepting, swapping);
    result.unwrap();
    assert_eq!(rig.first.bodies(), ["a1"]);
}

#[tokio::test]
async fn a_channel_nobody_has_refuses_the_batch() {
    let rig = Rig::new();
    let mut pipeline = rig.pipeline(None, diverting(0));
    pipeline.channels =
        Arc::new([PipelineChannel { name: "first".into(), channel: Arc::new(rig.first.clone()) }]);
    let error = rig.processor(pipeline).process(batch(&["c1"])).await.unwrap_err();
    assert!(matches!(error, ProcessError::NoChannel(name) if name == "second"));
}
