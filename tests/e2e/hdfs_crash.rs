//! HDFS while everything dies: the agent by `kill -9`, a DataNode in the middle of a block, the NameNode.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, Hdfs, eventually, eventually_within};
use rand::{Rng, SeedableRng, rngs::StdRng};

const BATCH: usize = 500;

/// One sink of each kind, all with the same events: the options, and what reads the files.
const TYPES: &[(&str, &str, &str)] = &[
    ("text", "file-type \"data-stream\"", "text"),
    ("gzip", "file-type \"compressed-stream\"; compression \"gzip\"", "text"),
    ("seq-block", "compression \"deflate\"", "sequence"),
    ("avro", "file-type \"data-stream\"; serializer \"avro-event\"; avro codec=\"snappy\"", "avro"),
    ("parquet", "file-type \"data-stream\"; serializer \"parquet\"", "parquet"),
];

#[test]
fn nothing_is_lost_when_agents_a_data_node_and_the_name_node_die() {
    let full = std::env::var_os("MILLRACE_FULL_SIZE").is_some();
    let (kills, per_run) = if full { (20, 48_000) } else { (5, 16_500) };
    let mut cluster = Hdfs::start(3);
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let _shown = ShownWhenPanicking(cluster.folder().join("crash.log"));
    let log = cluster.folder().join("app.log");
    let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let (mut channels, mut sinks, mut sources) = (String::new(), String::new(), String::new());
    for (name, options, _) in TYPES {
        channels += &format!("file {name:?}\n");
        // A source of its own for each: one commit into several channels may repeat a batch of the source.
        sources += &format!("taildir {name:?} channel={name:?} {{ path \"{}\" }}\n", log.display());
        sinks += &format!(
            "hdfs {name:?} channel={name:?} {{ path \"{}/{name}\"; {options}; call-timeout \"8s\"; roll interval=\"2s\" count=20000; batch events={BATCH} }}\n",
            cluster.url()
        );
    }
    let kdl = format!("channels {{ {channels} }}\nsources {{ {sources} }}\nsinks {{ {sinks} }}\n");
    Agent::write_config(cluster.folder(), "crash", &kdl);
    let mut written = 0;
    let mut write = |count: usize| {
        let text: String = (written..written + count).map(|number| format!("line {number}\n")).collect();
        file.write_all(text.as_bytes()).unwrap();
        written += count;
        written
    };
    for kill in 0..kills {
        let agent = Agent::start_again(cluster.folder(), "crash");
        write(per_run / 2);
        match kill {
            // In the middle of a block: the pipeline goes on with two.
            1 => {
                eventually("the sinks write", || TYPES.iter().all(|(name, ..)| delivered(&agent, name) > 0));
                cluster.kill_data_node(0);
            }
            2 => {
                eventually("the sinks write", || TYPES.iter().all(|(name, ..)| delivered(&agent, name) > 0));
                cluster.kill_name_node();
                thread::sleep(Duration::from_millis(500));
                cluster.start_name_node();
            }
            3 => cluster.start_data_node(0),
            _ => {}
        }
        write(per_run - per_run / 2);
        // While batches are under way, not when all is quiet.
        let number = random.random_range(0..TYPES.len());
        let goal = delivered(&agent, TYPES[number].0) + random.random_range(1..8000);
        eventually("a sink goes on", || {
            delivered(&agent, TYPES[number].0) >= goal || agent.status()["channels"][number]["events"] == 0
        });
        agent.kill();
    }
    let written = write(per_run);
    let agent = Agent::start_again(cluster.folder(), "crash");
    let begun = Instant::now();
    let deadline = Duration::from_secs(if full { 600 } else { 60 });
    eventually_within(deadline, "the file is read and the channels are empty", || {
        let status = agent.status();
        let is_empty = |number: usize| status["channels"][number]["events"] == 0;
        (0..TYPES.len()).all(is_empty)
            && TYPES.iter().all(|(name, ..)| delivered(&agent, name) >= per_run as u64)
    });
    eventually("no file is left in progress by an earlier run", || {
        cluster.files("/").iter().all(|(_, path)| path.contains("/FlumeData.") && !path.contains(".tmp"))
    });
    println!("recovered and drained in {:?}", begun.elapsed());
    let text = agent.log();
    assert!(agent.stop().success(), "{text}");
    let told = text.lines().filter(|line| line.contains("cannot "));
    told.for_each(|line| println!("{line}"));
    println!("{written} events, {kills} kills, at most {BATCH} repeats per kill are allowed");
    let repeats = TYPES.iter().map(|(name, _, reader)| (name, repeats(&cluster, name, reader, written)));
    let repeats: Vec<_> = repeats.collect();
    println!("repeats: {repeats:?}");
    assert!(repeats.iter().all(|(_, repeats)| *repeats <= kills * BATCH));
}

fn delivered(agent: &Agent, sink: &str) -> u64 {
    agent.metric("sink_events_delivered", sink)
}

/// How many events of a sink there are more than once; none may be missing.
fn repeats(cluster: &Hdfs, name: &str, reader: &str, written: usize) -> usize {
    let mut seen = HashMap::<usize, usize>::new();
    super::hdfs::each_event(cluster, &format!("/{name}/*"), reader, |_, line| {
        let number = line.strip_prefix("line ").and_then(|number| number.parse().ok());
        *seen.entry(number.unwrap_or_else(|| panic!("{name}: nobody wrote {line:?}"))).or_default() += 1;
    });
    let missing: Vec<usize> = (0..written).filter(|number| !seen.contains_key(number)).collect();
    assert!(
        missing.is_empty(),
        "{name}: {} of {written} are missing, the first {:?}",
        missing.len(),
        missing.first()
    );
    assert_eq!(seen.len(), written, "{name}: lines that nobody wrote");
    seen.values().map(|count| count - 1).sum()
}

/// A log that a failing test shows.
struct ShownWhenPanicking(PathBuf);

impl Drop for ShownWhenPanicking {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string(&self.0).unwrap_or_default());
        }
    }
}
