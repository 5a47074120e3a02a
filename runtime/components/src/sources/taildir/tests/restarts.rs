//! What happens between two runs.

use std::time::Duration;

use millrace_testkit::eventually;

use super::{Bench, expected, numbered, stop};

#[tokio::test]
async fn a_partial_last_line_is_completed_once_across_a_restart() {
    let bench = Bench::new();
    bench.write("a.log", "one\ntw");
    let rig = bench.start("*.log", "");
    bench.wait_for("one").await;
    stop(rig).await;
    assert_eq!(bench.offsets(), [("a.log".to_owned(), 4)]);
    bench.append("a.log", "o\nthr");
    let rig = bench.start("*.log", "");
    bench.wait_for("two").await;
    stop(rig).await;
    bench.append("a.log", "ee\n");
    let rig = bench.start("*.log", "");
    bench.wait_for("three").await;
    assert_eq!(stop(rig).await, ["one", "two", "three"]);
}

#[tokio::test]
async fn rotation_while_off_neither_loses_nor_repeats() {
    for (glob, rotated) in [("log*", "log.1"), ("log", "elsewhere")] {
        let bench = Bench::new();
        bench.write("log", numbered(0..1000));
        let rig = bench.start(glob, "");
        bench.wait_for("line 999").await;
        stop(rig).await;
        bench.append("log", numbered(1000..1100));
        bench.rename("log", rotated);
        bench.write("log", numbered(1100..1200));
        let rig = bench.start(glob, "");
        bench.channel.wait_for_events(1200).await;
        let mut lines = stop(rig).await;
        lines.sort_by_key(|line| line[5..].parse::<usize>().unwrap());
        assert_eq!(lines, expected(0..1200), "{rotated}");
    }
}

#[tokio::test]
async fn copy_and_truncation_while_off_neither_loses_nor_repeats() {
    let bench = Bench::new();
    bench.write("log", numbered(0..1000));
    let rig = bench.start("log*", "");
    bench.wait_for("line 999").await;
    stop(rig).await;
    bench.append("log", numbered(1000..1010));
    bench.copy("log", "log.1");
    bench.truncate("log");
    bench.append("log", numbered(1010..1020));
    let rig = bench.start("log*", "");
    bench.channel.wait_for_events(1020).await;
    bench.append("log.1", "copy\n");
    bench.wait_for("copy").await;
    bench.append("log", "original\n");
    bench.wait_for("original").await;
    let mut lines = stop(rig).await;
    lines.sort_by_key(|line| line.get(5..).and_then(|number| number.parse::<usize>().ok()).unwrap_or(9999));
    assert_eq!(lines[..1020], expected(0..1020));
    assert_eq!(lines.len(), 1022);
}

#[tokio::test]
async fn compression_while_off_is_recognised() {
    let bench = Bench::new();
    bench.write("app.log", numbered(0..3000));
    let rig = bench.start("app.log*", "");
    bench.wait_for("line 2999").await;
    stop(rig).await;
    bench.append("app.log", numbered(3000..3010));
    bench.gzip("app.log", "app.log.1.gz");
    bench.remove("app.log");
    let rig = bench.start("app.log*", "");
    bench.wait_for("line 3009").await;
    assert_eq!(stop(rig).await, expected(0..3010));
}

#[tokio::test]
async fn the_same_inode_with_other_content_is_read_from_the_start() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..100));
    let rig = bench.start("*.log", "");
    bench.wait_for("line 99").await;
    stop(rig).await;
    // Written in place: inode and birth stay, the content is longer than what was read.
    bench.write("a.log", numbered(5000..5300));
    let rig = bench.start("*.log", "");
    bench.wait_for("line 5299").await;
    let mut lines = expected(0..100);
    lines.extend(expected(5000..5300));
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn starting_at_the_tail_leaves_out_what_was_there_the_first_time_only() {
    let bench = Bench::new();
    bench.write("a.log", "old\n");
    bench.write("a.log.1.gz", super::gzipped(b"older\n"));
    let rig = bench.start("a.log*", "start \"tail\"");
    eventually("the positions to be stored", || bench.positions().len() == 2).await;
    bench.append("a.log", "new\n");
    bench.wait_for("new").await;
    bench.write("a.log.x", "came later\n");
    bench.wait_for("came later").await;
    stop(rig).await;
    bench.append("a.log", "while off\n");
    bench.write("a.log.y", "found at a later start\n");
    let rig = bench.start("a.log*", "start \"tail\"");
    bench.channel.wait_for_events(4).await;
    let mut lines = stop(rig).await;
    lines[2..].sort();
    assert_eq!(lines, ["new", "came later", "found at a later start", "while off"]);
}

#[tokio::test]
async fn a_full_channel_holds_the_source_back_and_everything_arrives() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..5000));
    bench.channel.refuse_next(5);
    let rig = bench.start("*.log", "batch-size 500");
    bench.wait_for("line 4999").await;
    assert_eq!(stop(rig).await, expected(0..5000));
}

#[tokio::test]
async fn most_puts_refused_and_everything_arrives_in_order() {
    let bench = Bench::new();
    let rig = bench.start("*.log", "batch-size 100");
    for round in 0..10 {
        bench.channel.refuse_next(2);
        bench.append("a.log", numbered(round * 100..round * 100 + 100));
        bench.wait_for(&format!("line {}", round * 100 + 99)).await;
    }
    assert_eq!(stop(rig).await, expected(0..1000));
}

#[tokio::test]
async fn a_source_stopped_before_a_full_channel_repeats_nothing_later() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..5000));
    bench.channel.refuse_next(usize::MAX);
    let rig = bench.start("*.log", "batch-size 500");
    eventually("a refusal", || bench.channel.refusals_left() < usize::MAX).await;
    stop(rig).await;
    bench.channel.refuse_next(0);
    assert!(bench.channel.events().is_empty());
    let rig = bench.start("*.log", "batch-size 500");
    bench.wait_for("line 4999").await;
    assert_eq!(stop(rig).await, expected(0..5000));
}

#[tokio::test]
async fn damaged_positions_do_not_stop_the_start() {
    let bench = Bench::new();
    bench.write("a.log", "1\n");
    let rig = bench.start("*.log", "");
    bench.wait_for("1").await;
    stop(rig).await;
    let stored = millrace_core::Channel::positions(&bench.channel, "test").unwrap();
    let changes =
        stored.keys().map(|key| (key.clone(), Some(bytes::Bytes::from_static(b"\xff\x01")))).collect();
    let update = millrace_core::PositionUpdate { source: "test".into(), changes };
    let mut put = millrace_core::Channel::begin_put(&bench.channel).await.unwrap();
    put.put(millrace_core::Batch::default().with_position(update)).await.unwrap();
    put.commit().await.unwrap();
    let rig = bench.start("*.log", "");
    bench.channel.wait_for_events(2).await;
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 1);
    assert_eq!(stop(rig).await, ["1", "1"]);
}

#[tokio::test]
async fn positions_of_files_gone_for_long_are_forgotten() {
    let bench = Bench::new();
    bench.write("a.log", "1\n");
    let rig = bench.start("*.log", "rotate-wait \"10ms\"");
    bench.wait_for("1").await;
    bench.remove("a.log");
    eventually("the file to be let go", || bench.positions()[0].1.gone_since > 0).await;
    rig.clock.advance(Duration::from_secs(8 * 24 * 3600));
    eventually("its position to be forgotten", || bench.positions().is_empty()).await;
    stop(rig).await;
}
