//! Sends events whose body starts with `!` to a channel (`channel`).

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    channel: String,
}

struct Routes {
    channel: String,
}

impl Interceptor for Routes {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { channel: config.channel })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            if body.starts_with(b"!") {
                edits.route(row, &self.channel);
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(Routes);
