//! A sink that keeps the id of every delivery in its state, under `delivered/ID`, and the number of events in
//! `events`. An id that is there already is rejected. The first `fails` attempts of each id write their id and then ask
//! to be tried again, so that what a failed call wrote shows if it was kept.

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink, state};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    fails: u32,
}

struct SinkStates {
    fails: u32,
}

impl Sink for SinkStates {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { fails: config.fails })
    }

    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
        let key = format!("delivered/{}", delivery.id);
        if let Some(attempt) = state::get(&key)? {
            let attempt = String::from_utf8_lossy(&attempt).into_owned();
            return Err(Failure::Reject(format!("{key} is there already, from attempt {attempt}")));
        }
        state::set(&key, delivery.attempt.to_string().as_bytes())?;
        state::increment("events", batch.count().into())?;
        if delivery.attempt <= self.fails {
            return Err(Failure::Retry(None));
        }
        Ok(Outcome::delivered())
    }
}

millrace_plugin::export!(SinkStates as sink);
