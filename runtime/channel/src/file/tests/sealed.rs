//! Encryption at rest: what the files tell, what they do not take, and keys that change or are missing.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use millrace_core::{
    Batch, Channel, ChannelError, Event, Headers, PipelineChannel, PositionUpdate, Reconfigured, StateStores,
};
use millrace_testkit::{
    FakeDisk, TestClock,
    channel_suite::{batch, drain, numbers, ok, put, take},
};

use super::{
    kinds::{Kind, keys},
    suite::channel,
};
use crate::{
    Compression, EncryptionOptions, FileChannel, FileOptions,
    file::frame::{self, FrameHeader, HEADER_BYTES, Seed, frame_bytes},
};

const DIRECTORY: &str = "/channel";
const FRAMES_START: usize = 4096;

fn options(kind: Kind) -> FileOptions {
    kind.of(FileOptions {
        segment_bytes: 64 << 10,
        free_bytes_min: 0,
        cache_bytes_max: 0,
        ..FileOptions::new(DIRECTORY)
    })
}

fn with_keys(encryption: EncryptionOptions) -> FileOptions {
    FileOptions { encryption, ..options(Kind::Plain) }
}

async fn open_with(disk: &FakeDisk, options: &FileOptions) -> FileChannel {
    let channel = channel(options, Arc::new(disk.clone()));
    ok(channel.open().await);
    channel
}

async fn refusal(disk: &FakeDisk, options: &FileOptions) -> String {
    match channel(options, Arc::new(disk.clone())).open().await {
        Err(ChannelError::Failed { source, .. }) => source.to_string(),
        other => unreachable!("{other:?}"),
    }
}

fn segments(disk: &FakeDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let is_segment =
        |path: &Path| path.to_string_lossy().ends_with(".log") && path.to_string_lossy().contains("segment-");
    disk.files().into_iter().filter(|(path, _)| is_segment(path)).collect()
}

/// The frames of a file as they stand there: offsets and headers.
fn frames(content: &[u8]) -> Vec<(usize, FrameHeader)> {
    let mut found = Vec::new();
    let mut offset = FRAMES_START;
    while let Some(header) = content.get(offset..).and_then(frame::header) {
        found.push((offset, header));
        offset += frame_bytes(header.payload_bytes);
    }
    found
}

fn secret_batch(number: usize) -> Batch {
    let headers: Headers =
        [("HEADERNAME".into(), format!("headervalue{number}").into())].into_iter().collect();
    let body = format!("BODYTEXT {number}, and a few words more, so that it is worth packing. ").repeat(20);
    let events = (0..5).map(|_| Event::with_headers(headers.clone(), Bytes::from(body.clone()))).collect();
    Batch::new(events).with_position(PositionUpdate::set("SOURCENAME".into(), "POSITIONKEY", "POSITIONVALUE"))
}

const SECRETS: [&str; 8] = [
    "BODYTEXT",
    "HEADERNAME",
    "headervalue",
    "SOURCENAME",
    "POSITIONKEY",
    "POSITIONVALUE",
    "STATEKEY",
    "STATEVALUE",
];

/// What of the secrets can be read in any file.
fn readable(disk: &FakeDisk) -> Vec<String> {
    let mut found = Vec::new();
    for (path, content) in disk.files() {
        for secret in SECRETS {
            if content.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                found.push(format!("{secret} in {}", path.display()));
            }
        }
    }
    found
}

/// Everything that a channel writes: segments, takes, checkpoint, state, copies of damage.
async fn fill(disk: &FakeDisk, kind: Kind) {
    let channel = Arc::new(open_with(disk, &options(kind)).await);
    let store = StateStores::new(Arc::new(TestClock::at(0))).interceptor("web/count", 1 << 20);
    let pipeline = PipelineChannel { name: "test".into(), channel: Arc::clone(&channel) as Arc<dyn Channel> };
    store.load(Some(&pipeline), &[]);
    for number in 0..40 {
        let mut batch = secret_batch(number);
        let mut transaction = store.begin(&mut batch).await;
        ok(transaction.set("STATEKEY", b"STATEVALUE", None));
        transaction.keep_call();
        transaction.finish(&mut batch);
        ok(put(&*channel, batch).await);
    }
    ok(take(&*channel, 12).await.0.commit().await);
    ok(channel.close().await);
    drop((store, pipeline, channel));
    let (path, content) = segments(disk).remove(0);
    // The first frame is that of positions, and those behind it are taken.
    disk.flip(&path, frames(&content)[6].0 + 100, 1);
    let channel = open_with(disk, &options(kind)).await;
    while channel.stats().damaged == 0 {
        ok(take(&channel, 20).await.0.commit().await);
    }
    ok(channel.close().await);
    assert!(disk.files().iter().any(|(path, _)| path.to_string_lossy().contains(".damaged-at-")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_events_positions_and_states_can_be_read_in_any_file() {
    for kind in [Kind::Sealed, Kind::Both] {
        let disk = FakeDisk::default();
        fill(&disk, kind).await;
        assert_eq!(readable(&disk), Vec::<String>::new(), "{kind:?}");
    }
    // The same test finds all of it where nothing is sealed.
    let disk = FakeDisk::default();
    fill(&disk, Kind::Plain).await;
    let found = readable(&disk);
    assert!(SECRETS.iter().all(|secret| found.iter().any(|place| place.starts_with(secret))), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_held_open_events_is_not_written_again_as_a_sealed_one() {
    let disk = FakeDisk::default();
    let channel = open_with(&disk, &options(Kind::Plain)).await;
    for number in 0..60 {
        ok(put(&channel, secret_batch(number)).await);
        assert_eq!(drain(&channel, 5).await.len(), 5);
    }
    assert_eq!(channel.apply(options(Kind::Sealed)), Reconfigured::Applied);
    for number in 0..60 {
        ok(put(&channel, secret_batch(number)).await);
        assert_eq!(drain(&channel, 5).await.len(), 5);
    }
    ok(channel.close().await);
    assert_eq!(readable(&disk), Vec::<String>::new());
}

/// Remembers what each nonce was used for, over all files of a disk.
#[derive(Default)]
struct Nonces {
    used: HashMap<(Vec<u8>, u64), Vec<u8>>,
    salts: HashSet<Vec<u8>>,
}

impl Nonces {
    fn look(&mut self, disk: &FakeDisk, what: &str) {
        for (path, content) in disk.files() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut note = |salt: &[u8], sequence: u64, sealed: &[u8]| {
                self.salts.insert(salt.to_vec());
                let before = self.used.entry((salt.to_vec(), sequence)).or_insert_with(|| sealed.to_vec());
                assert_eq!(before, sealed, "{what}: {name} seals {sequence} twice");
            };
            if name.ends_with(".log") || name.ends_with(".spare") {
                // Also what is left of frames in doubt, as long as it says what it is.
                for (offset, header) in frames(&content) {
                    let end = (offset + HEADER_BYTES + header.payload_bytes).min(content.len());
                    // Torn ones are parts of one that is known, or of one that was never whole.
                    let seed = Seed::new(
                        u64::from_le_bytes(content[24..32].try_into().unwrap()),
                        u64::from_le_bytes(content[16..24].try_into().unwrap()),
                    );
                    let whole = offset + frame_bytes(header.payload_bytes);
                    if content.get(offset..whole).is_some_and(|frame| frame::check(frame, &seed).is_some()) {
                        assert!(header.stamp.sealed, "{what}: {name}");
                        note(&content[64..96], header.stamp.sequence, &content[offset + HEADER_BYTES..end]);
                    }
                }
            } else if name == "checkpoint" || name == "state" {
                assert_eq!(content[12..16], [2, 0, 0, 0], "{what}: {name} is not sealed");
                note(&content[16..48], 1, &content[128..]);
            }
        }
    }
}

async fn put_and_take(channel: &FileChannel, from: usize) {
    for number in from..from + 6 {
        let body = format!("{number:0500}");
        if put(channel, batch([&body, &body, &body])).await.is_err() {
            return;
        }
        if number % 2 == 0 {
            let Ok(mut open) = channel.begin_take().await else { return };
            let limit = millrace_core::BatchLimit { events_max: 4, ..Default::default() };
            if open.take(limit).await.is_err() || open.commit().await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_nonce_is_used_twice_over_crashes_restarts_and_copies_of_a_directory() {
    for kind in [Kind::Sealed, Kind::Loose] {
        let options = FileOptions { segment_bytes: 8 << 10, ..options(kind) };
        let mut nonces = Nonces::default();
        for at in 1..90 {
            let disk = FakeDisk::default();
            disk.fail_power_at(at);
            let first = channel(&options, Arc::new(disk.clone()));
            if first.open().await.is_ok() {
                put_and_take(&first, 0).await;
            }
            nonces.look(&disk, "the first run");
            drop(first);
            // Two futures of one past, as when a machine is restored from a copy twice.
            for seed in 0..4 {
                let what = format!("{kind:?}, operation {at}, seed {seed}");
                let after = disk.after_crash(seed);
                nonces.look(&after, &what);
                let channel = open_with(&after, &options).await;
                put_and_take(&channel, 10).await;
                nonces.look(&after, &what);
                if seed == 0 {
                    ok(channel.close().await);
                }
                drop(channel);
                let killed = after.after_kill();
                let channel = open_with(&killed, &options).await;
                put_and_take(&channel, 20).await;
                nonces.look(&killed, &what);
            }
        }
        assert!(
            nonces.salts.len() > 1000 && nonces.used.len() > 3000,
            "{} {}",
            nonces.salts.len(),
            nonces.used.len()
        );
    }
}

/// Makes a frame's checksum right, as someone who knows the format can.
fn resum(content: &mut [u8], offset: usize, whole: usize) {
    let number = |at: usize| u64::from_le_bytes(content[at..at + 8].try_into().unwrap()).to_le_bytes();
    let covered = [&number(24)[..], &number(16), &content[offset + 8..offset + whole]].concat();
    let sum = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &covered);
    content[offset + 4..offset + 8].copy_from_slice(&sum.to_le_bytes()[..4]);
}

/// A sealed channel of puts of equal size in two segments.
async fn equal_puts(kind: Kind) -> (FakeDisk, FileOptions) {
    let disk = FakeDisk::default();
    let options = FileOptions { segment_bytes: 4096 + 1600, ..options(kind) };
    let channel = open_with(&disk, &options).await;
    for number in 0..20 {
        ok(put(&channel, batch([format!("{number:0100}")])).await);
    }
    ok(channel.close().await);
    drop(channel);
    (disk, options)
}

async fn found(channel: &FileChannel) -> Vec<usize> {
    let mut found = Vec::new();
    while channel.stats().events > 0 {
        let mut open = ok(channel.begin_take().await);
        let wait = std::time::Duration::from_millis(50);
        let Ok(taken) = tokio::time::timeout(wait, open.take(millrace_core::BatchLimit::default())).await
        else {
            continue;
        };
        found.extend(
            ok(taken)
                .iter()
                .map(|event| String::from_utf8_lossy(&event.body).parse::<usize>().unwrap_or(usize::MAX)),
        );
        ok(open.commit().await);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_was_moved_copied_or_made_up_is_damage_and_never_an_event() {
    for checkpoint in [true, false] {
        for forgery in ["swap", "repeat", "other segment", "other type", "not sealed", "flipped"] {
            let (disk, options) = equal_puts(Kind::Sealed).await;
            let files = segments(&disk);
            let (path, mut content) = files[0].clone();
            let of_first = frames(&content);
            let ((one, header), (two, _)) = (of_first[2], of_first[3]);
            let whole = frame_bytes(header.payload_bytes);
            let mut forge = |at: usize, payload: &[u8], kind: u8, flags: u8| {
                let payload_at = at + HEADER_BYTES;
                content[payload_at..payload_at + payload.len()].copy_from_slice(payload);
                (content[at + 12], content[at + 13]) = (kind, flags);
                resum(&mut content, at, whole);
            };
            let payload_of = |content: &[u8], at: usize| {
                content[at + HEADER_BYTES..at + HEADER_BYTES + header.payload_bytes].to_vec()
            };
            let (first, second) = (payload_of(&files[0].1, one), payload_of(&files[0].1, two));
            let elsewhere = frames(&files[1].1)[2].0;
            match forgery {
                "swap" => {
                    forge(one, &second, 1, 4);
                    forge(two, &first, 1, 4);
                }
                "repeat" => forge(two, &first, 1, 4),
                "other segment" => forge(two, &payload_of(&files[1].1, elsewhere), 1, 4),
                "other type" => forge(two, &second, 3, 4),
                "not sealed" => forge(two, &second, 1, 0),
                _ => {
                    let mut flipped = second.clone();
                    flipped[20] ^= 1;
                    forge(two, &flipped, 1, 4);
                }
            }
            disk.replace(&path, Some(content));
            if !checkpoint {
                disk.replace(&Path::new(DIRECTORY).join("checkpoint"), None);
            }
            let channel = open_with(&disk, &options).await;
            let found = found(&channel).await;
            let what = format!("{forgery}, checkpoint {checkpoint}: {found:?}");
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{what}");
            let lost = if forgery == "swap" { 2 } else { 1 };
            assert_eq!(found.len(), 20 - lost, "{what}");
            assert!(channel.stats().damaged >= 1, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_keys_a_channel_is_refused_and_left_exactly_as_it_is() {
    let disk = FakeDisk::default();
    fill(&disk, Kind::Sealed).await;
    // What an opening would tidy up.
    disk.replace(&Path::new(DIRECTORY).join("segment-000000000099.new"), Some(b"half".to_vec()));
    let before = disk.files();
    let sealed = " is sealed with key \"2026-05\"";
    for (keys, expected) in [
        (keys(None, &[]), "not among the keys of the channel (none)"),
        (keys(Some("2026-11"), &["2026-11"]), "not among the keys of the channel (2026-11)"),
        (keys(Some("2026-05"), &["2026-05=other"]), "the key of that id is another one now"),
        (keys(Some("2026-11"), &["2026-11", "2026-05=other"]), "the key of that id is another one now"),
    ] {
        let error = refusal(&disk, &with_keys(keys)).await;
        assert!(error.starts_with("/channel/segment-"), "{error}");
        assert!(error.contains(sealed) && error.contains(expected), "{error}");
        assert!(disk.files() == before, "{expected}");
    }
    // Each kind of file alone is enough.
    for name in ["takes-", "checkpoint", "state"] {
        let alone = FakeDisk::default();
        let mut kept = 0;
        for (path, content) in
            before.iter().filter(|(path, _)| path.file_name().unwrap().to_string_lossy().starts_with(name))
        {
            alone.replace(path, Some(content.clone()));
            kept += 1;
        }
        if name != "takes-" {
            assert_eq!(kept, 1);
        }
        if kept > 0 {
            assert!(refusal(&alone, &with_keys(keys(None, &[]))).await.contains(sealed), "{name}");
        }
    }
    let missing = refusal(&disk, &with_keys(keys(Some("2026-01"), &["2026-01"]))).await;
    assert!(missing.starts_with("key \"2026-01\": cannot read "), "{missing}");
    // With them it opens.
    open_with(&disk, &options(Kind::Sealed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_over_restarts_and_the_old_one_goes_when_no_file_needs_it() {
    let disk = FakeDisk::default();
    let old = with_keys(keys(Some("2026-05"), &["2026-05"]));
    let both = with_keys(keys(Some("2026-11"), &["2026-05", "2026-11"]));
    let new = with_keys(keys(Some("2026-11"), &["2026-11"]));
    let first = open_with(&disk, &old).await;
    ok(put(&first, batch(0..5)).await);
    ok(first.close().await);
    drop(first);
    let second = open_with(&disk, &both).await;
    ok(put(&second, batch(5..10)).await);
    let refused = second.apply(new.clone());
    let Reconfigured::Refused(reason) = refused else { unreachable!("{refused:?}") };
    assert!(reason.contains("segment-000000000001.log: it is sealed with key \"2026-05\""), "{reason}");
    // A crash: checkpoint and state were sealed anew by opening, the segment was not.
    drop(second);
    assert!(
        refusal(&disk, &new).await.contains("segment-000000000001.log: it is sealed with key \"2026-05\"")
    );
    let third = open_with(&disk, &both).await;
    assert_eq!(drain(&third, 10).await, numbers(0..10));
    for number in 10..200 {
        ok(put(&third, batch([format!("{number:01000}")])).await);
    }
    ok(third.close().await);
    drop(third);
    let fourth = open_with(&disk, &new).await;
    assert_eq!(drain(&fourth, 190).await.len(), 190);
    assert_eq!(fourth.stats().damaged, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_with_another_key_seals_checkpoint_and_what_follows_with_it() {
    let disk = FakeDisk::default();
    let old = with_keys(keys(Some("2026-05"), &["2026-05"]));
    let both = with_keys(keys(Some("2026-11"), &["2026-05", "2026-11"]));
    let channel = open_with(&disk, &old).await;
    ok(put(&channel, batch(0..5)).await);
    assert!(matches!(channel.apply(with_keys(keys(Some("no"), &["no"]))), Reconfigured::Refused(_)));
    assert_eq!(channel.apply(both.clone()), Reconfigured::Applied);
    ok(put(&channel, batch(5..10)).await);
    let sealed_with = |name: &str| {
        let files = disk.files();
        let found = files.iter().find(|(path, _)| path.file_name().unwrap().to_string_lossy() == name);
        found.map(|(_, content)| content.windows(7).any(|bytes| bytes == b"2026-11"))
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while sealed_with("checkpoint") != Some(true) {
        assert!(std::time::Instant::now() < deadline, "the checkpoint keeps its key");
        tokio::task::yield_now().await;
    }
    assert_eq!(sealed_with("segment-000000000001.log"), Some(false));
    assert_eq!(sealed_with("segment-000000000002.log"), Some(true));
    drop(channel);
    let again = open_with(&disk.after_kill(), &both).await;
    assert_eq!(drain(&again, 10).await, numbers(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_file_lives_in_one_directory() {
    let disk = FakeDisk::default();
    let order = [
        Kind::Plain,
        Kind::Both,
        Kind::Plain,
        Kind::Packed,
        Kind::Sealed,
        Kind::Loose,
        Kind::Both,
        Kind::Plain,
        Kind::Loose,
        Kind::Packed,
    ];
    let body = |number: usize| format!("{number:0600}");
    for (round, kind) in order.into_iter().enumerate() {
        let channel = open_with(&disk, &options(kind)).await;
        for number in round * 6..round * 6 + 3 {
            ok(put(&channel, batch([body(number)])).await);
        }
        // And back and forth while it is open.
        let other = order[(round + 3) % order.len()];
        assert_eq!(channel.apply(options(other)), Reconfigured::Applied);
        for number in round * 6 + 3..round * 6 + 6 {
            ok(put(&channel, batch([body(number)])).await);
        }
        if round % 2 == 0 {
            ok(channel.close().await);
        }
    }
    let channel = open_with(&disk, &options(Kind::Plain)).await;
    assert_eq!(channel.stats().damaged, 0);
    let found = drain(&channel, order.len() * 6).await;
    assert_eq!(found, (0..order.len() * 6).map(body).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packed_puts_take_less_and_are_taken_row_by_row() {
    for compression in [Compression::Zstd, Compression::Lz4] {
        let disk = FakeDisk::default();
        let options = FileOptions { compression, ..options(Kind::Plain) };
        let channel = open_with(&disk, &options).await;
        let body =
            |row: usize| format!("GET /index.html?number={row:05} HTTP/1.1 200 and so on and so forth");
        ok(put(&channel, batch((0..2000).map(body))).await);
        let written = frames(&segments(&disk)[0].1)[1].1.payload_bytes;
        assert!(written < 2000 * 62 / 3, "{compression:?}: {written}");
        for start in (0..2000).step_by(50) {
            assert_eq!(drain(&channel, 50).await, (start..start + 50).map(body).collect::<Vec<_>>());
        }
    }
}
