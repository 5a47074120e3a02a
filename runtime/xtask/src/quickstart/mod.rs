//! `cargo xtask quickstart`: the shortest way to see the product work.
//!
//! Builds plugins and agent, lets the agent tail a real access log while it is being written, waits for the rolled
//! files, and compares them with the input line by line.

mod agent;
mod keep;
mod verify;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{chores, guests};

/// How the quickstart runs.
#[derive(Debug, Args)]
pub struct Options {
    /// Go on after the check: keep writing the log and rebuild the plugins when their source changes
    #[arg(long)]
    keep_running: bool,
    /// With --keep-running: stop by itself after this many seconds
    #[arg(long, requires = "keep_running")]
    seconds: Option<u64>,
}

/// The plugins the example uses.
const PLUGINS: [&str; 2] = ["drop-rule", "redact"];
/// Lines written at once, so that the log grows as a log does.
const LINES_AT_ONCE: usize = 400;
/// How long the last line may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where everything is.
struct Places {
    config: PathBuf,
    input: PathBuf,
    work: PathBuf,
    log: PathBuf,
    output: PathBuf,
}

impl Places {
    fn new() -> Self {
        let example = guests::root().join("examples/quickstart");
        let work = guests::root().join("target/quickstart");
        Self {
            config: example.join("agent.kdl"),
            input: example.join("input/access.log"),
            log: work.join("logs/access.log"),
            output: work.join("output"),
            work,
        }
    }
}

/// Runs it.
pub fn run(options: &Options) -> Result<()> {
    let places = Places::new();
    eprintln!("[1/5] building the plugins {}", PLUGINS.join(" and "));
    guests::build(&PLUGINS.map(str::to_owned))?;
    eprintln!("[2/5] building the agent (the first time takes a few minutes)");
    let binary = chores::build_agent()?;
    prepare(&places)?;
    eprintln!("[3/5] starting: millrace run {}", shown(&places.config));
    let mut agent = agent::RunningAgent::start(&binary, &places)?;
    let lines = fs::read_to_string(&places.input).context("cannot read the input")?;
    let lines: Vec<&str> = lines.lines().collect();
    let expected = verify::expected(&lines);
    eprintln!("[4/5] writing {} lines to {}", lines.len(), shown(&places.log));
    let begun = Instant::now();
    feed(&lines, expected.len(), &places, &mut agent)?;
    let seconds = begun.elapsed().as_secs_f64();
    eprintln!("[5/5] checking every line of {}", shown(&places.output));
    let report = verify::verify(&expected, &places.output)?;
    println!(
        "\n{} lines in, {} health checks dropped, {} lines out in {} files, {} card numbers masked; every line once, \
         in order ({seconds:.1} s)",
        lines.len(),
        lines.len() - expected.len(),
        report.lines,
        report.files,
        report.masked,
    );
    println!("the output:   {}", shown(&places.output));
    println!("the config:   {}", shown(&places.config));
    println!("the plugins:  examples/drop-rule/plugin/src/lib.rs, examples/redact/plugin/src/lib.rs");
    if options.keep_running {
        return keep::keep_running(agent, &places, &lines, options.seconds.map(Duration::from_secs));
    }
    agent.stop()?;
    println!(
        "the agent has stopped; `cargo xtask quickstart --keep-running` leaves it running while you edit them"
    );
    Ok(())
}

/// A path as one would type it from the root.
fn shown(path: &Path) -> String {
    path.strip_prefix(guests::root()).unwrap_or(path).display().to_string()
}

/// An empty place to work in: what a former run left would be counted.
fn prepare(places: &Places) -> Result<()> {
    if places.work.exists() {
        fs::remove_dir_all(&places.work)
            .with_context(|| format!("cannot empty {}", places.work.display()))?;
    }
    let logs = places.log.parent().context("the log has no folder")?;
    fs::create_dir_all(logs).with_context(|| format!("cannot create {}", logs.display()))?;
    Ok(())
}

/// Writes the log piece by piece and waits until the last line is out.
fn feed(lines: &[&str], expected: usize, places: &Places, agent: &mut agent::RunningAgent) -> Result<()> {
    let style = ProgressStyle::with_template("      {bar:40} {pos}/{len} lines delivered")?;
    let progress = ProgressBar::new(expected as u64).with_style(style);
    let mut log = File::create(&places.log).context("cannot create the log")?;
    for piece in lines.chunks(LINES_AT_ONCE) {
        log.write_all((piece.join("\n") + "\n").as_bytes()).context("cannot write the log")?;
        progress.set_position(verify::delivered(&places.output)? as u64);
        std::thread::sleep(Duration::from_millis(20));
    }
    let begun = Instant::now();
    loop {
        let delivered = verify::delivered(&places.output)?;
        progress.set_position(delivered as u64);
        if delivered >= expected {
            progress.finish();
            return Ok(());
        }
        agent.check_alive()?;
        if begun.elapsed() > PATIENCE {
            bail!(
                "{delivered} of {expected} lines arrived within {} s; see {}",
                PATIENCE.as_secs(),
                shown(&agent.log)
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
