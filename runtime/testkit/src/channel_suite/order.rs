//! Order, visibility, rollback.

use millrace_core::{Batch, Event};

use super::{ChannelFixture, ChannelLimits, batch, drain, numbers, ok, put, take};

/// First in, first out, across batches of all sizes.
pub async fn events_come_out_in_the_order_of_commits(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let mut next = 0;
    for size in [1, 100, 2, 1000, 1, 1, 3] {
        ok(put(&*channel, batch(next..next + size)).await);
        next += size;
    }
    assert_eq!(drain(&*channel, next).await, numbers(0..next));
    assert_eq!(channel.stats().events, 0);
}

/// An open put is invisible.
pub async fn nothing_is_visible_before_the_commit(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let mut open = ok(channel.begin_put().await);
    ok(open.put(batch(["open"])).await);
    ok(put(&*channel, batch(["committed"])).await);
    assert_eq!(drain(&*channel, 1).await, ["committed"]);
    assert_eq!(channel.stats().events, 0);
    ok(open.commit().await);
    assert_eq!(drain(&*channel, 1).await, ["open"]);
}

/// A transaction is one unit however many batches it has.
pub async fn several_puts_of_one_transaction_become_visible_together(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let mut open = ok(channel.begin_put().await);
    for number in 0..5 {
        ok(open.put(batch([number])).await);
    }
    assert_eq!(channel.stats().events, 0);
    ok(open.commit().await);
    let (taken, all) = take(&*channel, 10).await;
    assert_eq!(all, numbers(0..5));
    ok(taken.commit().await);
}

/// Dropping is rolling back.
pub async fn a_dropped_put_leaves_nothing(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let mut dropped = ok(channel.begin_put().await);
    ok(dropped.put(batch(["a", "b"])).await);
    drop(dropped);
    let mut rolled_back = ok(channel.begin_put().await);
    ok(rolled_back.put(batch(["c"])).await);
    rolled_back.rollback();
    ok(put(&*channel, batch(["d"])).await);
    assert_eq!(drain(&*channel, 1).await, ["d"]);
    assert_eq!(channel.stats().events, 0);
}

/// Rolled back events are the next to be taken.
pub async fn a_dropped_take_returns_its_events_to_the_head(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(0..4)).await);
    ok(put(&*channel, batch(4..10)).await);
    let (taken, first) = take(&*channel, 6).await;
    assert_eq!(first, numbers(0..6));
    drop(taken);
    let (taken, first) = take(&*channel, 1).await;
    assert_eq!(first, ["0"]);
    taken.rollback();
    assert_eq!(drain(&*channel, 10).await, numbers(0..10));
}

/// Several open takes, returned in the worst order.
pub async fn several_dropped_takes_return_to_their_places_in_any_order(fixture: &impl ChannelFixture) {
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]] {
        let channel = fixture.channel(ChannelLimits::default()).await;
        ok(put(&*channel, batch(0..7)).await);
        ok(put(&*channel, batch(7..20)).await);
        let mut open = Vec::new();
        for _ in 0..3 {
            open.push(Some(take(&*channel, 5).await.0));
        }
        for index in order {
            drop(open[index].take());
        }
        assert_eq!(drain(&*channel, 20).await, numbers(0..20), "{order:?}");
    }
}

/// The second take commits, the first rolls back.
pub async fn out_of_order_commits_remove_exactly_what_was_taken(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(0..10)).await);
    let (first, _) = take(&*channel, 3).await;
    let (second, _) = take(&*channel, 3).await;
    let (third, _) = take(&*channel, 2).await;
    ok(second.commit().await);
    drop(third);
    drop(first);
    assert_eq!(channel.stats().events, 7);
    assert_eq!(drain(&*channel, 7).await, ["0", "1", "2", "6", "7", "8", "9"]);
}

/// All takes of a transaction share its fate.
pub async fn one_transaction_takes_several_times(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    ok(put(&*channel, batch(0..10)).await);
    for commit in [false, true] {
        let mut open = ok(channel.begin_take().await);
        let limit = millrace_core::BatchLimit { events_max: 4, ..Default::default() };
        assert_eq!(super::bodies(&ok(open.take(limit).await)), numbers(0..4));
        assert_eq!(super::bodies(&ok(open.take(limit).await)), numbers(4..8));
        if commit {
            ok(open.commit().await);
        }
    }
    assert_eq!(drain(&*channel, 2).await, ["8", "9"]);
}

/// Every byte, and the order of headers.
pub async fn bodies_and_headers_come_out_as_they_went_in(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let shared: millrace_core::Headers =
        [("ä".into(), "ö".into()), ("b".into(), "".into())].into_iter().collect();
    let mut changed = shared.clone();
    changed.set("a".into(), "x".repeat(100_000).into());
    let events = vec![
        Event::new(""),
        Event::new(vec![0xff, 0, 0xfe, b'\n']),
        Event::with_headers(shared.clone(), "one"),
        Event::with_headers(shared, (0..=255).cycle().take(300_000).collect::<Vec<u8>>()),
        Event::with_headers(changed, "two"),
        Event::new("last"),
    ];
    ok(put(&*channel, Batch::new(events.clone())).await);
    let mut open = ok(channel.begin_take().await);
    let taken = ok(open.take(millrace_core::BatchLimit::default()).await);
    assert_eq!(taken.events(), events);
    assert!(taken.position().is_none() && taken.diverted().is_empty());
    ok(open.commit().await);
}
