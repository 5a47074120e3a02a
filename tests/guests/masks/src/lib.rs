//! Overwrites every digit in every body and returns all bodies.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct Masks;

impl Interceptor for Masks {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let mut bodies = batch.bodies_owned();
        bodies.map_bytes(|byte| if byte.is_ascii_digit() { b'#' } else { byte });
        edits.set_all_bodies(bodies);
        Ok(())
    }
}

millrace_plugin::export!(Masks);
