//! A sink that posts every batch to `url`: a line with the id, the attempt and the count, then a line for each body.
//! Statuses and errors are those of the SDK: 2xx is delivered, 429 and 5xx come again, other ones are rejected.

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink, http};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    url: String,
    #[serde(default)]
    secret: Option<String>,
}

struct CollectsSink {
    config: Config,
}

impl Sink for CollectsSink {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config })
    }

    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        let mut text = format!("{} {} {}\n", delivery.id, delivery.attempt, batch.count()).into_bytes();
        for body in batch.bodies() {
            text.extend_from_slice(body);
            text.push(b'\n');
        }
        let mut request = http::Request::post(&self.config.url, text);
        if let Some(secret) = &self.config.secret {
            request = request.secret(secret);
        }
        request.send()?.success()?;
        Ok(Outcome::delivered())
    }
}

millrace_plugin::export!(CollectsSink as sink);
