//! The sink `hdfs` against a real NameNode and three DataNodes: what Hadoop's own tools read of each file type, and what
//! happens when the cluster says no.

use std::{collections::HashMap, fs, path::Path};

use millrace_tests::{Agent, Hdfs, eventually};

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

fn write_lines(path: &Path, count: usize) {
    let text: String = (0..count).map(|number| line(number) + "\n").collect();
    fs::write(path, text).unwrap();
}

/// The options of each type, and the command of Hadoop that reads it.
const TYPES: &[(&str, &str, &str)] = &[
    ("text", "file-type \"data-stream\"", "text"),
    ("gzip", "file-type \"compressed-stream\"; compression \"gzip\"", "text"),
    ("bzip2", "file-type \"compressed-stream\"; compression \"bzip2\"", "text"),
    ("snappy", "file-type \"compressed-stream\"; compression \"snappy\"", "text"),
    ("lz4", "file-type \"compressed-stream\"; compression \"lz4\"", "text"),
    ("zstd", "file-type \"compressed-stream\"; compression \"zstd\"", "zstd"),
    ("avro", "file-type \"data-stream\"; serializer \"avro-event\"; avro codec=\"deflate\"", "avro"),
    ("seq", "", "sequence"),
    ("seq-text", "write-format \"text\"", "sequence"),
    ("seq-record", "compression \"gzip\"; sequence-compression \"record\"", "sequence"),
    ("seq-block", "compression \"deflate\"", "sequence"),
    ("seq-snappy", "compression \"snappy\"; write-format \"text\"", "sequence"),
    ("seq-bzip2", "compression \"bzip2\"", "sequence"),
];

#[test]
fn hadoop_reads_every_file_type_with_exactly_the_events_that_were_written() {
    let count: usize = if full_size() { 5_000_000 } else { 20_000 };
    let cluster = Hdfs::start(DATA_NODES);
    let log = cluster.folder().join("app.log");
    write_lines(&log, count);
    let (mut channels, mut sinks, mut names) = (String::new(), String::new(), String::new());
    for (name, options, _) in TYPES {
        channels += &format!("memory {name:?}\n");
        names += &format!("{name:?} ");
        sinks += &format!(
            "hdfs {name:?} channel={name:?} {{ path \"{}/{name}/%Y-%m-%d/%H\"; roll size=\"200KiB\"; {options} }}\n",
            cluster.url()
        );
    }
    let kdl = format!(
        "channels {{ {channels} }}\nsources {{ taildir \"in\" {{ path \"{}\"; channel {names}; interceptors {{ timestamp }} }} }}\nsinks {{ {sinks} }}\n",
        log.display()
    );
    let agent = Agent::start(cluster.folder(), "types", &kdl);
    eventually("everything is delivered", || {
        TYPES.iter().all(|(name, ..)| agent.metric("sink_events_delivered", name) == count as u64)
    });
    let log = agent.log();
    assert!(agent.stop().success(), "{log}");
    let left: Vec<_> = cluster.files("/").into_iter().filter(|(_, path)| path.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    let wanted: Vec<String> = (0..count).map(line).collect();
    for (name, _, reader) in TYPES {
        let read = read(&cluster, name, reader);
        assert_eq!(read.len(), count, "{name}");
        assert!(read == wanted, "{name}: content differs");
    }
}

/// The bodies in all files of a type, in order.
fn read(cluster: &Hdfs, name: &str, reader: &str) -> Vec<String> {
    let glob = format!("/{name}/*/*/*");
    let out = match reader {
        "text" | "avro" => cluster.tool(&["shell", "-text", &glob]),
        other => cluster.tool(&[other, &glob]),
    };
    let text = String::from_utf8(out).unwrap();
    let body = |line: &str| match reader {
        "sequence" => {
            let (key, body) = line.split_once(' ').unwrap();
            assert!(key.parse::<u64>().unwrap() > 1_700_000_000_000, "{key}");
            String::from_utf8(hex::decode(body).unwrap()).unwrap()
        }
        "avro" => {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            // Avro's JSON shows each byte as a character.
            let body: Vec<u8> = event["body"].as_str().unwrap().chars().map(|byte| byte as u8).collect();
            String::from_utf8(body).unwrap()
        }
        _ => line.to_owned(),
    };
    text.lines().map(body).collect()
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
    write_lines(&log, 3000);
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

/// How often each line was read; panics on lines that nobody wrote.
pub fn counted(text: &[u8], line_number: impl Fn(&str) -> Option<usize>) -> HashMap<usize, usize> {
    let mut seen = HashMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let number = line_number(line).unwrap_or_else(|| panic!("a line nobody wrote: {line:?}"));
        *seen.entry(number).or_default() += 1;
    }
    seen
}
