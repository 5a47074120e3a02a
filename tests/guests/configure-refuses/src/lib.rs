//! Finds two mistakes in every configuration: one in `mask`, one in the whole.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default, rename = "mask")]
    _mask: String,
}

struct ConfigureRefuses;

impl Interceptor for ConfigureRefuses {
    type Config = Config;

    fn configure(_: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Err(vec![Issue::new("/mask", "expected one character"), Issue::new("", "nothing is ever right")])
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        Ok(())
    }
}

millrace_plugin::export!(ConfigureRefuses);
