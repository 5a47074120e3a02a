//! The source in front of a recording channel, against real files.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use apache_avro::{Schema, Writer, rabin::Rabin, types::Record};
use millrace_testkit::{RecordingChannel, SourceRig, eventually};
use rand::Rng;
use tempfile::TempDir;

use super::FACTORY;

struct Bench {
    folder: TempDir,
    channel: RecordingChannel,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), channel: RecordingChannel::default() };
        fs::create_dir(bench.path("")).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("spool").join(name)
    }

    /// Puts a file into the spool as one should: complete. The number orders files by age.
    fn put(&self, name: &str, age: u64, content: impl AsRef<[u8]>) {
        let outside = self.folder.path().join("coming");
        fs::write(&outside, content).unwrap();
        File::options()
            .write(true)
            .open(&outside)
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age))
            .unwrap();
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::rename(outside, self.path(name)).unwrap();
    }

    fn start(&self, options: &str) -> SourceRig {
        let spool = self.path("");
        let kdl = format!("spooldir \"test\" {{\nspool-dir {spool:?}\npoll-delay \"5ms\"\n{options}\n}}");
        SourceRig::start(&FACTORY, &kdl, self.channel.clone(), self.folder.path())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn wait_for_names(&self, names: &[&str]) {
        eventually(&format!("{names:?}"), || self.names() == names).await;
    }
}

async fn stop(rig: SourceRig) -> Vec<String> {
    let (channel, result) = rig.stop().await;
    result.unwrap();
    channel.bodies()
}

#[tokio::test]
async fn files_are_read_oldest_first_and_renamed() {
    let bench = Bench::new();
    bench.put("b", 3, "b1\nb2\r\n");
    bench.put("c", 1, "c1\nno newline");
    bench.put("a", 2, "a1\n\n");
    bench.put(".hidden", 9, "hidden\n");
    bench.put("old.COMPLETED", 9, "old\n");
    let rig = bench.start("");
    bench.wait_for_names(&[".hidden", "a.COMPLETED", "b.COMPLETED", "c.COMPLETED", "old.COMPLETED"]).await;
    assert_eq!(stop(rig).await, ["b1", "b2\r", "a1", "", "c1", "no newline"]);
}

#[tokio::test]
async fn patterns_order_recursion_and_headers_are_as_configured() {
    let bench = Bench::new();
    bench.put("x.log", 3, "x\n");
    bench.put("x.log.tmp", 3, "tmp\n");
    bench.put("sub/y.log", 2, "y\n");
    bench.put("skip/z.log", 1, "z\n");
    let rig = bench.start(
        r##"
        include-pattern #".*\.log"#
        ignore-pattern "skip"
        recursive
        consume-order "youngest"
        file-header
        basename-header
        headers team="web"
        "##,
    );
    let events = bench.channel.wait_for_events(2).await;
    let found: Vec<_> = events
        .iter()
        .map(|event| {
            let header = |name| event.header(name).unwrap().to_string();
            (header("file"), header("basename"), header("team"))
        })
        .collect();
    let expect = |name: &str, base: &str| {
        (bench.path(name).to_str().unwrap().to_owned(), base.to_owned(), "web".to_owned())
    };
    assert_eq!(found, [expect("sub/y.log", "y.log"), expect("x.log", "x.log")]);
    assert_eq!(stop(rig).await, ["y", "x"]);
}

#[tokio::test]
async fn finished_files_are_deleted_or_tracked() {
    let bench = Bench::new();
    bench.put("a", 1, "a\n");
    let rig = bench.start("delete-policy \"immediate\"");
    bench.wait_for_names(&[]).await;
    stop(rig).await;
    bench.put("sub/b", 1, "b\n");
    let rig = bench.start("tracking-policy \"tracker-dir\"\nrecursive");
    eventually("the tracker", || bench.path(".flumespool/sub/b.COMPLETED").exists()).await;
    stop(rig).await;
    let rig = bench.start("tracking-policy \"tracker-dir\"\nrecursive");
    bench.put("c", 1, "c\n");
    eventually("the tracker", || bench.path(".flumespool/c.COMPLETED").exists()).await;
    assert_eq!(stop(rig).await, ["a", "b", "c"]);
    assert!(bench.path("sub/b").exists());
}

#[tokio::test]
async fn an_empty_file_is_an_event_without_a_body() {
    let bench = Bench::new();
    bench.put("a", 1, "");
    let rig = bench.start("");
    bench.wait_for_names(&["a.COMPLETED"]).await;
    assert_eq!(stop(rig).await, [""]);
}

#[tokio::test]
async fn a_taken_name_does_not_stop_the_source() {
    let bench = Bench::new();
    bench.put("a.COMPLETED", 9, "first\n");
    bench.put("a", 2, "second\n");
    bench.put("b", 1, "third\n");
    let rig = bench.start("");
    bench.wait_for_names(&["a.1.COMPLETED", "a.COMPLETED", "b.COMPLETED"]).await;
    assert!(rig.health.last_error().unwrap().1.contains("a.1.COMPLETED"));
    assert_eq!(stop(rig).await, ["second", "third"]);
    assert_eq!(fs::read(bench.path("a.COMPLETED")).unwrap(), b"first\n");
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_set_aside_and_the_next_one_read() {
    let bench = Bench::new();
    bench.put("a", 9, "1\n2\n3\n");
    bench.channel.refuse_next(usize::MAX);
    let rig = bench.start("batch-size 1");
    eventually("a refusal", || bench.channel.refusals_left() < usize::MAX).await;
    File::options().append(true).open(bench.path("a")).unwrap().write_all(b"4\n").unwrap();
    bench.channel.refuse_next(0);
    eventually("a report", || {
        rig.health.last_error().is_some_and(|(_, error)| error.contains("changed while it was read"))
    })
    .await;
    bench.put("b", 1, "b\n");
    bench.wait_for_names(&["a", "b.COMPLETED"]).await;
    stop(rig).await;
    // It stays aside over a restart, which says so, until it gets another name.
    let rig = bench.start("");
    eventually("a report", || {
        rig.health.last_error().is_some_and(|(_, error)| error.contains("earlier run"))
    })
    .await;
    bench.put("c", 1, "c\n");
    bench.wait_for_names(&["a", "b.COMPLETED", "c.COMPLETED"]).await;
    fs::rename(bench.path("a"), bench.path("d")).unwrap();
    bench.wait_for_names(&["b.COMPLETED", "c.COMPLETED", "d.COMPLETED"]).await;
    let lines = stop(rig).await;
    let first_read: Vec<_> = lines.iter().take_while(|line| *line != "b").collect();
    assert!(first_read == ["1", "2", "3"] || first_read == ["1", "2", "3", "4"], "{first_read:?}");
    assert_eq!(lines[first_read.len()..], ["b", "c", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn undecodable_bytes_follow_the_policy() {
    for (policy, lines, names) in [
        ("fail", vec!["good", "next"], ["a", "b.COMPLETED"]),
        ("replace", vec!["good", "b\u{fffd}d", "after", "next"], ["a.COMPLETED", "b.COMPLETED"]),
        ("ignore", vec!["good", "bd", "after", "next"], ["a.COMPLETED", "b.COMPLETED"]),
    ] {
        let bench = Bench::new();
        bench.put("a", 2, b"good\nb\xffd\nafter\n");
        bench.put("b", 1, "next\n");
        let rig = bench.start(&format!("decode-error-policy \"{policy}\""));
        bench.wait_for_names(&names).await;
        assert_eq!(stop(rig).await, lines, "{policy}");
    }
}

#[tokio::test]
async fn other_charsets_become_utf_8() {
    let bench = Bench::new();
    bench.put("a", 2, b"gr\xfcn\n");
    let rig = bench.start("input-charset \"ISO-8859-1\"");
    bench.wait_for_names(&["a.COMPLETED"]).await;
    stop(rig).await;
    let text: Vec<u8> = "\u{feff}rot\nblau".encode_utf16().flat_map(u16::to_be_bytes).collect();
    bench.put("b", 1, text);
    let rig = bench.start("input-charset \"utf-16be\"");
    bench.wait_for_names(&["a.COMPLETED", "b.COMPLETED"]).await;
    assert_eq!(stop(rig).await, ["grün", "rot", "blau"]);
}

#[tokio::test]
async fn long_lines_are_split_and_compressed_files_read() {
    let bench = Bench::new();
    let long = "ä".repeat(300_000);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(format!("first\n{long}\nlast").as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    bench.put("b.gz", 1, &whole);
    bench.put("a.gz", 2, &whole[..whole.len() - 20]);
    let rig = bench.start("line-max \"100001B\"");
    bench.wait_for_names(&["a.gz", "b.gz.COMPLETED"]).await;
    let bodies = stop(rig).await;
    let second = bodies.iter().rposition(|body| body == "first").unwrap();
    assert_eq!(bodies[second + 1..bodies.len() - 1].concat(), long);
    assert_eq!(bodies[second + 1].len(), 100_000);
    assert_eq!(bodies.last().unwrap(), "last");
}

#[tokio::test]
async fn a_blob_is_the_whole_file_or_pieces_of_it() {
    let bench = Bench::new();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 253) as u8).collect();
    bench.put("a", 2, &content);
    let rig = bench.start("deserializer \"blob\"");
    bench.wait_for_names(&["a.COMPLETED"]).await;
    stop(rig).await;
    bench.put("b", 2, &content);
    let rig = bench.start("deserializer \"blob\"\nblob-max \"1000000B\"");
    bench.wait_for_names(&["a.COMPLETED", "b.COMPLETED"]).await;
    stop(rig).await;
    let events = bench.channel.events();
    assert_eq!(events.len(), 4);
    assert_eq!(events[0].body, content);
    assert_eq!(events[3].body, content[2_000_000..]);
}

fn avro_file(schema: &Schema, numbers: std::ops::Range<i32>) -> Vec<u8> {
    let mut writer = Writer::new(schema, Vec::new()).unwrap();
    for number in numbers {
        let mut record = Record::new(schema).unwrap();
        record.put("number", number);
        writer.append_value(record).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn avro_datums_carry_their_schema_and_go_on_after_a_stop() {
    let text = r#"{"type":"record","name":"N","doc":"d","fields":[{"name":"number","type":"int"}]}"#;
    let schema = Schema::parse_str(text).unwrap();
    let bench = Bench::new();
    bench.put("a", 2, avro_file(&schema, 0..500));
    bench.put("b", 1, b"Obj\x01 no container");
    let rig = bench.start("deserializer \"avro\"\nbatch-size 7");
    bench.channel.wait_for_events(100).await;
    rig.kill().await;
    let rig = bench.start("deserializer \"avro\"\nbatch-size 7");
    bench.wait_for_names(&["a.COMPLETED", "b"]).await;
    eventually("a report", || rig.health.last_error().is_some()).await;
    stop(rig).await;
    let events = bench.channel.events();
    // Zig-zag varints: the binary form of the record is that of its only field.
    let varint = |number: usize| match number * 2 {
        small if small < 128 => vec![small as u8],
        large => vec![(large & 127 | 128) as u8, (large >> 7) as u8],
    };
    let bodies: Vec<Vec<u8>> = events.iter().map(|event| event.body.to_vec()).collect();
    assert_eq!(bodies, (0..500).map(varint).collect::<Vec<_>>());
    let hash: String = schema.fingerprint::<Rabin>().bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(events.iter().all(|event| event.header("flume.avro.schema.hash").unwrap() == hash.as_str()));

    bench.put("c", 1, avro_file(&schema, 0..1));
    let rig = bench.start("deserializer \"avro\"\nschema-type \"literal\"");
    let events = bench.channel.wait_for_events(501).await;
    stop(rig).await;
    let literal = events[500].header("flume.avro.schema.literal").unwrap();
    assert_eq!(Schema::parse_str(literal).unwrap(), schema);
    assert!(literal.contains("\"doc\""));
}

#[tokio::test]
async fn a_directory_that_is_missing_is_reported_and_found_later() {
    let bench = Bench::new();
    fs::remove_dir(bench.path("")).unwrap();
    let rig = bench.start("");
    eventually("a report", || rig.health.last_error().is_some()).await;
    bench.put("a", 1, "a\n");
    bench.wait_for_names(&["a.COMPLETED"]).await;
    assert_eq!(stop(rig).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_line_arrives_once_and_in_order() {
    let bench = Bench::new();
    let mut wanted = Vec::new();
    for file in 0..40 {
        let lines: Vec<String> = (0..500).map(|line| format!("{file} {line}")).collect();
        bench.put(&format!("{file:02}"), 100 - file, lines.join("\n"));
        wanted.extend(lines);
    }
    for _ in 0..60 {
        let rig = bench.start("batch-size 90");
        tokio::time::sleep(Duration::from_micros(rand::rng().random_range(0..6000))).await;
        rig.kill().await;
    }
    let rig = bench.start("");
    eventually("all files to be finished", || bench.names().iter().all(|name| name.ends_with(".COMPLETED")))
        .await;
    assert_eq!(stop(rig).await, wanted);
    let stored = millrace_core::Channel::positions(&bench.channel, "test").unwrap();
    assert!(stored.is_empty(), "{stored:?}");
}
