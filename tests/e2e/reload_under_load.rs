//! Twenty reloads in a minute at 20,000 events a second: interceptors swapped, a sink changed, a source added and
//! removed, broken reloads refused. Nothing may be lost, repeated or reordered, and no connection refused.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, eventually, guest, lines_of, temporary_folder};

const RATE: u64 = 20_000;
const SECONDS: u64 = 60;
const CONNECTIONS: u64 = 2;
const RELOADS: u64 = 20;

/// `<connection> <sequence> <tag>`: every 20th line is for rule A to drop, ten lines later one is for rule B.
fn line(connection: &str, sequence: u64) -> String {
    let tag = match sequence % 20 {
        0 => "rule-a",
        10 => "rule-b",
        _ => "keep",
    };
    format!("{connection} {sequence} {tag}\n")
}

fn config(folder: &Path, round: u64, plugin: &Path) -> String {
    let rule = if round.is_multiple_of(2) { "rule-a" } else { "rule-b" };
    let count = if round % 4 < 2 { 50_000 } else { 40_000 };
    let extra = if round % 3 == 1 { r#"netcat "extra" channel="fast" { listen "127.0.0.1:0" }"# } else { "" };
    format!(
        r#"
plugins {{ drop-rule path="{plugin}" }}
channels {{ memory "fast" {{ capacity 500_000; bytes "256MiB" }} }}
sources {{
    netcat "in" channel="fast" {{
        listen "127.0.0.1:0"
        ack-every-event #false
        interceptors {{ wasm "drop-rule" {{ contains "{rule}" }} }}
    }}
    {extra}
}}
sinks {{ file-roll "out" channel="fast" {{ directory "{output}"; roll interval="1h" count={count} }} }}
"#,
        plugin = plugin.display(),
        output = folder.join("out").display(),
    )
}

#[test]
fn reloads_under_load_lose_repeat_and_reorder_nothing() {
    let folder = temporary_folder();
    let plugin = folder.path().join("drop-rule.wasm");
    fs::copy(guest("drop-rule"), &plugin).unwrap();
    let agent = Agent::start(folder.path(), "load", &config(folder.path(), 0, &plugin));
    let address = agent.address("in");
    let senders: Vec<_> =
        (0..CONNECTIONS).map(|id| thread::spawn(move || send(address, &format!("c{id}")))).collect();
    let running = Arc::new(AtomicBool::new(true));
    let knocked = Arc::new(AtomicU64::new(0));
    let knocker = thread::spawn({
        let (running, knocked) = (Arc::clone(&running), Arc::clone(&knocked));
        move || knock(address, &running, &knocked)
    });

    let begun = Instant::now();
    for round in 1..=RELOADS {
        wait_until(
            begun
                + Duration::from_secs(SECONDS) * u32::try_from(round).unwrap()
                    / u32::try_from(RELOADS + 1).unwrap(),
        );
        if round % 5 == 0 {
            refused_reloads(&agent, folder.path(), round, &plugin);
        }
        if round.is_multiple_of(2) {
            other_build_of(&plugin, round);
        }
        Agent::write_config(folder.path(), "load", &config(folder.path(), round, &plugin));
        let report = agent.reload();
        assert_eq!(report["outcome"], "applied", "{report:#}");
        let swapped = report["changes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["name"] == "in/drop-rule" && change["action"] == "swap");
        assert!(swapped, "{report:#}");
    }
    for sender in senders {
        sender.join().unwrap();
    }
    running.store(false, Ordering::SeqCst);
    knocker.join().unwrap();

    let sent = CONNECTIONS * RATE / CONNECTIONS * SECONDS + knocked.load(Ordering::SeqCst);
    eventually("every line has been accepted", || agent.metric("source_events_received", "in") == sent);
    assert!(agent.stop().success());
    verify(&lines_of(&folder.path().join("out")), knocked.load(Ordering::SeqCst));
}

fn wait_until(when: Instant) {
    thread::sleep(when.saturating_duration_since(Instant::now()));
}

/// Sends its share of the rate on one connection for the whole time.
fn send(address: SocketAddr, name: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    let (total, per_second) = (RATE / CONNECTIONS * SECONDS, RATE / CONNECTIONS);
    let mut sent = 0;
    while sent < total {
        let due = (begun.elapsed().as_millis() as u64 * per_second / 1000 + 1).min(total);
        let piece: String = (sent..due).map(|sequence| line(name, sequence)).collect();
        stream.write_all(piece.as_bytes()).unwrap();
        sent = due;
        thread::sleep(Duration::from_millis(5));
    }
}

/// Connects again and again, sending one line each time: a refused connection fails the test.
fn knock(address: SocketAddr, running: &AtomicBool, knocked: &AtomicU64) {
    while running.load(Ordering::SeqCst) {
        let mut stream = TcpStream::connect(address).unwrap();
        let sequence = knocked.fetch_add(1, Ordering::SeqCst);
        stream.write_all(format!("knock {sequence} keep\n").as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(20));
    }
}

/// The same plugin with another digest: a custom section at its end.
fn other_build_of(plugin: &Path, round: u64) {
    let mut bytes = fs::read(guest("drop-rule")).unwrap();
    let name = format!("round-{round:04}");
    bytes.extend([0, u8::try_from(name.len() + 1).unwrap(), u8::try_from(name.len()).unwrap()]);
    bytes.extend(name.as_bytes());
    let fresh = plugin.with_extension("new");
    fs::write(&fresh, bytes).unwrap();
    fs::rename(fresh, plugin).unwrap();
}

/// A broken plugin, a broken configuration and a plugin that traps while it is configured change nothing.
fn refused_reloads(agent: &Agent, folder: &Path, round: u64, plugin: &Path) {
    let generation = agent.status()["generation"].clone();
    let broken = folder.join("broken.wasm");
    fs::write(&broken, b"\0asm\x0d\0\x01\0broken").unwrap();
    let attempts = [
        config(folder, round, &broken),
        config(folder, round, plugin).replace("channels {", "channels {{"),
        config(folder, round, &guest("configure-traps")),
    ];
    for attempt in attempts {
        Agent::write_config(folder, "load", &attempt);
        let report = agent.reload();
        assert_eq!(report["outcome"], "refused", "{report:#}");
        assert!(!report["findings"].as_array().unwrap().is_empty(), "{report:#}");
    }
    assert_eq!(agent.status()["generation"], generation);
}

fn verify(lines: &[String], knocks: u64) {
    let mut next: HashMap<&str, Vec<u64>> = HashMap::new();
    let mut order: HashMap<&str, u64> = HashMap::new();
    for line in lines {
        let mut words = line.split(' ');
        let (connection, sequence) = (words.next().unwrap(), words.next().unwrap().parse::<u64>().unwrap());
        if connection != "knock" {
            // Repeated or reordered lines of one connection would not ascend.
            assert!(
                order.insert(connection, sequence).is_none_or(|last| last < sequence),
                "{line} is out of order"
            );
        }
        next.entry(connection).or_default().push(sequence);
    }
    let mut knocked = next.remove("knock").unwrap_or_default();
    knocked.sort_unstable();
    assert_eq!(knocked, (0..knocks).collect::<Vec<_>>());
    assert_eq!(next.len() as u64, CONNECTIONS);
    for (connection, sequences) in next {
        let kept: Vec<u64> = sequences.iter().copied().filter(|sequence| sequence % 10 != 0).collect();
        let wanted: Vec<u64> =
            (0..RATE / CONNECTIONS * SECONDS).filter(|sequence| sequence % 10 != 0).collect();
        assert!(kept == wanted, "{connection}: {} of {} untagged lines", kept.len(), wanted.len());
        rules_took_turns(connection, &sequences);
    }
}

/// At every moment exactly one rule is in force, and it changes with a reload only.
fn rules_took_turns(connection: &str, sequences: &[u64]) {
    let mut tagged = sequences.iter().copied().filter(|sequence| sequence % 10 == 0).peekable();
    let mut rule_before = None;
    let mut turns = 0;
    for sequence in (0..RATE / CONNECTIONS * SECONDS).step_by(10) {
        let passed = tagged.next_if_eq(&sequence).is_some();
        // A line of rule A that passed means rule B is in force, and the other way round.
        let rule_a = (sequence % 20 == 0) != passed;
        turns += u64::from(rule_before.is_some_and(|before| before != rule_a));
        rule_before = Some(rule_a);
    }
    assert_eq!(turns, RELOADS, "{connection}");
}
