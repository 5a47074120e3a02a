//! Counts: event by event the next number.

use async_trait::async_trait;
use bytes::Bytes;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, Event, Source, SourceContext, SourceError, SourceFactory};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "batch-size",
        OptionKind::Integer { min: 1, max: 1_000_000 },
        "1",
        "Events committed together",
    ),
    OptionSpec::with_default(
        "total-events",
        OptionKind::Integer { min: 0, max: i64::MAX },
        "9223372036854775807",
        "Ends after so many events",
    ),
];

pub(super) const FACTORY: SourceFactory = SourceFactory {
    name: "seq",
    summary: "Counts from 0, one number an event; starts over with the source",
    options: OPTIONS,
    open: false,
    example: "seq \"numbers\" channel=\"fast\" { batch-size 100; total-events 1_000_000 }",
    build,
};

fn build(section: &Section, _cx: &BuildContext) -> Result<Box<dyn Source>, Diagnostics> {
    Ok(Box::new(SequenceSource {
        batch_events: section.integer("batch-size").unsigned_abs(),
        events_max: section.integer("total-events").unsigned_abs(),
    }))
}

struct SequenceSource {
    batch_events: u64,
    events_max: u64,
}

#[async_trait]
impl Source for SequenceSource {
    fn may_end(&self) -> bool {
        self.events_max < i64::MAX.unsigned_abs()
    }

    /// A number is passed only once the channels have it: a full channel repeats it.
    async fn run(self: Box<Self>, cx: SourceContext) -> Result<(), SourceError> {
        let mut next = 0;
        while next < self.events_max && !cx.shutdown.is_cancelled() {
            let end = (next + self.batch_events).min(self.events_max);
            match cx.processor.accept(numbers(next, end), &cx.shutdown).await {
                Ok(()) => next = end,
                Err(_) if cx.shutdown.is_cancelled() => break,
                Err(error) => return Err(error.into()),
            }
            // A channel that never makes us wait must not keep the thread for itself.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// The numbers from `start` to before `end`, all in one text.
fn numbers(start: u64, end: u64) -> Batch {
    let mut text = String::new();
    let ends: Vec<usize> = (start..end)
        .map(|number| {
            text.push_str(&number.to_string());
            text.len()
        })
        .collect();
    let text = Bytes::from(text);
    let mut from = 0;
    let events = ends.into_iter().map(|to| Event::new(text.slice(std::mem::replace(&mut from, to)..to)));
    Batch::new(events.collect())
}

#[cfg(test)]
mod tests {
    use millrace_testkit::{RecordingChannel, SourceRig};

    use super::FACTORY;

    async fn run(kdl: &str, refusals: usize) -> RecordingChannel {
        let folder = tempfile::tempdir().unwrap();
        let channel = RecordingChannel::default();
        channel.refuse_next(refusals);
        let (channel, result) = SourceRig::start(&FACTORY, kdl, channel, folder.path()).finished().await;
        result.unwrap();
        channel
    }

    fn numbers(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn counts_from_zero_in_batches_and_ends_at_the_total() {
        let channel = run("seq \"s\" { batch-size 7; total-events 103; }", 0).await;
        assert_eq!(channel.bodies(), numbers(103));
        let sizes: Vec<usize> = channel.batches().iter().map(Vec::len).collect();
        assert_eq!((sizes.len(), sizes[0], sizes[14]), (15, 7, 5));
    }

    #[tokio::test]
    async fn a_refused_number_comes_again_and_none_is_skipped() {
        assert_eq!(run("seq \"s\" { total-events 20; }", 3).await.bodies(), numbers(20));
    }

    #[tokio::test]
    async fn nothing_is_to_be_counted() {
        assert!(run("seq \"s\" total-events=0", 0).await.bodies().is_empty());
    }

    #[tokio::test]
    async fn it_goes_on_until_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let rig = SourceRig::start(&FACTORY, "seq \"s\"", RecordingChannel::default(), folder.path());
        rig.channel.wait_for_events(100).await;
        let (channel, result) = rig.stop().await;
        result.unwrap();
        assert_eq!(channel.bodies(), numbers(channel.bodies().len()));
    }
}
