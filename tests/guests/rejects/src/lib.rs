//! Sends events whose body starts with `!` to the dead-letter channel, with the reason `marked`.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct Rejects;

impl Interceptor for Rejects {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            if body.starts_with(b"!") {
                edits.reject(row, "marked");
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(Rejects);
