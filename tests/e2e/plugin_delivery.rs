//! A plugin as the source and a plugin as the sink of a file channel, killed again and again: every event is once in the
//! channel, and what the sink is given twice has the same name twice.

use std::{collections::HashMap, io::Write, thread, time::Duration};

use millrace_tests::{Agent, Receiver, eventually, guest, lines_of, temporary_folder};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: usize = 20;
const NUMBERS: usize = 20_000;

fn config(receiver: &Receiver, source: &str, sink: &str) -> String {
    let (origin, numbers, collects) = (receiver.origin(), guest("counts-source"), guest("collects-sink"));
    format!(
        r#"
        plugins {{
            counts-source path={numbers:?}
            collects-sink path={collects:?} {{ grant {{ http "{origin}" }} }}
        }}
        channels {{ file "durable" }}
        sources {{ {source} }}
        sinks {{ wasm "out" plugin="collects-sink" channel="durable" {{ url "{origin}/events"; {sink} }} }}
        "#
    )
}

/// What was received: id, attempt, events.
fn parse(body: &str) -> (String, u32, Vec<String>) {
    let mut lines = body.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [id, attempt, count] = head[..] else { panic!("{body:?}") };
    let events: Vec<String> = lines.map(str::to_owned).collect();
    assert_eq!(events.len().to_string(), count, "{body:?}");
    (id.to_owned(), attempt.parse().unwrap(), events)
}

/// The events in the order in which they came first; deliveries that came again are checked and counted.
fn first_deliveries(bodies: &[String]) -> (Vec<String>, usize) {
    let mut known: HashMap<String, (u32, Vec<String>)> = HashMap::new();
    let (mut events, mut repeats) = (Vec::new(), 0);
    for (id, attempt, batch) in bodies.iter().map(|body| parse(body)) {
        match known.get_mut(&id) {
            Some((last, before)) => {
                assert_eq!(*before, batch, "delivery {id} is other events the second time");
                assert!(attempt > *last, "delivery {id}: attempt {attempt} after {last}");
                *last = attempt;
                repeats += 1;
            }
            None => {
                events.extend(batch.iter().cloned());
                known.insert(id, (attempt, batch));
            }
        }
    }
    (events, repeats)
}

#[test]
fn killed_twenty_times_between_two_plugins_nothing_is_lost_and_what_repeats_has_the_same_id() {
    let folder = temporary_folder();
    let receiver = Receiver::start(Duration::from_millis(3));
    let source = format!(
        r#"wasm "numbers" plugin="counts-source" channel="durable" {{ per-poll 20; last {}; pace-ms 1 }}"#,
        NUMBERS - 1
    );
    Agent::write_config(folder.path(), "kill", &config(&receiver, &source, "batch events=100"));
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut seen = 0;
    for _ in 0..KILLS {
        let agent = Agent::spawn(folder.path(), "kill", &[]);
        // Killed while it delivers, not while it starts.
        eventually("the agent delivers", || receiver.bodies().len() > seen);
        thread::sleep(Duration::from_millis(random.random_range(0..150)));
        agent.kill();
        seen = receiver.bodies().len();
    }
    let agent = Agent::start_again(folder.path(), "kill");
    eventually("everything is delivered", || {
        agent.status()["channels"][0]["events"] == 0
            && first_deliveries(&receiver.bodies()).0.len() >= NUMBERS
    });
    assert!(agent.stop().success());
    let (events, repeats) = first_deliveries(&receiver.bodies());
    let wanted: Vec<String> = (0..NUMBERS).map(|number| number.to_string()).collect();
    assert!(events == wanted, "{} events, each of {NUMBERS} once and in order expected", events.len());
    println!("{NUMBERS} events, {KILLS} kills, {repeats} deliveries came twice");
}

#[test]
fn refused_rows_are_set_aside_and_rows_for_later_come_again_under_another_id() {
    let folder = temporary_folder();
    let receiver = Receiver::start(Duration::ZERO);
    let (origin, partial) = (receiver.origin(), guest("sink-partial"));
    let rejects = folder.path().join("rejects");
    let data = folder.path().join("partial-data");
    let mut agent = Agent::start(
        folder.path(),
        "partial",
        &format!(
            r#"
            agent "partial" {{ data-dir {data:?}; admin listen="127.0.0.1:0"; watch #false; dead-letter channel="rejected" }}
            plugins {{ sink-partial path={partial:?} {{ grant {{ http "{origin}" }} }} }}
            channels {{ file "durable"; file "rejected" }}
            sources {{ stdin "in" channel="durable" }}
            sinks {{
                wasm "out" plugin="sink-partial" channel="durable" {{ url "{origin}/"; retries 2; batch events=10 wait="1s" }}
                file-roll "rejects" channel="rejected" {{ directory {rejects:?}; serializer "json" }}
            }}
            "#
        ),
    );
    let mut stdin = agent.stdin().unwrap();
    stdin.write_all(b"one\nbad two\nlater three\nfour\nlater five\n").unwrap();
    drop(stdin);
    eventually("everything is delivered", || {
        receiver.bodies().iter().flat_map(|body| body.lines()).count() >= 4 && !lines_of(&rejects).is_empty()
    });
    assert!(agent.stop().success());
    let mut lines: Vec<String> = receiver
        .bodies()
        .iter()
        .flat_map(|body| body.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    lines.sort();
    assert_eq!(lines, ["four", "later five", "later three", "one"]);
    let letters = lines_of(&rejects);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0].contains("bad two") && letters[0].contains("it is bad"), "{letters:?}");
}
