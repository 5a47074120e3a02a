//! Sink processors: sinks made of sinks.
//!
//! A member that cannot take a batch now is passed over, the batch goes to another one. A batch that a member
//! refuses for good would be refused by the others too: that answer is the group's answer.

use millrace_core::{BatchLimit, Member, SinkError, SinkProcessorFactory};

mod default;
mod failover;
mod load_balance;
mod penalty;
mod two_phase;

#[cfg(test)]
mod scripted;

/// All of them.
pub fn factories() -> Vec<SinkProcessorFactory> {
    vec![default::FACTORY, failover::FACTORY, load_balance::FACTORY]
}

/// Lets every member do what is due; the first error is returned after all had their turn.
async fn idle_all(members: Vec<&mut Member>) -> Result<(), SinkError> {
    let mut result = Ok(());
    for member in members {
        let idle = member.sink.idle().await;
        result = result.and(idle);
    }
    result
}

/// What suits each member.
fn least_batch<'a>(members: impl Iterator<Item = &'a Member>) -> usize {
    let events = members.map(|member| member.sink.batch_events()).min();
    events.unwrap_or(BatchLimit::default().events_max)
}

/// Closes every member; the first error is returned after all are closed.
async fn close_all(members: impl IntoIterator<Item = Member>) -> Result<(), SinkError> {
    let mut result = Ok(());
    for member in members {
        let closed = member.sink.close().await;
        result = result.and(closed);
    }
    result
}
