//! `cargo xtask bench`: the speed budget, every figure next to its reference in the same run.
//!
//! Plugins, channels and sinks are measured in process by examples of their crates; the paths through the real
//! binary, its memory and its start are measured here.

mod agent;
mod avro_load;
mod flume;
mod paths;

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::{chores, guests};

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Only these groups; all if none is named
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Size of the log that is tailed, in MiB
    #[arg(long, default_value_t = 1000)]
    log_mib: u64,
    /// Size of the backlog of a file channel, in million events of 100 bytes; 50 need 7 GB of disk
    #[arg(long, default_value_t = 10)]
    backlog: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    Plugin,
    Channel,
    Sink,
    Path,
    Idle,
    /// The avro source and the file channel beside those of Apache Flume; needs Java and Maven
    Flume,
    /// The sink beside the bare client on a real cluster; needs Java and Maven
    Hdfs,
    /// Source and sink beside bare clients on a real broker; needs Java and Maven
    Kafka,
}

/// Measures.
pub fn bench(options: &Options) -> Result<()> {
    let wants = |group| options.groups.is_empty() || options.groups.contains(&group);
    if wants(Group::Plugin) {
        guests::build(&[])?;
        example("plugin_bench", &["3"])?;
        example("swap_bench", &["target/guests/counting-handover.wasm", "500"])?;
    }
    if wants(Group::Channel) {
        example("channel_bench", &[])?;
        example("backlog_bench", &["target", "1000", "1", &options.backlog.to_string()])?;
    }
    if wants(Group::Sink) {
        example("sink_bench", &[])?;
    }
    if wants(Group::Hdfs) {
        example("hdfs_bench", &[])?;
    }
    if wants(Group::Kafka) {
        example("kafka_bench", &[])?;
    }
    if wants(Group::Path) || wants(Group::Idle) || wants(Group::Flume) {
        let bench = Bench { binary: chores::build_agent()?, work: guests::root().join("target/bench") };
        if wants(Group::Idle) {
            agent::idle(&bench)?;
        }
        if wants(Group::Path) {
            paths::tail(&bench, options.log_mib)?;
        }
        if wants(Group::Flume) {
            flume::compare(&bench)?;
        }
    }
    Ok(())
}

/// The binary and a folder to work in.
struct Bench {
    binary: PathBuf,
    work: PathBuf,
}

/// Builds an example as part of the whole workspace, so that nothing is compiled twice for other features, and
/// runs it.
fn example(name: &str, arguments: &[&str]) -> Result<()> {
    let mut build = chores::cargo();
    build.args(["build", "--release", "--workspace", "--example", name]);
    chores::run(build)?;
    let binary = chores::agent_path()?.with_file_name("examples").join(name);
    let mut command = Command::new(binary);
    command.args(arguments).current_dir(guests::root());
    chores::run(command)
}

/// One line of the table. `met`: ratio against budget.
fn row(name: &str, ours: &str, reference: &str, ratio: f64, budget: f64, more_is_better: bool) {
    let met = if more_is_better { ratio >= budget } else { ratio <= budget };
    let sign = if more_is_better { ">=" } else { "<=" };
    println!(
        "{name:<44} {ours:>16} {reference:>22} {ratio:>8.2} {sign} {budget:<6} {}",
        if met { "ok" } else { "MISSED" }
    );
}
