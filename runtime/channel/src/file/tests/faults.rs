//! A disk that is full, or fails, while the channel runs.

use std::{io::ErrorKind, sync::Arc};

use millrace_core::{BatchLimit, Channel, ChannelError};
use millrace_testkit::{
    Call, FakeDisk,
    channel_suite::{batch, drain, numbers, ok, put, take},
};

use super::{
    kinds::Kind,
    suite::{channel, options},
};
use crate::{FileChannel, FileOptions};

const DIRECTORY: &str = "/channel";

fn small(kind: Kind) -> FileOptions {
    kind.of(FileOptions { cache_bytes_max: 0, ..options(std::path::Path::new(DIRECTORY)) })
}

async fn open_as(disk: &FakeDisk, kind: Kind) -> FileChannel {
    let channel = channel(&small(kind), Arc::new(disk.clone()));
    ok(channel.open().await);
    channel
}

async fn open(disk: &FakeDisk) -> FileChannel {
    open_as(disk, Kind::Plain).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_back_pressure_and_ends_when_space_returns() {
    let disk = FakeDisk::default();
    disk.limit_bytes(Some(150 << 10));
    let channel = open(&disk).await;
    let body = "x".repeat(10_000);
    let mut accepted = 0;
    let refused = loop {
        match put(&channel, batch([&body])).await {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 20, "the disk is larger than it is");
    };
    assert!(matches!(refused, ChannelError::Full { .. }), "{refused}");
    // A full disk does not keep anyone from taking, and what was taken makes room.
    let again = put(&channel, batch([&body])).await;
    assert!(matches!(again, Err(ChannelError::Full { .. })), "{again:?}");
    assert_eq!(drain(&channel, accepted - 1).await.len(), accepted - 1);
    disk.limit_bytes(Some(400 << 10));
    ok(put(&channel, batch(["last"])).await);
    assert_eq!(drain(&channel, 2).await, [body.as_str(), "last"]);
    assert_eq!((channel.stats().events, channel.stats().damaged), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_fails_its_commits_and_is_never_taken_back() {
    let cases = [(Call::Sync, 1), (Call::Write, 2)];
    for (kind, (call, seed)) in Kind::DURABLE.into_iter().flat_map(|kind| cases.map(|case| (kind, case))) {
        let disk = FakeDisk::default();
        let channel = open_as(&disk, kind).await;
        ok(put(&channel, batch(0..3)).await);
        disk.fail(call, ErrorKind::Other, 1);
        let failed = put(&channel, batch(3..6)).await;
        assert!(matches!(failed, Err(ChannelError::Failed { .. })), "{failed:?}");
        assert_eq!(channel.stats().events, 3);
        ok(put(&channel, batch(3..6)).await);
        ok(put(&channel, batch(6..9)).await);
        // The frames in doubt are in the sealed segment; the retry is the one that counts, once.
        for after in [disk.after_kill(), disk.after_crash(seed)] {
            let again = open_as(&after, kind).await;
            assert_eq!(again.stats().events, 9);
            assert_eq!(drain(&again, 9).await, numbers(0..9));
            assert_eq!(again.stats().damaged, 0);
        }
        assert_eq!(drain(&channel, 9).await, numbers(0..9));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_cannot_be_read_now_return_to_the_head() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    ok(put(&channel, batch(0..3)).await);
    disk.fail(Call::Read, ErrorKind::Other, 1);
    let mut taking = ok(channel.begin_take().await);
    let failed = taking.take(BatchLimit::default()).await;
    assert!(matches!(failed, Err(ChannelError::Failed { .. })), "{failed:?}");
    assert_eq!(channel.stats().events, 3);
    assert_eq!(drain(&channel, 3).await, numbers(0..3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_that_cannot_be_written_down_do_not_stop_the_channel() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    ok(put(&channel, batch(0..6)).await);
    disk.fail(Call::Write, ErrorKind::StorageFull, 1);
    ok(take(&channel, 2).await.0.commit().await);
    ok(take(&channel, 2).await.0.commit().await);
    assert_eq!(channel.stats().events, 2);
    let again = open(&disk.after_kill()).await;
    assert_eq!(drain(&again, 4).await, ["0", "1", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_writes_are_finished() {
    let disk = FakeDisk::default();
    disk.write_short();
    let channel = open(&disk).await;
    for number in 0..50 {
        ok(put(&channel, batch((0..10).map(|_| format!("{number:0500}")))).await);
    }
    ok(channel.close().await);
    let again = open(&disk.after_kill()).await;
    assert_eq!(again.stats().events, 500);
    assert_eq!(drain(&again, 500).await[499], format!("{:0500}", 49));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptied_segments_go_and_their_space_is_used_again() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    let body = "x".repeat(20_000);
    for _ in 0..60 {
        ok(put(&channel, batch([&body])).await);
        assert_eq!(drain(&channel, 1).await, [body.as_str()]);
    }
    ok(channel.close().await);
    let files = disk.files();
    let bytes: usize = files.iter().map(|(_, content)| content.len()).sum();
    assert!(
        bytes < 6 * (64 << 10),
        "{bytes} bytes in {:?}",
        files.iter().map(|file| &file.0).collect::<Vec<_>>()
    );
    assert_eq!(open(&disk.after_kill()).await.stats().events, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_larger_than_a_segment_gets_one_of_its_own() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    let large = "y".repeat(1 << 20);
    for body in ["a", &large, "b"] {
        ok(put(&channel, batch([body])).await);
    }
    let again = open(&disk.after_kill()).await;
    assert_eq!(drain(&again, 3).await, ["a", &large, "b"]);
}
