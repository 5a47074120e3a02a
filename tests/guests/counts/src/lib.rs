//! Numbers the events that this instance has seen, in the header `number`, and counts them in the metric `events`.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig, metrics};

struct Counts {
    seen: u64,
}

impl Interceptor for Counts {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { seen: 0 })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for row in 0..batch.count() {
            self.seen += 1;
            edits.set_header(row, "number", &self.seen.to_string());
        }
        metrics::counter_add("events", &[], batch.count().into());
        Ok(())
    }
}

millrace_plugin::export!(Counts);
