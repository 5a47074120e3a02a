//! Damaged, missing and foreign files: the channel starts, uses what is whole, and says what is not.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_core::{Channel, ChannelError, PositionUpdate};
use millrace_testkit::{
    FakeDisk,
    channel_suite::{batch, drain, numbers, ok, put, take},
};

use super::{kinds::Kind, suite::channel};
use crate::{FileChannel, FileOptions};

const DIRECTORY: &str = "/channel";
const EVENTS: usize = 60;
const BATCH: usize = 5;

fn options(kind: Kind) -> FileOptions {
    // How much fits is decided before it is packed.
    let segment_bytes = if kind.is_packed() { 5400 } else { 4800 };
    kind.of(FileOptions {
        segment_bytes,
        free_bytes_min: 0,
        cache_bytes_max: 0,
        ..FileOptions::new(DIRECTORY)
    })
}

fn closed(disk: &FakeDisk, kind: Kind) -> FileChannel {
    channel(&options(kind), Arc::new(disk.clone()))
}

async fn open_as(disk: &FakeDisk, kind: Kind) -> FileChannel {
    let channel = closed(disk, kind);
    ok(channel.open().await);
    channel
}

async fn open(disk: &FakeDisk) -> FileChannel {
    open_as(disk, Kind::Plain).await
}

/// A channel of several segments whose first events are taken.
async fn filled(taken: usize, close: bool) -> FakeDisk {
    filled_as(Kind::Plain, taken, close).await
}

async fn filled_as(kind: Kind, taken: usize, close: bool) -> FakeDisk {
    let disk = FakeDisk::default();
    let channel = open_as(&disk, kind).await;
    for start in (0..EVENTS).step_by(BATCH) {
        let position = PositionUpdate::set("web".into(), "at", start.to_string());
        // Long enough to be packed where that is wanted.
        let width = if kind.is_packed() { 140 } else { 1 };
        let events = batch((start..start + BATCH).map(|event| format!("{event:0width$}")));
        ok(put(&channel, events.with_position(position)).await);
    }
    if taken > 0 {
        ok(take(&channel, taken).await.0.commit().await);
    }
    if close {
        ok(channel.close().await);
    }
    drop(channel);
    disk
}

/// Everything in the channel, by and by.
async fn contents(channel: &FileChannel) -> Vec<usize> {
    let mut found = Vec::new();
    while channel.stats().events > 0 {
        let mut open = ok(channel.begin_take().await);
        let limit = millrace_core::BatchLimit { events_max: 1000, ..Default::default() };
        let Ok(taken) = tokio::time::timeout(std::time::Duration::from_millis(50), open.take(limit)).await
        else {
            // Everything that was left turned out to be damaged.
            continue;
        };
        found.extend(ok(taken).iter().map(|event| ok(String::from_utf8_lossy(&event.body).parse::<usize>())));
        ok(open.commit().await);
    }
    found
}

fn aside(disk: &FakeDisk) -> usize {
    let files = disk.files();
    let set = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.contains(".damaged") || name.contains(".torn")
    };
    files.iter().filter(|(path, _)| set(path)).count()
}

/// The channel lost at most one batch, said so if it did, and goes on working.
async fn check_after_flip(disk: &FakeDisk, kind: Kind, what: &str, taken: usize) {
    let channel = open_as(disk, kind).await;
    let found = contents(&channel).await;
    assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {found:?}");
    let lost: Vec<usize> = (taken..EVENTS).filter(|event| !found.contains(event)).collect();
    assert!(
        lost.len() <= BATCH && lost.iter().all(|event| event / BATCH == lost[0] / BATCH),
        "{what}: {lost:?}"
    );
    if !lost.is_empty() {
        assert!(aside(disk) > 0, "{what}: nothing set aside, {lost:?}");
        let last_of_a_crash = lost[0] + BATCH == EVENTS;
        assert!(channel.stats().damaged > 0 || last_of_a_crash, "{what}: not counted, {lost:?}");
    }
    ok(put(&channel, batch(["new"])).await);
    assert_eq!(drain(&channel, 1).await, ["new"], "{what}");
}

async fn flip_everywhere(kind: Kind, taken: usize, close: bool) {
    let whole = filled_as(kind, taken, close).await;
    let files = whole.files();
    assert!(files.iter().filter(|(path, _)| path.to_string_lossy().contains("segment-")).count() > 2);
    for (path, content) in files {
        for (at, byte) in content.into_iter().enumerate() {
            // Of the long rows of zeros a few are enough.
            if byte == 0 && at % 61 != 0 {
                continue;
            }
            let disk = whole.after_kill();
            disk.flip(&path, at, 0x40);
            let what = format!("{kind:?}: {} at {at}", path.display());
            check_after_flip(&disk, kind, &what, taken).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_byte_of_a_closed_channel_is_found_and_set_aside() {
    for kind in Kind::ALL {
        flip_everywhere(kind, 0, true).await;
        flip_everywhere(kind, 7, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_byte_of_a_crashed_channel_is_found_and_set_aside() {
    for kind in Kind::DURABLE {
        flip_everywhere(kind, 0, false).await;
        flip_everywhere(kind, 7, false).await;
    }
}

fn segments(disk: &FakeDisk) -> Vec<PathBuf> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.to_string_lossy().contains("segment-")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_and_empty_segments_cost_only_their_own_events() {
    for close in [true, false] {
        for content in [None, Some(Vec::new()), Some(vec![0; 4096]), Some(vec![7; 5000])] {
            let disk = filled(0, close).await;
            let middle = segments(&disk).remove(1);
            disk.replace(&middle, content.clone());
            let channel = open(&disk).await;
            let found = contents(&channel).await;
            let lost: Vec<usize> = (0..EVENTS).filter(|event| !found.contains(event)).collect();
            assert!(!lost.is_empty() && lost.len() <= 4 * BATCH, "{content:?}: {lost:?}");
            assert!(lost.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lost:?}");
            assert!(
                channel.stats().damaged >= 1 || content.is_none() && !close,
                "{content:?}, closed {close}"
            );
            assert_eq!(channel.positions("web").unwrap_or_default()[b"at".as_slice()], "55");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_checkpoint_a_channel_keeps_all_events_and_positions() {
    for content in [None, Some(Vec::new()), Some(b"MRCHECK\nnonsense".to_vec())] {
        let disk = filled(BATCH, true).await;
        disk.replace(&Path::new(DIRECTORY).join("checkpoint"), content.clone());
        let channel = open(&disk).await;
        assert_eq!(channel.stats().damaged, u64::from(content.is_some()));
        assert_eq!(channel.positions("web").unwrap_or_default()[b"at".as_slice()], "55");
        let found = contents(&channel).await;
        assert!(found.ends_with(&(BATCH..EVENTS).collect::<Vec<_>>()), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_checkpoint_repeats_at_most_and_loses_nothing() {
    let disk = FakeDisk::default();
    let path = Path::new(DIRECTORY).join("checkpoint");
    let channel = open(&disk).await;
    ok(put(&channel, batch(0..BATCH)).await);
    ok(channel.close().await);
    drop(channel);
    let stale = disk.files().into_iter().find(|(name, _)| *name == path).map(|(_, content)| content);
    let channel = open(&disk).await;
    for start in (BATCH..EVENTS).step_by(BATCH) {
        ok(put(&channel, batch(start..start + BATCH)).await);
    }
    ok(channel.close().await);
    drop(channel);
    disk.replace(&path, stale);
    let channel = open(&disk).await;
    assert_eq!(drain(&channel, EVENTS).await, numbers(0..EVENTS));
    assert_eq!(channel.stats().events, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let disk = filled(0, true).await;
    let (path, mut content) = disk
        .files()
        .into_iter()
        .find(|(path, _)| path.to_string_lossy().contains("segment-"))
        .unwrap_or_default();
    for start in [0, 2048] {
        content[start + 8] = 9;
        let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &content[start..start + 60]);
        content[start + 60..start + 64].copy_from_slice(&sum.to_le_bytes()[..4]);
    }
    disk.replace(&path, Some(content.clone()));
    let refused = closed(&disk, Kind::Plain).open().await;
    let Err(ChannelError::Failed { source, .. }) = refused else { unreachable!("{refused:?}") };
    assert_eq!(
        source.to_string(),
        "/channel/segment-000000000001.log has format version 9; this program reads versions up to 1"
    );
    assert_eq!(disk.files().into_iter().find(|(name, _)| *name == path).unwrap_or_default().1, content);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_is_told_who_has_the_directory() {
    let directory = ok(tempfile::tempdir());
    let disk = Arc::new(millrace_storage::SystemDisk);
    let options = FileOptions::new(directory.path());
    let first = channel(&options, Arc::clone(&disk) as _);
    ok(first.open().await);
    let refused = channel(&options, disk).open().await;
    let Err(ChannelError::Failed { source, .. }) = refused else { unreachable!("{refused:?}") };
    let expected = format!("{} is in use by process {}", directory.path().display(), std::process::id());
    assert_eq!(source.to_string(), expected);
}
