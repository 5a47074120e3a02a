//! HDFS while everything dies: the agent by `kill -9`, a DataNode in the middle of a block, the NameNode.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, Hdfs, eventually};
use rand::{Rng, SeedableRng, rngs::StdRng};

const BATCH: usize = 500;

#[test]
fn nothing_is_lost_when_agents_a_data_node_and_the_name_node_die() {
    let full = std::env::var_os("MILLRACE_FULL_SIZE").is_some();
    let (kills, per_run) = if full { (20, 238_000) } else { (5, 16_500) };
    let mut cluster = Hdfs::start(3);
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let _shown = ShownWhenPanicking(cluster.folder().join("crash.log"));
    let log = cluster.folder().join("app.log");
    let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
    let kdl = format!(
        "channels {{ file \"durable\" }}\nsources {{ taildir \"in\" channel=\"durable\" {{ path \"{}\" }} }}\n\
         sinks {{ hdfs \"out\" channel=\"durable\" {{ path \"{}/out\"; file-type \"data-stream\"; call-timeout \"8s\"; roll interval=\"2s\" count=20000; batch events={BATCH} }} }}\n",
        log.display(),
        cluster.url()
    );
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
                eventually("the sink writes", || agent.metric("sink_events_delivered", "out") > 0);
                cluster.kill_data_node(0);
            }
            2 => {
                eventually("the sink writes", || agent.metric("sink_events_delivered", "out") > 0);
                cluster.kill_name_node();
                thread::sleep(Duration::from_millis(500));
                cluster.start_name_node();
            }
            3 => cluster.start_data_node(0),
            _ => {}
        }
        write(per_run - per_run / 2);
        // While batches are under way, not when all is quiet.
        let goal = agent.metric("sink_events_delivered", "out") + random.random_range(1..8000);
        eventually("the sink goes on", || {
            agent.metric("sink_events_delivered", "out") >= goal
                || agent.status()["channels"][0]["events"] == 0
        });
        agent.kill();
    }
    let written = write(per_run);
    let agent = Agent::start_again(cluster.folder(), "crash");
    let begun = Instant::now();
    eventually("the file is read and the channel empty", || {
        let status = agent.status();
        status["channels"][0]["events"] == 0 && agent.metric("sink_events_delivered", "out") >= per_run as u64
    });
    eventually("no file is left in progress by an earlier run", || {
        let files = cluster.files("/out");
        let left =
            files.iter().filter(|(_, path)| !path.contains("/FlumeData.") || !ends_in_digits(path)).count();
        left == 0
    });
    println!("recovered and drained in {:?}", begun.elapsed());
    let text = agent.log();
    assert!(agent.stop().success(), "{text}");
    let seen = super::hdfs::counted(&cluster.tool(&["shell", "-text", "/out/*"]), |line| {
        line.strip_prefix("line ").and_then(|number| number.parse().ok())
    });
    let missing: Vec<usize> = (0..written).filter(|number| !seen.contains_key(number)).collect();
    assert!(
        missing.is_empty(),
        "{} of {written} are missing, the first {:?}\n{text}",
        missing.len(),
        missing.first()
    );
    assert_eq!(seen.len(), written, "lines that nobody wrote");
    let repeats: usize = seen.values().map(|count| count - 1).sum();
    let told = text.lines().filter(|line| line.contains("out") && line.contains("cannot "));
    told.for_each(|line| println!("{line}"));
    println!("{written} events, {kills} kills, {repeats} repeats (at most {BATCH} per kill are allowed)");
    assert!(repeats <= kills * BATCH);
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

/// Whether a file has its name: it ends with its number.
fn ends_in_digits(path: &str) -> bool {
    path.ends_with(|last: char| last.is_ascii_digit())
}
