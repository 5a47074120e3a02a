//! Limits of takes, and room for puts.

use std::time::Duration;

use millrace_core::{BatchLimit, ChannelError};

use super::{ChannelFixture, ChannelLimits, batch, bodies, drain, numbers, ok, put, take};

const MOMENT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

fn room_for(events_max: u64) -> ChannelLimits {
    ChannelLimits { events_max, ..ChannelLimits::default() }
}

/// Batches are split.
pub async fn a_take_stops_at_its_limit_of_events(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(0..1000)).await);
    let mut from = 0;
    for count in [1, 2, 300, 697] {
        let (taken, events) = take(&*channel, count).await;
        assert_eq!(events, numbers(from..from + count));
        ok(taken.commit().await);
        from += count;
    }
    assert_eq!(channel.stats().bytes, 0);
}

/// The first event is always taken.
pub async fn a_take_stops_at_its_limit_of_bytes_but_never_returns_nothing(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(["1234567890", "1", "2", "123", "12"])).await);
    ok(put(&*channel, batch(["1234", "x"])).await);
    let limit = BatchLimit { bytes_max: 5, ..BatchLimit::default() };
    let mut open = ok(channel.begin_take().await);
    assert_eq!(bodies(&ok(open.take(limit).await)), ["1234567890"]);
    assert_eq!(bodies(&ok(open.take(limit).await)), ["1", "2", "123"]);
    assert_eq!(bodies(&ok(open.take(limit).await)), ["12"]);
    assert_eq!(bodies(&ok(open.take(limit).await)), ["1234", "x"]);
    ok(open.commit().await);
}

/// One take gathers what many puts brought.
pub async fn small_batches_are_taken_as_one(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    for number in 0..50 {
        ok(put(&*channel, batch([number])).await);
    }
    let (taken, events) = take(&*channel, 45).await;
    assert_eq!(events, numbers(0..45));
    ok(taken.commit().await);
    assert_eq!(drain(&*channel, 5).await, numbers(45..50));
}

/// Full is no accident: nothing was added, and the transaction goes on.
pub async fn a_full_channel_refuses_and_accepts_again_after_a_take(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(room_for(10)).await;
    ok(put(&*channel, batch(0..8)).await);
    let mut open = ok(channel.begin_put().await);
    assert!(matches!(open.put(batch(8..11)).await, Err(ChannelError::Full { .. })));
    ok(open.put(batch(8..10)).await);
    assert!(matches!(put(&*channel, batch(["x"])).await, Err(ChannelError::Full { .. })));
    assert_eq!(drain(&*channel, 3).await, numbers(0..3));
    ok(open.commit().await);
    ok(put(&*channel, batch(10..13)).await);
    assert_eq!(drain(&*channel, 10).await, numbers(3..13));
}

/// As long as the keep-alive.
pub async fn a_put_waits_for_room(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits { keep_alive: LONG, ..room_for(5) }).await;
    ok(put(&*channel, batch(0..5)).await);
    let waiting = tokio::spawn({
        let channel = std::sync::Arc::clone(&channel);
        async move { put(&*channel, batch(5..9)).await }
    });
    assert_eq!(drain(&*channel, 5).await, numbers(0..5));
    ok(ok(waiting.await));
    assert_eq!(drain(&*channel, 4).await, numbers(5..9));
}

/// Room is free when the take is committed, not before.
pub async fn taken_events_occupy_room_until_the_commit(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(room_for(4)).await;
    ok(put(&*channel, batch(0..4)).await);
    let (open, _) = take(&*channel, 4).await;
    assert!(matches!(put(&*channel, batch(["x"])).await, Err(ChannelError::Full { .. })));
    assert_eq!(channel.stats().events, 4);
    ok(open.commit().await);
    ok(put(&*channel, batch(4..8)).await);
    assert_eq!(drain(&*channel, 4).await, numbers(4..8));
}

/// By drop and by rollback.
pub async fn a_rolled_back_put_gives_its_room_back(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(room_for(4)).await;
    for _ in 0..10 {
        let mut open = ok(channel.begin_put().await);
        ok(open.put(batch(0..4)).await);
        drop(open);
    }
    ok(put(&*channel, batch(0..4)).await);
}

/// By events and by bytes, one event or many, one put or several.
pub async fn what_can_never_fit_is_too_large_not_full(fixture: &impl ChannelFixture) {
    let limits = ChannelLimits { events_max: 4, bytes_max: 100, keep_alive: LONG };
    let channel = fixture.channel(limits).await;
    let mut open = ok(channel.begin_put().await);
    assert!(matches!(open.put(batch(0..5)).await, Err(ChannelError::TooLarge { .. })));
    assert!(matches!(open.put(batch(["x".repeat(101)])).await, Err(ChannelError::TooLarge { .. })));
    ok(open.put(batch(0..3)).await);
    assert!(matches!(open.put(batch(0..2)).await, Err(ChannelError::TooLarge { .. })));
    ok(open.commit().await);
    assert_eq!(drain(&*channel, 3).await, numbers(0..3));
    ok(put(&*channel, batch(["x".repeat(100)])).await);
    assert_eq!(drain(&*channel, 1).await, ["x".repeat(100)]);
}

/// A put that is dropped while it waits.
pub async fn a_cancelled_put_adds_nothing_and_keeps_no_room(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits { keep_alive: LONG, ..room_for(5) }).await;
    ok(put(&*channel, batch(0..3)).await);
    let mut open = ok(channel.begin_put().await);
    ok(open.put(batch(3..4)).await);
    assert!(tokio::time::timeout(MOMENT, open.put(batch(["lost", "lost"]))).await.is_err());
    ok(open.put(batch(4..5)).await);
    ok(open.commit().await);
    assert_eq!(drain(&*channel, 5).await, numbers(0..5));
    ok(put(&*channel, batch(5..10)).await);
    assert_eq!(drain(&*channel, 5).await, numbers(5..10));
}

/// Events, bytes, limits.
pub async fn stats_count_what_is_in_the_channel(fixture: &impl ChannelFixture) {
    let channel =
        fixture.channel(ChannelLimits { events_max: 10, bytes_max: 1000, keep_alive: MOMENT }).await;
    let empty = channel.stats();
    assert_eq!((empty.events, empty.bytes, empty.oldest_age), (0, 0, None));
    assert_eq!((empty.events_max, empty.bytes_max, empty.damaged), (10, 1000, 0));
    ok(put(&*channel, batch(["abc", "de"])).await);
    let (open, _) = take(&*channel, 1).await;
    let full = channel.stats();
    assert_eq!((full.events, full.bytes, full.oldest_age.is_some()), (2, 5, true));
    ok(open.commit().await);
    let less = channel.stats();
    assert_eq!((less.events, less.bytes), (1, 2));
}
