//! The power fails at every single operation; what was acknowledged is there afterwards, once and in order.

use std::{path::Path, sync::Arc};

use millrace_core::{Channel, PipelineChannel, PositionUpdate, StateStore, StateStores};
use millrace_testkit::{
    FakeDisk, TestClock,
    channel_suite::{batch, drain, ok, put, take},
};

use super::{kinds::Kind, suite::channel};
use crate::{FileChannel, FileOptions};

const DIRECTORY: &str = "/channel";
const BATCHES: usize = 14;
const BATCH: usize = 5;
const SEEDS: u64 = 6;

/// About three batches fill a segment.
fn options(kind: Kind) -> FileOptions {
    // How much fits is decided before it is packed.
    let segment_bytes = if kind.is_packed() { 6600 } else { 8 << 10 };
    kind.of(FileOptions {
        segment_bytes,
        free_bytes_min: 0,
        cache_bytes_max: 0,
        ..FileOptions::new(DIRECTORY)
    })
}

async fn open(disk: &FakeDisk, kind: Kind) -> Option<Arc<FileChannel>> {
    let channel = channel(&options(kind), Arc::new(disk.clone()));
    channel.open().await.ok()?;
    Some(Arc::new(channel))
}

/// What a run knows for sure.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    /// Batches whose commit was acknowledged.
    acknowledged: usize,
    /// The same, but what a loose channel may lose is not counted off.
    in_doubt: usize,
    /// Events whose take was acknowledged.
    taken: usize,
    /// A take that was neither acknowledged nor certainly undone.
    take_in_doubt: bool,
}

/// The state of a component that counts events, as the channel has it.
fn counting(channel: &Arc<FileChannel>) -> Arc<StateStore> {
    let store = StateStores::new(Arc::new(TestClock::at(0))).interceptor("web/count", 1 << 20);
    let channel: Arc<dyn Channel> = Arc::clone(channel) as _;
    store.load(Some(&PipelineChannel { name: "test".into(), channel }), &[]);
    store
}

async fn numbered(number: usize, store: &Arc<StateStore>) -> millrace_core::Batch {
    let bodies = (number * BATCH..(number + 1) * BATCH).map(|event| format!("{event:0250}"));
    let position = PositionUpdate::set("web".into(), "at", number.to_string());
    let mut batch = batch(bodies).with_position(position);
    let mut transaction = store.begin(&mut batch).await;
    ok(transaction.increment("events", i64::try_from(BATCH).unwrap_or(0)));
    // Something else goes again, so that the state is more than one number.
    ok(transaction.set(&format!("batch {number}"), b"here", None));
    transaction.delete(&format!("batch {}", number.wrapping_sub(3)));
    transaction.keep_call();
    transaction.finish(&mut batch);
    batch
}

/// Puts batch after batch from `from` on, takes some in between, until the power fails.
async fn work(channel: &Arc<FileChannel>, from: usize, close: bool) -> Outcome {
    let store = counting(channel);
    let mut outcome = Outcome { acknowledged: from, in_doubt: from, ..Outcome::default() };
    for number in from..BATCHES {
        if put(&**channel, numbered(number, &store).await).await.is_err() {
            return outcome;
        }
        (outcome.acknowledged, outcome.in_doubt) = (number + 1, number + 1);
        if number % 3 == 2 {
            let count = BATCH * 2 + 1;
            let (open, events) = take(&**channel, count).await;
            if open.commit().await.is_err() {
                outcome.take_in_doubt = true;
                return outcome;
            }
            outcome.taken += events.len();
        }
    }
    if close {
        let _power_may_fail = channel.close().await;
    }
    outcome
}

/// Opens what the crash left and compares; says how many batches there are.
async fn check(disk: &FakeDisk, kind: Kind, outcome: &Outcome, what: &str, repeats: bool) -> usize {
    let what = &format!("{kind:?}: {what}");
    let Some(channel) = open(disk, kind).await else { unreachable!("{what}: does not open") };
    let stats = channel.stats();
    assert_eq!(stats.damaged, 0, "{what}: {:?}", names(disk));
    let count = usize::try_from(stats.events).unwrap_or(0);
    let store = counting(&channel);
    let found: Vec<usize> = drain(&*channel, count).await.iter().map(|body| ok(body.parse())).collect();
    assert_eq!(channel.stats().bytes, 0, "{what}");
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{what}: order or repeats in {found:?}");
    let position = channel.positions("web").unwrap_or_default();
    let batches = position.get(b"at".as_slice()).map_or(0, |at| {
        let text = String::from_utf8_lossy(at).into_owned();
        ok(text.parse::<usize>()) + 1
    });
    // One batch was in doubt at most; with its events comes its position and the other way round.
    assert!(
        (outcome.acknowledged..=outcome.in_doubt + 1).contains(&batches),
        "{what}: {batches} {outcome:?}"
    );
    let counted = ok(store.begin(&mut batch([0])).await.increment("events", 0));
    assert_eq!(counted, i64::try_from(batches * BATCH).unwrap_or(-1), "{what}: the count of {outcome:?}");
    assert_eq!(store.size().1, if batches > 0 { 1 + batches.min(3) } else { 0 }, "{what}: {outcome:?}");
    let last = found.last().copied();
    assert!(last.is_none_or(|last| last < batches * BATCH), "{what}: {last:?} of {batches}");
    let pending: Vec<usize> = (outcome.taken..batches * BATCH).collect();
    let expected: Vec<usize> = found.iter().copied().filter(|event| *event >= outcome.taken).collect();
    if outcome.take_in_doubt {
        assert!(pending.ends_with(&expected), "{what}: {found:?} of {outcome:?}");
    } else {
        assert_eq!(expected, pending, "{what}: {outcome:?}");
    }
    assert!(repeats || found.len() == pending.len(), "{what}: repeated {found:?}, {outcome:?}");
    batches
}

fn names(disk: &FakeDisk) -> Vec<String> {
    disk.files().iter().map(|(path, content)| format!("{} {}", path.display(), content.len())).collect()
}

async fn operations(kind: Kind) -> u64 {
    let disk = FakeDisk::default();
    if let Some(channel) = open(&disk, kind).await {
        let outcome = work(&channel, 0, true).await;
        assert_eq!(outcome.acknowledged, BATCHES);
    }
    disk.operations()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_failure_at_any_operation_loses_and_invents_nothing() {
    for kind in Kind::DURABLE {
        let operations = operations(kind).await;
        assert!(operations > 80, "{operations}");
        for at in 1..=operations {
            for seed in 0..SEEDS {
                let disk = FakeDisk::default();
                disk.fail_power_at(at);
                let outcome = match open(&disk, kind).await {
                    Some(channel) => work(&channel, 0, true).await,
                    None => Outcome::default(),
                };
                let after = disk.after_crash(seed);
                check(&after, kind, &outcome, &format!("operation {at}, seed {seed}"), true).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_failure_takes_only_the_newest_of_a_loose_channel_and_a_kill_takes_nothing() {
    let kind = Kind::Loose;
    let mut lost = 0;
    for at in 1..=operations(kind).await {
        let disk = FakeDisk::default();
        disk.fail_power_at(at);
        let Some(channel) = open(&disk, kind).await else { continue };
        let outcome = work(&channel, 0, false).await;
        let segments =
            disk.files().iter().filter(|(path, _)| path.to_string_lossy().contains("segment-")).count();
        drop(channel);
        check(&disk.after_kill(), kind, &outcome, &format!("killed at {at}"), true).await;
        for seed in 0..SEEDS {
            // What is in front of the last segment is durable: at least one batch for each before it.
            let synced = segments.saturating_sub(2).min(outcome.acknowledged);
            let outcome = Outcome { acknowledged: synced, ..outcome };
            let after = disk.after_crash(seed);
            let kept = check(&after, kind, &outcome, &format!("operation {at}, seed {seed}"), true).await;
            lost += outcome.in_doubt.saturating_sub(kept);
        }
    }
    assert!(lost > 0, "a power failure that loses nothing proves nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_power_failure_during_recovery_changes_nothing() {
    for kind in Kind::DURABLE {
        for at in (1..=operations(kind).await).step_by(7) {
            let disk = FakeDisk::default();
            disk.fail_power_at(at);
            let outcome = match open(&disk, kind).await {
                Some(channel) => work(&channel, 0, true).await,
                None => Outcome::default(),
            };
            for during in 1..12 {
                let first = disk.after_crash(at);
                first.fail_power_at(during);
                drop(open(&first, kind).await);
                let second = first.after_crash(during);
                check(&second, kind, &outcome, &format!("operation {at}, then {during}"), true).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_after_a_crash_and_the_next_crash_is_no_worse() {
    for kind in Kind::ALL {
        for at in (1..operations(kind).await).step_by(5) {
            let disk = FakeDisk::default();
            disk.fail_power_at(at);
            let Some(channel) = open(&disk, kind).await else { continue };
            let first = work(&channel, 0, false).await;
            drop(channel);
            let disk = disk.after_crash(at);
            let Some(channel) = open(&disk, kind).await else {
                unreachable!("operation {at}: does not open")
            };
            let known = channel.positions("web").unwrap_or_default();
            let from = known.get(b"at".as_slice()).map_or(0, |at| {
                let text = String::from_utf8_lossy(at).into_owned();
                ok(text.parse::<usize>()) + 1
            });
            assert!(from >= first.acknowledged || kind == Kind::Loose);
            let store = counting(&channel);
            for number in from..BATCHES {
                ok(put(&*channel, numbered(number, &store).await).await);
            }
            drop(channel);
            // What was lost and is put again is not what was taken then.
            let taken = first.taken.min(from * BATCH);
            let outcome = Outcome { acknowledged: BATCHES, in_doubt: BATCHES, taken, ..first };
            let after = if kind == Kind::Loose { disk.after_kill() } else { disk.after_crash(at + 1) };
            let batches = check(&after, kind, &outcome, &format!("{at}, from {from}"), true).await;
            assert_eq!(batches, BATCHES);
        }
    }
}

/// What is in the channel, without taking it.
async fn look(channel: &FileChannel) -> Vec<usize> {
    if channel.stats().events == 0 {
        return Vec::new();
    }
    let (open, events) = take(channel, 1_000).await;
    open.rollback();
    events.iter().map(|body| ok(body.parse())).collect()
}

/// A killed process leaves writes that are in the machine's memory only. Whoever sees them after the restart may
/// build on them, so a power failure must not take them away any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_has_seen_survives_the_power_failure_after_it() {
    for kind in Kind::ALL {
        for at in 1..operations(kind).await {
            let disk = FakeDisk::default();
            disk.fail_power_at(at);
            let Some(channel) = open(&disk, kind).await else { continue };
            work(&channel, 0, true).await;
            drop(channel);
            let killed = disk.after_kill();
            let Some(channel) = open(&killed, kind).await else {
                unreachable!("operation {at}: does not open")
            };
            let mut seen = look(&channel).await;
            let store = counting(&channel);
            ok(put(&*channel, numbered(BATCHES, &store).await).await);
            if kind != Kind::Loose {
                seen.extend(BATCHES * BATCH..(BATCHES + 1) * BATCH);
            }
            for seed in 0..SEEDS {
                let Some(again) = open(&killed.after_crash(seed), kind).await else {
                    unreachable!("operation {at}, seed {seed}: does not open")
                };
                assert_eq!(again.stats().damaged, 0);
                let found = look(&again).await;
                assert!(
                    seen.iter().all(|event| found.contains(event)),
                    "{kind:?}, {at}, {seed}: {seen:?}, then {found:?}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_repeats_nothing_that_was_taken() {
    for kind in Kind::ALL {
        let disk = FakeDisk::default();
        let Some(channel) = open(&disk, kind).await else { unreachable!("a new channel opens") };
        let outcome = work(&channel, 0, false).await;
        check(&disk.after_kill(), kind, &outcome, "killed", false).await;
        drop(channel);
        assert!(disk.files().iter().any(|(path, _)| path.starts_with(Path::new(DIRECTORY))));
    }
}
