//! What every channel promises, as one list of cases that run against each implementation.
//!
//! `channel_suite!(Fixture)` in a test module makes one test of each case. The fixture builds an open channel
//! with given limits.

pub mod concurrency;
pub mod limits;
pub mod order;
pub mod positions;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use millrace_core::{Batch, BatchLimit, Channel, ChannelError, Event, TakeTransaction};

/// What a case wants of its channel.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    /// Largest number of events.
    pub events_max: u64,
    /// Largest size.
    pub bytes_max: u64,
    /// How long a put waits for room.
    pub keep_alive: Duration,
}

impl Default for ChannelLimits {
    fn default() -> Self {
        Self { events_max: 1_000_000, bytes_max: 1 << 30, keep_alive: Duration::ZERO }
    }
}

/// Builds the channel under test. Dropping it removes what the channel left.
#[async_trait]
pub trait ChannelFixture: Default + Send + Sync {
    /// A new, open channel.
    async fn channel(&self, limits: ChannelLimits) -> Arc<dyn Channel>;
}

/// Makes a test of each case of the suite.
#[macro_export]
macro_rules! channel_suite {
    ($fixture:ty) => {
        $crate::channel_suite! { @cases $fixture;
            order::events_come_out_in_the_order_of_commits,
            order::nothing_is_visible_before_the_commit,
            order::several_puts_of_one_transaction_become_visible_together,
            order::a_dropped_put_leaves_nothing,
            order::a_dropped_take_returns_its_events_to_the_head,
            order::several_dropped_takes_return_to_their_places_in_any_order,
            order::out_of_order_commits_remove_exactly_what_was_taken,
            order::one_transaction_takes_several_times,
            order::bodies_and_headers_come_out_as_they_went_in,
            limits::a_take_stops_at_its_limit_of_events,
            limits::a_take_stops_at_its_limit_of_bytes_but_never_returns_nothing,
            limits::small_batches_are_taken_as_one,
            limits::a_full_channel_refuses_and_accepts_again_after_a_take,
            limits::a_put_waits_for_room,
            limits::taken_events_occupy_room_until_the_commit,
            limits::a_rolled_back_put_gives_its_room_back,
            limits::what_can_never_fit_is_too_large_not_full,
            limits::a_cancelled_put_adds_nothing_and_keeps_no_room,
            limits::stats_count_what_is_in_the_channel,
            concurrency::a_take_waits_for_the_first_event,
            concurrency::a_take_waits_for_its_batch_to_fill_but_not_longer_than_allowed,
            concurrency::a_cancelled_take_takes_nothing,
            concurrency::producers_and_takers_move_each_event_exactly_once,
            concurrency::events_survive_takers_that_roll_back_at_random,
            concurrency::closing_wakes_takers_and_waiting_puts,
            concurrency::transactions_of_a_closed_channel_fail,
            positions::a_position_becomes_known_with_its_commit_where_positions_are_kept,
            positions::a_batch_that_carries_only_a_position_needs_no_room,
            positions::state_is_committed_with_its_batch_where_positions_are_kept,
        }
    };
    (@cases $fixture:ty; $($module:ident::$case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let fixture = <$fixture>::default();
                $crate::channel_suite::$module::$case(&fixture).await;
            }
        )*
    };
}

/// A batch of these bodies.
pub fn batch(bodies: impl IntoIterator<Item = impl ToString>) -> Batch {
    Batch::new(bodies.into_iter().map(|body| Event::new(body.to_string())).collect())
}

/// The bodies as text.
pub fn bodies(batch: &Batch) -> Vec<String> {
    batch.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
}

/// Puts and commits one batch.
///
/// # Errors
/// As the channel says.
pub async fn put(channel: &dyn Channel, batch: Batch) -> Result<(), ChannelError> {
    let mut put = channel.begin_put().await?;
    put.put(batch).await?;
    put.commit().await
}

/// Takes up to this many events and leaves the transaction open.
pub async fn take(channel: &dyn Channel, events_max: usize) -> (Box<dyn TakeTransaction>, Vec<String>) {
    let mut take = ok(channel.begin_take().await);
    let limit = BatchLimit { events_max, bytes_max: usize::MAX, wait_max: Duration::ZERO };
    let batch = ok(crate::within("a take", take.take(limit)).await);
    (take, bodies(&batch))
}

/// Takes and commits until this many events came.
pub async fn drain(channel: &dyn Channel, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let (taken, bodies) = take(channel, count - all.len()).await;
        all.extend(bodies);
        ok(taken.commit().await);
    }
    all
}

/// The value, or the end of the test.
pub fn ok<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("{error}"),
    }
}

/// Text of the numbers of a range.
pub fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}
