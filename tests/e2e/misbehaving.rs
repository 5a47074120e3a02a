//! Plugins that misbehave, in a running agent: each ends in its documented way, exactly the poison events are dead
//! letters, and a healthy source beside it keeps its rate.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, binary, eventually, guest, json_events, lines_of, temporary_folder};
use serde_json::Value;

fn config(folder: &Path, plugin: &str) -> String {
    format!(
        r#"
agent "bad" {{ data-dir "{data}"; admin listen="127.0.0.1:0"; dead-letter channel="rejects"; watch #false }}
plugins {{ guest path="{path}" {{ limits memory="16MiB" time="50ms" }} }}
channels {{
    memory "fast" {{ capacity 200_000 }}
    memory "rejects"
    memory "beside" {{ capacity 200_000 }}
}}
sources {{
    netcat "in" channel="fast" {{ listen "127.0.0.1:0"; ack-every-event #false; interceptors {{ wasm "guest" }} }}
    netcat "healthy" channel="beside" {{ listen "127.0.0.1:0"; ack-every-event #false }}
}}
sinks {{
    file-roll "out" channel="fast" {{ directory "{out}/good" }}
    file-roll "letters" channel="rejects" {{ directory "{out}/letters"; serializer "json" }}
    null "null" channel="beside"
}}
"#,
        data = folder.join("bad-data").display(),
        path = guest(plugin).display(),
        out = folder.display(),
    )
}

/// Sends the lines and waits until each is delivered or a dead letter.
fn run(plugin: &str, lines: &[String]) -> (Vec<String>, Vec<Value>, f64) {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = Agent::start(folder, "bad", &config(folder, plugin));
    let mut beside = TcpStream::connect(agent.address("healthy")).unwrap();
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    let begun = Instant::now();
    stream.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
    let healthy = "healthy\n".repeat(50_000);
    beside.write_all(healthy.as_bytes()).unwrap();
    eventually("the healthy source has delivered", || {
        agent.metric("sink_events_delivered", "null") == 50_000
    });
    let rate = 50_000.0 / begun.elapsed().as_secs_f64();
    eventually("every line is somewhere", || {
        agent.metric("sink_events_delivered", "out") + agent.metric("sink_events_delivered", "letters")
            == lines.len() as u64
    });
    assert!(agent.stop().success());
    (lines_of(&folder.join("good")), json_events(&folder.join("letters")), rate)
}

fn one_poison_in(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| if number == count / 3 { "poison".into() } else { format!("line {number}") })
        .collect()
}

fn check(plugin: &str, fault: &str) {
    let lines = one_poison_in(10_000);
    let (good, letters, rate) = run(plugin, &lines);
    let wanted: Vec<&String> = lines.iter().filter(|line| *line != "poison").collect();
    assert!(good.iter().eq(wanted), "{plugin}: {} good lines", good.len());
    assert_eq!(letters.len(), 1, "{plugin}");
    let headers = &letters[0]["headers"];
    assert_eq!(letters[0]["body"], "poison");
    assert_eq!(headers["dead-letter.component"], "in/guest");
    assert_eq!(headers["dead-letter.plugin"], "guest");
    assert!(
        headers["dead-letter.digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")),
        "{headers}"
    );
    let reason = headers["dead-letter.reason"].as_str().unwrap();
    assert!(reason.contains(fault), "{plugin}: {reason}");
    println!("{plugin}: {reason}; the healthy source beside it: {rate:.0} events/s");
    assert!(rate > 20_000.0, "{plugin}: the healthy source made {rate:.0} events/s");
}

#[test]
fn a_guest_that_traps_on_one_event_in_ten_thousand_costs_that_event() {
    check("traps-on-poison", "trap");
    let (_, letters, _) = run("traps-on-poison", &one_poison_in(300));
    let backtrace = letters[0]["headers"]["dead-letter.backtrace"].as_str().unwrap();
    assert!(backtrace.contains("intercept"), "{backtrace}");
}

#[test]
fn a_guest_that_loops_forever_is_stopped_by_its_deadline() {
    check("loops-forever", "50ms");
}

#[test]
fn a_guest_that_allocates_without_end_is_stopped_by_its_limit() {
    check("allocates-forever", "memory");
}

#[test]
fn a_guest_that_recurses_forever_is_stopped_by_its_stack() {
    check("recurses-forever", "stack");
}

/// `millrace check` on a configuration with the plugin: exit code and what it prints.
fn checked(plugin: &str) -> (Option<i32>, String) {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    fs::write(&path, config(folder.path(), plugin)).unwrap();
    let begun = Instant::now();
    let output = std::process::Command::new(binary()).arg("check").arg(&path).output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn plugins_that_cannot_work_are_refused_before_anything_runs() {
    for (plugin, reason) in [
        ("wrong-world", "interceptor"),
        ("imports-wasi-socket", "wasi:sockets"),
        ("not-a-component", "component"),
        ("configure-traps", "configure"),
        ("other-version", "millrace:plugin"),
    ] {
        let (code, text) = checked(plugin);
        assert_eq!(code, Some(1), "{plugin}: {text}");
        assert!(text.contains(reason) && text.contains("agent.kdl:"), "{plugin}: {text}");
        println!("{text}");
    }
}
