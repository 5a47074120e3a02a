//! What components keep: across restarts, with damage, and without being written again and again.

use std::{path::Path, sync::Arc};

use millrace_core::{Batch, Channel, PipelineChannel, StateStore, StateStores};
use millrace_testkit::{
    FakeDisk, TestClock,
    channel_suite::{batch, drain, ok, put, take},
};

use super::{kinds::Kind, suite::channel};
use crate::{FileChannel, FileOptions};

const DIRECTORY: &str = "/channel";

async fn open(disk: &FakeDisk) -> Arc<FileChannel> {
    open_as(disk, Kind::Plain).await
}

async fn open_as(disk: &FakeDisk, kind: Kind) -> Arc<FileChannel> {
    let options = FileOptions { segment_bytes: 64 << 10, free_bytes_min: 0, ..FileOptions::new(DIRECTORY) };
    let channel = channel(&kind.of(options), Arc::new(disk.clone()));
    ok(channel.open().await);
    Arc::new(channel)
}

fn store_of(channel: &Arc<FileChannel>) -> Arc<StateStore> {
    let store = StateStores::new(Arc::new(TestClock::at(0))).interceptor("web/seen", 64 << 20);
    let channel: Arc<dyn Channel> = Arc::clone(channel) as _;
    store.load(Some(&PipelineChannel { name: "test".into(), channel }), &[]);
    store
}

async fn with_state(mut batch: Batch, store: &Arc<StateStore>, key: &str, value: &[u8]) -> Batch {
    let mut transaction = store.begin(&mut batch).await;
    ok(transaction.set(key, value, None));
    transaction.keep_call();
    transaction.finish(&mut batch);
    batch
}

fn state_file(disk: &FakeDisk) -> Vec<u8> {
    let path = Path::new(DIRECTORY).join("state");
    disk.files().into_iter().find(|(name, _)| *name == path).map(|(_, content)| content).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_state_is_written_a_bounded_number_of_times_and_its_segments_go_all_the_same() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    let store = store_of(&channel);
    let large = vec![7; 1 << 20];
    for number in 0..4 {
        let batch = with_state(batch([number]), &store, &format!("large {number}"), &large).await;
        ok(put(&*channel, batch).await);
    }
    assert_eq!(drain(&*channel, 4).await.len(), 4);
    ok(channel.close().await);
    drop(channel);
    assert!(state_file(&disk).len() > 4 << 20);
    let channel = open(&disk).await;
    let store = store_of(&channel);
    let before = disk.bytes_written();
    let mut logged = 0;
    let body = "x".repeat(10 << 10);
    for number in 0..600 {
        let batch =
            with_state(batch([&body]), &store, "small", &[u8::try_from(number % 256).unwrap_or(0)]).await;
        ok(put(&*channel, batch).await);
        logged += body.len();
        assert_eq!(drain(&*channel, 1).await, [body.as_str()]);
    }
    // 6 MB of log fill a hundred segments. Four times the size of the state pass once between two files of it.
    let written = disk.bytes_written() - before;
    assert!(written < (logged + (10 << 20)) as u64, "{written} bytes for {logged}");
    ok(channel.close().await);
    let segments = disk.files().iter().filter(|(path, _)| path.to_string_lossy().contains("segment")).count();
    assert!(segments <= 3, "{segments} segments for an empty channel");
    drop(channel);
    let channel = open(&disk).await;
    let store = store_of(&channel);
    let transaction = store.begin(&mut Batch::default()).await;
    assert_eq!(transaction.value("small").as_deref(), Some(&[u8::try_from(599 % 256).unwrap_or(0)][..]));
    assert_eq!(transaction.value("large 3").map(|value| value.len()), Some(1 << 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_is_set_aside_and_the_channel_starts() {
    let damages = ["flip", "cut", "empty", "no checkpoint"];
    for (kind, damage) in Kind::ALL.into_iter().flat_map(|kind| damages.map(|damage| (kind, damage))) {
        let disk = FakeDisk::default();
        let channel = open_as(&disk, kind).await;
        let store = store_of(&channel);
        ok(put(&*channel, with_state(batch(["a"]), &store, "k", b"v").await).await);
        ok(channel.close().await);
        drop(channel);
        let path = Path::new(DIRECTORY).join("state");
        let mut bytes = state_file(&disk);
        match damage {
            "flip" => bytes[20] ^= 1,
            "cut" => bytes.truncate(30),
            "empty" => bytes.clear(),
            _ => disk.replace(&Path::new(DIRECTORY).join("checkpoint"), None),
        }
        disk.replace(&path, Some(bytes));
        let channel = open_as(&disk, kind).await;
        let store = store_of(&channel);
        let damaged = u64::from(damage != "no checkpoint");
        assert_eq!(channel.stats().damaged, damaged, "{damage}");
        let value = store.begin(&mut Batch::default()).await.value("k");
        assert_eq!(value.is_some(), damaged == 0, "{damage}");
        let (open_take, found) = take(&*channel, 1).await;
        assert_eq!(found, ["a"]);
        open_take.rollback();
        // And it works on.
        ok(put(&*channel, with_state(batch(["b"]), &store, "k", b"w").await).await);
        ok(channel.close().await);
        drop(channel);
        let channel = open_as(&disk, kind).await;
        assert_eq!(
            store_of(&channel).begin(&mut Batch::default()).await.value("k").as_deref(),
            Some(&b"w"[..])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_nobody_waits_for_decides_before_the_next_batch_begins() {
    let disk = FakeDisk::default();
    let channel = open(&disk).await;
    let store = store_of(&channel);
    for round in 1..=50 {
        let mut counted = batch([round]);
        let mut transaction = store.begin(&mut counted).await;
        let sum = ok(transaction.increment("n", 1));
        assert_eq!(sum, channel.stats().events as i64 + 1);
        transaction.keep_call();
        transaction.finish(&mut counted);
        let mut open = ok(channel.begin_put().await);
        ok(open.put(counted).await);
        // Polled once, then dropped: the commit happens all the same.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, open.commit()).await;
        store.begin(&mut Batch::default()).await.forget();
    }
}
