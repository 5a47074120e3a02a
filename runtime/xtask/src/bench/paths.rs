//! A log through the real binary, next to what the system's own tools take for the same bytes.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{Bench, agent::Measured, row};

/// A run that takes longer than this is stuck.
const PATIENCE: Duration = Duration::from_secs(300);

/// Tail to null through memory, and tail to rolled files through the file channel.
pub(super) fn tail(bench: &Bench, log_mib: u64) -> Result<()> {
    fs::create_dir_all(&bench.work)?;
    let log = bench.work.join("bench.log");
    let lines = write_log(&log, log_mib << 20)?;
    let bytes = log.metadata()?.len() as f64;
    let shown = |seconds: f64| format!("{:.0} MB/s", bytes / seconds / 1e6);

    let wc = best_of(3, || timed(Command::new("wc").arg("-l").arg(&log)))?;
    let ours = run(
        bench,
        "tail-null",
        &log,
        lines,
        "memory \"c\" { capacity 1_000_000; bytes \"256MiB\" }",
        "null \"out\" channel=\"c\"",
    )?;
    row(
        "tail -> memory -> null, 214 B lines",
        &shown(ours),
        &format!("wc -l {}", shown(wc)),
        wc / ours,
        0.2,
        true,
    );

    let copy = best_of(2, || {
        timed(Command::new("sh").arg("-c").arg(format!("cp {0} {0}.copy && sync {0}.copy", log.display())))
    })?;
    fs::remove_file(log.with_extension("log.copy"))?;
    let output = bench.work.join("rolled");
    let sink = format!(
        "file-roll \"out\" channel=\"c\" {{ directory {:?}; roll interval=\"1h\" }}",
        output.display().to_string()
    );
    let ours = run(bench, "tail-roll", &log, lines, "file \"c\"", &sink)?;
    row(
        "tail -> file -> file-roll, durable",
        &shown(ours),
        &format!("cp+sync {}", shown(copy)),
        copy / ours,
        0.3,
        true,
    );
    fs::remove_dir_all(&output)?;
    fs::remove_file(&log)?;
    Ok(())
}

/// JSON lines of 214 bytes, newline included; returns how many.
fn write_log(path: &Path, bytes: u64) -> Result<u64> {
    let lines = bytes / 214;
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path).context("cannot write the log")?);
    for line in 0..lines {
        let text = format!(
            "{{\"time\":\"2026-11-23T12:00:00.000Z\",\"level\":\"info\",\"sequence\":{line:012},\"text\":\""
        );
        writeln!(file, "{text}{:x<width$}\"}}", "", width = 211 - text.len())?;
    }
    file.flush()?;
    Ok(lines)
}

/// Seconds until the sink has delivered every line.
fn run(bench: &Bench, name: &str, log: &Path, lines: u64, channel: &str, sink: &str) -> Result<f64> {
    let text = format!(
        "channels {{ {channel} }}\nsources {{ taildir \"in\" channel=\"c\" {{ path {:?} }} }}\nsinks {{ {sink} }}\n",
        log.display().to_string()
    );
    let begun = Instant::now();
    let (agent, _) = Measured::start(bench, name, &text)?;
    let delivered = || agent.metric("millrace_sink_events_delivered_total{component=\"out\"}");
    while delivered()? < lines as f64 {
        if begun.elapsed() > PATIENCE {
            bail!("{name}: {} of {lines} lines after {} s", delivered()?, PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let seconds = begun.elapsed().as_secs_f64();
    agent.stop()?;
    Ok(seconds)
}

fn timed(command: &mut Command) -> Result<f64> {
    let begun = Instant::now();
    if !command.stdout(std::process::Stdio::null()).status()?.success() {
        bail!("{command:?} failed");
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn best_of(runs: usize, mut measure: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        best = best.min(measure()?);
    }
    Ok(best)
}
