//! The conformance suite, and what only this channel has.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_core::{Channel, Metrics};
use millrace_testkit::{
    TestClock,
    channel_suite::{ChannelFixture, ChannelLimits, batch, ok, put, take},
};

use super::{MemoryChannel, MemoryOptions};

#[derive(Default)]
struct MemoryFixture;

#[async_trait]
impl ChannelFixture for MemoryFixture {
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel> {
        let ChannelLimits { events_max, bytes_max, keep_alive } = limits;
        Arc::new(channel(&MemoryOptions { events_max, bytes_max, keep_alive }, Arc::default()))
    }
}

millrace_testkit::channel_suite!(MemoryFixture);

fn channel(options: &MemoryOptions, clock: Arc<TestClock>) -> MemoryChannel {
    MemoryChannel::new("test", options, clock, Metrics::default().channel("test"))
}

#[tokio::test]
async fn a_whole_batch_comes_out_without_its_events_being_touched() {
    let channel = channel(&MemoryOptions::default(), Arc::default());
    let batch = batch(0..1000);
    let first: *const millrace_core::Event = &raw const batch.events()[0];
    ok(put(&channel, batch).await);
    let mut open = ok(channel.begin_take().await);
    let taken = ok(open.take(millrace_core::BatchLimit::default()).await);
    assert_eq!(&raw const taken.events()[0], first);
}

#[tokio::test]
async fn the_oldest_age_counts_events_being_taken() {
    let clock = Arc::new(TestClock::at(1_000));
    let channel = channel(&MemoryOptions::default(), Arc::clone(&clock));
    ok(put(&channel, batch(["a"])).await);
    clock.advance(Duration::from_secs(2));
    ok(put(&channel, batch(["b"])).await);
    clock.advance(Duration::from_secs(3));
    let (open, _) = take(&channel, 1).await;
    assert_eq!(channel.stats().oldest_age, Some(Duration::from_secs(5)));
    ok(open.commit().await);
    assert_eq!(channel.stats().oldest_age, Some(Duration::from_secs(3)));
    // A clock that jumps back makes nothing older than now.
    clock.set(0);
    assert_eq!(channel.stats().oldest_age, Some(Duration::ZERO));
}

#[tokio::test]
async fn new_limits_are_in_force_at_once() {
    let channel =
        channel(&MemoryOptions { keep_alive: Duration::ZERO, ..Default::default() }, Arc::default());
    ok(put(&channel, batch(0..10)).await);
    channel.apply(&MemoryOptions { events_max: 5, keep_alive: Duration::ZERO, ..Default::default() });
    assert!(put(&channel, batch(["x"])).await.is_err());
    assert_eq!(channel.stats().events_max, 5);
    ok(take(&channel, 6).await.0.commit().await);
    ok(put(&channel, batch(["x"])).await);
}
