//! What a plugin keeps in its state, under `kill -9`: a counter in front of a file channel is exact at any moment.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
    thread,
    time::Duration,
};

use millrace_tests::{Agent, eventually, guest, json_events, temporary_folder};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: usize = 40;
const LINES_PER_KILL: u64 = 1_500;

fn config(folder: &Path, sink: &str) -> String {
    format!(
        r#"
plugins {{ count path="{plugin}" }}
channels {{ file "durable" {{ segment-size "256KiB" }} }}
sources {{
    taildir "in" channel="durable" {{
        path "{log}"
        interceptors {{ wasm "count" }}
    }}
}}
sinks {{ {sink} }}
"#,
        plugin = guest("counting-state").display(),
        log = folder.join("app.log").display(),
    )
}

#[test]
fn a_counter_under_repeated_kills_equals_the_number_of_events_in_the_channel() {
    let folder = temporary_folder();
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut log = OpenOptions::new().create(true).append(true).open(folder.path().join("app.log")).unwrap();
    Agent::write_config(folder.path(), "state", &config(folder.path(), ""));
    let mut written = 0;
    for _ in 0..KILLS {
        let agent = Agent::spawn(folder.path(), "state", &[]);
        let pause = Duration::from_millis(random.random_range(0..400));
        written = thread::scope(|scope| {
            let (from, log) = (written, &mut log);
            let writing = scope.spawn(move || write_lines(log, from));
            thread::sleep(pause);
            agent.kill();
            writing.join().unwrap()
        });
    }
    // Only now somebody takes: each event shows the number that the counter had when it was put.
    let output = folder.path().join("out");
    let sink = format!(
        r#"file-roll "out" channel="durable" {{ directory "{}"; serializer "json"; roll interval="1h" }}"#,
        output.display()
    );
    Agent::write_config(folder.path(), "state", &config(folder.path(), &sink));
    let agent = Agent::start_again(folder.path(), "state");
    eventually("the file is read and the channel empty", || {
        agent.status()["channels"][0]["events"] == 0 && json_lines(&output) as u64 == written
    });
    assert!(agent.stop().success());
    for (number, event) in (0_u64..).zip(json_events(&output)) {
        assert_eq!(event["body"], format!("line {number}"), "{event}");
        assert_eq!(event["headers"]["n"], (number + 1).to_string(), "{event}");
    }
}

fn json_lines(output: &Path) -> usize {
    millrace_tests::lines_of(output).len()
}

fn write_lines(file: &mut fs::File, from: u64) -> u64 {
    for piece in 0..10 {
        let lines = from + piece * LINES_PER_KILL / 10..from + (piece + 1) * LINES_PER_KILL / 10;
        let text: String = lines.map(|number| format!("line {number}\n")).collect();
        file.write_all(text.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(3));
    }
    from + LINES_PER_KILL
}
