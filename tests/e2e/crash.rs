//! `kill -9` at fifty random moments of tail -> file channel -> rolled files.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
    thread,
    time::Duration,
};

use millrace_tests::{Agent, eventually, lines_of, temporary_folder};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: usize = 50;
const LINES_PER_KILL: u64 = 2_000;
const BATCH: usize = 500;

#[test]
fn killed_fifty_times_every_line_is_once_in_the_channel() {
    let rig = Rig::new();
    let written = rig.kill_repeatedly(&rig.config(""));
    // Only now somebody takes: what comes out is what the channel holds.
    Agent::write_config(rig.folder.path(), "crash", &rig.config(&rig.sink()));
    rig.drain(written);
    let wanted: Vec<String> = (0..written).map(|number| format!("line {number}")).collect();
    let lines = lines_of(&rig.output);
    assert!(lines == wanted, "{} lines of {written}, each once and in order, expected", lines.len());
}

#[test]
fn killed_fifty_times_every_line_is_in_the_files_and_repeats_are_bounded_by_a_batch_per_kill() {
    let rig = Rig::new();
    let written = rig.kill_repeatedly(&rig.config(&rig.sink()));
    rig.drain(written);
    let mut seen: HashMap<u64, usize> = HashMap::new();
    for line in lines_of(&rig.output) {
        let number = line.strip_prefix("line ").and_then(|number| number.parse().ok());
        *seen.entry(number.unwrap_or_else(|| panic!("a line nobody wrote: {line:?}"))).or_default() += 1;
    }
    let missing: Vec<u64> = (0..written).filter(|number| !seen.contains_key(number)).collect();
    assert!(
        missing.is_empty(),
        "{} of {written} lines are missing, the first {:?}",
        missing.len(),
        missing.first()
    );
    assert_eq!(seen.len() as u64, written, "lines that nobody wrote");
    let repeats: usize = seen.values().map(|count| count - 1).sum();
    println!(
        "{written} lines, {KILLS} kills, {repeats} repeats in the files (at most {BATCH} per kill are allowed)"
    );
    assert!(repeats <= KILLS * BATCH);
}

struct Rig {
    folder: tempfile::TempDir,
    log: PathBuf,
    output: PathBuf,
}

impl Rig {
    fn new() -> Self {
        let folder = temporary_folder();
        let (log, output) = (folder.path().join("app.log"), folder.path().join("out"));
        Self { folder, log, output }
    }

    fn sink(&self) -> String {
        format!(
            "file-roll \"out\" channel=\"durable\" {{ directory \"{}\"; roll interval=\"2s\" count=7000; batch events={BATCH} }}",
            self.output.display()
        )
    }

    fn config(&self, sink: &str) -> String {
        format!(
            "channels {{ file \"durable\" }}\nsources {{ taildir \"in\" channel=\"durable\" {{ path \"{}\" }} }}\nsinks {{ {sink} }}\n",
            self.log.display(),
        )
    }

    /// Writes while agents start and die; returns how many lines were written.
    fn kill_repeatedly(&self, config: &str) -> u64 {
        let seed: u64 = rand::rng().random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let mut written = 0;
        let mut file = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        Agent::write_config(self.folder.path(), "crash", config);
        for _ in 0..KILLS {
            let agent = Agent::spawn(self.folder.path(), "crash", &[]);
            let pause = Duration::from_millis(random.random_range(0..400));
            let pieces = random.random_range(1..8);
            written = thread::scope(|scope| {
                let (from, file) = (written, &mut file);
                let writing = scope.spawn(move || write_lines(file, from, pieces));
                thread::sleep(pause);
                agent.kill();
                writing.join().unwrap()
            });
        }
        written
    }

    /// The last run is let to finish.
    fn drain(&self, written: u64) {
        let agent = Agent::start_again(self.folder.path(), "crash");
        eventually("the file is read and the channel empty", || {
            agent.status()["channels"][0]["events"] == 0 && distinct(&self.output) == written
        });
        assert!(agent.stop().success());
    }
}

fn write_lines(file: &mut fs::File, from: u64, pieces: u64) -> u64 {
    let mut next = from;
    for piece in 0..pieces {
        let until = from + LINES_PER_KILL * (piece + 1) / pieces;
        let text: String = (next..until).map(|number| format!("line {number}\n")).collect();
        // Cut in the middle of a line now and then, as buffered writers do.
        let middle = text.len() / 2 + 3;
        file.write_all(&text.as_bytes()[..middle]).unwrap();
        thread::sleep(Duration::from_millis(3));
        file.write_all(&text.as_bytes()[middle..]).unwrap();
        next = until;
    }
    next
}

fn distinct(output: &std::path::Path) -> u64 {
    let lines: std::collections::HashSet<String> = lines_of(output).into_iter().collect();
    lines.len() as u64
}
