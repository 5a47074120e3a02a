//! What becomes an event, and with which headers.

use std::fs;

use millrace_core::HealthState;
use millrace_testkit::eventually;

use super::{Bench, expected, gzipped, header, numbered, stop};

#[tokio::test]
async fn lines_arrive_in_order_across_block_borders() {
    let bench = Bench::new();
    // 40 bytes do not divide a block, so lines lie across its border; the batch limit cuts blocks as well.
    let lines: Vec<String> = (0..30_000).map(|number| format!("{number:039}")).collect();
    bench.write("a.log", lines.join("\n") + "\n");
    let rig = bench.start("*.log", "batch-size 777");
    bench.channel.wait_for_events(lines.len()).await;
    assert_eq!(stop(rig).await, lines);
    assert!(bench.channel.batches().iter().all(|batch| batch.len() <= 777));
    assert_eq!(bench.offsets(), [("a.log".to_owned(), 1_200_000)]);
}

#[tokio::test]
async fn carriage_returns_empty_lines_and_bytes_that_are_not_utf_8_pass() {
    let bench = Bench::new();
    bench.write("a.log", b"a\r\n\n\xff\xfe\x00\x80\nend\n");
    let rig = bench.start("*.log", "");
    let events = bench.channel.wait_for_events(4).await;
    let bodies: Vec<&[u8]> = events.iter().map(|event| &event.body[..]).collect();
    assert_eq!(bodies, [&b"a"[..], b"", b"\xff\xfe\x00\x80", b"end"]);
    stop(rig).await;
}

#[tokio::test]
async fn a_line_of_one_mebibyte_comes_through_whole_and_a_longer_one_in_pieces() {
    let bench = Bench::new();
    let long = "x".repeat(1 << 20);
    bench.write("a.log", format!("first\n{long}\n{long}y\nlast\n"));
    let rig = bench.start("*.log", "");
    let events = bench.channel.wait_for_events(5).await;
    let bodies: Vec<_> = events.iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()).collect();
    assert_eq!(bodies, ["first", &long, &long, "y", "last"]);
    let continued: Vec<_> = events.iter().map(|event| header(event, "continued")).collect();
    assert_eq!(continued, [None, None, None, Some("true".to_owned()), None]);
    stop(rig).await;
}

#[tokio::test]
async fn headers_name_file_offset_and_group() {
    let bench = Bench::new();
    bench.write("a.log", "one\ntwo\n");
    bench.write("b.txt", "three\n");
    let folder = bench.folder.path().display();
    let rig = bench.start_with(&format!(
        r#"
        group "logs" {{ path "{folder}/*.log"; headers kind="log" }}
        group "texts" {{ path "{folder}/*.txt"; headers kind="text" }}
        file-header
        byte-offset-header
        "#
    ));
    let mut events = bench.channel.wait_for_events(3).await;
    events.sort_by_key(|event| header(event, "file"));
    let found: Vec<_> = events
        .iter()
        .map(|event| {
            (
                header(event, "kind").unwrap(),
                header(event, "byteoffset").unwrap(),
                header(event, "file").unwrap(),
            )
        })
        .collect();
    let expect = |kind: &str, offset: &str, file: &str| {
        (kind.to_owned(), offset.to_owned(), bench.path(file).display().to_string())
    };
    assert_eq!(
        found,
        [expect("log", "0", "a.log"), expect("log", "4", "a.log"), expect("text", "0", "b.txt")]
    );
    stop(rig).await;
}

#[tokio::test]
async fn events_of_one_file_share_block_and_headers() {
    let bench = Bench::new();
    bench.write("a.log", numbered(0..100));
    let rig = bench.start("*.log", "headers env=\"test\"");
    let events = bench.channel.wait_for_events(100).await;
    assert!(events.windows(2).all(|pair| pair[0].headers.is_same_list(&pair[1].headers)));
    // One byte, the newline, lies between neighbours of one block.
    let address = |at: usize| events[at].body.as_ptr() as usize;
    assert_eq!(address(1), address(0) + events[0].body.len() + 1);
    stop(rig).await;
}

#[tokio::test]
async fn lines_that_belong_together_become_one_event() {
    let bench = Bench::new();
    bench.write("a.log", "E one\n  at a\n  at b\nE two\n");
    let rig = bench.start("*.log", r##"multiline { start #"^E"#; timeout "1m" }"##);
    bench.wait_for("E one\n  at a\n  at b").await;
    bench.append("a.log", "  at c\nE three\n");
    bench.wait_for("E two\n  at c").await;
    assert_eq!(stop(rig).await, ["E one\n  at a\n  at b", "E two\n  at c"]);
    // The unfinished event is read again after a restart, from its own start, and now has an end.
    assert_eq!(bench.offsets(), [("a.log".to_owned(), 33)]);
    let rig = bench.start("*.log", r##"multiline { start #"^E"#; timeout "50ms" }"##);
    bench.wait_for("E three").await;
    assert_eq!(stop(rig).await, ["E one\n  at a\n  at b", "E two\n  at c", "E three"]);
}

#[tokio::test]
async fn another_encoding_becomes_utf_8() {
    let bench = Bench::new();
    let text: Vec<u8> = "\u{feff}grün\r\nrot\u{a0a}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bench.write("a.log", text);
    let rig = bench.start("*.log", "encoding \"utf-16le\"");
    bench.channel.wait_for_events(2).await;
    assert_eq!(stop(rig).await, ["grün", "rot\u{a0a}"]);
}

#[tokio::test]
async fn a_thousand_files_are_all_read_and_none_starves() {
    let bench = Bench::new();
    bench.write("big.log", "b\n".repeat(400_000));
    for file in 0..1000 {
        bench.write(&format!("{file:04}.log"), format!("{file} 1\n{file} 2\n"));
    }
    let rig = bench.start("*.log", "");
    bench.channel.wait_for_events(402_000).await;
    let events = bench.channel.events();
    let small: Vec<String> = events
        .iter()
        .filter(|event| event.body.len() > 1)
        .map(|event| String::from_utf8(event.body.to_vec()).unwrap())
        .collect();
    let mut sorted = small.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((small.len(), sorted.len()), (2000, 2000));
    let last_small = events.iter().rposition(|event| event.body.len() > 1).unwrap();
    assert!(last_small < 300_000, "the big file went first: {last_small}");
    drop(events);
    (0..1000).for_each(|file| bench.append(&format!("{file:04}.log"), format!("{file} 3\n")));
    bench.channel.wait_for_events(403_000).await;
    rig.stop().await.1.unwrap();
    assert_eq!(bench.positions().len(), 1001);
}

#[tokio::test]
async fn a_compressed_file_is_read_to_its_end_even_without_a_last_newline() {
    let bench = Bench::new();
    let mut content = gzipped(numbered(0..50_000).as_bytes());
    content.extend(gzipped(b"second member\nno newline"));
    bench.write("a.log.gz", content);
    let rig = bench.start("*.gz", "");
    bench.wait_for("no newline").await;
    let mut lines = expected(0..50_000);
    lines.extend(["second member".to_owned(), "no newline".to_owned()]);
    assert_eq!(stop(rig).await, lines);
    let rig = bench.start("*", "");
    bench.append("b.log", "sentinel\n");
    bench.wait_for("sentinel").await;
    lines.push("sentinel".to_owned());
    assert_eq!(stop(rig).await, lines);
}

#[tokio::test]
async fn damage_in_a_compressed_file_is_reported_and_what_is_before_it_delivered() {
    let bench = Bench::new();
    let mut content = gzipped(numbered(0..100_000).as_bytes());
    let middle = content.len() / 2;
    content[middle..middle + 64].fill(0xff);
    bench.write("a.log.gz", content);
    let rig = bench.start("*.gz", "");
    eventually("a report", || rig.health.last_error().is_some()).await;
    let lines = stop(rig).await;
    assert!(lines.len() > 1000);
    assert_eq!(lines, expected(0..lines.len()));
}

#[tokio::test]
async fn a_directory_that_comes_later_is_found_and_trouble_is_reported() {
    let bench = Bench::new();
    let rig = bench.start("later/**/*.log", "");
    eventually("a report", || rig.health.last_error().is_some()).await;
    assert!(rig.health.last_error().unwrap().1.contains("later"));
    assert_eq!(rig.context.metrics.source("test").read_failures.get(), 1);
    fs::create_dir_all(bench.path("later/deep/er")).unwrap();
    bench.write("later/deep/er/a.log", "found\n");
    bench.wait_for("found").await;
    eventually("all is read", || rig.health.state() == HealthState::Idle).await;
    // A name that leads in a circle cannot be looked at; it is reported, and read once it can be.
    std::os::unix::fs::symlink(bench.path("later/x.log"), bench.path("later/x.log")).unwrap();
    eventually("a second report", || rig.health.last_error().unwrap().1.contains("x.log")).await;
    bench.remove("later/x.log");
    bench.write("later/x.log", "mended\n");
    bench.wait_for("mended").await;
    assert_eq!(stop(rig).await, ["found", "mended"]);
}

#[tokio::test]
async fn excluded_and_old_files_are_left_out_until_they_change() {
    let bench = Bench::new();
    bench.write("a.log", "a\n");
    bench.write("b.tmp", "b\n");
    bench.write("old.log", "old\n");
    let old = fs::File::options().write(true).open(bench.path("old.log")).unwrap();
    // The test clock stands in 2023, so only a file older than that is old.
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    old.set_modified(then).unwrap();
    let rig = bench.start("*", "exclude \"*.tmp\"\nignore-older \"1d\"");
    bench.wait_for("a").await;
    bench.append("old.log", "older\n");
    bench.wait_for("older").await;
    assert_eq!(stop(rig).await, ["a", "old", "older"]);
}

#[tokio::test]
async fn an_unfinished_line_waits_for_its_end_or_for_a_timeout() {
    let bench = Bench::new();
    bench.write("a.log", "one\ntw");
    let rig = bench.start("*.log", "");
    bench.wait_for("one").await;
    bench.append("a.log", "o\n");
    bench.wait_for("two").await;
    assert_eq!(stop(rig).await, ["one", "two"]);
    let rig = bench.start("*.log", "partial-timeout \"30ms\"");
    bench.append("a.log", "three");
    bench.wait_for("three").await;
    bench.append("a.log", "\nfour\n");
    bench.wait_for("four").await;
    assert_eq!(stop(rig).await, ["one", "two", "three", "four"]);
}
