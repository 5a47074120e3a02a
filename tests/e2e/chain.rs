//! Agents in tiers over Avro: a load-balanced pair and a failover group of collectors, one of which goes away in
//! the middle and comes back.

use std::{collections::BTreeMap, fs::OpenOptions, io::Write, net::TcpListener, path::Path};

use millrace_tests::{Agent, eventually, json_events, json_events_so_far, temporary_folder};
use serde_json::Value;

const LINES: u64 = 30_000;

/// A port that is free now; collectors must come back on the same one.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn collector(folder: &Path, name: &str, port: u16) -> String {
    format!(
        r#"
channels {{ file "durable" }}
sources {{ avro "in" channel="durable" {{ listen "127.0.0.1:{port}" }} }}
sinks {{ file-roll "out" channel="durable" {{ directory "{}"; serializer "json"; roll interval="1h" }} }}
"#,
        folder.join(format!("{name}-out")).display()
    )
}

fn edge(log: &Path, ports: [u16; 2], group: &str) -> String {
    format!(
        r#"
channels {{ file "durable" }}
sources {{
    taildir "web" channel="durable" {{
        path "{}"
        interceptors {{ static key="tier" value="edge é" }}
    }}
}}
sinks {{
    avro "first" channel="durable" {{ connect "127.0.0.1:{}" }}
    avro "second" channel="durable" {{ connect "127.0.0.1:{}" }}
}}
sink-groups {{ {group} }}
"#,
        log.display(),
        ports[0],
        ports[1],
    )
}

fn append(log: &Path, from: u64, until: u64) {
    let text: String = (from..until).map(|number| format!("line {number} ü\n")).collect();
    OpenOptions::new().create(true).append(true).open(log).unwrap().write_all(text.as_bytes()).unwrap();
}

/// How often each line arrived at each collector, after checking every event's content.
fn arrived(folder: &Path, events: fn(&Path) -> Vec<Value>) -> [BTreeMap<u64, usize>; 2] {
    ["b", "c"].map(|name| {
        let mut seen = BTreeMap::new();
        for event in events(&folder.join(format!("{name}-out"))) {
            let body = event["body"].as_str().unwrap();
            let number: u64 =
                body.strip_prefix("line ").unwrap().strip_suffix(" ü").unwrap().parse().unwrap();
            assert_eq!(event["headers"]["tier"], "edge é");
            *seen.entry(number).or_default() += 1;
        }
        seen
    })
}

fn distinct(folder: &Path) -> usize {
    let [mut all, other] = arrived(folder, json_events_so_far);
    all.extend(other);
    all.len()
}

/// Runs the chain; `second` is killed after a third and comes back after two thirds.
fn run(group: &str) -> [BTreeMap<u64, usize>; 2] {
    let folder = temporary_folder();
    let folder = folder.path();
    let (log, ports) = (folder.join("web.log"), [free_port(), free_port()]);
    let first = Agent::start(folder, "b", &collector(folder, "b", ports[0]));
    let second = Agent::start(folder, "c", &collector(folder, "c", ports[1]));
    append(&log, 0, LINES / 3);
    let edge = Agent::start(folder, "edge", &edge(&log, ports, group));
    eventually("the first third has arrived", || distinct(folder) as u64 == LINES / 3);
    second.kill();
    append(&log, LINES / 3, LINES * 2 / 3);
    let second = {
        eventually("the second third has left the edge", || {
            edge.metric("sink_events_delivered", "collectors") >= LINES * 2 / 3
        });
        Agent::start_again(folder, "c")
    };
    append(&log, LINES * 2 / 3, LINES);
    eventually("everything has arrived", || distinct(folder) as u64 == LINES);
    for agent in [edge, first, second] {
        assert!(agent.stop().success());
    }
    arrived(folder, json_events)
}

fn repeats(arrived: &[BTreeMap<u64, usize>; 2]) -> usize {
    arrived.iter().flat_map(BTreeMap::values).sum::<usize>() - usize::try_from(LINES).unwrap()
}

#[test]
fn a_load_balanced_pair_delivers_everything_while_one_collector_is_gone() {
    let arrived = run(r#"load-balance "collectors" { sink "first"; sink "second"; backoff #true }"#);
    println!("{} and {} lines, {} repeats", arrived[0].len(), arrived[1].len(), repeats(&arrived));
    assert!(!arrived[0].is_empty() && !arrived[1].is_empty());
    // The collector died between two batches or in one: at most that one came twice.
    assert!(repeats(&arrived) <= 1000);
}

#[test]
fn a_failover_group_uses_the_preferred_collector_and_the_other_only_while_it_is_gone() {
    let arrived = run(
        r#"failover "collectors" { sink "second" priority=10; sink "first" priority=5; max-penalty "1s" }"#,
    );
    println!("{} and {} lines, {} repeats", arrived[0].len(), arrived[1].len(), repeats(&arrived));
    assert!(
        arrived[1].keys().copied().take(10_000).eq(0..10_000),
        "the first third went to the preferred collector"
    );
    assert!(arrived[0].contains_key(&15_000), "the second third went to the other");
    assert!(repeats(&arrived) <= 1000);
}
