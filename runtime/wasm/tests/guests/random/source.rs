//! `source`: any events, positions and paces. What reaches the channel keeps to the number of events that a poll asks
//! for, and to what one instance can hold: the bytes that a poll asks for are a request.

use std::{sync::Arc, time::Duration};

use millrace_testkit::{RecordingChannel, SourceRig, TestClock};

use super::{Case, Recipe, cases};
use crate::support::Setup;

#[test]
fn source() {
    cases("source", 40, |case: Case| async move {
        let recipe = Recipe {
            exports: vec!["source"],
            imports: vec!["log", "metrics", "clock", "state"],
            rows: 5,
            ..Recipe::default()
        };
        let setup = Setup { options: "poll events=3 bytes=1000", ..case.setup(&recipe) };
        let Some((source, cx)) = case.taken(case.rig.try_source(&setup)) else { return };
        let clock = Arc::new(TestClock::at(1_700_000_000_000));
        let running = SourceRig::with_source(source, RecordingChannel::default(), clock, cx);
        // Most end at once; one that polls for ever is left alone for a moment.
        tokio::time::sleep(Duration::from_millis(30)).await;
        let channel = running.kill().await;
        case.came_to(!channel.batches().is_empty());
        for batch in channel.batches() {
            let bytes: usize = batch.iter().map(|event| event.body.len()).sum();
            assert!(
                batch.len() <= 3 && bytes as u64 <= super::MEMORY_BYTES_MAX,
                "{} events, {bytes} bytes",
                batch.len()
            );
        }
    });
}
