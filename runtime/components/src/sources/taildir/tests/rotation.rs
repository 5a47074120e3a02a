//! Names, copies and contents that change under the source.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
};

use millrace_testkit::eventually;

use super::{Bench, append, expected, numbered, stop};

#[tokio::test]
async fn a_renamed_file_that_still_matches_is_not_read_again() {
    let bench = Bench::new();
    bench.write("log", "1\n");
    let rig = bench.start("log*", "");
    bench.wait_for("1").await;
    bench.rename("log", "log0");
    bench.append("log", "2\n");
    bench.wait_for("2").await;
    bench.append("log0", "3\n");
    bench.wait_for("3").await;
    assert_eq!(stop(rig).await, ["1", "2", "3"]);
    assert_eq!(bench.offsets(), [("log".to_owned(), 2), ("log0".to_owned(), 4)]);
}

#[tokio::test]
async fn a_file_renamed_out_of_sight_is_read_to_its_end() {
    let bench = Bench::new();
    bench.write("a.log", "1\n");
    let rig = bench.start("*.log", "rotate-wait \"200ms\"");
    bench.wait_for("1").await;
    bench.rename("a.log", "a.old");
    bench.append("a.log", "2\n");
    bench.wait_for("2").await;
    bench.append("a.old", "3\nunfinished");
    bench.wait_for("3").await;
    // Its unfinished line becomes an event when the file is let go.
    bench.wait_for("unfinished").await;
    assert_eq!(stop(rig).await, ["1", "2", "3", "unfinished"]);
}

#[tokio::test]
async fn a_deleted_file_is_read_to_its_end_while_its_writer_holds_it() {
    let bench = Bench::new();
    bench.write("a.log", "1\n");
    let rig = bench.start("*.log", "");
    bench.wait_for("1").await;
    let mut writer = OpenOptions::new().append(true).open(bench.path("a.log")).unwrap();
    bench.remove("a.log");
    writer.write_all(b"2\n").unwrap();
    bench.wait_for("2").await;
    // At the end of the source there is no second chance for an unlinked file.
    writer.write_all(b"3\nrest").unwrap();
    assert_eq!(stop(rig).await, ["1", "2", "3", "rest"]);
}

#[tokio::test]
async fn a_copy_of_a_truncated_file_goes_on_where_the_original_was() {
    let bench = Bench::new();
    bench.write("log", "1\n");
    let rig = bench.start("log*", "");
    bench.wait_for("1").await;
    bench.copy("log", "log0");
    bench.truncate("log");
    bench.append("log", "2\n");
    bench.wait_for("2").await;
    bench.append("log0", "3\n");
    bench.wait_for("3").await;
    assert_eq!(stop(rig).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn lines_read_after_the_copy_was_made_do_not_confuse() {
    let bench = Bench::new();
    bench.write("log", "1\n");
    let rig = bench.start("log*", "");
    bench.wait_for("1").await;
    bench.copy("log", "log0");
    // The original goes on for a while, and is read, before it is truncated.
    let after: Vec<String> = (0..20).map(|number| format!("after {number}")).collect();
    for line in &after {
        bench.append("log", format!("{line}\n"));
        bench.wait_for(line).await;
    }
    bench.truncate("log");
    bench.append("log", "2\n");
    bench.wait_for("2").await;
    bench.append("log0", "3\n");
    bench.wait_for("3").await;
    let mut lines = vec!["1".to_owned()];
    lines.extend(after);
    lines.extend(["2".to_owned(), "3".to_owned()]);
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn a_file_that_was_closed_for_idleness_is_still_known_by_its_copy() {
    let bench = Bench::new();
    bench.write("log", numbered(0..100));
    let rig = bench.start("log*", "idle-timeout \"1ms\"");
    bench.wait_for("line 99").await;
    bench.copy("log", "log.1");
    bench.truncate("log");
    bench.append("log", "new\n");
    bench.wait_for("new").await;
    bench.append("log.1", "end\n");
    bench.wait_for("end").await;
    let mut lines = expected(0..100);
    lines.extend(["new".to_owned(), "end".to_owned()]);
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn repeated_copies_and_truncations_repeat_nothing() {
    let bench = Bench::new();
    let rig = bench.start("log*", "");
    for round in 0..6 {
        bench.append("log", numbered(round * 100..round * 100 + 100));
        bench.wait_for(&format!("line {}", round * 100 + 99)).await;
        for old in (0..round).rev() {
            bench.rename(&format!("log.{old}"), &format!("log.{}", old + 1));
        }
        bench.copy("log", "log.0");
        bench.truncate("log");
    }
    for old in 0..6 {
        bench.append(&format!("log.{old}"), format!("end {old}\n"));
        bench.wait_for(&format!("end {old}")).await;
    }
    let mut lines = expected(0..600);
    lines.extend((0..6).map(|old| format!("end {old}")));
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn a_writer_that_does_not_append_leaves_a_hole_and_no_event_of_it() {
    let bench = Bench::new();
    bench.write("log", "");
    let mut writer = OpenOptions::new().write(true).open(bench.path("log")).unwrap();
    writer.seek(SeekFrom::Start(0)).unwrap();
    writer.write_all(numbered(0..1000).as_bytes()).unwrap();
    let rig = bench.start("log*", "");
    bench.wait_for("line 999").await;
    bench.copy("log", "log.1");
    bench.truncate("log");
    writer.write_all(b"line 1000\n").unwrap();
    bench.wait_for("line 1000").await;
    writer.write_all(b"line 1001\n").unwrap();
    bench.wait_for("line 1001").await;
    bench.append("log.1", "line 1002\n");
    bench.wait_for("line 1002").await;
    assert_eq!(stop(rig).await, expected(0..1003));
}

#[tokio::test]
async fn two_files_of_equal_content_are_both_read_in_the_end() {
    let bench = Bench::new();
    bench.write("a.log", "banner\n");
    let rig = bench.start("*.log", "");
    bench.wait_for("banner").await;
    bench.write("a-2.log", "banner\n");
    bench.channel.wait_for_events(2).await;
    bench.write("a-3.log", "banner\nthree\n");
    bench.wait_for("three").await;
    assert_eq!(stop(rig).await, ["banner", "banner", "banner", "three"]);
}

#[tokio::test]
async fn deleted_and_created_again_is_read_from_the_start_whatever_its_inode() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..100));
    let rig = bench.start("*.log", "");
    bench.wait_for("line 99").await;
    for round in 1..20 {
        bench.remove("a.log");
        bench.write("a.log", numbered(round * 1000..round * 1000 + 150));
        bench.wait_for(&format!("line {}", round * 1000 + 149)).await;
    }
    let mut lines = expected(0..100);
    (1..20).for_each(|round| lines.extend(expected(round * 1000..round * 1000 + 150)));
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn truncated_and_written_again_to_any_size_is_read_from_the_start() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..100));
    let rig = bench.start("*.log", "");
    bench.wait_for("line 99").await;
    let mut lines = expected(0..100);
    // Smaller, the same size, larger; opening for writing truncates in place.
    for (round, count) in [(10, 3), (20, 3), (30, 500), (40, 500), (50, 2000)] {
        let range = round * 1000..round * 1000 + count;
        bench.write("a.log", numbered(range.clone()));
        bench.wait_for(&format!("line {}", range.end - 1)).await;
        lines.extend(expected(range));
    }
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn contents_with_the_same_long_head_are_told_apart() {
    let bench = Bench::new();
    let banner = format!("{}\n", "=".repeat(2000));
    bench.write("a.log", format!("{banner}1\n2\n3\n"));
    let rig = bench.start("*.log", "");
    bench.wait_for("3").await;
    bench.write("a.log", format!("{banner}4\n5\n6\n7\n"));
    bench.wait_for("7").await;
    let banner = banner.trim_end();
    assert_eq!(stop(rig).await, [banner, "1", "2", "3", banner, "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_rotated_file_that_was_compressed_is_not_read_again() {
    let bench = Bench::new();
    bench.write("app.log", numbered(0..5000));
    let rig = bench.start("app.log*", "rotate-wait \"50ms\"");
    bench.wait_for("line 4999").await;
    bench.rename("app.log", "app.log.1");
    bench.write("app.log", "new\n");
    bench.wait_for("new").await;
    bench.append("app.log.1", "late\n");
    bench.wait_for("late").await;
    bench.gzip("app.log.1", "app.log.1.gz");
    bench.remove("app.log.1");
    // The compressed file has a position of its own as soon as it was recognised.
    eventually("the copy to be known", || {
        bench.positions().iter().any(|(name, position)| name == "app.log.1.gz" && position.finished)
    })
    .await;
    let mut lines = expected(0..5000);
    lines.extend(["new".to_owned(), "late".to_owned()]);
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn a_symbolic_link_is_followed_to_each_of_its_targets() {
    let bench = Bench::new();
    bench.write("one", "1\n");
    std::os::unix::fs::symlink(bench.path("one"), bench.path("now.log")).unwrap();
    let rig = bench.start("*.log", "");
    bench.wait_for("1").await;
    bench.write("two", "2\n");
    std::os::unix::fs::symlink(bench.path("two"), bench.path("next")).unwrap();
    bench.rename("next", "now.log");
    bench.wait_for("2").await;
    bench.append("one", "3\n");
    bench.wait_for("3").await;
    // The link and its target are one file.
    std::os::unix::fs::symlink(bench.path("two"), bench.path("again.log")).unwrap();
    bench.append("two", "4\n");
    bench.wait_for("4").await;
    assert_eq!(stop(rig).await, ["1", "2", "3", "4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_rotation_of_many_files_loses_and_repeats_nothing() {
    let bench = Bench::new();
    let rig = bench.start("*.log*", "");
    let folder = bench.folder.path().to_owned();
    let writer = tokio::task::spawn_blocking(move || {
        for round in 0..40 {
            for file in 0..10 {
                let path = folder.join(format!("{file}.log"));
                let mut open = File::options().append(true).create(true).open(&path).unwrap();
                for line in 0..50 {
                    open.write_all(format!("{file} {:05}\n", round * 50 + line).as_bytes()).unwrap();
                }
                fs::rename(&path, folder.join(format!("{file}.log.{round}"))).unwrap();
                // The writer has not noticed yet.
                open.write_all(format!("{file} {:05}+\n", round * 50 + 49).as_bytes()).unwrap();
            }
        }
    });
    writer.await.unwrap();
    bench.channel.wait_for_events(10 * 40 * 51).await;
    let mut lines = stop(rig).await;
    lines.sort();
    let mut wanted: Vec<String> = (0..10)
        .flat_map(|file| (0..2000).map(move |line| format!("{file} {line:05}")))
        .chain((0..10).flat_map(|file| (0..40).map(move |round| format!("{file} {:05}+", round * 50 + 49))))
        .collect();
    wanted.sort();
    assert_eq!(lines, wanted);
}

#[tokio::test]
async fn an_idle_file_is_closed_and_opened_again_when_it_grows() {
    let bench = Bench::new();
    bench.write("a.log", "1\n");
    let rig = bench.start("*.log", "idle-timeout \"20ms\"");
    bench.wait_for("1").await;
    let is_open = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(Result::ok)
            .any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == bench.path("a.log")))
    };
    eventually("the file to be closed", || !is_open()).await;
    append(&bench.path("a.log"), b"2\n");
    bench.wait_for("2").await;
    eventually("the file to be closed again", || !is_open()).await;
    bench.append("a.log", "3\n");
    bench.rename("a.log", "a.old");
    bench.wait_for("3").await;
    assert_eq!(stop(rig).await, ["1", "2", "3"]);
}
