//! A whole set of hostile plugins in one running agent: each is contained in its documented way and named, what cannot
//! work is refused while everything goes on, and the pipelines beside them keep their rate, their events and their order.

use std::{
    collections::HashMap,
    io::Write,
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use millrace_tests::{Agent, eventually, temporary_folder};

use case::{Case, Config};
use healthy::{Load, Moment, PIPELINES, RATE};
use observed::Observed;
use servers::Servers;

mod case;
mod healthy;
mod interceptors;
mod observed;
mod others;
mod reach;
mod refused;
mod servers;

/// How long the healthy pipelines are measured alone.
const ALONE: Duration = Duration::from_secs(5);

/// How long they are measured beside the others, at least, and how often each of those gets its lines meanwhile.
const BESIDE: Duration = Duration::from_secs(12);
const ROUND: Duration = Duration::from_millis(600);

/// What they have to keep of their rate.
const KEPT: f64 = 0.95;

/// Sends every case its lines.
struct Feeder {
    streams: HashMap<&'static str, TcpStream>,
    rounds: u64,
}

impl Feeder {
    fn round(&mut self, agent: &Agent, cases: &[Case]) {
        for case in cases {
            let is_due = !case.lines.is_empty() && self.rounds.is_multiple_of(case.every);
            let Some(listener) = case.listener().filter(|_| is_due) else { continue };
            if case.connects_again {
                self.streams.remove(listener);
            }
            let stream = self
                .streams
                .entry(listener)
                .or_insert_with(|| TcpStream::connect(agent.address(listener)).unwrap());
            stream.write_all((case.lines.join("\n") + "\n").as_bytes()).unwrap();
        }
        self.rounds += 1;
    }
}

fn config<'a>(folder: &'a Path, cases: &[Case]) -> Config<'a> {
    let mut config = Config::new(folder);
    healthy::add_to(&mut config);
    for case in cases {
        case.add_to(&mut config);
    }
    config
}

fn reload(agent: &Agent, folder: &Path, config: &str) {
    Agent::write_config(folder, "hostile", config);
    let report = agent.reload();
    assert_eq!(report["outcome"], "applied", "{report:#}");
}

/// Waits until every case is what it has to be.
fn settled(agent: &Agent, folder: &Path, cases: &[Case], rounds: u64) -> Observed {
    let begun = Instant::now();
    loop {
        let observed = Observed::now(agent, folder.join("out"), rounds);
        let problems: Vec<String> = cases
            .iter()
            .filter_map(|case| observed.problem(case).map(|problem| format!("{}: {problem}", case.name)))
            .collect();
        if problems.is_empty() {
            return observed;
        }
        let is_late = begun.elapsed() > Duration::from_secs(40);
        if is_late {
            cases.iter().for_each(|case| println!("{}", observed.row(case)));
        }
        assert!(!is_late, "not contained as documented after {rounds} rounds:\n{}", problems.join("\n"));
        thread::sleep(Duration::from_millis(100));
    }
}

/// Those that break when they are stopped: taken out of the running agent, or followed by another version.
fn without_the_stopping(folder: &Path, cases: &[Case]) -> String {
    let mut config = Config::new(folder);
    healthy::add_to(&mut config);
    for case in cases.iter().filter(|case| !case.name.ends_with("-stop")) {
        case.add_to(&mut config);
    }
    config.text().replacen(r#"{ in "stop" }"#, "{ }", 1)
}

#[test]
fn a_hostile_set_is_contained_and_named_and_the_others_keep_their_rate() {
    let folder = temporary_folder();
    let folder = folder.path();
    let servers = Servers::start();
    let mut cases = interceptors::cases();
    cases.extend(reach::cases(folder, &servers));
    cases.extend(others::cases());

    let begun = Instant::now();
    let mut agent = Agent::start(folder, "hostile", &config(folder, &[]).text());
    let process = agent.process();
    let load = Load::start(&agent);
    eventually("the load has arrived", || agent.metric("sink_events_delivered", "plugged") > RATE);
    let start = Moment::now(&agent);
    thread::sleep(ALONE);
    let alone = Moment::now(&agent);

    let set = config(folder, &cases);
    let before: Vec<Case> = cases.iter().map(|case| case.clone().before()).collect();
    reload(&agent, folder, &config(folder, &before).text());
    reload(&agent, folder, &set.text());
    let loaded = Moment::now(&agent);
    let mut attempts = refused::attempts(folder, &set).into_iter();
    let (mut refusals, mut problems) = (Vec::new(), Vec::new());
    let mut feeder = Feeder { streams: HashMap::new(), rounds: 0 };
    feeder.round(&agent, &cases);
    let active = Moment::now(&agent);
    let began = Instant::now();
    while began.elapsed() < BESIDE || attempts.len() > 0 {
        let next = Instant::now() + ROUND;
        feeder.round(&agent, &cases);
        if let Some(attempt) = attempts.next() {
            problems.extend(attempt.problem(&agent, folder));
            refusals.push(attempt);
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let beside = Moment::now(&agent);
    let sent = load.end();
    let rates = |after: &Moment, before| after.rates_since(before);
    let (first, then) = (rates(&alone, &start), rates(&beside, &active));
    // What fell behind while the set was loaded may not make up for what is lost beside it.
    let (loading, whole) = (rates(&loaded, &alone), rates(&beside, &alone));
    for (place, name) in PIPELINES.iter().enumerate() {
        println!(
            "{name}: {:.0} events/s alone, {:.0} while the set was loaded, {:.0} beside it, {:.0} in both ({:.1} %)",
            first[place],
            loading[place],
            then[place],
            whole[place],
            100.0 * whole[place] / first[place]
        );
    }
    assert!(problems.is_empty(), "not refused as documented:\n{}", problems.join("\n"));

    reload(&agent, folder, &without_the_stopping(folder, &cases));
    let mut observed = settled(&agent, folder, &cases, feeder.rounds);
    assert_eq!(observed.metric("millrace_reloads_refused_total"), refusals.len() as u64);
    for (name, sent) in PIPELINES.into_iter().zip(&sent) {
        let wanted = healthy::expected(name, *sent);
        eventually("all is delivered", || agent.metric("sink_events_delivered", name) == wanted);
    }
    assert_eq!(agent.status()["agent"], "hostile");
    assert!(agent.is_running() && agent.process() == process);
    assert!(agent.stop().success());

    for case in &cases {
        println!("{}", observed.row(case));
    }
    for attempt in &refusals {
        println!("{:<24} reload refused: {}", attempt.name, attempt.reason);
    }
    println!(
        "{} hostile cases, {} of them refused at a reload, {} rounds, {:.1?} in all",
        cases.len() + refusals.len(),
        refusals.len(),
        feeder.rounds,
        begun.elapsed()
    );
    assert!(cases.len() >= 25);
    observed.read_letters();
    for case in &cases {
        assert_eq!(observed.problem_of_output(case), None, "{}", case.name);
    }
    assert_eq!(servers.inside.connections(), 0, "somebody got to where nobody may go");
    for (name, sent) in PIPELINES.into_iter().zip(&sent) {
        healthy::verify(folder, name, *sent);
    }
    for (place, name) in PIPELINES.iter().enumerate() {
        let least = then[place].min(whole[place]);
        assert!(least >= KEPT * first[place], "{name} fell from {} to {least}", first[place]);
    }
}
