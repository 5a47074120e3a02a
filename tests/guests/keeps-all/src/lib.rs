//! Keeps every event and reads nothing: the fixed cost of a call.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct KeepsAll;

impl Interceptor for KeepsAll {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        Ok(())
    }
}

millrace_plugin::export!(KeepsAll);
