//! Numbers all events that ever passed, in the header `n`, from 1 on, by a number in its state: exactly once each,
//! whatever crashes.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig, state};

struct CountingState;

impl Interceptor for CountingState {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let count = i64::from(batch.count());
        let before = state::increment("n", count)? - count;
        for row in 0..batch.count() {
            edits.set_header(row, "n", &(before + 1 + i64::from(row)).to_string());
        }
        Ok(())
    }
}

millrace_plugin::export!(CountingState);
