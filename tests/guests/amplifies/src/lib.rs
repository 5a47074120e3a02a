//! Splits every event into `copies` copies of itself.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    copies: u32,
}

struct Amplifies {
    copies: u32,
}

impl Interceptor for Amplifies {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { copies: config.copies })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let (bodies, headers) = batch.everything();
        for (row, body) in bodies.rows() {
            edits.split(row, |events| {
                for _ in 0..self.copies {
                    events.push(body).headers(headers.row(row));
                }
            });
        }
        Ok(())
    }
}

millrace_plugin::export!(Amplifies);
