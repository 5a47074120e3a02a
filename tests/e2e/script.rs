//! Scripts in an agent that runs: a changed file is live at once, a broken one is refused and told at its line, and
//! under load a change loses, repeats and reorders nothing.

use std::{fs, io::Write, net::TcpStream, path::Path, thread, time::Duration};

use millrace_tests::{Agent, eventually, guest, lines_of, temporary_folder};

const LIVE_WITHIN: Duration = Duration::from_secs(2);

/// Lines while the script changes, and how many go out at once.
const LINES: u64 = 60_000;
const BURST: u64 = 200;

/// How often the script changes meanwhile.
const VERSIONS: u64 = 8;

fn script(version: u64) -> String {
    format!("export function event(e) {{\n    e.headers.version = {version};\n}}\n")
}

/// Renamed into place, as editors do.
fn write(folder: &Path, text: &str) {
    fs::write(folder.join("tag.js.new"), text).unwrap();
    fs::rename(folder.join("tag.js.new"), folder.join("tag.js")).unwrap();
}

fn start(folder: &Path) -> Agent {
    guest("script-engine");
    write(folder, &script(0));
    let config = format!(
        r#"
agent "scripted" {{ data-dir "{data}"; admin listen="127.0.0.1:0" }}
channels {{ memory "fast" {{ capacity 500_000; bytes "256MiB" }} }}
sources {{
    netcat "in" channel="fast" {{
        listen "127.0.0.1:0"
        ack-every-event #false
        interceptors {{ script "tag" file="tag.js" }}
    }}
}}
sinks {{ file-roll "out" channel="fast" {{ directory "{output}"; serializer "header-and-text"; roll interval="1h" }} }}
"#,
        data = folder.join("scripted-data").display(),
        output = folder.join("out").display(),
    );
    Agent::start(folder, "scripted", &config)
}

#[test]
fn a_changed_script_is_live_within_two_seconds_and_a_broken_one_is_refused() {
    let folder = temporary_folder();
    let folder = folder.path();
    let agent = start(folder);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    let took = agent.next_generation(|| write(folder, &script(1)));
    assert!(took < LIVE_WITHIN, "{took:?}");
    stream.write_all(b"one\n").unwrap();
    eventually("it is delivered", || agent.metric("sink_events_delivered", "out") == 1);
    write(folder, "export function event(e) {\n    e.headers.version = ;\n}\n");
    eventually("it is refused", || agent.status()["last_reload"]["outcome"] == "refused");
    let expected = format!(
        "{}:2:25: script tag: SyntaxError: unexpected token in expression: ';'",
        folder.join("tag.js").display()
    );
    assert_eq!(agent.status()["last_reload"]["reasons"], serde_json::json!([expected]));
    let answer = agent.reload();
    assert!(answer["text"].as_str().unwrap().contains("tag.js:2:25\n"), "{answer}");
    let place = (&answer["findings"][0]["line"], &answer["findings"][0]["column"]);
    assert_eq!(place, (&serde_json::json!(2), &serde_json::json!(25)), "{answer}");
    assert!(agent.log().contains("tag.js:2:25: script tag"), "{}", agent.log());
    stream.write_all(b"two\n").unwrap();
    eventually("the old script works", || agent.metric("sink_events_delivered", "out") == 2);
    // The same text again is no change of the plan, but it ends the refusal.
    write(folder, &script(1));
    eventually("the repaired script is what runs", || {
        agent.status()["last_reload"]["outcome"] == "unchanged"
    });
    drop(stream);
    agent.signal("TERM");
    let mut agent = agent;
    assert!(agent.wait().success(), "{}", agent.log());
    assert_eq!(lines_of(&folder.join("out")), ["{version=1} one", "{version=1} two"]);
}

/// Counts in its state.
fn counting(version: u64) -> String {
    format!(
        "import state from \"millrace:state\";\nexport function event(e) {{\n    e.headers.version = {version};\n    \
         e.headers.n = state.increment(\"n\");\n}}\n"
    )
}

#[test]
fn what_a_script_counts_goes_on_when_it_changes() {
    let folder = temporary_folder();
    let folder = folder.path();
    let mut agent = start(folder);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    for version in 1..=3_u64 {
        agent.next_generation(|| write(folder, &counting(version)));
        stream.write_all(b"a\nb\n").unwrap();
        eventually("both are delivered", || agent.metric("sink_events_delivered", "out") == 2 * version);
    }
    drop(stream);
    agent.signal("TERM");
    assert!(agent.wait().success(), "{}", agent.log());
    let lines = lines_of(&folder.join("out"));
    let expected: Vec<String> = (0..6_u64)
        .map(|at| {
            let body = if at % 2 == 0 { "a" } else { "b" };
            format!("{{version={}, n={}}} {body}", at / 2 + 1, at + 1)
        })
        .collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_script_that_changes_under_load_loses_repeats_and_reorders_nothing() {
    let folder = temporary_folder();
    let folder = folder.path();
    let mut agent = start(folder);
    let address = agent.address("in");
    let sender = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        for burst in 0..LINES / BURST {
            let lines: String = (0..BURST).map(|line| format!("{}\n", burst * BURST + line)).collect();
            stream.write_all(lines.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
    });
    for version in 1..=VERSIONS {
        agent.next_generation(|| write(folder, &script(version)));
    }
    sender.join().unwrap();
    eventually("all lines are delivered", || agent.metric("sink_events_delivered", "out") == LINES);
    agent.signal("TERM");
    assert!(agent.wait().success(), "{}", agent.log());
    let lines = lines_of(&folder.join("out"));
    assert_eq!(lines.len() as u64, LINES);
    let mut last = 0;
    for (number, line) in lines.iter().enumerate() {
        let (version, body) = line.strip_prefix("{version=").and_then(|rest| rest.split_once("} ")).unwrap();
        assert_eq!(body, number.to_string());
        let version: u64 = version.parse().unwrap();
        assert!(version >= last, "version {version} after {last}");
        last = version;
    }
}
