//! A sink that posts every batch to `url`, a line for each body, but for the bodies it refuses: those that contain `bad`
//! by `reject`, and those that contain `later` by `retry`, as long as their delivery is one of the first `retries`.

use millrace_plugin::{Batch, Delivery, Failure, Finder, Instance, Issue, Outcome, Sink, http};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    url: String,
    #[serde(default = "one")]
    retries: u32,
}

struct SinkPartial {
    config: Config,
    bad: Finder,
    later: Finder,
    /// How many deliveries had something to retry.
    retried: u32,
}

impl Sink for SinkPartial {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, bad: Finder::new("bad"), later: Finder::new("later"), retried: 0 })
    }

    fn deliver(&mut self, batch: &Batch, _: &Delivery) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::delivered();
        let mut text = Vec::new();
        let mut retries = false;
        for (row, body) in batch.bodies().rows() {
            if self.bad.find(body).is_some() {
                outcome.reject(row, "it is bad");
            } else if self.retried < self.config.retries && self.later.find(body).is_some() {
                outcome.retry(row, None);
                retries = true;
            } else {
                text.extend_from_slice(body);
                text.push(b'\n');
            }
        }
        if !text.is_empty() {
            http::Request::post(&self.config.url, text).send()?.success()?;
        }
        self.retried += u32::from(retries);
        Ok(outcome)
    }
}

millrace_plugin::export!(SinkPartial as sink);

fn one() -> u32 {
    1
}
