//! Topic -> source -> memory channel -> sink -> topic with the offsets in the sink's transactions: exactly once.

use std::{collections::BTreeMap, path::Path, process::Command};

use millrace_tests::{Agent, KafkaBroker, Record, binary, eventually, guest, temporary_folder};
use serde_json::Value;

use super::{
    delivery::{PARTITIONS, number, run, size},
    topic,
};

fn moved(broker: &KafkaBroker, agent: &str, _run: usize) -> String {
    let address = broker.address();
    format!(
        r#"
channels {{ memory "fast" }}
sources {{
    kafka "in" channel="fast" {{
        bootstrap-servers "{address}"
        topics "from"
        group "mover"
        offsets "sink"
        properties {{ "session.timeout.ms" "6000"; "heartbeat.interval.ms" "500" }}
    }}
}}
sinks {{
    kafka "out" channel="fast" {{
        bootstrap-servers "{address}"
        topic "to"
        partition-header "partition"
        transactional-id "mover-{agent}"
        offsets-of "in"
    }}
}}
"#
    )
}

/// Every number once, in its partition, in order.
fn check(records: &[Record], events: usize) {
    let mut last = BTreeMap::new();
    for record in records {
        let number = number(record);
        assert_eq!(record.partition, i32::try_from(number).unwrap() % PARTITIONS);
        let before = last.insert(record.partition, number);
        assert!(before < Some(number), "{number} after {before:?}");
        let step = usize::try_from(PARTITIONS).unwrap();
        assert!(before.is_none_or(|before| before + step == number), "{number} after {before:?}");
    }
    assert_eq!(records.len(), events);
}

#[test]
fn every_event_is_there_once_through_kills_of_agents_and_of_the_broker() {
    check(&run(moved), size().events);
}

/// From one topic to another with these interceptors.
fn config(broker: &KafkaBroker, (from, to): (&str, &str), interceptors: &str, rest: &str) -> String {
    let address = broker.address();
    format!(
        r#"
{plugins}
channels {{ memory "fast" }}
sources {{
    kafka "in" channel="fast" {{
        bootstrap-servers "{address}"
        topics "{from}"
        group "{from}"
        offsets "sink"
        batch-size 100
        properties {{ "session.timeout.ms" "6000"; "heartbeat.interval.ms" "500" }}
        interceptors {{ {interceptors} }}
    }}
}}
sinks {{
    kafka "out" channel="fast" {{
        bootstrap-servers "{address}"
        topic "{to}"
        partition-header "partition"
        transactional-id "{from}"
        offsets-of "in"
        {rest}
    }}
}}
"#,
        plugins = if interceptors.contains("amplifies") {
            format!("plugins {{ amplifies path={:?} }}", guest("amplifies").display().to_string())
        } else {
            String::new()
        },
    )
}

fn write(broker: &KafkaBroker, topic: &str, numbers: std::ops::Range<usize>) {
    let partition = |number: usize| i32::try_from(number % 2).unwrap();
    broker.produce(topic, numbers.map(|number| Record::new(partition(number), format!("event {number}"))));
}

/// How often each number is there.
fn counts(records: &[Record]) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(number(record)).or_default() += 1;
    }
    counts
}

fn all_committed(broker: &KafkaBroker, topic: &str) -> bool {
    broker.committed(topic, topic).iter().flatten().sum::<i64>() == broker.count(topic)
}

#[test]
fn records_that_are_split_and_dropped_are_there_exactly_once_after_kills() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let folder = folder.path();
    let (from, to) = (topic(broker, "split-from", 2), topic(broker, "split-to", 2));
    let interceptors = r#"regex-filter regex="7$" exclude-events=#true; wasm "amplifies" { copies 3 }"#;
    // Transactions end in the middle of records.
    let kdl = config(broker, (&from, &to), interceptors, "batch events=50");
    Agent::write_config(folder, "a", &kdl);
    write(broker, &from, 0..2000);
    for kill in 1..=3 {
        let agent = Agent::start_again(folder, "a");
        eventually("some have arrived", || broker.count(&to) >= kill * 800);
        agent.kill();
    }
    let agent = Agent::start_again(folder, "a");
    // The last ones of both partitions are dropped: their offsets are committed without any event.
    let tail = ["event 2007", "event 2017"].map(|text| Record::new(0, text));
    broker
        .produce(&from, tail.clone().into_iter().chain(tail.map(|record| Record { partition: 1, ..record })));
    eventually("everything is committed", || all_committed(broker, &from));
    let expected: BTreeMap<usize, usize> =
        (0..2000).filter(|number| number % 10 != 7).map(|number| (number, 3)).collect();
    assert_eq!(counts(&broker.records(&to)), expected);
    assert!(agent.stop().success());
}

#[test]
fn a_stop_and_a_reload_repeat_nothing_and_leave_nothing_behind() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let folder = folder.path();
    let (from, to) = (topic(broker, "stop-from", 2), topic(broker, "stop-to", 2));
    let kdl = |batch: usize| config(broker, (&from, &to), "", &format!("batch events={batch}"));
    write(broker, &from, 0..6000);
    let agent = Agent::start(folder, "a", &kdl(10));
    eventually("some have arrived", || agent.metric("sink_events_delivered", "out") >= 100);
    // The sink changes, then the source.
    let mut now = kdl(20);
    agent.next_generation(|| change(folder, &agent, &now));
    now = now.replace("batch-size 100", "batch-size 150");
    agent.next_generation(|| change(folder, &agent, &now));
    eventually("some more have arrived", || agent.metric("sink_events_delivered", "out") >= 1000);
    assert!(agent.stop().success());
    // What was in the channel is delivered and its offsets are committed, or neither.
    let committed = broker.committed(&from, &from).iter().flatten().sum::<i64>();
    let records = broker.records(&to);
    assert_eq!(i64::try_from(records.len()).unwrap(), committed);
    Agent::write_config(folder, "a", &kdl(1000));
    let agent = Agent::start_again(folder, "a");
    eventually("everything is committed", || all_committed(broker, &from));
    let expected: BTreeMap<usize, usize> = (0..6000).map(|number| (number, 1)).collect();
    assert_eq!(counts(&broker.records(&to)), expected);
    assert!(agent.stop().success());
}

fn change(folder: &Path, agent: &Agent, kdl: &str) {
    Agent::write_config(folder, "a", kdl);
    assert_eq!(agent.reload()["outcome"], "applied", "{}", agent.log());
}

#[test]
fn a_record_that_can_never_be_sent_is_a_dead_letter_and_holds_nobody_up() {
    let (broker, folder) = (KafkaBroker::shared(), temporary_folder());
    let folder = folder.path();
    let (from, to) = (topic(broker, "letters-from", 2), topic(broker, "letters-to", 2));
    write(broker, &from, 0..10);
    broker.produce(&from, [Record::new(0, vec![b'x'; 3000])]);
    write(broker, &from, 10..20);
    broker.produce(&from, [Record::new(1, vec![b'y'; 3000])]);
    let kdl = config(broker, (&from, &to), "", "record-bytes \"2000B\"; record-headers \"all\"");
    let agent = Agent::start(folder, "a", &kdl);
    eventually("the bad ones are found", || agent.metric("sink_events_rejected", "out") == 2);
    eventually("everything is committed", || all_committed(broker, &from));
    let records = broker.records(&to);
    assert_eq!(counts(&records), (0..20).map(|number| (number, 1)).collect());
    assert!(records.iter().all(|record| record.headers.iter().all(|(name, _)| !name.starts_with("kafka."))));
    assert!(agent.stop().success());
}

/// What `millrace check` finds about exactly once: reasons, with the way out.
fn findings(kdl: &str) -> Vec<(String, String)> {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    std::fs::write(&path, kdl).unwrap();
    let output = Command::new(binary()).args(["check", "--format", "json"]).arg(&path).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = report["findings"].as_array().or(report.as_array()).cloned().unwrap_or_default();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let ours = all.iter().filter(|one| one["code"] == "kafka::exactly-once");
    ours.map(|one| (text(one, "reason"), text(one, "help"))).collect()
}

#[test]
fn a_path_that_cannot_be_exactly_once_is_refused_with_the_way_out() {
    let right = r#"
channels { memory "fast"; memory "other"; file "durable" }
sources { kafka "in" channel="fast" { bootstrap-servers "b:9092"; topics "from"; offsets "sink" } }
sinks {
    kafka "out" channel="fast" { bootstrap-servers "b:9092"; topic "to"; transactional-id "x"; offsets-of "in" }
    null "rest" channel="other"
    null "kept" channel="durable"
}
"#;
    assert_eq!(findings(right), []);
    let cases: &[(&[(&str, &str)], &str, &str)] = &[
        (
            &[
                ("\"in\" channel=\"fast\"", "\"in\" channel=\"durable\""),
                ("\"out\" channel=\"fast\"", "\"out\" channel=\"durable\""),
                ("null \"kept\" channel=\"durable\"", "null \"kept\" channel=\"fast\""),
            ],
            "source `in` leaves its offsets to a sink, but channel `durable` (file) keeps events over a restart, which would repeat them",
            "give it a memory channel: what is lost with that is read again; or write `offsets \"source\"`",
        ),
        (
            &[("\"in\" channel=\"fast\" {", "\"in\" { channel \"fast\" \"other\";")],
            "source `in` leaves its offsets to a sink and writes to 2 channels: `fast`, `other`",
            "give it one memory channel, or write `offsets \"source\"`: at least once",
        ),
        (
            &[("; offsets-of \"in\"", "")],
            "source `in` leaves its offsets to a sink, but no sink commits them",
            "write `offsets-of \"in\"` in the kafka sink of channel `fast`",
        ),
        (
            &[("; offsets \"sink\"", "")],
            "source `in` commits its offsets itself",
            "write `offsets \"sink\"` in source `in`",
        ),
        (
            &[("offsets-of \"in\"", "offsets-of \"in\" \"inn\"")],
            "there is no source `inn`",
            "kafka sources: in",
        ),
        (
            &[("transactional-id \"x\"; ", "")],
            "`offsets-of` needs `transactional-id`: offsets are committed in transactions",
            "write `transactional-id \"agent-out\"`, another one in each agent",
        ),
        (
            &[("offsets-of \"in\"", "offsets-of \"in\"; concurrency 2")],
            "sink `out` commits offsets and has concurrency 2",
            "leave `concurrency` out; more agents in the group share the partitions",
        ),
        (
            &[("\"rest\" channel=\"other\"", "\"rest\" channel=\"fast\"")],
            "sink `out` commits offsets, and sink `rest` takes from the same channel `fast`",
            "give the other sink a channel of its own",
        ),
        (
            &[("sources {", "sources { seq \"numbers\" channel=\"fast\";")],
            "sink `out` commits offsets, and source `numbers` writes to its channel too",
            "give that source a channel of its own, or name it in `offsets-of`",
        ),
        (
            &[("bootstrap-servers \"b:9092\"; topic \"to\"", "bootstrap-servers \"c:9092\"; topic \"to\"")],
            "source `in` reads from b:9092 and sink `out` writes to c:9092: a transaction spans one cluster",
            "where both are one cluster, write the same `bootstrap-servers`; otherwise `offsets \"source\"`",
        ),
        (
            &[
                ("null \"rest\" channel=\"other\"", "null \"rest\" channel=\"fast\""),
                (
                    "null \"kept\" channel=\"durable\"\n}",
                    "null \"kept\" channel=\"durable\"\n}\nsink-groups { failover \"both\" { sink \"out\"; sink \"rest\" } }",
                ),
            ],
            "sink `out` commits offsets and is in the group `both`",
            "take it out of the group: offsets follow one sink",
        ),
        (
            &[("\nchannels", "agent \"a\" { dead-letter channel=\"fast\" }\nchannels")],
            "sink `out` commits offsets, and its channel `fast` takes dead letters too",
            "give dead letters a channel of their own",
        ),
        (
            &[("offsets \"sink\"", "offsets \"sink\"; isolation \"read-uncommitted\"")],
            "`offsets \"sink\"` needs isolation \"read-committed\": otherwise offsets of open transactions are not waited for",
            "write `isolation \"read-committed\"`",
        ),
        (
            &[("offsets \"sink\"", "offsets \"sink\"; properties { \"group.protocol\" \"consumer\" }")],
            "`offsets \"sink\"` needs `group.protocol` \"classic\", whose generations protect the offsets",
            "leave `group.protocol` out",
        ),
    ];
    for (changes, reason, help) in cases {
        let mut kdl = right.to_owned();
        for (from, to) in *changes {
            assert!(kdl.contains(from), "{from}");
            kdl = kdl.replacen(from, to, 1);
        }
        let found = findings(&kdl);
        let expected = ((*reason).to_owned(), (*help).to_owned());
        assert!(found.contains(&expected), "{kdl}\n{found:#?}");
    }
}
