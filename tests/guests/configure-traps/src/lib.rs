//! Panics in `configure`.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct ConfigureTraps;

impl Interceptor for ConfigureTraps {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        panic!("configure was asked to panic")
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        Ok(())
    }
}

millrace_plugin::export!(ConfigureTraps);
