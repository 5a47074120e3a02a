//! Drops events whose body contains a needle (`needle`, 11 bytes by default).

use millrace_plugin::{Batch, Edits, Failure, Finder, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "default_needle")]
    needle: String,
}

struct Searches {
    needle: Finder,
}

impl Interceptor for Searches {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { needle: Finder::new(config.needle) })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        edits.drop_rows(self.needle.rows(batch.bodies()));
        Ok(())
    }
}

millrace_plugin::export!(Searches);

fn default_needle() -> String {
    "needle-here".to_owned()
}
