use millrace_core::{Retry, SinkError};

use super::rig::{Rig, expected, plain, with};
use crate::serializers::parquet_bodies;

async fn fails(rig: &mut Rig, bodies: &[&'static str]) -> String {
    match rig.try_deliver(plain(bodies)).await {
        Err(error @ SinkError::Retryable { .. }) => {
            assert_eq!(error.retry(), Retry::Backoff);
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_of_the_batch_and_the_retry_repeats_nothing() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.disk.faults.plan("write", 0, 1);
    let error = fails(&mut rig, &["b", "c"]).await;
    assert!(error.starts_with("cannot write ") && error.contains("1700000000000-1.tmp"), "{error}");
    assert_eq!(rig.everything(), "a\n");
    rig.deliver(&["b", "c"]).await;
    rig.close().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\nb\nc\n")]));
}

#[tokio::test]
async fn a_failed_first_batch_leaves_no_file() {
    let mut rig = Rig::new("");
    rig.deliver(&["0"]).await;
    rig.close().await;
    rig.start();
    rig.idle().await.unwrap();
    // The first write is the journal's, the second the file's.
    rig.disk.faults.plan("write", 1, 1);
    fails(&mut rig, &["a"]).await;
    assert_eq!(rig.names(), ["1700000000000-1"]);
    rig.deliver(&["a"]).await;
    rig.close().await;
    assert_eq!(rig.everything(), "0\na\n");
    assert_eq!(rig.journals(), 0);
}

#[tokio::test]
async fn a_batch_that_filled_many_files_is_taken_back_from_all_of_them() {
    let mut rig = Rig::in_place("/%{h}", "roll count=2; max-open-files 2");
    let batch = || -> Vec<_> {
        ["a", "b", "a", "b", "a", "c", "d", "a", "b", "e"]
            .iter()
            .map(|host| with(&[("h", host)], "x"))
            .collect()
    };
    rig.try_deliver(vec![with(&[("h", "a")], "first"), with(&[("h", "b")], "first")]).await.unwrap();
    let before = rig.texts();
    for passing in 0..20 {
        rig.disk.faults.plan("write", passing, 1);
        if rig.try_deliver(batch()).await.is_ok() {
            assert!(passing > 8, "every write of the batch has failed once: {passing}");
            break;
        }
        assert_eq!(rig.texts(), before, "{passing} writes");
    }
    rig.close().await;
    assert_eq!(rig.everything().matches("x\n").count(), 10);
    assert_eq!(rig.everything().matches("first\n").count(), 2);
    assert_eq!(rig.names().iter().filter(|name| name.ends_with(".tmp")).count(), 0);
    assert_eq!(rig.journals(), 0);
}

#[tokio::test]
async fn a_failed_sync_ends_the_file_and_the_batch_goes_into_another_one() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.disk.faults.plan("sync", 0, 1);
    let error = fails(&mut rig, &["b"]).await;
    assert!(error.starts_with("cannot sync "), "{error}");
    rig.deliver(&["b"]).await;
    rig.close().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n"), ("1700000000000-2", "b\n")]));
}

#[tokio::test]
async fn nothing_is_written_while_a_file_cannot_be_cut() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.disk.faults.plan("write", 0, 1);
    rig.disk.faults.plan("truncate", 0, 2);
    fails(&mut rig, &["bbbb"]).await;
    assert_eq!(rig.everything(), "a\nbb", "half the batch is there, and cannot be cut off");
    let error = fails(&mut rig, &["bbbb"]).await;
    assert!(error.starts_with("cannot cut "), "{error}");
    rig.deliver(&["bbbb"]).await;
    assert_eq!(rig.everything(), "a\nbbbb\n");
}

#[tokio::test]
async fn a_crash_before_the_cut_is_cut_at_the_next_start() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    rig.disk.faults.plan("write", 0, 1);
    rig.disk.faults.plan("truncate", 0, 1);
    fails(&mut rig, &["bbbb"]).await;
    rig.restart().await;
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n")]));
}

#[tokio::test]
async fn a_file_that_cannot_be_named_is_named_later_and_holds_nothing_up() {
    let mut rig = Rig::new("roll count=1");
    // One attempt after the first batch, one before the second, two after it.
    rig.disk.faults.plan("rename", 0, 4);
    rig.deliver(&["a"]).await;
    rig.deliver(&["b"]).await;
    assert_eq!(rig.names(), ["1700000000000-1.tmp", "1700000000000-2.tmp"]);
    rig.idle().await.unwrap();
    assert_eq!(rig.texts(), expected(&[("1700000000000-1", "a\n"), ("1700000000000-2", "b\n")]));
}

#[tokio::test]
async fn a_file_that_somebody_removed_does_not_stop_the_others() {
    let mut rig = Rig::in_place("/%{h}", "");
    rig.try_deliver(vec![with(&[("h", "a")], "1"), with(&[("h", "b")], "2")]).await.unwrap();
    std::fs::remove_file(rig.out().join("a/1700000000000-1.tmp")).unwrap();
    rig.close().await;
    assert_eq!(rig.texts(), expected(&[("b/1700000000000-2", "2\n")]));
    assert_eq!(rig.journals(), 0);
}

#[tokio::test]
async fn files_that_can_never_be_named_stop_the_sink_at_its_limit() {
    let mut rig = Rig::new("roll count=1; max-open-files 2");
    rig.disk.faults.plan("rename", 0, usize::MAX);
    rig.deliver(&["a"]).await;
    rig.deliver(&["b"]).await;
    let error = fails(&mut rig, &["c"]).await;
    assert!(error.starts_with("2 finished files cannot be given their names"), "{error}");
    rig.disk.faults.plan("rename", 0, 0);
    rig.deliver(&["c"]).await;
    assert_eq!(rig.everything(), "a\nb\nc\n");
}

#[tokio::test]
async fn a_failed_confirmation_takes_the_batch_back() {
    let mut rig = Rig::new("");
    rig.deliver(&["a"]).await;
    // The first write is the file's, the second the journal's.
    rig.disk.faults.plan("write", 1, 1);
    let error = fails(&mut rig, &["b"]).await;
    assert!(error.starts_with("cannot write journal "), "{error}");
    assert_eq!(rig.everything(), "a\n");
    rig.deliver(&["b"]).await;
    rig.restart().await;
    assert_eq!(rig.everything(), "a\nb\n");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let mut rig = Rig::in_place("/below", "");
    std::fs::write(rig.out(), "a file is in the way").unwrap();
    let error = fails(&mut rig, &["a"]).await;
    let expected = format!("cannot create folder {}/below: not a directory", rig.out().display());
    assert!(error.starts_with(&expected), "{error}");
    std::fs::remove_file(rig.out()).unwrap();
    rig.deliver(&["a"]).await;
    assert_eq!(rig.everything(), "a\n");
}

#[tokio::test]
async fn avro_and_compressed_files_are_whole_after_a_failed_batch() {
    for options in [
        "serializer \"avro-event\"",
        "serializer \"parquet\"",
        "compression \"gzip\"",
        "compression \"zstd\"",
    ] {
        let mut rig = Rig::new(options);
        rig.deliver(&["a"]).await;
        let before = rig.files();
        rig.disk.faults.plan("write", 0, 1);
        fails(&mut rig, &["b", "c"]).await;
        assert_eq!(rig.files(), before, "{options}");
        rig.deliver(&["b", "c"]).await;
        rig.close().await;
        let bytes = &rig.files()[0].1;
        match options {
            "serializer \"avro-event\"" => {
                assert_eq!(
                    apache_avro::Reader::new(bytes.as_slice()).unwrap().map(Result::unwrap).count(),
                    3
                );
            }
            "serializer \"parquet\"" => assert_eq!(parquet_bodies(bytes), ["a", "b", "c"]),
            "compression \"gzip\"" => assert_eq!(super::roll::unpack("gz", bytes), "a\nb\nc\n"),
            _ => assert_eq!(super::roll::unpack("zst", bytes), "a\nb\nc\n"),
        }
    }
}
