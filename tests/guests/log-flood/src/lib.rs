//! Writes `lines` log lines of `bytes` bytes per call, with characters that would upset a terminal.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "default_lines")]
    lines: u32,
    #[serde(default = "default_bytes")]
    bytes: usize,
}

struct LogFlood {
    lines: u32,
    bytes: usize,
}

impl Interceptor for LogFlood {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { lines: config.lines, bytes: config.bytes })
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        let text = "\u{1b}[31m\n".repeat(self.bytes / 6 + 1);
        for line in 0..self.lines {
            log::info!("{}", &text[..self.bytes]; "line" => line);
        }
        Ok(())
    }
}

millrace_plugin::export!(LogFlood);

fn default_lines() -> u32 {
    100_000
}

fn default_bytes() -> usize {
    80
}
