//! Keeps every event and reads all bodies.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct ReadsBodies;

impl Interceptor for ReadsBodies {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        // The sum of the borders keeps the read from being left out.
        let bodies = batch.bodies();
        std::hint::black_box(bodies.bytes().len() + bodies.len());
        Ok(())
    }
}

millrace_plugin::export!(ReadsBodies);
