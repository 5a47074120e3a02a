//! Makes load: the same event again and again, as fast as the channels take it or at a given rate.

use std::time::Duration;

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Backoff, Batch, BuildContext, Event, Source, SourceContext, SourceError, SourceFactory};
use tokio::time::Instant;

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("size", OptionKind::Size, "500B", "Size of a body, all bytes 0x7F"),
    OptionSpec::with_default(
        "max-total-events",
        OptionKind::Integer { min: -1, max: i64::MAX },
        "-1",
        "Ends after so many events were tried; -1: never",
    ),
    OptionSpec::with_default(
        "max-successful-events",
        OptionKind::Integer { min: -1, max: i64::MAX },
        "-1",
        "Ends after so many events were committed; -1: never",
    ),
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1",
        "Events committed together",
    ),
    OptionSpec::with_default(
        "max-events-per-second",
        OptionKind::Integer { min: 0, max: 1_000_000_000 },
        "0",
        "Limit of the rate; 0: as fast as possible",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "stress",
    summary: "Makes load: equal events without end or up to a limit",
    options: OPTIONS,
    open: false,
    example: "stress \"load\" channel=\"fast\" { size \"512B\"; batch-size 1000; max-events-per-second 50_000 }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    let limit = |option: &str| u64::try_from(section.integer(option)).unwrap_or(u64::MAX);
    let body = vec![0x7f; usize::try_from(section.size("size")).unwrap_or(usize::MAX)];
    Ok(Box::new(StressSource {
        batch: Batch::new(vec![Event::new(body); section.count("batch-size")]),
        tried_max: limit("max-total-events"),
        committed_max: limit("max-successful-events"),
        events_per_second: section.integer("max-events-per-second").unsigned_abs(),
    }))
}

struct StressSource {
    /// Shared by all commits: making an event costs nothing.
    batch: Batch,
    tried_max: u64,
    committed_max: u64,
    events_per_second: u64,
}

#[async_trait]
impl Source for StressSource {
    fn may_end(&self) -> bool {
        self.tried_max.min(self.committed_max) < u64::MAX
    }

    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let (mut tried, mut committed) = (0, 0);
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        let started = Instant::now();
        while !cx.shutdown.is_cancelled() {
            let left = (self.tried_max - tried).min(self.committed_max - committed);
            let count = left.min(self.batch.len() as u64);
            if count == 0 {
                return Ok(());
            }
            let batch = self.batch.part(0..usize::try_from(count).unwrap_or(usize::MAX));
            let result = cx.processor.process(batch).await;
            tried += count;
            let next = match result {
                Ok(()) => {
                    committed += count;
                    backoff.reset();
                    started + self.time_of(committed)
                }
                Err(error) => {
                    cx.health.failed(cx.clock.now(), &error);
                    Instant::now() + backoff.failed()
                }
            };
            tokio::select! {
                () = cx.shutdown.cancelled() => {}
                () = pause_until(next) => {}
            }
        }
        Ok(())
    }
}

impl StressSource {
    /// When so many events may have been committed.
    fn time_of(&self, events: u64) -> Duration {
        match self.events_per_second {
            0 => Duration::ZERO,
            rate => Duration::from_secs_f64(events as f64 / rate as f64),
        }
    }
}

/// A time that has passed costs one turn of the other tasks, no timer.
async fn pause_until(next: Instant) {
    if next <= Instant::now() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use millrace_testkit::{RecordingChannel, SourceRig};
    use tokio::time::Instant;

    use super::FACTORY;

    async fn run(kdl: &str, refusals: usize) -> Vec<usize> {
        let folder = tempfile::tempdir().unwrap();
        let channel = RecordingChannel::default();
        channel.refuse_next(refusals);
        let (channel, result) = SourceRig::start(&FACTORY, kdl, channel, folder.path()).finished().await;
        result.unwrap();
        for event in channel.events() {
            assert!(event.body.iter().all(|byte| *byte == 0x7f) && event.headers.is_empty());
        }
        channel.batches().iter().map(|batch| batch.len() * batch[0].body.len()).collect()
    }

    #[tokio::test]
    async fn ends_at_its_limit_to_the_event() {
        assert_eq!(run("stress \"s\" max-total-events=3", 0).await, [500, 500, 500]);
        let kdl = "stress \"s\" size=\"1B\" batch-size=4 max-successful-events=10";
        assert_eq!(run(kdl, 0).await, [4, 4, 2]);
        assert!(run("stress \"s\" max-total-events=0", 0).await.is_empty());
    }

    #[tokio::test]
    async fn refused_events_count_as_tried_but_not_as_committed() {
        let kdl = "stress \"s\" size=\"1B\" batch-size=4 max-total-events=10";
        assert_eq!(run(kdl, 1).await, [4, 2]);
        let kdl = "stress \"s\" size=\"1B\" batch-size=4 max-successful-events=10";
        assert_eq!(run(kdl, 2).await, [4, 4, 2]);
    }

    #[tokio::test]
    async fn the_rate_is_kept() {
        let begun = Instant::now();
        let kdl = "stress \"s\" size=\"1B\" batch-size=10 max-events-per-second=1000 max-total-events=250";
        assert_eq!(run(kdl, 0).await.len(), 25);
        assert!(begun.elapsed() >= Duration::from_millis(240));
    }
}
