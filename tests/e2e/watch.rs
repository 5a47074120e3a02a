//! An agent that watches its files: a change of the configuration, of an include or of a plugin is live within two
//! seconds, SIGHUP reloads, and a broken change leaves the old plan running.

use std::{fs, io::Write, net::TcpStream, path::Path, time::Duration};

use millrace_tests::{Agent, eventually, guest, temporary_folder};

const LIVE_WITHIN: Duration = Duration::from_secs(2);

fn config(folder: &Path, watch: bool) -> String {
    format!(
        r#"
agent "watched" {{ data-dir "{data}"; admin listen="127.0.0.1:0"; watch #{watch} }}
plugins {{ rule path="rule.wasm" }}
channels {{ memory "fast" }}
sources {{ netcat "in" channel="fast" {{ listen "127.0.0.1:0"; interceptors {{ wasm "rule" {{ contains "apple" }} }} }} }}
include "sinks.kdl"
"#,
        data = folder.join("watched-data").display()
    )
}

fn sinks(count: u64) -> String {
    format!("sinks {{ null \"out\" channel=\"fast\" {{ batch events={count} }} }}\n")
}

fn start(folder: &Path, watch: bool) -> Agent {
    fs::copy(guest("drop-rule"), folder.join("rule.wasm")).unwrap();
    fs::write(folder.join("sinks.kdl"), sinks(10)).unwrap();
    Agent::start(folder, "watched", &config(folder, watch))
}

#[test]
fn changes_of_configuration_include_and_plugin_are_live_within_two_seconds() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = start(folder, true);
    let edited = config(folder, true).replace("apple", "pear");
    let took = agent.next_generation(|| Agent::write_config(folder, "watched", &edited));
    assert!(took < LIVE_WITHIN, "configuration: {took:?}");
    let took = agent.next_generation(|| fs::write(folder.join("sinks.kdl"), sinks(20)).unwrap());
    assert!(took < LIVE_WITHIN, "include: {took:?}");
    // Not renamed into place but written over, as some tools do.
    let took = agent.next_generation(|| {
        drop(fs::copy(guest("redact"), folder.join("rule-new.wasm")).and_then(|_| {
            let mut bytes = fs::read(guest("drop-rule"))?;
            bytes.extend([0, 3, 2, b'v', b'2']);
            fs::write(folder.join("rule.wasm"), bytes)
        }))
    });
    assert!(took < LIVE_WITHIN, "plugin: {took:?}");
    let interceptor = &agent.status()["sources"][0]["interceptors"][0];
    assert_eq!(interceptor["generation"], 3);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    stream.write_all(b"an apple\na pear\n").unwrap();
    eventually("one of them is delivered", || agent.metric("sink_events_delivered", "out") == 1);
}

#[test]
fn a_broken_change_is_refused_and_its_repair_applied() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = start(folder, true);
    fs::write(folder.join("rule.wasm"), b"not a plugin").unwrap();
    eventually("it is refused", || agent.status()["last_reload"]["outcome"] == "refused");
    assert_eq!(agent.status()["generation"], 1);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    stream.write_all(b"an apple\na pear\n").unwrap();
    eventually("the old rule works", || agent.metric("sink_events_delivered", "out") == 1);
    fs::copy(guest("drop-rule"), folder.join("rule.wasm")).unwrap();
    eventually("the repaired file is what runs", || agent.status()["last_reload"]["outcome"] == "unchanged");
}

#[test]
fn a_hangup_signal_reloads() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = start(folder, false);
    fs::write(folder.join("sinks.kdl"), sinks(30)).unwrap();
    agent.next_generation(|| agent.signal("HUP"));
    let changes = &agent.status()["last_reload"]["changes"];
    assert_eq!(changes.to_string(), r#"[{"action":"swap","kind":"sink","name":"out"}]"#);
}
