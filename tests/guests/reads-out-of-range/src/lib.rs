//! Asks for the body of a row that is not there.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct ReadsOutOfRange;

impl Interceptor for ReadsOutOfRange {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        std::hint::black_box(batch.body(batch.count()));
        Ok(())
    }
}

millrace_plugin::export!(ReadsOutOfRange);
