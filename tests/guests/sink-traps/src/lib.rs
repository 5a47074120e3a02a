//! A sink that panics on a body that contains `poison`. What it takes it posts to `url`, a line for each body; without a
//! `url` it takes it and does nothing.

use millrace_plugin::{Batch, Delivery, Failure, Finder, Instance, Issue, Outcome, Sink, http};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    url: Option<String>,
}

struct SinkTraps {
    url: Option<String>,
    poison: Finder,
}

impl Sink for SinkTraps {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { url: config.url, poison: Finder::new("poison") })
    }

    fn deliver(&mut self, batch: &Batch, _: &Delivery) -> Result<Outcome, Failure> {
        let mut text = Vec::new();
        for (row, body) in batch.bodies().rows() {
            assert!(self.poison.find(body).is_none(), "row {row} is poison");
            text.extend_from_slice(body);
            text.push(b'\n');
        }
        if let Some(url) = &self.url {
            http::Request::post(url, text).send()?.success()?;
        }
        Ok(Outcome::delivered())
    }
}

millrace_plugin::export!(SinkTraps as sink);
