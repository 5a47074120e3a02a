//! A plugin that delivers in two phases behind a file channel, killed again and again: readers of its destination see each
//! event exactly once.

use std::{collections::BTreeMap, thread, time::Duration};

use millrace_tests::{Agent, TransactionServer, eventually, guest, temporary_folder};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: usize = 20;
const NUMBERS: usize = 30_000;

fn config(server: &TransactionServer, sink: &str) -> String {
    let (origin, numbers, two_phase) = (server.origin(), guest("counts-source"), guest("sink-two-phase"));
    let last = NUMBERS - 1;
    format!(
        r#"
        plugins {{
            counts-source path={numbers:?}
            sink-two-phase path={two_phase:?} {{ grant {{ http "{origin}" }} }}
        }}
        channels {{ file "durable" }}
        sources {{ wasm "numbers" plugin="counts-source" channel="durable" {{ per-poll 20; last {last}; pace-ms 1 }} }}
        sinks {{
            wasm "out" plugin="sink-two-phase" channel="durable" {{
                url "{origin}"
                batch events=50
                retry initial="10ms" longest="100ms"
                {sink}
            }}
        }}
        "#
    )
}

/// Kills the agent at random moments and lets it end its work. What readers see, in the order of commits.
fn killed(sink: &str, name: &str) -> TransactionServer {
    let folder = temporary_folder();
    let server = TransactionServer::start(Duration::from_millis(1));
    Agent::write_config(folder.path(), name, &config(&server, sink));
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..KILLS {
        let staged = server.transactions().staged;
        let agent = Agent::spawn(folder.path(), name, &[]);
        // Killed while it delivers, not while it starts; counted, so that a fast machine is not done before the last kill.
        let wanted = staged + random.random_range(1..=12);
        eventually("the agent delivers", || server.transactions().staged >= wanted);
        thread::sleep(Duration::from_micros(random.random_range(0..3_000)));
        agent.kill();
        server.next_run();
    }
    assert!(server.transactions().committed.len() < NUMBERS / 50, "all was delivered before the last kill");
    let agent = Agent::start_again(folder.path(), name);
    eventually("everything is delivered", || {
        let events: usize =
            server.transactions().committed.iter().map(|(_, transaction)| transaction.events.len()).sum();
        events >= NUMBERS && agent.status()["channels"][0]["events"] == 0
    });
    assert!(agent.stop().success());
    {
        let all = server.transactions();
        assert!(all.violations.is_empty(), "{:#?}", all.violations);
        assert!(all.open.is_empty(), "left open: {:#?}", all.open);
        println!(
            "{NUMBERS} events in {} transactions, {KILLS} kills, {} committed by a later run, {} aborted",
            all.committed.len(),
            all.recovered,
            all.aborted
        );
    }
    server
}

fn numbers(events: &[String]) -> Vec<usize> {
    events.iter().map(|event| event.parse().unwrap()).collect()
}

#[test]
fn killed_twenty_times_a_sink_with_two_phases_shows_each_event_once_and_in_order() {
    let server = killed("", "two-phase");
    let all = server.transactions();
    let events: Vec<usize> =
        all.committed.iter().flat_map(|(_, transaction)| numbers(&transaction.events)).collect();
    assert!(events.iter().copied().eq(0..NUMBERS), "{} events, {NUMBERS} expected, in order", events.len());
}

#[test]
fn killed_twenty_times_three_lanes_show_each_event_once_and_each_lane_keeps_its_order() {
    let server = killed("concurrency 3", "two-phase-lanes");
    let all = server.transactions();
    let mut lanes: BTreeMap<(u32, usize), Vec<usize>> = BTreeMap::new();
    for (_, transaction) in &all.committed {
        let lane = lanes.entry((transaction.lane, transaction.run)).or_default();
        lane.extend(numbers(&transaction.events));
    }
    for ((lane, run), events) in &lanes {
        assert!(events.is_sorted(), "lane {lane} in run {run}: {events:?}");
    }
    assert!([0, 1, 2].iter().all(|lane| lanes.keys().any(|(known, _)| known == lane)), "lanes {lanes:?}");
    let mut events: Vec<usize> = lanes.into_values().flatten().collect();
    events.sort_unstable();
    assert!(events.iter().copied().eq(0..NUMBERS), "{} events, {NUMBERS} expected", events.len());
}
