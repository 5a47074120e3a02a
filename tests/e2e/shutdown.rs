//! Stopping: a gentle stop empties what would be lost, a second signal does not wait, input that ends ends the agent.

use std::{fs, io::Write, net::TcpStream};

use millrace_tests::{Agent, eventually, lines_of, temporary_folder};

#[test]
fn a_memory_channel_is_empty_before_the_agent_stops() {
    let folder = temporary_folder();
    let output = folder.path().join("out");
    let config = format!(
        r#"
channels {{ memory "fast" {{ capacity 200_000; bytes "64MiB" }} }}
sources {{ netcat "in" channel="fast" {{ listen "127.0.0.1:0"; ack-every-event #false }} }}
sinks {{ file-roll "out" channel="fast" {{ directory "{}"; batch events=10 }} }}
"#,
        output.display()
    );
    let agent = Agent::start(folder.path(), "drain", &config);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    let text: String = (0..20_000).map(|number| format!("{number}\n")).collect();
    stream.write_all(text.as_bytes()).unwrap();
    eventually("all are in the channel", || agent.metric("source_events_accepted", "in") == 20_000);
    assert!(agent.stop().success());
    let wanted: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    assert!(lines_of(&output) == wanted);
}

#[test]
fn a_second_signal_stops_at_once_and_says_what_is_lost() {
    let folder = temporary_folder();
    let config = r#"
channels { memory "fast" }
sources { netcat "in" channel="fast" { listen "127.0.0.1:0"; ack-every-event #false } }
sinks { http "away" channel="fast" { url "http://127.0.0.1:9/"; } }
"#;
    let mut agent = Agent::start(folder.path(), "twice", config);
    let mut stream = TcpStream::connect(agent.address("in")).unwrap();
    stream.write_all(b"one\ntwo\nthree\n").unwrap();
    eventually("all are in the channel", || agent.metric("source_events_accepted", "in") == 3);
    agent.signal("TERM");
    eventually("it is stopping", || agent.log().contains("a second signal stops at once"));
    // The same signal twice at once is one, as supervisors send it; so it is said again until it counts.
    while agent.is_running() {
        agent.signal("TERM");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(agent.wait().code(), Some(1));
    assert!(agent.log().contains("events=3"), "{}", agent.log());
}

#[test]
fn an_agent_that_has_read_its_files_to_the_end_stops_when_asked_to() {
    let folder = temporary_folder();
    let (logs, drop, output) =
        (folder.path().join("logs"), folder.path().join("drop"), folder.path().join("out"));
    fs::create_dir_all(&logs).unwrap();
    fs::create_dir_all(&drop).unwrap();
    fs::write(logs.join("empty.log"), "").unwrap();
    fs::write(drop.join("dropped.log"), "dropped\n").unwrap();
    let lines: Vec<String> = (0..20_000).map(|line| format!("line {line:05}")).collect();
    fs::write(logs.join("a.log"), lines[..12_000].join("\n") + "\n").unwrap();
    fs::write(logs.join("b.log"), lines[12_000..].join("\n") + "\nunfinished").unwrap();
    let config = format!(
        r#"
channels {{ file "durable" }}
sources {{
    taildir "web" channel="durable" {{ path "{}/*.log" }}
    spooldir "drop" channel="durable" {{ spool-dir "{}" }}
}}
sinks {{ file-roll "out" channel="durable" {{ directory "{}" }} }}
"#,
        logs.display(),
        drop.display(),
        output.display()
    );
    Agent::write_config(folder.path(), "files", &config);
    let mut expected = lines;
    expected.push("dropped".into());
    // The second run finds nothing new but the end of a line.
    for _ in 0..2 {
        expected.sort();
        let mut agent = Agent::spawn(folder.path(), "files", &["--exit-when-done"]);
        assert_eq!(agent.wait().code(), Some(0), "{}", agent.log());
        let mut found = lines_of(&output);
        found.sort();
        assert_eq!(found, expected);
        let mut file = fs::OpenOptions::new().append(true).open(logs.join("b.log")).unwrap();
        file.write_all(b" no more\n").unwrap();
        expected.push("unfinished no more".into());
    }
}

#[test]
fn an_agent_that_would_never_be_done_is_refused_with_the_sources_that_keep_it() {
    let folder = temporary_folder();
    let config = r#"
channels { memory "fast" }
sources {
    netcat "in" channel="fast" { listen "127.0.0.1:0" }
    seq "some" channel="fast" { total-events 5 }
    seq "all" channel="fast"
    exec "again" channel="fast" { command "true"; restart }
}
sinks { null "out" channel="fast" }
"#;
    Agent::write_config(folder.path(), "endless", config);
    let mut agent = Agent::spawn(folder.path(), "endless", &["--exit-when-done"]);
    assert_eq!(agent.wait().code(), Some(1), "{}", agent.log());
    let log = agent.log();
    for source in ["`in` (netcat)", "`all` (seq)", "`again` (exec)"] {
        assert!(log.contains(&format!("error[run::never-done]: the source {source} never ends")), "{log}");
    }
    assert!(!log.contains("`some`") && log.contains("endless.kdl:5:5"), "{log}");
    assert!(log.ends_with("--exit-when-done would wait for ever\n"), "{log}");
}

#[test]
fn an_agent_whose_input_ends_stops_when_asked_to() {
    let folder = temporary_folder();
    let output = folder.path().join("out");
    let config = format!(
        r#"
channels {{ memory "fast" }}
sources {{ stdin "in" channel="fast" }}
sinks {{ file-roll "out" channel="fast" {{ directory "{}" }} }}
"#,
        output.display()
    );
    Agent::write_config(folder.path(), "pipe", &config);
    let mut agent = Agent::spawn(folder.path(), "pipe", &["--exit-when-done"]);
    agent.stdin().unwrap().write_all(b"first\nsecond\nlast without end").unwrap();
    assert_eq!(agent.wait().code(), Some(0), "{}", agent.log());
    assert_eq!(lines_of(&output), ["first", "second", "last without end"]);
}
