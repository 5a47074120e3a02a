//! Keeps every event and reads all bodies and headers in one call.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct ReadsEverything;

impl Interceptor for ReadsEverything {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        let (bodies, headers) = batch.everything();
        std::hint::black_box(bodies.len() + headers.len());
        Ok(())
    }
}

millrace_plugin::export!(ReadsEverything);
