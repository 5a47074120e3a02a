//! Positions of sources, where a channel keeps them.

use std::sync::Arc;

use millrace_core::{Batch, Channel, PositionUpdate, StateStores};

use super::{ChannelFixture, ChannelLimits, batch, drain, ok, put};
use crate::TestClock;

fn value(channel: &dyn Channel, source: &str, key: &str) -> Option<String> {
    let positions = channel.positions(source)?;
    positions.get(key.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
}

fn at(source: &'static str, value: &'static str) -> PositionUpdate {
    PositionUpdate::set(source.into(), "key", value)
}

/// With the commit, not with the put, and source by source.
pub async fn a_position_becomes_known_with_its_commit_where_positions_are_kept(
    fixture: &impl ChannelFixture,
) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let keeps = channel.positions("web").is_some();
    assert_eq!(keeps, channel.is_durable());
    let expected = |text: &str| keeps.then(|| text.to_owned());
    ok(put(&*channel, batch(["a"]).with_position(at("web", "1"))).await);
    assert_eq!(value(&*channel, "web", "key"), expected("1"));
    let mut open = ok(channel.begin_put().await);
    ok(open.put(batch(["b"]).with_position(at("web", "2"))).await);
    ok(open.put(batch(["c"]).with_position(at("other", "9"))).await);
    ok(open.put(batch(["d"]).with_position(at("web", "3"))).await);
    assert_eq!(value(&*channel, "web", "key"), expected("1"));
    ok(open.commit().await);
    assert_eq!(value(&*channel, "web", "key"), expected("3"));
    assert_eq!(value(&*channel, "other", "key"), expected("9"));
    let forget = PositionUpdate { source: "web".into(), changes: vec![("key".into(), None)] };
    ok(put(&*channel, Batch::default().with_position(forget)).await);
    assert_eq!(value(&*channel, "web", "key"), None);
    assert_eq!(drain(&*channel, 4).await, ["a", "b", "c", "d"]);
}

/// Even a full channel takes it.
pub async fn a_batch_that_carries_only_a_position_needs_no_room(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits { events_max: 1, ..ChannelLimits::default() }).await;
    ok(put(&*channel, batch(["a"])).await);
    ok(put(&*channel, Batch::default().with_position(at("web", "7"))).await);
    ok(put(&*channel, Batch::default()).await);
    if channel.is_durable() {
        assert_eq!(value(&*channel, "web", "key").as_deref(), Some("7"));
    }
    assert_eq!(channel.stats().events, 1);
    assert_eq!(drain(&*channel, 1).await, ["a"]);
}

/// What a component wrote for a batch is there with its commit, where positions are kept, and never without it.
pub async fn state_is_committed_with_its_batch_where_positions_are_kept(fixture: &impl ChannelFixture) {
    let channel = fixture.channel(ChannelLimits::default()).await;
    let stores = StateStores::new(Arc::new(TestClock::at(0)));
    let store = stores.interceptor("web/count", 1 << 20);
    let kept = |channel: &dyn Channel| channel.positions(store.owner()).map(|all| all.len());
    let written = async |key: &str| {
        let mut batch = batch([key]);
        let mut transaction = store.begin(&mut batch).await;
        ok(transaction.increment(key, 1));
        transaction.keep_call();
        transaction.finish(&mut batch);
        batch
    };
    let mut open = ok(channel.begin_put().await);
    ok(open.put(written("a").await).await);
    open.rollback();
    let keeps = channel.is_durable();
    assert_eq!(kept(&*channel), keeps.then_some(0));
    assert_eq!(store.size().1, 0);
    ok(put(&*channel, written("a").await).await);
    ok(put(&*channel, written("b").await).await);
    assert_eq!(kept(&*channel), keeps.then_some(2));
    assert_eq!(store.size().1, if keeps { 2 } else { 0 });
    assert_eq!(drain(&*channel, 2).await, ["a", "b"]);
}
