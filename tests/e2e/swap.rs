//! A counter that keeps its number in memory, swapped a hundred times under load in a real agent, ten times by a
//! version that does not work: every event is there once, in order, and the count is exact.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use millrace_tests::{Agent, eventually, guest, json_events, lines_of, temporary_folder};
use serde_json::Value;

const SWAPS: usize = 100;

fn config(folder: &Path, plugin: &Path, options: &str) -> String {
    format!(
        r#"
plugins {{ count path="{plugin}" }}
channels {{ file "durable" }}
sources {{
    netcat "in" channel="durable" {{
        listen "127.0.0.1:0"
        ack-every-event #false
        interceptors {{ wasm "count" {{ {options} }} }}
    }}
}}
sinks {{ file-roll "out" channel="durable" {{ directory "{output}"; serializer "json"; roll interval="1h" }} }}
"#,
        plugin = plugin.display(),
        output = folder.join("out").display(),
    )
}

/// The same plugin with another digest: a custom section at its end.
fn build_of(folder: &Path, round: usize) -> PathBuf {
    let mut bytes = fs::read(guest("counting-handover")).unwrap();
    let name = format!("round-{round:04}");
    bytes.extend([0, u8::try_from(name.len() + 1).unwrap(), u8::try_from(name.len()).unwrap()]);
    bytes.extend(name.as_bytes());
    let path = folder.join("count.wasm");
    let fresh = folder.join("count.new");
    fs::write(&fresh, bytes).unwrap();
    fs::rename(fresh, &path).unwrap();
    path
}

fn swap_of(agent: &Agent) -> Value {
    agent.status()["sources"][0]["interceptors"][0]["swap"].clone()
}

fn reload(agent: &Agent, folder: &Path, plugin: &Path, options: &str) -> Value {
    Agent::write_config(folder, "swap", &config(folder, plugin, options));
    agent.reload()
}

#[test]
fn a_counter_swapped_a_hundred_times_under_load_is_exact() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = Agent::start(folder, "swap", &config(folder, &build_of(folder, 0), ""));
    let stop = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let (stop, address) = (Arc::clone(&stop), agent.address("in"));
        move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let mut sent = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                let lines: String = (sent..sent + 20).map(|number| format!("line {number}\n")).collect();
                stream.write_all(lines.as_bytes()).unwrap();
                sent += 20;
                thread::sleep(Duration::from_millis(2));
            }
            sent
        }
    });
    for round in 1..=SWAPS {
        match round % 20 {
            9 => {
                let report = reload(&agent, folder, &guest("restore-refuses"), "");
                assert_eq!(report["outcome"], "refused", "{report:#}");
                assert!(report["text"].as_str().unwrap().contains("is not known here"), "{report:#}");
                let reasons = agent.status()["last_reload"]["reasons"].to_string();
                assert!(reasons.contains("does not take over"), "{reasons}");
            }
            19 => {
                let report = reload(&agent, folder, &guest("traps-everywhere"), r#"in "intercept""#);
                assert_eq!(report["outcome"], "applied", "{report:#}");
                eventually("it is rolled back", || swap_of(&agent)["state"] == "rolled-back");
                assert_eq!(swap_of(&agent)["faults"], 1);
            }
            _ => {
                let report = reload(&agent, folder, &build_of(folder, round), "");
                assert_eq!(report["outcome"], "applied", "{report:#}");
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    let sent = sender.join().unwrap();
    let output = folder.join("out");
    eventually("everything is written", || lines_of(&output).len() as u64 == sent);
    assert!(agent.stop().success());
    println!("{sent} events over {SWAPS} swaps");
    for (number, event) in (0_u64..).zip(json_events(&output)) {
        assert_eq!(event["body"], format!("line {number}"), "{event}");
        assert_eq!(event["headers"]["n"], (number + 1).to_string(), "{event}");
    }
}

#[test]
fn a_shadow_shows_in_the_reload_the_status_and_the_metrics_what_differs() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = Agent::start(folder, "swap", &config(folder, &guest("searches"), r#"needle "drop-me""#));
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    let mut send = |lines: &str| {
        let before = agent.metric("source_events_received", "in");
        stream.write_all(lines.as_bytes()).unwrap();
        let wanted = before + lines.lines().count() as u64;
        eventually("the lines have come", || agent.metric("source_events_received", "in") == wanted);
    };
    send("one\ndrop-my hat\ntwo\n");
    eventually("the batch is through", || agent.metric("source_events_accepted", "in") == 3);
    let shadow = r#"needle "drop-my"; swap "shadow" for="1h""#;
    let report = reload(&agent, folder, &guest("searches"), shadow);
    assert_eq!(report["outcome"], "applied", "{report:#}");
    let notes = report["notes"].to_string();
    assert!(notes.contains("differs on 1 of 3 replayed events") && notes.contains("drop-my hat"), "{notes}");
    send("three\ndrop-my coat\ndrop-me\n");
    eventually("they are compared", || swap_of(&agent)["events_compared"] == 3);
    let swap = swap_of(&agent);
    assert_eq!((&swap["mode"], &swap["state"]), (&"shadow".into(), &"trial".into()), "{swap:#}");
    assert_eq!((&swap["events_differing"], &swap["running_generation"]), (&2.into(), &1.into()), "{swap:#}");
    let metrics = agent.get("/metrics");
    let line = metrics.lines().find(|line| line.starts_with("millrace_plugin_events_differing_total"));
    assert!(line.is_some_and(|line| line.ends_with(" 3")), "{line:?}");
    // Taking the word back out of the configuration ends the trial at once.
    let report = reload(&agent, folder, &guest("searches"), r#"needle "drop-my""#);
    assert_eq!(report["outcome"], "applied", "{report:#}");
    send("drop-my scarf\nfour\n");
    let output = folder.join("out");
    eventually("all is written", || lines_of(&output).len() == 6);
    let bodies: Vec<_> = json_events(&output).iter().map(|event| event["body"].clone()).collect();
    assert_eq!(
        bodies,
        ["one", "drop-my hat", "two", "three", "drop-my coat", "four"].map(Value::from).to_vec()
    );
}
