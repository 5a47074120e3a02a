//! The components that have to go on: a native pipeline and one with a well-behaved plugin, each under a fixed load.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use millrace_tests::{Agent, guest, lines_of};

use super::case::Config;

/// Events per second that each of them is offered: a small part of what it could do, so that what is measured is the
/// agent and not how busy the machine is.
pub(super) const RATE: u64 = 20_000;

/// The names of the pipelines.
pub(super) const PIPELINES: [&str; 2] = ["native", "plugged"];

/// Every so many events is one for the well-behaved plugin to drop.
const DROPPED: u64 = 100;

pub(super) fn add_to(config: &mut Config<'_>) {
    config.plugin("searches", &guest("searches"), "");
    for name in PIPELINES {
        let interceptors =
            if name == "plugged" { r#"interceptors { wasm "searches" { needle "drop-me" } }"# } else { "" };
        let source = format!(
            "netcat {name:?} channel={name:?} {{ listen \"127.0.0.1:0\"; ack-every-event #false; {interceptors} }}"
        );
        let sink = config.file_roll(name, name, "batch events=2000").replace("sync \"none\"; ", "");
        config.part(&source, &format!("file {name:?}"), &sink);
    }
}

/// The load on both.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<JoinHandle<u64>>,
}

impl Load {
    pub(super) fn start(agent: &Agent) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let senders = PIPELINES
            .iter()
            .map(|name| {
                let (address, stop) = (agent.address(name), Arc::clone(&stop));
                thread::spawn(move || send(address, &stop))
            })
            .collect();
        Self { stop, senders }
    }

    /// Ends it; how many events were sent to each.
    pub(super) fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::SeqCst);
        self.senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    }
}

fn line(sequence: u64) -> String {
    let tag = if sequence.is_multiple_of(DROPPED) { "drop-me" } else { "keep" };
    format!("{sequence} {tag} 203.0.113.7 - - \"GET /index.html HTTP/1.1\" 200 5120 \"-\" \"Mozilla/5.0\"")
}

/// Sends what is due until it is told to stop. What could not be sent in time follows at once.
fn send(address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let due = u64::try_from(begun.elapsed().as_micros()).unwrap() * RATE / 1_000_000;
        // In pieces, so that the end does not wait for what the agent does not take.
        let due = due.min(sent + RATE / 10);
        let mut piece = String::new();
        for sequence in sent..due {
            piece.push_str(&line(sequence));
            piece.push('\n');
        }
        stream.write_all(piece.as_bytes()).unwrap();
        sent = due;
        thread::sleep(Duration::from_millis(5));
    }
    sent
}

/// What was delivered until a moment.
pub(super) struct Moment {
    when: Instant,
    delivered: Vec<u64>,
}

impl Moment {
    pub(super) fn now(agent: &Agent) -> Self {
        let metrics = agent.get("/metrics");
        let of = |name: &&str| {
            let series = format!("millrace_sink_events_delivered_total{{component=\"{name}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
        };
        Self { when: Instant::now(), delivered: PIPELINES.iter().map(of).collect() }
    }

    /// Events per second of each since an earlier moment.
    pub(super) fn rates_since(&self, before: &Self) -> Vec<f64> {
        let seconds = self.when.duration_since(before.when).as_secs_f64();
        let counts = self.delivered.iter().zip(&before.delivered);
        counts.map(|(after, before)| (after - before) as f64 / seconds).collect()
    }
}

/// The events that must come out of a pipeline that was sent so many.
pub(super) fn expected(name: &str, sent: u64) -> u64 {
    (0..sent).filter(|sequence| is_kept(name, *sequence)).count() as u64
}

fn is_kept(name: &str, sequence: u64) -> bool {
    name == "native" || !sequence.is_multiple_of(DROPPED)
}

/// Every event once and in order.
pub(super) fn verify(folder: &Path, name: &str, sent: u64) {
    let lines = lines_of(&folder.join("out").join(name));
    let mut wanted = (0..sent).filter(|sequence| is_kept(name, *sequence)).map(line);
    for (number, found) in lines.iter().enumerate() {
        let wanted = wanted.next();
        assert_eq!(Some(found), wanted.as_ref(), "{name}: line {number}");
    }
    assert_eq!(wanted.count(), 0, "{name}: events are missing after line {}", lines.len());
}
