//! `millrace plugin bench`: what a plugin costs.

use std::time::Duration;

use anyhow::{Context, bail};
use millrace_author::bench::{self, BenchError};

use crate::{args::OutputFormat, exit::Answer, plugin_args::BenchOptions};

/// Lines of an input that are used.
const LINES_MAX: usize = 10_000;

#[expect(clippy::disallowed_methods, reason = "the user names the file of lines")]
pub(crate) fn bench(options: &BenchOptions) -> anyhow::Result<Answer> {
    if !options.seconds.is_finite() || !(0.0..=3600.0).contains(&options.seconds) {
        bail!("--seconds {}: 0 to 3600", options.seconds);
    }
    let lines = match &options.input {
        None => Vec::new(),
        Some(path) => {
            let content = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let lines: Vec<Vec<u8>> = content
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
                .take(LINES_MAX)
                .map(<[u8]>::to_vec)
                .collect();
            if lines.is_empty() {
                bail!("{} holds no lines", path.display());
            }
            lines
        }
    };
    let what = bench::BenchOptions {
        path: &options.file,
        around: super::config::around(&options.config, &options.file)?,
        lines,
        time: Duration::from_secs_f64(options.seconds),
    };
    // On a worker, as in an agent: the hand-over is part of the cost.
    let measured = super::runtime()?.block_on(bench::bench(&what));
    let measured = match measured {
        Ok(measured) => measured,
        Err(BenchError::Start(found)) => return super::no(&super::config::report(&found.0, &found.1)),
        Err(BenchError::Other(error)) => return super::no(&error),
    };
    match options.format {
        OutputFormat::Text => print!("{}", measured.to_text()),
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&measured.to_json())?),
    }
    Ok(Answer::Good)
}
