//! Waiting, cancelling, many producers and takers, closing.

use std::{sync::Arc, time::Duration};

use millrace_core::{BatchLimit, Channel, ChannelError};
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{ChannelFixture, ChannelLimits, batch, bodies, drain, numbers, ok, put, take};
use crate::within;

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

/// Two takers wait; each gets what comes.
pub async fn a_take_waits_for_the_first_event(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let takers: Vec<_> = (0..2)
        .map(|_| {
            let channel = Arc::clone(&channel);
            tokio::spawn(async move {
                let (open, events) = take(&*channel, 1).await;
                ok(open.commit().await);
                events
            })
        })
        .collect();
    ok(put(&*channel, batch(["a"])).await);
    ok(put(&*channel, batch(["b"])).await);
    let mut all = Vec::new();
    for taker in takers {
        all.extend(ok(within("a taker", taker).await));
    }
    all.sort();
    assert_eq!(all, ["a", "b"]);
}

/// `wait_max` starts with the first event and ends early when the batch is full.
pub async fn a_take_waits_for_its_batch_to_fill_but_not_longer_than_allowed(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(["0"])).await);
    let limit = BatchLimit { events_max: 3, wait_max: MOMENT, ..BatchLimit::default() };
    let mut open = ok(channel.begin_take().await);
    let start = Instant::now();
    assert_eq!(bodies(&ok(open.take(limit).await)), ["0"]);
    assert!(start.elapsed() >= MOMENT, "{:?}", start.elapsed());
    let filling = tokio::spawn(async move {
        let limit = BatchLimit { wait_max: LONG, ..limit };
        let taken = bodies(&ok(open.take(limit).await));
        ok(open.commit().await);
        taken
    });
    for number in 1..4 {
        ok(put(&*channel, batch([number])).await);
    }
    assert_eq!(ok(within("a full batch", filling).await), numbers(1..4));
    assert_eq!(channel.stats().events, 0);
}

/// While waiting for the first event, and while waiting for more.
pub async fn a_cancelled_take_takes_nothing(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let mut open = ok(channel.begin_take().await);
    let limit = BatchLimit { events_max: 3, wait_max: LONG, ..BatchLimit::default() };
    assert!(tokio::time::timeout(MOMENT, open.take(limit)).await.is_err());
    ok(put(&*channel, batch(0..2)).await);
    assert!(tokio::time::timeout(MOMENT, open.take(limit)).await.is_err());
    assert_eq!(drain(&*channel, 2).await, numbers(0..2));
    ok(put(&*channel, batch(2..5)).await);
    assert_eq!(bodies(&ok(open.take(limit).await)), numbers(2..5));
    ok(open.commit().await);
    assert_eq!(channel.stats().events, 0);
}

/// Four producers against three takers in a channel much smaller than what goes through it.
pub async fn producers_and_takers_move_each_event_exactly_once(fixture: &impl ChannelFixture) {
    through(fixture, 0.0).await;
}

/// The same, and every third take fails.
pub async fn events_survive_takers_that_roll_back_at_random(fixture: &impl ChannelFixture) {
    through(fixture, 0.3).await;
}

async fn through(fixture: &impl ChannelFixture, rollbacks: f64) {
    const PRODUCERS: usize = 4;
    const EACH: usize = 2_000;
    let limits = ChannelLimits { events_max: 200, keep_alive: LONG, ..ChannelLimits::default() };
    let channel = fixture.channel(limits).await;
    let producers: Vec<_> = (0..PRODUCERS)
        .map(|producer| tokio::spawn(produce(Arc::clone(&channel), producer * EACH..(producer + 1) * EACH)))
        .collect();
    let (sender, mut committed) = tokio::sync::mpsc::channel(16);
    let takers: Vec<_> = (0..3)
        .map(|seed| tokio::spawn(consume(Arc::clone(&channel), seed, rollbacks, sender.clone())))
        .collect();
    let mut seen = Vec::new();
    while seen.len() < PRODUCERS * EACH {
        let Some(events) = within("committed events", committed.recv()).await else { break };
        seen.extend(events);
    }
    for producer in producers {
        ok(producer.await);
    }
    assert_eq!(channel.stats().events, 0);
    takers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut sorted: Vec<usize> = seen.iter().map(|body| ok(body.parse())).collect();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..PRODUCERS * EACH), "an event was lost or repeated");
}

async fn produce(channel: Arc<dyn Channel>, range: std::ops::Range<usize>) {
    let mut rng = StdRng::seed_from_u64(range.start as u64);
    let mut next = range.start;
    while next < range.end {
        let end = (next + rng.random_range(1..40)).min(range.end);
        ok(put(&*channel, batch(next..end)).await);
        next = end;
    }
}

async fn consume(
    channel: Arc<dyn Channel>,
    seed: u64,
    rollbacks: f64,
    committed: tokio::sync::mpsc::Sender<Vec<String>>,
) {
    let mut rng = StdRng::seed_from_u64(seed);
    loop {
        let mut open = ok(channel.begin_take().await);
        let events_max = rng.random_range(1..50);
        let limit = BatchLimit { events_max, ..BatchLimit::default() };
        let events = bodies(&ok(open.take(limit).await));
        if rng.random_bool(rollbacks) {
            tokio::task::yield_now().await;
            open.rollback();
        } else {
            ok(open.commit().await);
            if committed.send(events).await.is_err() {
                return;
            }
        }
    }
}

/// Nobody waits for a channel that is gone.
pub async fn closing_wakes_takers_and_waiting_puts(fixture: &impl ChannelFixture) {
    let channel =
        fixture.channel(ChannelLimits { events_max: 1, keep_alive: LONG, ..Default::default() }).await;
    let taker = tokio::spawn({
        let channel = Arc::clone(&channel);
        async move {
            let mut open = ok(channel.begin_take().await);
            let first = ok(open.take(BatchLimit::default()).await).len();
            (first, ok(open.take(BatchLimit::default()).await).len())
        }
    });
    ok(put(&*channel, batch(["a"])).await);
    let mut waiting = Box::pin(put(&*channel, batch(["b"])));
    assert!(tokio::time::timeout(MOMENT, &mut waiting).await.is_err());
    ok(channel.close().await);
    assert!(matches!(within("the put", waiting).await, Err(ChannelError::Closed { .. })));
    let (_, last) = ok(within("the taker", taker).await);
    assert_eq!(last, 0);
}

/// What was open when the channel closed.
pub async fn transactions_of_a_closed_channel_fail(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(0..2)).await);
    let (open_take, _) = take(&*channel, 1).await;
    let mut open_put = ok(channel.begin_put().await);
    ok(open_put.put(batch(["x"])).await);
    ok(channel.close().await);
    assert!(matches!(open_take.commit().await, Err(ChannelError::Closed { .. })));
    assert!(matches!(open_put.put(batch(["y"])).await, Err(ChannelError::Closed { .. })));
    assert!(matches!(open_put.commit().await, Err(ChannelError::Closed { .. })));
    assert!(matches!(channel.begin_put().await.err(), Some(ChannelError::Closed { .. })));
    assert!(matches!(channel.begin_take().await.err(), Some(ChannelError::Closed { .. })));
    ok(channel.close().await);
}
