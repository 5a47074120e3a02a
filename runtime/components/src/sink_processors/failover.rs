//! `failover`: the sink of the highest priority that works gets everything.
//!
//! A sink that fails is left alone for a penalty that doubles with every failure, and the batch goes to the next
//! one in the same call. Once its penalty is over, a sink of higher priority is tried first again: it takes
//! over as soon as it works. Equal priorities keep the order of writing.

use std::{cmp::Reverse, time::Duration};

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, DeliveryToken, Member, Sink, SinkError, SinkProcessorFactory};
use tokio::time::Instant;

use super::{
    close_all, idle_all, least_batch,
    penalty::Penalty,
    two_phase::{self, Step},
};

const OPTIONS: &[OptionSpec] = &[OptionSpec::with_default(
    "max-penalty",
    OptionKind::Duration,
    "30s",
    "Longest time a failed sink is left alone; it starts at 2s and doubles",
)];

/// Declares the processor.
pub const FACTORY: SinkProcessorFactory = SinkProcessorFactory {
    name: "failover",
    summary: "Gives every batch to the working sink of the highest priority",
    options: OPTIONS,
    example: r#"failover "lake-or-archive" { sink "lake" priority=10; sink "archive" priority=5 }"#,
    build,
};

struct FailoverSinkProcessor {
    /// Highest priority first.
    members: Vec<(Member, Penalty)>,
    longest_penalty: Duration,
    /// The one that took the last batch.
    active: Option<usize>,
}

fn build(
    section: &Section,
    mut members: Vec<Member>,
    _context: &BuildContext,
) -> Result<Box<dyn Sink>, Diagnostics> {
    if members.is_empty() {
        return Err(Diagnostic::error("sink-group::members", section.span(), "a failover group has no sink")
            .help(r#"add members such as sink "lake" priority=10"#)
            .into());
    }
    members.sort_by_key(|member| Reverse(member.priority));
    Ok(Box::new(FailoverSinkProcessor {
        members: members.into_iter().map(|member| (member, Penalty::default())).collect(),
        longest_penalty: section.duration("max-penalty"),
        active: None,
    }))
}

#[async_trait]
impl Sink for FailoverSinkProcessor {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut last_reason = None;
        for (at, (member, penalty)) in self.members.iter_mut().enumerate() {
            if penalty.remaining(Instant::now()).is_some() {
                continue;
            }
            match member.sink.deliver(batch).await {
                Err(SinkError::Retryable { reason, after }) => {
                    penalty.failed(Instant::now(), self.longest_penalty, after);
                    tracing::warn!(sink = %member.name, %reason, "sink failed, the next one takes over");
                    last_reason = Some(reason);
                }
                // Delivered, or refused for good by a sink that works.
                outcome => {
                    penalty.recovered();
                    if self.active.replace(at) != Some(at) {
                        tracing::info!(sink = %member.name, "sink is active");
                    }
                    return outcome;
                }
            }
        }
        let now = Instant::now();
        let shortest = self.members.iter().filter_map(|(_, penalty)| penalty.remaining(now)).min();
        let reason = match last_reason {
            Some(reason) => format!("no sink of the group works, the last one: {reason}"),
            None => "no sink of the group works, all wait for their next attempt".into(),
        };
        Err(SinkError::Retryable { reason, after: shortest })
    }

    fn batch_events(&self) -> usize {
        least_batch(self.members.iter().map(|(member, _)| member))
    }

    fn wants_deliveries_named(&self) -> bool {
        self.members.iter().any(|(member, _)| member.sink.wants_deliveries_named())
    }

    fn is_two_phase(&self) -> bool {
        two_phase::any(self.members.iter().map(|(member, _)| member))
    }

    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        match self.active.and_then(|at| self.members.get_mut(at)) {
            Some((member, _)) => two_phase::prepare(member).await,
            None => Ok(Vec::new()),
        }
    }

    async fn commit(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(self.members.iter_mut().map(|(member, _)| member).collect(), tokens, Step::Commit)
            .await
    }

    async fn abort(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(self.members.iter_mut().map(|(member, _)| member).collect(), tokens, Step::Abort)
            .await
    }

    async fn recover(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(self.members.iter_mut().map(|(member, _)| member).collect(), tokens, Step::Recover)
            .await
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        idle_all(self.members.iter_mut().map(|(member, _)| member).collect()).await
    }

    fn settled(&mut self, committed: bool) {
        self.members.iter_mut().for_each(|(member, _)| member.sink.settled(committed));
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        close_all(self.members.into_iter().map(|(member, _)| member)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_core::SinkError;
    use tokio::time::{Instant, advance};

    use super::{FACTORY, OPTIONS};
    use crate::sink_processors::scripted::{Script, batch, build};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn the_highest_priority_gets_all_whatever_the_order_of_writing() {
        let [low, high, middle] = [Script::new("low"), Script::new("high"), Script::new("middle")];
        let members = vec![low.member(1, 1), high.member(9, 1), middle.member(5, 1)];
        let mut group = build(&FACTORY, OPTIONS, r#"failover "g""#, members);
        for body in ["1", "2", "3"] {
            group.deliver(&batch(body)).await.unwrap();
        }
        assert_eq!((high.delivered().as_str(), middle.attempts(), low.attempts()), ("1 2 3", 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_sink_is_left_alone_for_its_penalty_and_takes_over_again_when_it_works() {
        let [first, second] = [Script::new("first"), Script::new("second")];
        let mut group =
            build(&FACTORY, OPTIONS, r#"failover "g""#, vec![first.member(2, 1), second.member(1, 1)]);
        first.fail(true);
        group.deliver(&batch("a")).await.unwrap();
        advance(secs(2) - Duration::from_millis(1)).await;
        group.deliver(&batch("b")).await.unwrap();
        assert_eq!(first.attempts(), 1);
        // Its second failure, after two seconds, costs four.
        advance(Duration::from_millis(1)).await;
        group.deliver(&batch("c")).await.unwrap();
        assert_eq!(first.attempts(), 2);
        first.fail(false);
        advance(secs(4) - Duration::from_millis(1)).await;
        group.deliver(&batch("d")).await.unwrap();
        assert_eq!(first.attempts(), 2);
        advance(Duration::from_millis(1)).await;
        group.deliver(&batch("e")).await.unwrap();
        assert_eq!((first.delivered().as_str(), second.delivered().as_str()), ("e", "a b c d"));
        // And the count of failures starts anew.
        first.fail(true);
        group.deliver(&batch("f")).await.unwrap();
        first.fail(false);
        advance(secs(2)).await;
        group.deliver(&batch("g")).await.unwrap();
        assert_eq!(first.delivered().as_str(), "e g");
    }

    #[tokio::test(start_paused = true)]
    async fn with_no_sink_left_the_answer_says_when_the_first_may_be_tried_again() {
        let [first, second] = [Script::new("first"), Script::new("second")];
        let mut group =
            build(&FACTORY, OPTIONS, r#"failover "g""#, vec![first.member(2, 1), second.member(1, 1)]);
        first.fail(true);
        group.deliver(&batch("a")).await.unwrap();
        second.fail(true);
        advance(Duration::from_millis(500)).await;
        for expected in [secs(1) + Duration::from_millis(500), secs(1)] {
            let error = group.deliver(&batch("b")).await.unwrap_err();
            assert!(
                matches!(error, SinkError::Retryable { after, .. } if after == Some(expected)),
                "{error:?}"
            );
            advance(Duration::from_millis(500)).await;
        }
        assert_eq!((first.attempts(), second.attempts()), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_penalty_stays_at_its_limit_after_a_hundred_failures() {
        let only = Script::new("only");
        only.fail(true);
        let mut group =
            build(&FACTORY, OPTIONS, r#"failover "g" { max-penalty "10s" }"#, vec![only.member(0, 1)]);
        for expected in [2, 4, 8].into_iter().chain(std::iter::repeat_n(10, 100)) {
            let error = group.deliver(&batch("a")).await.unwrap_err();
            assert!(matches!(error, SinkError::Retryable { after, .. } if after == Some(secs(expected))));
            advance(secs(expected)).await;
        }
        assert_eq!(only.attempts(), 103);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_refused_for_good_goes_to_nobody_else() {
        let [first, second] = [Script::new("first"), Script::new("second")];
        let mut group =
            build(&FACTORY, OPTIONS, r#"failover "g""#, vec![first.member(2, 1), second.member(1, 1)]);
        first.reject_next();
        let error = group.deliver(&batch("bad")).await.unwrap_err();
        assert!(matches!(error, SinkError::Rejected { .. }));
        group.deliver(&batch("good")).await.unwrap();
        assert_eq!((first.delivered().as_str(), second.attempts()), ("good", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_may_be_a_member_and_idle_and_close_reach_everyone() {
        let scripts = ["a", "b", "c"].map(Script::new);
        let inner = build(
            &FACTORY,
            OPTIONS,
            r#"failover "inner""#,
            vec![scripts[0].member(2, 1), scripts[1].member(1, 1)],
        );
        let members = vec![scripts[0].around(inner, 5), scripts[2].member(1, 1)];
        let mut group = build(&FACTORY, OPTIONS, r#"failover "outer""#, members);
        scripts[0].fail(true);
        group.deliver(&batch("1")).await.unwrap();
        scripts[1].fail(true);
        group.deliver(&batch("2")).await.unwrap();
        assert_eq!((scripts[1].delivered().as_str(), scripts[2].delivered().as_str()), ("1", "2"));
        scripts[0].fail(false);
        scripts[1].fail(false);
        let begun = Instant::now();
        group.idle().await.unwrap();
        group.close().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        for script in &scripts {
            assert_eq!((script.idles(), script.is_closed()), (1, true));
        }
    }
}
