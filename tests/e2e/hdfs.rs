//! The sink `hdfs` against a real NameNode and three DataNodes: what Hadoop's own tools read of each file type, and what
//! happens when the cluster says no.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, Hdfs, Row, eventually, eventually_within, rows};

const DATA_NODES: usize = 3;

fn full_size() -> bool {
    std::env::var_os("MILLRACE_FULL_SIZE").is_some()
}

fn line(number: usize) -> String {
    // Some of it repeats, so that there is something to compress.
    format!(
        "line {number} of the log, with a höst and some more words {}",
        number.wrapping_mul(2_654_435_761) % 1_000_003
    )
}

fn write_lines(path: &Path, count: usize, line: impl Fn(usize) -> String) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    (0..count).for_each(|number| writeln!(file, "{}", line(number)).unwrap());
    file.flush().unwrap();
}

/// 2023-11-14 22:00 UTC.
const FIRST_MILLIS: usize = 1_699_999_200_000;

/// All events are in these hours.
const HOURS: [&str; 5] =
    ["2023-11-14/22", "2023-11-14/23", "2023-11-15/00", "2023-11-15/01", "2023-11-15/02"];

/// Of `count` events, spread evenly.
fn time(number: usize, count: usize) -> usize {
    FIRST_MILLIS + number * (HOURS.len() * 3_600_000) / count
}

/// The options of each type, and what reads it.
const TYPES: &[(&str, &str, &str)] = &[
    ("text", "file-type \"data-stream\"", "text"),
    ("gzip", "file-type \"compressed-stream\"; compression \"gzip\"", "text"),
    ("bzip2", "file-type \"compressed-stream\"; compression \"bzip2\"", "text"),
    ("snappy", "file-type \"compressed-stream\"; compression \"snappy\"", "text"),
    ("lz4", "file-type \"compressed-stream\"; compression \"lz4\"", "text"),
    ("zstd", "file-type \"compressed-stream\"; compression \"zstd\"", "zstd"),
    ("avro", "file-type \"data-stream\"; serializer \"avro-event\"; avro codec=\"deflate\"", "avro"),
    ("avro-snappy", "file-type \"data-stream\"; serializer \"avro-event\"; avro codec=\"snappy\"", "avro"),
    ("seq", "", "sequence"),
    ("seq-text", "write-format \"text\"", "sequence"),
    ("seq-record", "compression \"gzip\"; sequence-compression \"record\"", "sequence"),
    ("seq-block", "compression \"deflate\"", "sequence"),
    ("seq-snappy", "compression \"snappy\"; write-format \"text\"", "sequence"),
    ("seq-bzip2", "compression \"bzip2\"", "sequence"),
    ("parquet", "file-type \"data-stream\"; serializer \"parquet\"; suffix \".parquet\"", "parquet"),
    ("parquet-none", "file-type \"data-stream\"; serializer \"parquet\"; parquet codec=\"none\"", "parquet"),
    ("parquet-gzip", "file-type \"data-stream\"; serializer \"parquet\"; parquet codec=\"gzip\"", "parquet"),
    ("parquet-lz4", "file-type \"data-stream\"; serializer \"parquet\"; parquet codec=\"lz4\"", "parquet"),
    ("parquet-zstd", "file-type \"data-stream\"; serializer \"parquet\"; parquet codec=\"zstd\"", "parquet"),
];

#[test]
fn hadoop_reads_every_file_type_with_exactly_the_events_that_were_written() {
    let count: usize = if full_size() { 5_000_000 } else { 20_000 };
    let cluster = Hdfs::start(DATA_NODES);
    let log = cluster.folder().join("app.log");
    write_lines(&log, count, |number| format!("{} {}", time(number, count), line(number)));
    // At full size one after the other, for the disk's sake.
    let at_once = if full_size() { 1 } else { TYPES.len() };
    for (part, types) in TYPES.chunks(at_once).enumerate() {
        let begun = Instant::now();
        write_types(&cluster, &log, &format!("types-{part}"), types, count);
        let written = begun.elapsed();
        for (name, _, reader) in types {
            check_type(&cluster, name, reader, count);
            cluster.tool(&["shell", "-rm", "-r", "-skipTrash", &format!("/{name}")]);
        }
        let names: Vec<&str> = types.iter().map(|(name, ..)| *name).collect();
        println!("{count} events, {names:?}: written in {written:.1?}, all in {:.1?}", begun.elapsed());
    }
}

fn write_types(cluster: &Hdfs, log: &Path, agent: &str, types: &[(&str, &str, &str)], count: usize) {
    let (mut channels, mut sinks, mut names) = (String::new(), String::new(), String::new());
    let size = if full_size() { "32MiB" } else { "200KiB" };
    for (name, options, _) in types {
        channels += &format!("memory {name:?}\n");
        names += &format!("{name:?} ");
        sinks += &format!(
            "hdfs {name:?} channel={name:?} {{ path \"{}/{name}/%Y-%m-%d/%H\"; time-zone \"UTC\"; roll size=\"{size}\"; {options} }}\n",
            cluster.url()
        );
    }
    let kdl = format!(
        "channels {{ {channels} }}\nsources {{ taildir \"in\" {{ path \"{}\"; channel {names}; \
         interceptors {{ regex-extractor {{ regex #\"^(\\d+) \"#; serializer \"timestamp\" }} }} }} }}\nsinks {{ {sinks} }}\n",
        log.display()
    );
    let agent = Agent::start(cluster.folder(), agent, &kdl);
    eventually_within(
        Duration::from_secs(if full_size() { 600 } else { 60 }),
        "everything is delivered",
        || types.iter().all(|(name, ..)| agent.metric("sink_events_delivered", name) == count as u64),
    );
    let log = agent.log();
    assert!(agent.stop().success(), "{log}");
}

fn check_type(cluster: &Hdfs, name: &str, reader: &str, count: usize) {
    let files: Vec<String> = cluster.files(&format!("/{name}")).into_iter().map(|(_, path)| path).collect();
    assert!(files.iter().all(|path| !path.ends_with(".tmp") && !path.ends_with(".cut")), "{files:?}");
    let hour = |path: &String| path.split('/').skip(2).take(2).collect::<Vec<_>>().join("/");
    let hours: BTreeSet<String> = files.iter().map(hour).collect();
    assert!(hours.iter().eq(HOURS), "{name}: {hours:?}");
    let mut number = 0;
    let mut check = |reader: &str, found_time: Option<i64>, body: &str| {
        assert!(number < count, "{name}: {reader} found more than {count}: {body:?}");
        let wanted_time = time(number, count);
        assert!(found_time.is_none_or(|found| found == wanted_time as i64), "{name}: {found_time:?}");
        let is_wanted = body
            .split_once(' ')
            .is_some_and(|(time, text)| time.parse() == Ok(wanted_time) && text == line(number));
        assert!(is_wanted, "{name}: event {number} is {body:?} for {reader}");
        number += 1;
    };
    each_event(cluster, &format!("/{name}/*/*/*"), reader, |time, body| check(reader, time, body));
    assert_eq!(number, count, "{name}");
    if matches!(reader, "avro" | "parquet") {
        number = 0;
        each_row(cluster, name, |row| {
            let body = hex::decode(row.body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let time = body.split(' ').next().unwrap_or_default();
            assert_eq!(row.headers.get("timestamp").map(String::as_str), Some(time));
            if reader == "parquet" {
                assert_eq!(row.timestamp.map(|time| time.to_string()).as_deref(), Some(time));
            }
            assert!(body == format!("{time} {}", line(number)) && row.headers.len() == 1, "{name}: {number}");
            number += 1;
        });
        assert_eq!(number, count, "{name}");
    }
}

/// Time, where it is told, and body of each event in these files, in order.
pub fn each_event(cluster: &Hdfs, glob: &str, reader: &str, mut each: impl FnMut(Option<i64>, &str)) {
    let text = |body: &str| String::from_utf8(hex::decode(body).unwrap()).unwrap();
    match reader {
        "text" => cluster.each_line(&["shell", "-text", glob], |line| each(None, line)),
        "avro" => cluster.each_line(&["shell", "-text", glob], |line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            // Avro's JSON shows each byte as a character.
            let body: Vec<u8> = event["body"].as_str().unwrap().chars().map(|byte| byte as u8).collect();
            each(None, &String::from_utf8(body).unwrap());
        }),
        "sequence" => cluster.each_line(&["sequence", glob], |line| {
            let (time, body) = line.split_once(' ').unwrap();
            each(Some(time.parse().unwrap()), &text(body));
        }),
        "parquet" => cluster.each_line(&["parquet", glob], |line| {
            let mut words = line.splitn(3, ' ');
            let (time, _headers) = (words.next().unwrap(), words.next().unwrap());
            each(time.parse().ok(), &text(words.next().unwrap()));
        }),
        other => cluster.each_line(&[other, glob], |line| each(None, line)),
    }
}

/// Each row in the files of a folder, in order, as readers that are not Hadoop's see them.
fn each_row(cluster: &Hdfs, name: &str, each: impl FnMut(Row)) {
    let copy = cluster.folder().join("copy");
    fs::create_dir_all(&copy).unwrap();
    cluster.tool(&["shell", "-get", &format!("/{name}"), &copy.display().to_string()]);
    let mut files = Vec::new();
    for day in fs::read_dir(copy.join(name)).unwrap() {
        for hour in fs::read_dir(day.unwrap().path()).unwrap() {
            files.extend(fs::read_dir(hour.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
        }
    }
    files.sort();
    rows(&files, each);
    fs::remove_dir_all(&copy).unwrap();
}

#[test]
fn whatever_the_cluster_refuses_is_told_and_nothing_is_lost() {
    let cluster = Hdfs::start(DATA_NODES);
    let url = cluster.url();
    cluster.tool(&["shell", "-mkdir", "/denied", "/quota"]);
    cluster.tool(&["shell", "-chmod", "777", "/quota"]);
    cluster.tool(&["shell", "-touchz", "/file"]);
    cluster.tool(&["admin", "-setSpaceQuota", "1m", "/quota"]);
    let log = cluster.folder().join("app.log");
    write_lines(&log, 3000, line);
    // Something that answers, but not as a NameNode does.
    let stranger = millrace_tests::Receiver::start(std::time::Duration::ZERO);
    let cases = [
        ("denied", format!("path \"{url}/denied/in\"; user \"nobody\""), "permission denied"),
        ("quota", format!("path \"{url}/quota\"; user \"nobody\""), "the quota is full"),
        ("in-the-way", format!("path \"{url}/file/below\""), "a file is in the way"),
        ("nobody", "path \"hdfs://127.0.0.1:9/x\"".to_owned(), "refused"),
        (
            "stranger",
            format!("path \"{}/x\"; call-timeout \"2s\"", stranger.origin().replace("http", "hdfs")),
            "",
        ),
    ];
    let (mut channels, mut sinks, mut names) = (String::new(), String::new(), String::new());
    for (name, options, _) in &cases {
        channels += &format!("memory {name:?}\n");
        names += &format!("{name:?} ");
        sinks += &format!(
            "hdfs {name:?} channel={name:?} {{ file-type \"data-stream\"; {options}; batch events=1000 }}\n"
        );
    }
    let kdl = format!(
        "channels {{ {channels} }}\nsources {{ taildir \"in\" {{ path \"{}\"; channel {names} }} }}\nsinks {{ {sinks} }}\n",
        log.display()
    );
    let agent = Agent::start(cluster.folder(), "refused", &kdl);
    for (name, _, reason) in &cases {
        eventually(&format!("{name} tells why"), || {
            let text = agent.log();
            let mut told = text.lines().filter(|line| line.contains(name) && line.contains("cannot "));
            told.any(|line| line.contains(reason))
        });
        assert_eq!(agent.metric("sink_events_delivered", name), 0, "{name}");
    }
    // What is put right goes on by itself.
    cluster.tool(&["shell", "-chmod", "777", "/denied"]);
    cluster.tool(&["admin", "-clrSpaceQuota", "/quota"]);
    cluster.tool(&["shell", "-rm", "-skipTrash", "/file"]);
    let right = [("denied", "/denied/in"), ("quota", "/quota"), ("in-the-way", "/file/below")];
    for (name, _) in right {
        eventually(&format!("{name} goes on"), || agent.metric("sink_events_delivered", name) == 3000);
    }
    // The others can only be given up.
    agent.kill();
    let right_only: Vec<&str> = sinks.lines().take(right.len()).collect();
    let kdl = format!(
        "channels {{ memory \"denied\"; memory \"quota\"; memory \"in-the-way\" }}\nsinks {{ {} }}\n",
        right_only.join("\n")
    );
    let agent = Agent::start(cluster.folder(), "refused", &kdl);
    eventually("files in progress are completed", || {
        cluster.files("/").iter().all(|(_, path)| !path.ends_with(".tmp") && !path.ends_with(".cut"))
    });
    assert!(agent.stop().success());
    let wanted: Vec<String> = (0..3000).map(line).collect();
    for (name, folder) in right {
        let text = String::from_utf8(cluster.tool(&["shell", "-text", &format!("{folder}/*")])).unwrap();
        assert!(text.lines().eq(wanted.iter().map(String::as_str)), "{name}: content differs");
    }
}
