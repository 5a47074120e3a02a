//! Keeps everything, after `turns` turns of a loop per call. A pure interceptor has no clock: a million turns are
//! roughly a millisecond.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    turns: u64,
}

struct Slow {
    turns: u64,
}

impl Interceptor for Slow {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { turns: config.turns })
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        for turn in 0..self.turns {
            std::hint::black_box(turn);
        }
        Ok(())
    }
}

millrace_plugin::export!(Slow);
