//! Topic -> source -> file channel -> sink -> topic, while agents are killed, the broker is killed, and members come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, KafkaBroker, Record, eventually, temporary_folder};

pub(super) const PARTITIONS: i32 = 6;

/// How much is done: by default little, the whole with `MILLRACE_FULL_SIZE=1`.
pub(super) struct Size {
    pub(super) events: usize,
    pub(super) kills: usize,
    pub(super) broker_restarts: usize,
}

pub(super) fn size() -> Size {
    if std::env::var_os("MILLRACE_FULL_SIZE").is_some() {
        Size { events: 1_000_000, kills: 20, broker_restarts: 2 }
    } else {
        Size { events: 100_000, kills: 5, broker_restarts: 1 }
    }
}

fn config(broker: &KafkaBroker, agent: &str, run: usize) -> String {
    let address = broker.address();
    format!(
        r#"
channels {{ file "durable" }}
sources {{
    kafka "in" channel="durable" {{
        bootstrap-servers "{address}"
        topics "from"
        group "mover"
        properties {{ "session.timeout.ms" "6000"; "heartbeat.interval.ms" "500" }}
        interceptors {{ static key="run" value="{agent}-{run}" }}
    }}
}}
sinks {{
    kafka "out" channel="durable" {{
        bootstrap-servers "{address}"
        topic "to"
        partition-header "partition"
        header-names {{ run "run" }}
    }}
}}
"#
    )
}

/// The configuration of an agent in one of its runs.
pub(super) type Config = fn(&KafkaBroker, &str, usize) -> String;

fn start(folder: &Path, broker: &KafkaBroker, config: Config, agent: &str, run: usize) -> Agent {
    Agent::write_config(folder, agent, &config(broker, agent, run));
    Agent::start_again(folder, agent)
}

/// Writes numbers to their partitions.
fn write(broker: &KafkaBroker, from: usize, until: usize) {
    let partition = |number: usize| i32::try_from(number).unwrap_or_default() % PARTITIONS;
    broker.produce(
        "from",
        (from..until).map(|number| Record::new(partition(number), format!("event {number}"))),
    );
}

pub(super) fn number(record: &Record) -> usize {
    record.text().strip_prefix("event ").and_then(|number| number.parse().ok()).unwrap()
}

/// Waits, and says on failure what the agents said.
pub(super) fn wait(what: &str, broker: &KafkaBroker, agents: &[&Agent], mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > Duration::from_secs(120) {
            let logs: Vec<String> = agents.iter().map(|agent| agent.log()).collect();
            let committed = broker.committed("mover", "from");
            panic!(
                "{what}: not in time; committed {committed:?}\n{}\n{}",
                logs.join("\n----\n"),
                broker.log_tail()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every number is there, in its partition, and what one run brought for the first time came in order.
fn check(records: &[Record], events: usize) {
    let mut seen = BTreeSet::new();
    let mut last = BTreeMap::new();
    let mut first_of_run = BTreeSet::new();
    for record in records {
        let number = number(record);
        assert_eq!(record.partition, i32::try_from(number).unwrap() % PARTITIONS);
        seen.insert(number);
        let run = String::from_utf8(record.headers[0].1.clone()).unwrap();
        if first_of_run.insert((run.clone(), number)) {
            let before = last.insert((run.clone(), record.partition), number);
            assert!(before < Some(number), "run {run}: {number} after {before:?}");
        }
    }
    assert_eq!(seen.len(), events);
    assert_eq!((seen.first(), seen.last()), (Some(&0), Some(&(events - 1))));
}

#[test]
fn every_event_arrives_through_kills_of_agents_and_of_the_broker() {
    check(&run(config), size().events);
}

/// Moves all events while agents are killed, the broker is killed, and members come and go; returns what arrived.
pub(super) fn run(config: Config) -> Vec<Record> {
    let Size { events, kills, broker_restarts } = size();
    let folder = temporary_folder();
    let folder = folder.path();
    let mut broker = KafkaBroker::start();
    for topic in ["from", "to"] {
        broker.create_topic(topic, PARTITIONS, &[]);
    }
    let steps = kills + broker_restarts;
    let share = events / (steps + 1);
    let mut written = 0;
    let mut first = start(folder, &broker, config, "a", 0);
    let mut second = None;
    let mut restarts = 0;
    for step in 0..steps {
        let until = share * (step + 1);
        // Half of a share is there before, and half is written while the agent works on it.
        write(&broker, written, written + share / 2);
        let target = i64::try_from(written + share / 4).unwrap();
        wait("events arrive", &broker, &[&first], || broker.count("to") >= target);
        write(&broker, written + share / 2, until);
        written = until;
        if restarts < broker_restarts && step % 3 == 1 {
            restarts += 1;
            broker.start_again();
            continue;
        }
        first.kill();
        // A second agent joins at every other kill and leaves, gently, at the next one.
        second = match second.take() {
            None => Some(start(folder, &broker, config, "b", step)),
            Some(agent) => {
                let agent: Agent = agent;
                assert!(agent.stop().success());
                None
            }
        };
        first = start(folder, &broker, config, "a", step + 1);
    }
    write(&broker, written, events);
    if let Some(agent) = second.take() {
        assert!(agent.stop().success());
    }
    // What is left in the channel of the second agent comes out when it runs again.
    let second = start(folder, &broker, config, "b", steps);
    let all_read = || broker.committed("mover", "from").iter().flatten().sum::<i64>() == broker.count("from");
    wait("everything is read", &broker, &[&first, &second], all_read);
    for agent in [&first, &second] {
        eventually("the channel is empty", || agent.status()["channels"][0]["events"] == 0);
    }
    let records = broker.records("to");
    eprintln!(
        "{events} events, {} repeated, {kills} kills, {restarts} broker restarts",
        records.len().saturating_sub(events)
    );
    for agent in [first, second] {
        assert!(agent.stop().success());
    }
    records
}
