use std::{fs, io::Write, path::PathBuf};

use millrace_core::Batch;

use super::rig::{Rig, expected, plain, with};
use crate::bucket::Disk;

/// The only journal of a sink that is gone.
fn journal(rig: &Rig) -> PathBuf {
    let mut found = fs::read_dir(rig.folder.path().join("data")).unwrap();
    let path = found.next().unwrap().unwrap().path();
    assert!(found.next().is_none());
    path
}

/// Makes a journal look as if the machine had been started since.
fn reboot(rig: &Rig) {
    let path = journal(rig);
    let text = fs::read_to_string(&path).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    fs::write(&path, format!("file-roll-journal 1 another-boot\n{rest}")).unwrap();
}

fn append(rig: &Rig, name: &str, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(rig.out().join(name)).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn a_file_in_progress_is_completed_at_the_next_start() {
    let mut rig = Rig::new("");
    rig.deliver(&["a", "b"]).await;
    rig.restart().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\n")]));
    rig.deliver(&["c"]).await;
    rig.close().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\n"), ("1700000000000-2", "c\n")]));
    assert_eq!(rig.journals(), 0);
}

#[tokio::test]
async fn what_was_written_but_not_confirmed_is_cut_off() {
    for unconfirmed in [&b"whole\n"[..], b"half a li", b"", &[0; 5000]] {
        let mut rig = Rig::new("");
        rig.deliver(&["a"]).await;
        rig.deliver(&["b"]).await;
        rig.crash();
        append(&rig, "1700000000000-1.tmp", unconfirmed);
        rig.restart().await;
        assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\n")]));
    }
}

#[tokio::test]
async fn a_file_of_which_nothing_was_confirmed_is_removed() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.crash();
    let path = journal(&rig);
    let text = fs::read_to_string(&path).unwrap();
    let kept: String = text.split_inclusive('\n').filter(|line| !line.starts_with("confirmed")).collect();
    fs::write(&path, kept).unwrap();
    rig.restart().await;
    assert!(rig.files().is_empty());
    assert_eq!(rig.journals(), 1, "the new sink's own");
}

#[tokio::test]
async fn after_a_power_failure_everything_whole_is_kept() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.deliver(&["b"]).await;
    rig.crash();
    // The journal lags behind: it knows of the first batch only.
    let path = journal(&rig);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("confirmed 1 4\n", "")).unwrap();
    append(&rig, "1700000000000-1.tmp", b"c\nhalf\0\0\0");
    reboot(&rig);
    rig.restart().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\nc\n")]));
}

#[tokio::test]
async fn after_a_power_failure_archives_and_containers_are_cut_to_whole_frames() {
    for options in [
        "compression \"gzip\"",
        "compression \"zstd\"",
        "serializer \"avro-event\"; avro codec=\"zstandard\"",
        "serializer \"parquet\"; parquet codec=\"zstd\"",
    ] {
        let mut rig = Rig::new(options);
        rig.deliver(&["a"]).await;
        let first = rig.files()[0].1.len();
        rig.deliver(&["b", "b"]).await;
        let whole = rig.files()[0].1.clone();
        rig.deliver(&["c"]).await;
        let name = rig.names().remove(0);
        let all = rig.files()[0].1.len();
        rig.crash();
        let path = journal(&rig);
        let text = fs::read_to_string(&path).unwrap();
        for confirmed in [0, first, whole.len()] {
            for length in whole.len()..all {
                // Cut anywhere in the third frame, or with rubbish in its place.
                let mut bytes = whole.clone();
                bytes.resize(length, 0);
                fs::write(rig.out().join(&name), bytes).unwrap();
                let known = text.split_inclusive('\n').filter(|line| !line.starts_with("confirmed"));
                let known: String = known.collect::<String>() + &format!("confirmed 1 {confirmed}\n");
                fs::write(&path, known).unwrap();
                reboot(&rig);
                rig.restart().await;
                let files = rig.files();
                assert_eq!(files.len(), 1, "{options} {confirmed} {length}");
                assert_eq!(files[0].1, whole, "{options} {confirmed} {length}");
                assert!(!files[0].0.ends_with(".tmp"));
                rig.crash();
                fs::remove_file(rig.out().join(&files[0].0)).unwrap();
                fs::read_dir(rig.folder.path().join("data"))
                    .unwrap()
                    .for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
            }
        }
    }
}

#[tokio::test]
async fn many_files_in_progress_are_all_completed() {
    let mut rig = Rig::in_place("/%{h}", "");
    let hosts: Vec<String> = (0..50).map(|number| format!("h{number}")).collect();
    for _ in 0..3 {
        rig.try_deliver(hosts.iter().map(|host| with(&[("h", host)], "x")).collect()).await.unwrap();
    }
    rig.restart().await;
    assert_eq!(rig.files().len(), 50);
    assert!(rig.texts().iter().all(|(name, text)| !name.ends_with(".tmp") && text == "x\nx\nx\n"));
}

#[tokio::test]
async fn the_files_of_a_living_sink_are_left_alone() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    // As during a reload.
    let mut second = rig.build();
    second.idle().await.unwrap();
    second.deliver(&Batch::new(plain(&["b"]))).await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1.tmp", "a\n"), ("1700000000000-2.tmp", "b\n")]));
    rig.deliver(&["c"]).await;
    rig.close().await;
    second.close().await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nc\n"), ("1700000000000-2", "b\n")]));
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_a_torn_one_is_read_as_far_as_it_is_whole() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.crash();
    let path = journal(&rig);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}confirmed 1 10000000")).unwrap();
    rig.restart().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n")]));
    rig.crash();
    fs::write(journal(&rig), [0xFF, 0xFE, 0, 1, 2]).unwrap();
    rig.restart().await;
    let names: Vec<String> = fs::read_dir(rig.folder.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name.ends_with(".damaged")), "{names:?}");
    rig.deliver(&["b"]).await;
}

#[tokio::test]
async fn a_folder_that_is_away_keeps_its_files_for_a_later_start() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.crash();
    let away = rig.folder.path().join("away");
    fs::rename(rig.out(), &away).unwrap();
    rig.restart().await;
    rig.crash();
    fs::rename(&away, rig.out()).unwrap();
    rig.restart().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n")]));
}

#[tokio::test]
async fn a_journal_stays_small_over_many_batches() {
    let mut rig = Rig::new("sync \"none\"; roll interval=\"0s\"");
    for _ in 0..60_000 {
        rig.deliver(&["x"]).await;
    }
    let size = fs::metadata(journal(&rig)).unwrap().len();
    assert!(size < (1 << 20) + 100, "{size}");
    rig.restart().await;
    assert_eq!(rig.everything().len(), 120_000);
}

#[tokio::test]
async fn a_copy_of_a_locked_file_does_not_keep_it_locked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, disk) = (folder.path().join("locked"), Disk::default());
    let locked = disk.lock(disk.create(&path).unwrap()).unwrap().unwrap();
    // What a program has that is being started at this moment.
    let _copy = locked.try_clone().unwrap();
    assert!(disk.lock(disk.open(&path).unwrap()).unwrap().is_none());
    drop(locked);
    assert!(disk.lock(disk.open(&path).unwrap()).unwrap().is_some());
}

#[tokio::test]
async fn what_an_earlier_sink_held_at_the_start_is_completed_when_it_lets_go() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.crash();
    let held = rig.disk.lock(rig.disk.open(&journal(&rig)).unwrap()).unwrap();
    assert!(held.is_some());
    rig.start();
    rig.deliver(&["b"]).await;
    rig.idle().await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1.tmp", "a\n"), ("1700000000000-2.tmp", "b\n")]));
    drop(held);
    rig.idle().await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n"), ("1700000000000-2.tmp", "b\n")]));
    rig.close().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n"), ("1700000000000-2", "b\n")]));
    assert_eq!(rig.journals(), 0);
}
