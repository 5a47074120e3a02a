//! `sync "interval"`: what a kill, a power failure and a failed sync cost, and when.

use std::{
    io::ErrorKind,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_core::{Channel, ChannelError, PositionUpdate, Reconfigured};
use millrace_testkit::{
    Call, FakeDisk,
    channel_suite::{batch, drain, numbers, ok, put, take},
};

use super::suite::{channel, options};
use crate::{FileChannel, FileOptions, Sync};

const NEVER: Duration = Duration::from_secs(3600);

fn loose(every: Duration) -> FileOptions {
    FileOptions { cache_bytes_max: 0, sync: Sync::Interval(every), ..options(Path::new("/channel")) }
}

async fn open(disk: &FakeDisk, every: Duration) -> FileChannel {
    let channel = channel(&loose(every), Arc::new(disk.clone()));
    ok(channel.open().await);
    channel
}

/// What is there after the machine went down now, for some luck.
async fn survivors(disk: &FakeDisk, seed: u64) -> Vec<String> {
    let channel = open(&disk.after_crash(seed), NEVER).await;
    assert_eq!(channel.stats().damaged, 0);
    let count = usize::try_from(channel.stats().events).unwrap();
    let found = drain(&channel, count).await;
    let position = channel.positions("web").unwrap_or_default();
    let last = position.get(b"at".as_slice()).map(|at| String::from_utf8_lossy(at).into_owned());
    assert_eq!(last, found.last().cloned(), "a position is lost with its events and only then");
    found
}

async fn put_one(channel: &FileChannel, number: usize) -> Result<(), ChannelError> {
    let position = PositionUpdate::set("web".into(), "at", number.to_string());
    put(channel, batch([number]).with_position(position)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_nothing_and_a_power_failure_only_the_newest() {
    let disk = FakeDisk::default();
    let channel = open(&disk, NEVER).await;
    let mut kept = Vec::new();
    for number in 0..8 {
        ok(put_one(&channel, number).await);
        let killed = open(&disk.after_kill(), NEVER).await;
        assert_eq!(drain(&killed, number + 1).await, numbers(0..number + 1));
    }
    for seed in 0..60 {
        let found = survivors(&disk, seed).await;
        assert_eq!(found, numbers(0..found.len()), "never a newer one without the older ones");
        kept.push(found.len());
    }
    assert!(kept.contains(&0) && kept.iter().any(|kept| *kept > 0), "{kept:?}");
    // Closing makes everything durable.
    ok(channel.close().await);
    assert_eq!(survivors(&disk, 1).await, numbers(0..8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_older_than_the_interval_survives_a_power_failure() {
    let disk = FakeDisk::default();
    let channel = open(&disk, Duration::from_millis(20)).await;
    for number in 0..5 {
        ok(put_one(&channel, number).await);
        let deadline = Instant::now() + Duration::from_secs(20);
        // Whatever the luck.
        for seed in 0..20 {
            while survivors(&disk, seed).await != numbers(0..number + 1) {
                assert!(Instant::now() < deadline, "{number} is not synced");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_is_durable_before_the_next_one_is_begun() {
    let disk = FakeDisk::default();
    let channel = open(&disk, NEVER).await;
    let segments = |disk: &FakeDisk| {
        disk.files().iter().filter(|(path, _)| path.to_string_lossy().contains("segment-")).count()
    };
    let mut number = 0;
    let mut in_front = 0;
    while segments(&disk) < 3 {
        in_front = number;
        let padded = format!("{number}{}", " ".repeat(20_000));
        let position = PositionUpdate::set("web".into(), "at", padded.clone());
        ok(put(&channel, batch([padded]).with_position(position)).await);
        number += 1;
    }
    for seed in 0..20 {
        let found = survivors(&disk, seed).await;
        assert!(found.len() >= in_front, "{} of {in_front}", found.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_in_the_background_is_not_forgotten() {
    let disk = FakeDisk::default();
    let channel = open(&disk, Duration::from_millis(5)).await;
    ok(put_one(&channel, 0).await);
    disk.fail(Call::Sync, ErrorKind::Other, 1);
    // The sync that fails may be the one of this put or, if it came late, the one of a put after it.
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut number = 1;
    let error = loop {
        assert!(Instant::now() < deadline, "the sync never failed");
        match put_one(&channel, number).await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    let ChannelError::Failed { source, .. } = error else { unreachable!("{error}") };
    assert!(source.to_string().contains("sync in the background"), "{source}");
    for _ in 0..3 {
        assert!(put_one(&channel, number).await.is_err(), "it stays refused");
    }
    // What is there can be taken, and a killed process still finds it.
    let (open_take, events) = take(&channel, 1).await;
    assert_eq!(events, ["0"]);
    ok(open_take.commit().await);
    assert!(channel.close().await.is_err(), "closing says that not everything is durable");
    let again = open(&disk.after_kill(), NEVER).await;
    assert_eq!(again.stats().events, number as u64 - 1);
    ok(put_one(&again, number).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_of_events_that_the_disk_lost_do_not_take_those_that_come_after() {
    let mut lost = 0;
    for seed in 0..40 {
        let disk = FakeDisk::default();
        let channel = open(&disk, NEVER).await;
        for number in 0..6 {
            ok(put_one(&channel, number).await);
        }
        ok(take(&channel, 6).await.0.commit().await);
        ok(channel.sync_takes().await);
        let after = disk.after_crash(seed);
        drop(channel);
        let channel = open(&after, NEVER).await;
        lost += 6 - usize::try_from(channel.stats().events).unwrap().min(6);
        for number in 10..16 {
            ok(put_one(&channel, number).await);
        }
        drop(channel);
        let channel = open(&after.after_kill(), NEVER).await;
        assert_eq!(channel.stats().damaged, 0);
        let count = usize::try_from(channel.stats().events).unwrap();
        let found = drain(&channel, count).await;
        assert!(found.ends_with(&numbers(10..16)), "seed {seed}: {found:?}");
    }
    assert!(lost > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mode_changes_while_the_channel_is_open() {
    let disk = FakeDisk::default();
    let channel = open(&disk, NEVER).await;
    ok(put_one(&channel, 0).await);
    let strict = FileOptions { sync: Sync::Commit, ..loose(NEVER) };
    assert_eq!(channel.apply(strict), Reconfigured::Applied);
    ok(put_one(&channel, 1).await);
    for seed in 0..10 {
        assert_eq!(survivors(&disk, seed).await, numbers(0..2));
    }
    assert_eq!(channel.apply(loose(NEVER)), Reconfigured::Applied);
    ok(put_one(&channel, 2).await);
    let mut kept = Vec::new();
    for seed in 0..40 {
        kept.push(survivors(&disk, seed).await.len());
    }
    assert!(kept.iter().all(|kept| (2..=3).contains(kept)) && kept.contains(&2), "{kept:?}");
}
