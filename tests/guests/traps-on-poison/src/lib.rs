//! Panics on a body that contains `poison`, keeps everything else.

use millrace_plugin::{Batch, Edits, Failure, Finder, Instance, Interceptor, Issue, NoConfig};

struct TrapsOnPoison {
    poison: Finder,
}

impl Interceptor for TrapsOnPoison {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { poison: Finder::new("poison") })
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            assert!(self.poison.find(body).is_none(), "row {row} is poison");
        }
        Ok(())
    }
}

millrace_plugin::export!(TrapsOnPoison);
