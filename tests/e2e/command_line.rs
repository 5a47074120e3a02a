//! The commands besides `run` and `check`, as a user types them.

use std::{
    fs,
    process::{Command, Output},
};

use millrace_tests::{Agent, binary, guest, temporary_folder};

const CONFIG: &str = r#"
channels { memory "fast" }
sources { netcat "in" channel="fast" { listen "127.0.0.1:0"; interceptors { timestamp; host } } }
sinks { null "a" channel="fast"; null "b" channel="fast" }
sink-groups { failover "either" { sink "a" priority=2; sink "b" priority=1 } }
"#;

fn millrace(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_command_has_help_with_an_example() {
    let commands =
        ["run", "check", "explain", "graph", "status", "reload", "log-level", "completions", "man"];
    for command in commands {
        let help = text(&millrace(&[command, "--help"]));
        assert!(help.contains("Example:\n  millrace "), "{command}: {help}");
    }
    assert!(text(&millrace(&["plugin", "inspect", "--help"])).contains("Example:"));
    assert!(text(&millrace(&["--help"])).contains("millrace check agent.kdl"));
}

#[test]
fn misuse_is_exit_code_two_and_a_no_is_one() {
    assert_eq!(millrace(&["fly"]).status.code(), Some(2));
    assert_eq!(millrace(&["explain", "no-such-thing"]).status.code(), Some(1));
    assert_eq!(millrace(&["check", "/no/such/file.kdl"]).status.code(), Some(1));
    let nobody = millrace(&["status", "--admin", "127.0.0.1:1"]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&nobody.stderr).contains("no agent answers on 127.0.0.1:1"),
        "{nobody:?}"
    );
}

#[test]
fn the_flow_is_drawn_in_three_ways() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    fs::write(&path, CONFIG).unwrap();
    let draw = |format: &str| text(&millrace(&["graph", path.to_str().unwrap(), "--format", format]));
    assert_eq!(
        draw("text"),
        "in (netcat) > timestamp > host -> fast\nfast -> either (failover) { a (null); b (null) }\n"
    );
    assert!(draw("dot").contains("\"channel:fast\" -> \"sink:either\""));
    assert!(draw("mermaid").contains("channel_fast --> sink_either"));
}

const ROUTED: &str = r#"
plugins { lines path="lines.wasm"; packets path="packets.wasm" }
channels { memory "fast"; memory "slow"; memory "seen"; memory "rest" }
sources {
    frames "in" {
        listen "127.0.0.1:0"
        codec "lines" { separator ";" }
        interceptors { host }
        selector "multiplexing" header="level" {
            case "crit" "alert" { channel "fast" "slow"; optional "seen" }
            case "debug" channel="slow"
            default channel="rest"
        }
    }
    seq "both" channel="fast" { selector "replicating" { optional "seen" } }
    seq "turns" { channel "fast" "slow"; selector "load-balancing" }
}
sinks {
    null "a" channel="fast" codec="packets"
    null "b" channel="slow"
    null "c" channel="seen"
    null "d" channel="rest"
}
sink-groups { failover "group" { sink "b"; codec "packets" } }
"#;

#[test]
fn what_selectors_and_codecs_do_is_drawn() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    fs::write(&path, ROUTED).unwrap();
    let draw = |format: &str| text(&millrace(&["graph", path.to_str().unwrap(), "--format", format]));
    assert_eq!(
        draw("text"),
        "in (frames, codec lines) > host -> fast (level=crit|alert), slow (level=crit|alert or level=debug), \
         seen (level=crit|alert, optional), rest (otherwise)\n\
         both (seq) -> fast, seen (optional)\n\
         turns (seq) -> fast (in turn), slow (in turn)\n\
         fast -> a (null, codec packets)\n\
         seen -> c (null)\n\
         rest -> d (null)\n\
         slow -> group (failover, codec packets) { b (null) }\n"
    );
    let dot = draw("dot");
    for line in [
        "\"source:in\" [label=\"in\\nframes, codec lines\"]",
        "\"source:in\" -> \"channel:rest\" [label=\"host (otherwise)\"]",
        "\"source:both\" -> \"channel:seen\" [label=\"(optional)\"]",
        "\"sink:a\" [label=\"a\\nnull, codec packets\"]",
    ] {
        assert!(dot.contains(line), "{line}: {dot}");
    }
    assert!(draw("mermaid").contains("source_in -->|\"host (otherwise)\"| channel_rest"));
}

#[test]
fn status_shows_the_channels_that_only_a_selector_names() {
    let folder = temporary_folder();
    let config = r#"
channels { memory "fast"; memory "slow"; memory "rest" }
sources {
    seq "in" {
        total-events 3
        selector "multiplexing" header="level" {
            case "crit" channel="fast" { optional "slow" }
            default channel="rest"
        }
    }
}
sinks { null "a" channel="fast"; null "b" channel="slow"; null "c" channel="rest" }
"#;
    let agent = Agent::start(folder.path(), "routed", config);
    assert_eq!(agent.status()["sources"][0]["channels"], serde_json::json!(["fast", "slow", "rest"]));
}

#[test]
fn a_running_agent_answers_status_reload_and_log_level() {
    let folder = temporary_folder();
    let agent = Agent::start(folder.path(), "asked", CONFIG);
    let config = folder.path().join("asked.kdl");
    let ask = |command: &str, more: &[&str]| {
        let mut arguments = vec![command, "--config", config.to_str().unwrap()];
        arguments.extend(more);
        millrace(&arguments)
    };
    let status = text(&ask("status", &[]));
    for word in ["asked", "generation 1", "healthy", "in", "netcat", "running", "either", "failover", "fast"]
    {
        assert!(status.contains(word), "{word}: {status}");
    }
    assert_eq!(text(&ask("reload", &[])), "nothing changed; generation 1 runs on\n");
    Agent::write_config(folder.path(), "asked", &CONFIG.replace("timestamp; host", "timestamp"));
    let report = text(&ask("reload", &[]));
    assert!(report.contains("generation 2 runs now\n  remove       interceptor in/host\n"), "{report}");
    Agent::write_config(folder.path(), "asked", &CONFIG.replace("netcat", "netcaat"));
    let refused = ask("reload", &[]);
    assert_eq!(refused.status.code(), Some(1));
    let refused = String::from_utf8(refused.stdout).unwrap();
    assert!(
        refused.contains("did you mean `netcat`?") && refused.contains("generation 2 runs on"),
        "{refused}"
    );
    assert!(text(&ask("log-level", &["debug"])).is_empty());
    assert_eq!(text(&ask("log-level", &[])), "debug\n");
    assert_eq!(ask("log-level", &["no=such=filter"]).status.code(), Some(2));
    assert!(agent.get("/metrics").contains("millrace_reloads_refused_total 1"));
    assert!(agent.get("/health").contains("ok"));
}

#[test]
fn a_page_of_another_site_cannot_reload_the_agent() {
    use std::io::{Read, Write};
    let folder = temporary_folder();
    let agent = Agent::start(folder.path(), "guarded", CONFIG);
    let address = fs::read_to_string(folder.path().join("guarded-data/admin.address")).unwrap();
    let mut stream = std::net::TcpStream::connect(address.trim()).unwrap();
    stream
        .write_all(
            b"POST /api/v1/reload HTTP/1.0\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 403") || answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(agent.status()["last_reload"].is_null());
}

#[test]
fn the_reference_of_a_component_is_explained() {
    let list = text(&millrace(&["explain"]));
    for name in ["taildir", "file-roll", "regex-extractor", "multiplexing", "failover", "memory"] {
        assert!(list.contains(name), "{name}: {list}");
    }
    let page = text(&millrace(&["explain", "memory"]));
    assert!(page.contains("capacity") && page.contains("10000"), "{page}");
}

#[test]
fn completions_and_man_pages_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&millrace(&["completions", shell])).contains("log-level"), "{shell}");
    }
    let folder = temporary_folder();
    let man = folder.path().join("man1");
    text(&millrace(&["man", man.to_str().unwrap()]));
    for page in ["millrace.1", "millrace-run.1", "millrace-plugin-inspect.1"] {
        assert!(fs::read_to_string(man.join(page)).unwrap().contains(".TH"), "{page}");
    }
}

#[test]
fn a_plugin_is_inspected_without_running_it() {
    let path = guest("configure-traps");
    let page = text(&millrace(&["plugin", "inspect", path.to_str().unwrap()]));
    for word in ["sha256:", "interceptor", "millrace:plugin"] {
        assert!(page.contains(word), "{word}: {page}");
    }
}

/// The exit code of a command whose standard output nobody reads, and what it says on standard error.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = Command::new(binary()).args(arguments).stdout(writer).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_reader_that_goes_away_ends_a_command_quietly() {
    let folder = temporary_folder();
    let good = folder.path().join("good.kdl");
    let bad = folder.path().join("bad.kdl");
    fs::write(&good, CONFIG).unwrap();
    fs::write(&bad, CONFIG.replace("netcat", "netcaat")).unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let plugin = guest("configure-traps");
    let plugin = plugin.to_str().unwrap();
    let commands: [&[&str]; 10] = [
        &["check", good],
        &["check", bad],
        &["check", bad, "--format", "json"],
        &["graph", good],
        &["graph", good, "--format", "dot"],
        &["explain"],
        &["explain", "taildir"],
        &["completions", "bash"],
        &["plugin", "inspect", plugin],
        &["plugin", "new"],
    ];
    for command in commands {
        assert_eq!(unread(command), (Some(141), String::new()), "{command:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_told_and_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = Command::new(binary()).arg("explain").stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let complaint = String::from_utf8(ended.stderr).unwrap();
    assert!(complaint.starts_with("millrace: cannot write to standard output: No space left"), "{complaint}");
}
