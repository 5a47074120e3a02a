//! The conformance suite on either side of the border, and what happens at the border.

use std::{collections::VecDeque, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_core::{BatchLimit, Channel, ChannelError, ChannelMetrics, Metrics};
use millrace_testkit::{
    Call, FakeDisk, TestClock,
    channel_suite::{
        ChannelFixture, ChannelLimits, batch, bodies, concurrency, drain, numbers, ok, put, take,
    },
    within,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{SpillableChannel, SpillableOptions};
use crate::{FileOptions, MemoryOptions};

const LONG: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(20);

/// So many events in memory and on disk, and how long a put waits before it spills.
fn options(memory: u64, overflow: u64, timeout: Duration) -> SpillableOptions {
    SpillableOptions {
        memory: MemoryOptions { events_max: memory, bytes_max: 1 << 30, keep_alive: timeout },
        overflow: FileOptions {
            events_max: overflow,
            bytes_max: 1 << 30,
            keep_alive: Duration::ZERO,
            segment_bytes: 64 << 10,
            free_bytes_min: 0,
            ..FileOptions::new(Path::new("/channel"))
        },
    }
}

async fn open(options: &SpillableOptions, disk: &FakeDisk) -> (Arc<SpillableChannel>, ChannelMetrics) {
    let metrics = Metrics::default().channel("test");
    let clock = Arc::new(TestClock::at(1_700_000_000_000));
    let channel = SpillableChannel::new("test", options, Arc::new(disk.clone()), clock, metrics.clone());
    ok(channel.open().await);
    (Arc::new(channel), metrics)
}

/// All limits are those of the memory; the disk has no room.
#[derive(Default)]
struct InMemory;

#[async_trait]
impl ChannelFixture for InMemory {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let ChannelLimits { events_max, bytes_max, keep_alive } = limits;
        let mut options = options(events_max, 0, keep_alive);
        options.memory.bytes_max = bytes_max;
        options.overflow.bytes_max = 0;
        open(&options, &FakeDisk::default()).await.0
    }
}

/// All limits are those of the disk.
#[derive(Default)]
struct OnDisk;

#[async_trait]
impl ChannelFixture for OnDisk {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let ChannelLimits { events_max, bytes_max, keep_alive } = limits;
        let mut options = options(0, events_max, LONG);
        options.memory.bytes_max = 0;
        options.overflow.bytes_max = bytes_max;
        options.overflow.keep_alive = keep_alive;
        open(&options, &FakeDisk::default()).await.0
    }
}

mod in_memory {
    millrace_testkit::channel_suite!(super::InMemory);
}

mod on_disk {
    millrace_testkit::channel_suite!(super::OnDisk);
}

/// A tenth of the room is memory.
#[derive(Default)]
struct OnBoth;

#[async_trait]
impl ChannelFixture for OnBoth {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let mut options = options(limits.events_max / 10, limits.events_max, Duration::ZERO);
        options.overflow.keep_alive = limits.keep_alive;
        open(&options, &FakeDisk::default()).await.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_and_takers_on_both_sides_move_each_event_exactly_once() {
    concurrency::producers_and_takers_move_each_event_exactly_once(&OnBoth).await;
    concurrency::events_survive_takers_that_roll_back_at_random(&OnBoth).await;
}

/// Puts, takes, commits and roll-backs at random, by one producer and one taker: order is exact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_back_and_forth_over_the_border() {
    let (mut spilled, mut in_memory) = (0, 0);
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let limits = options(random.random_range(0..30), 100_000, Duration::ZERO);
        let (channel, metrics) = open(&limits, &FakeDisk::default()).await;
        let (mut model, mut next) = (VecDeque::new(), 0);
        for _ in 0..60 {
            if random.random_bool(0.5) {
                let mut open = ok(channel.begin_put().await);
                let before = next;
                for _ in 0..random.random_range(1..4) {
                    let end = next + random.random_range(1..15);
                    ok(open.put(batch(next..end)).await);
                    next = end;
                }
                if random.random_bool(0.2) {
                    open.rollback();
                    next = before;
                } else {
                    ok(open.commit().await);
                    model.extend(before..next);
                }
            } else if !model.is_empty() {
                let mut open = ok(channel.begin_take().await);
                let mut taken = Vec::new();
                for _ in 0..random.random_range(1..4) {
                    if taken.len() == model.len() {
                        break;
                    }
                    let limit =
                        BatchLimit { events_max: random.random_range(1..25), ..BatchLimit::default() };
                    taken.extend(bodies(&ok(within("events", open.take(limit)).await)));
                }
                let wanted: Vec<String> = model.iter().take(taken.len()).map(usize::to_string).collect();
                assert_eq!(taken, wanted, "seed {seed}");
                if random.random_bool(0.3) {
                    open.rollback();
                } else {
                    ok(open.commit().await);
                    model.drain(..taken.len());
                }
            }
            assert_eq!(channel.stats().events, model.len() as u64, "seed {seed}");
        }
        let wanted: Vec<String> = model.iter().map(usize::to_string).collect();
        assert_eq!(drain(&*channel, wanted.len()).await, wanted, "seed {seed}");
        spilled += metrics.spilled_events.get();
        in_memory += metrics.put_events.get() - metrics.spilled_events.get();
        assert_eq!(metrics.full.get(), 0);
    }
    assert!(spilled > 5_000 && in_memory > 5_000, "{spilled} on disk, {in_memory} in memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_used_while_memory_is_full_and_left_alone_once_it_is_drained() {
    let (channel, metrics) = open(&options(10, 1000, Duration::ZERO), &FakeDisk::default()).await;
    ok(put(&*channel, batch(0..8)).await);
    assert_eq!(metrics.spilled_events.get(), 0);
    ok(put(&*channel, batch(8..12)).await);
    assert_eq!(metrics.spilled_events.get(), 4);
    // There is room in memory again, but something is on disk.
    assert_eq!(drain(&*channel, 5).await, numbers(0..5));
    ok(put(&*channel, batch(12..13)).await);
    assert_eq!(metrics.spilled_events.get(), 5);
    // What is taken and not committed is still on disk.
    assert_eq!(drain(&*channel, 3).await, numbers(5..8));
    let (taken, events) = take(&*channel, 100).await;
    assert_eq!(events, numbers(8..13));
    ok(put(&*channel, batch(13..14)).await);
    assert_eq!(metrics.spilled_events.get(), 6);
    taken.rollback();
    assert_eq!(drain(&*channel, 6).await, numbers(8..14));
    ok(put(&*channel, batch(14..24)).await);
    assert_eq!(metrics.spilled_events.get(), 6);
    assert_eq!(drain(&*channel, 10).await, numbers(14..24));
    assert_eq!((metrics.put_events.get(), metrics.take_events.get(), metrics.full.get()), (24, 24, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_waits_its_time_for_memory_and_nobody_waits_once_one_has_spilled() {
    let (channel, metrics) = open(&options(10, 1000, LONG), &FakeDisk::default()).await;
    ok(put(&*channel, batch(0..8)).await);
    // Room comes in time.
    let mut waiting = Box::pin(put(&*channel, batch(8..12)));
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err());
    assert_eq!(drain(&*channel, 8).await, numbers(0..8));
    ok(within("room", waiting).await);
    assert_eq!(metrics.spilled_events.get(), 0);
    // More than memory can ever hold does not wait, and whoever waits follows.
    ok(put(&*channel, batch(12..17)).await);
    let mut waiting = Box::pin(put(&*channel, batch(100..102)));
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err());
    ok(within("what is too large for memory", put(&*channel, batch(17..40))).await);
    ok(within("whoever waited", waiting).await);
    assert_eq!(metrics.spilled_events.get(), 25);
    assert_eq!(drain(&*channel, 32).await, numbers(8..40));
    assert_eq!(drain(&*channel, 2).await, ["100", "101"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_spilled_survives_the_process_and_comes_first() {
    let disk = FakeDisk::default();
    let limits = options(10, 1000, Duration::ZERO);
    let (channel, _) = open(&limits, &disk).await;
    ok(put(&*channel, batch(0..10)).await);
    ok(put(&*channel, batch(10..30)).await);
    let (taken, _) = take(&*channel, 15).await;
    for after in [disk.after_kill(), disk.after_crash(7)] {
        let (again, metrics) = open(&limits, &after).await;
        assert_eq!(again.stats().events, 20);
        ok(put(&*again, batch(30..31)).await);
        assert_eq!(metrics.spilled_events.get(), 1);
        assert_eq!(drain(&*again, 21).await, numbers(10..31));
    }
    drop(taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_fails_only_what_it_would_have_held() {
    let disk = FakeDisk::default();
    let (channel, _) = open(&options(10, 1000, Duration::ZERO), &disk).await;
    ok(put(&*channel, batch(0..9)).await);
    disk.fail(Call::Sync, ErrorKind::Other, 1);
    let failed = put(&*channel, batch(9..12)).await;
    assert!(matches!(failed, Err(ChannelError::Failed { .. })), "{failed:?}");
    assert_eq!(channel.stats().events, 9);
    ok(put(&*channel, batch(9..10)).await);
    ok(put(&*channel, batch(10..13)).await);
    assert_eq!(drain(&*channel, 13).await, numbers(0..13));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_waits_for_still_counts_as_being_on_disk() {
    let (channel, _) = open(&options(2, 1000, Duration::ZERO), &FakeDisk::default()).await;
    ok(put(&*channel, batch(0..2)).await);
    let mut open = ok(channel.begin_put().await);
    ok(open.put(batch(2..5)).await);
    let mut commit = Box::pin(open.commit());
    // Polled once, then given up: where it stands is in doubt.
    let _in_doubt = polled_once(&mut commit).await;
    drop(commit);
    assert_eq!(drain(&*channel, 5).await, numbers(0..5));
    ok(put(&*channel, batch(5..7)).await);
    assert_eq!(drain(&*channel, 2).await, numbers(5..7));
}

/// Polls a future once.
async fn polled_once<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_both_are_full_a_put_is_refused_and_the_transaction_stays_good() {
    let (channel, metrics) = open(&options(5, 5, Duration::ZERO), &FakeDisk::default()).await;
    ok(put(&*channel, batch(0..4)).await);
    ok(put(&*channel, batch(4..8)).await);
    let mut open = ok(channel.begin_put().await);
    assert!(matches!(open.put(batch(8..10)).await, Err(ChannelError::Full { .. })));
    ok(open.put(batch(8..9)).await);
    assert!(matches!(
        open.put(batch(9..10)).await,
        Err(ChannelError::TooLarge { .. } | ChannelError::Full { .. })
    ));
    ok(open.commit().await);
    assert_eq!(metrics.full.get(), 2);
    let never = put(&*channel, batch(0..6)).await;
    assert!(matches!(never, Err(ChannelError::TooLarge { .. })), "{never:?}");
    assert_eq!(drain(&*channel, 9).await, numbers(0..9));
}
