//! Chores that are little more than a few commands in the right order.

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};

use crate::{docs, guests, prerequisites, tidy};

/// Installs what is missing, builds plugins and agent, runs all tests.
pub fn test(arguments: &[String]) -> Result<()> {
    let start = Instant::now();
    prerequisites::install()?;
    guests::build(&[])?;
    build_agent()?;
    test_sdk()?;
    let mut command = cargo();
    command.args(["test", "--release", "--workspace", "--no-fail-fast", "--"]).args(arguments);
    run(command)?;
    eprintln!("test: all passed in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Goes on with the tests of random plugins for a while.
pub fn fuzz(interface: Option<&str>, seconds: u64) -> Result<()> {
    let filter = interface.map_or_else(|| "random::".to_owned(), |name| format!("random::{name}::"));
    let mut command = cargo();
    command.args(["test", "--release", "--workspace", "--test", "guests", "--", "--nocapture", &filter]);
    command.env("MILLRACE_FUZZ_SECONDS", seconds.to_string());
    run(command)
}

/// The tests of the guest SDK and the examples run natively, each outside the workspace.
fn test_sdk() -> Result<()> {
    for manifest in guests::native_manifests()? {
        let mut command = cargo();
        command.args(["test", "--quiet", "--release", "--manifest-path"]).arg(&manifest);
        command.env("CARGO_TARGET_DIR", guests::root().join("target/guest-tests"));
        run(command)?;
    }
    guests::other_native_tests()?.into_iter().try_for_each(run)
}

/// Everything a change must pass.
pub fn ci() -> Result<()> {
    run(with(&["fmt", "--all", "--check"]))?;
    prerequisites::install_headers()?;
    run(with(&["clippy", "--release", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    tidy::tidy()?;
    docs::docs(true)?;
    test(&[])
}

/// Builds the `millrace` binary and returns its path.
pub fn build_agent() -> Result<PathBuf> {
    prerequisites::install_headers()?;
    run(with(&["build", "--release", "--workspace", "--bin", "millrace"]))?;
    agent_path()
}

/// Where cargo puts the binary: beside the one that runs now.
pub fn agent_path() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the running program")?;
    let folder = own.parent().context("the running program has no folder")?;
    Ok(folder.join("millrace"))
}

/// The cargo that runs this chore, at the root of the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(guests::root());
    command
}

fn with(arguments: &[&str]) -> Command {
    let mut command = cargo();
    command.args(arguments);
    command
}

/// Runs a command to its end; its failure is an error that shows it.
pub fn run(mut command: Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}
