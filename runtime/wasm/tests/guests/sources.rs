//! Plugins as sources: every event once and in order, whatever the guest does.

use std::sync::Arc;

use millrace_core::{Channel, SourceError};
use millrace_testkit::{RecordingChannel, SourceRig, TestClock, eventually};

use crate::support::{Rig, Setup, setup};

/// Runs the source of a setup over what `channel` holds already.
fn run(rig: &Rig, setup: &Setup, channel: RecordingChannel) -> SourceRig {
    let (source, cx) = rig.source(setup);
    SourceRig::with_source(source, channel, Arc::new(TestClock::at(1_700_000_000_000)), cx)
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn position(channel: &RecordingChannel) -> Option<String> {
    let positions = channel.positions("guest")?;
    positions.get(b"position".as_slice()).map(|position| String::from_utf8_lossy(position).into_owned())
}

#[tokio::test]
async fn a_source_ends_by_itself_and_its_position_is_committed_with_its_events() {
    let rig = Rig::new();
    let setup = Setup { options: "per-poll 7\nlast 99", ..setup("counts-source") };
    let (channel, result) = run(&rig, &setup, RecordingChannel::default()).finished().await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(channel.bodies(), numbers(0..100));
    assert_eq!(position(&channel).as_deref(), Some("100"));
    assert_eq!(channel.batches().iter().map(Vec::len).max(), Some(7));
}

#[tokio::test]
async fn a_source_goes_on_at_the_committed_position_after_a_crash() {
    let rig = Rig::new();
    let setup = Setup { options: "per-poll 3", ..setup("counts-source") };
    let mut channel = RecordingChannel::default();
    for least in [10, 200, 500] {
        let running = run(&rig, &setup, channel);
        eventually("events", || running.channel.events().len() >= least).await;
        channel = running.kill().await;
    }
    let bodies = channel.bodies();
    assert_eq!(bodies, numbers(0..bodies.len() as u64));
    assert!(bodies.len() >= 500);
}

#[tokio::test]
async fn an_answer_keeps_to_the_limits_that_it_was_given() {
    let rig = Rig::new();
    let setup =
        Setup { options: "per-poll 100000\nlast 9999\npoll events=64 bytes=100", ..setup("counts-source") };
    let (channel, result) = run(&rig, &setup, RecordingChannel::default()).finished().await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(channel.bodies(), numbers(0..10_000));
    let bytes = |batch: &Vec<millrace_core::Event>| batch.iter().map(|event| event.body.len()).sum::<usize>();
    assert!(channel.batches().iter().all(|batch| batch.len() <= 64 && bytes(batch) <= 100));
}

#[tokio::test]
async fn a_trap_in_any_call_ends_the_run_and_loses_and_repeats_nothing() {
    let rig = Rig::new();
    for (call, at) in [("open", 0), ("poll", 5), ("committed", 5)] {
        let options: &'static str = Box::leak(format!("in {call:?}\nat {at}\nonce #true").into_boxed_str());
        let setup = Setup { options, ..setup("source-traps") };
        let first = run(&rig, &setup, RecordingChannel::default());
        let channel = if call == "open" {
            // An instance that begins at the number gets over it.
            first
        } else {
            let (channel, result) = first.finished().await;
            let Err(SourceError::Failed { reason, source }) = result else { panic!("{call}: {result:?}") };
            assert_eq!(reason, "the plugin broke", "{call}");
            assert!(source.to_string().contains("asked to panic at 5"), "{call}: {source}");
            assert_eq!(channel.bodies(), numbers(0..5), "{call}");
            run(&rig, &setup, channel)
        };
        eventually("events", || channel.channel.events().len() >= 20).await;
        let bodies = channel.kill().await.bodies();
        assert_eq!(bodies, numbers(0..bodies.len() as u64), "{call}");
    }
    assert_eq!(rig.count("faults_total", "kind=\"trap\""), 2);
}

#[tokio::test]
async fn a_position_that_goes_back_ends_the_run_before_anything_repeats() {
    let rig = Rig::new();
    let (channel, result) =
        run(&rig, &setup("source-backwards"), RecordingChannel::default()).finished().await;
    let Err(SourceError::Failed { source, .. }) = result else { panic!("{result:?}") };
    assert_eq!(source.to_string(), "answer: the position went back to where it was 1 answers ago");
    assert_eq!(channel.bodies(), numbers(0..2));
    assert_eq!(position(&channel).as_deref(), Some("2"));
    assert_eq!(rig.count("faults_total", "kind=\"answer\""), 1);
}

#[tokio::test]
async fn a_position_that_goes_back_after_a_restart_ends_every_further_run_and_repeats_nothing() {
    let rig = Rig::new();
    let mut channel = RecordingChannel::default();
    for run_number in 1..=4 {
        let (after, result) = run(&rig, &setup("source-backwards"), channel).finished().await;
        let Err(SourceError::Failed { source, .. }) = result else { panic!("{run_number}: {result:?}") };
        assert_eq!(source.to_string(), "answer: the position went back to where it was 1 answers ago");
        channel = after;
        assert_eq!(channel.bodies(), numbers(0..2), "{run_number}");
        assert_eq!(position(&channel).as_deref(), Some("2"));
    }
    assert_eq!(rig.count("faults_total", "kind=\"answer\""), 4);
    // A version that goes on where this one stands is not held to what it did.
    let good = run(&rig, &Setup { options: "last 9", ..setup("counts-source") }, channel);
    let (channel, result) = good.finished().await;
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(channel.bodies(), numbers(0..10));
}

#[tokio::test]
async fn a_source_that_breaks_a_rule_loses_and_repeats_nothing() {
    let rig = Rig::new();
    for (kind, reason) in [
        ("too-many", "answer: 10000 events in one answer, at most 1000 were asked for"),
        ("huge-position", "answer: a position of 1048576 bytes; at most 65536 are allowed"),
        ("allocates", "memory: more than the 16777216 bytes of memory allowed"),
        ("gives-up", "asked to give up"),
    ] {
        let options: &'static str = Box::leak(format!("kind {kind:?}\nat 3").into_boxed_str());
        let setup = Setup { options, ..setup("source-breaks") };
        let (channel, result) = run(&rig, &setup, RecordingChannel::default()).finished().await;
        let Err(SourceError::Failed { source, .. }) = result else { panic!("{kind}: {result:?}") };
        assert_eq!(source.to_string(), reason, "{kind}");
        assert_eq!(channel.bodies(), numbers(0..3), "{kind}");
    }
}

#[tokio::test]
async fn an_interceptor_cannot_be_used_as_a_source() {
    let rig = Rig::new();
    let factory = &millrace_wasm::sources()[0];
    let found = rig
        .bad_as(&setup("keeps-all"), factory.options, |section, cx| (factory.build)(section, cx).map(drop));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "plugin::world");
    assert!(found[0].1.contains("export millrace:plugin/source: expected"), "{}", found[0].1);
}
