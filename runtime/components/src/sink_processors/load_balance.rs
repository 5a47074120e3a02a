//! `load-balance`: spreads batches over its sinks, in turn or at random, by weight.
//!
//! A sink that fails is passed over in the same call. With `backoff` it is then left alone for a time that
//! doubles with every failure in a row. In turn means the smooth way: with weights 2 and 1 the order is a b a,
//! never a a b, and it is the same in every run.

use std::time::Duration;

use async_trait::async_trait;
use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, DeliveryToken, Member, Sink, SinkError, SinkProcessorFactory};
use rand::Rng;
use tokio::time::Instant;

use super::{
    close_all, idle_all, least_batch,
    penalty::Penalty,
    two_phase::{self, Step},
};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "selector",
        OptionKind::Choice(&["round-robin", "random"]),
        "round-robin",
        "How the sink for the next batch is chosen",
    ),
    OptionSpec::with_default(
        "backoff",
        OptionKind::Boolean,
        "#false",
        "Whether a failed sink is left alone for a time",
    ),
    OptionSpec::with_default(
        "max-timeout",
        OptionKind::Duration,
        "30s",
        "Longest time a failed sink is left alone; it starts at 2s and doubles",
    ),
];

/// Declares the processor.
pub const FACTORY: SinkProcessorFactory = SinkProcessorFactory {
    name: "load-balance",
    summary: "Spreads batches over several sinks",
    options: OPTIONS,
    example: r#"load-balance "collectors" { sink "one" weight=2; sink "two"; backoff #true }"#,
    build,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    RoundRobin,
    Random,
}

struct Balanced {
    member: Member,
    penalty: Penalty,
    /// What it is owed: grows by its weight with every batch, shrinks when it is chosen.
    credit: i64,
}

struct LoadBalanceSinkProcessor {
    members: Vec<Balanced>,
    choice: Choice,
    /// Longest time a failed sink is left alone. None: not at all.
    backoff: Option<Duration>,
    /// The one that took the last batch.
    last: Option<usize>,
}

fn build(
    section: &Section,
    members: Vec<Member>,
    _context: &BuildContext,
) -> Result<Box<dyn Sink>, Diagnostics> {
    if members.is_empty() {
        return Err(Diagnostic::error(
            "sink-group::members",
            section.span(),
            "a load-balance group has no sink",
        )
        .help(r#"add members such as sink "one""#)
        .into());
    }
    let balanced = |member| Balanced { member, penalty: Penalty::default(), credit: 0 };
    Ok(Box::new(LoadBalanceSinkProcessor {
        members: members.into_iter().map(balanced).collect(),
        choice: if section.text("selector") == "random" { Choice::Random } else { Choice::RoundRobin },
        backoff: section.boolean("backoff").then(|| section.duration("max-timeout")),
        last: None,
    }))
}

impl LoadBalanceSinkProcessor {
    /// The sinks that may be tried, the chosen one first.
    fn order(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut live: Vec<usize> =
            (0..self.members.len()).filter(|at| self.members[*at].penalty.remaining(now).is_none()).collect();
        match self.choice {
            Choice::RoundRobin => {
                if let Some(first) = self.next_in_turn(&live) {
                    let start = live.iter().position(|at| *at == first).unwrap_or(0);
                    live.rotate_left(start);
                }
            }
            Choice::Random => {
                for start in 0..live.len() {
                    let chosen = start + self.draw(&live[start..]);
                    live.swap(start, chosen);
                }
            }
        }
        live
    }

    /// Smooth weighted round-robin: everyone earns its weight, the richest pays for all.
    fn next_in_turn(&mut self, live: &[usize]) -> Option<usize> {
        let mut total = 0;
        let mut richest = None;
        for at in live {
            let balanced = &mut self.members[*at];
            let weight = weight(balanced);
            balanced.credit += weight;
            total += weight;
            if richest.is_none_or(|(_, credit)| balanced.credit > credit) {
                richest = Some((*at, balanced.credit));
            }
        }
        let (chosen, _) = richest?;
        self.members[chosen].credit -= total;
        Some(chosen)
    }

    /// The place in `live` of one drawn by weight.
    fn draw(&self, live: &[usize]) -> usize {
        let total: i64 = live.iter().map(|at| weight(&self.members[*at])).sum();
        let mut ticket = rand::rng().random_range(0..total.max(1));
        for (place, at) in live.iter().enumerate() {
            ticket -= weight(&self.members[*at]);
            if ticket < 0 {
                return place;
            }
        }
        0
    }
}

fn weight(balanced: &Balanced) -> i64 {
    balanced.member.weight.max(1).into()
}

#[async_trait]
impl Sink for LoadBalanceSinkProcessor {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut last_failure = None;
        for at in self.order() {
            let balanced = &mut self.members[at];
            match balanced.member.sink.deliver(batch).await {
                Err(SinkError::Retryable { reason, after }) => {
                    tracing::warn!(sink = %balanced.member.name, %reason, "sink failed, another one is tried");
                    if let Some(longest) = self.backoff {
                        balanced.penalty.failed(Instant::now(), longest, after);
                        // Nobody saves up while away.
                        balanced.credit = 0;
                    }
                    last_failure = Some((reason, after));
                }
                // Delivered, or refused for good by a sink that works.
                outcome => {
                    balanced.penalty.recovered();
                    self.last = Some(at);
                    return outcome;
                }
            }
        }
        let now = Instant::now();
        let shortest = self.members.iter().filter_map(|balanced| balanced.penalty.remaining(now)).min();
        Err(match last_failure {
            Some((reason, after)) => SinkError::Retryable {
                reason: format!("no sink of the group works, the last one: {reason}"),
                after: shortest.or(after),
            },
            None => SinkError::Retryable {
                reason: "no sink of the group works, all wait for their next attempt".into(),
                after: shortest,
            },
        })
    }

    fn batch_events(&self) -> usize {
        least_batch(self.members.iter().map(|balanced| &balanced.member))
    }

    fn wants_deliveries_named(&self) -> bool {
        self.members.iter().any(|balanced| balanced.member.sink.wants_deliveries_named())
    }

    fn is_two_phase(&self) -> bool {
        two_phase::any(self.members.iter().map(|balanced| &balanced.member))
    }

    async fn prepare(&mut self) -> Result<Vec<DeliveryToken>, SinkError> {
        match self.last.and_then(|at| self.members.get_mut(at)) {
            Some(balanced) => two_phase::prepare(&mut balanced.member).await,
            None => Ok(Vec::new()),
        }
    }

    async fn commit(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(
            self.members.iter_mut().map(|balanced| &mut balanced.member).collect(),
            tokens,
            Step::Commit,
        )
        .await
    }

    async fn abort(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(
            self.members.iter_mut().map(|balanced| &mut balanced.member).collect(),
            tokens,
            Step::Abort,
        )
        .await
    }

    async fn recover(&mut self, tokens: &[DeliveryToken]) -> Result<(), SinkError> {
        two_phase::each(
            self.members.iter_mut().map(|balanced| &mut balanced.member).collect(),
            tokens,
            Step::Recover,
        )
        .await
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        idle_all(self.members.iter_mut().map(|balanced| &mut balanced.member).collect()).await
    }

    fn settled(&mut self, committed: bool) {
        self.members.iter_mut().for_each(|balanced| balanced.member.sink.settled(committed));
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        close_all(self.members.into_iter().map(|balanced| balanced.member)).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_core::{Sink, SinkError};
    use tokio::time::advance;

    use super::{FACTORY, OPTIONS};
    use crate::sink_processors::scripted::{Script, batch, build};

    fn group(options: &str, scripts: &[(&Script, u32)]) -> Box<dyn Sink> {
        let members = scripts.iter().map(|(script, weight)| script.member(0, *weight)).collect();
        build(&FACTORY, OPTIONS, &format!(r#"load-balance "g" {{ {options} }}"#), members)
    }

    async fn deliver(group: &mut Box<dyn Sink>, bodies: std::ops::Range<usize>) {
        for body in bodies {
            group.deliver(&batch(&body.to_string())).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_turn_means_one_after_the_other_and_smoothly_by_weight() {
        let [a, b, c] = ["a", "b", "c"].map(Script::new);
        let mut even = group("", &[(&a, 1), (&b, 1), (&c, 1)]);
        deliver(&mut even, 0..6).await;
        assert_eq!(
            (a.delivered().as_str(), b.delivered().as_str(), c.delivered().as_str()),
            ("0 3", "1 4", "2 5")
        );
        let [a, b] = ["a", "b"].map(Script::new);
        let mut weighted = group("", &[(&a, 2), (&b, 1)]);
        deliver(&mut weighted, 0..6).await;
        assert_eq!((a.delivered().as_str(), b.delivered().as_str()), ("0 2 3 5", "1 4"));
    }

    #[tokio::test(start_paused = true)]
    async fn without_backoff_a_failing_sink_is_tried_at_its_turn_and_the_next_one_steps_in() {
        let [a, b] = ["a", "b"].map(Script::new);
        let mut group = group("", &[(&a, 1), (&b, 1)]);
        a.fail(true);
        deliver(&mut group, 0..4).await;
        assert_eq!((a.attempts(), b.delivered().as_str()), (2, "0 1 2 3"));
        b.fail(true);
        let error = group.deliver(&batch("x")).await.unwrap_err();
        assert!(matches!(error, SinkError::Retryable { after: None, .. }), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn with_backoff_a_failing_sink_is_left_alone_and_gets_its_fair_share_afterwards() {
        let [a, b] = ["a", "b"].map(Script::new);
        let mut group = group("backoff #true", &[(&a, 1), (&b, 1)]);
        a.fail(true);
        deliver(&mut group, 0..10).await;
        assert_eq!(a.attempts(), 1);
        a.fail(false);
        advance(Duration::from_secs(2)).await;
        deliver(&mut group, 10..20).await;
        assert_eq!((a.delivered_count(), b.delivered_count()), (5, 15));
    }

    #[tokio::test(start_paused = true)]
    async fn all_left_alone_is_an_error_with_the_shortest_time_for_both_selectors() {
        for selector in ["round-robin", "random"] {
            let [a, b] = ["a", "b"].map(Script::new);
            let options = format!(r#"selector "{selector}"; backoff #true; max-timeout "3s""#);
            let mut group = group(&options, &[(&a, 1), (&b, 1)]);
            a.fail(true);
            b.fail(true);
            for expected in [2_000, 1_500] {
                let error = group.deliver(&batch("x")).await.unwrap_err();
                let expected = Some(Duration::from_millis(expected));
                assert!(
                    matches!(error, SinkError::Retryable { after, .. } if after == expected),
                    "{error:?}"
                );
                advance(Duration::from_millis(500)).await;
            }
            assert_eq!((a.attempts(), b.attempts()), (1, 1));
            advance(Duration::from_secs(1)).await;
            let error = group.deliver(&batch("x")).await.unwrap_err();
            assert!(
                matches!(error, SinkError::Retryable { after, .. } if after == Some(Duration::from_secs(3)))
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn random_reaches_everyone_about_as_often_as_its_weight_says() {
        let [a, b] = ["a", "b"].map(Script::new);
        let mut group = group(r#"selector "random""#, &[(&a, 3), (&b, 1)]);
        deliver(&mut group, 0..4000).await;
        // Nine standard deviations on either side of a quarter.
        assert!((750..1250).contains(&b.delivered_count()), "{}", b.delivered_count());
        assert_eq!(a.delivered_count() + b.delivered_count(), 4000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_refused_for_good_goes_to_nobody_else() {
        let [a, b] = ["a", "b"].map(Script::new);
        let mut group = group("backoff #true", &[(&a, 1), (&b, 1)]);
        a.reject_next();
        assert!(matches!(group.deliver(&batch("bad")).await, Err(SinkError::Rejected { .. })));
        assert_eq!(b.attempts(), 0);
        deliver(&mut group, 0..2).await;
        assert_eq!((a.delivered().as_str(), b.delivered().as_str()), ("1", "0"));
    }

    #[tokio::test(start_paused = true)]
    async fn idle_and_close_reach_everyone_even_when_one_fails() {
        let [a, b] = ["a", "b"].map(Script::new);
        let mut group = group("", &[(&a, 1), (&b, 1)]);
        a.fail(true);
        assert!(group.idle().await.is_err());
        assert!(group.close().await.is_err());
        assert_eq!((a.idles(), b.idles(), a.is_closed(), b.is_closed()), (1, 1, true, true));
    }
}
