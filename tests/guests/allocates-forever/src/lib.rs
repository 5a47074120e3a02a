//! Allocates without end on a body that is exactly `poison`, keeps everything else.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct AllocatesForever {
    hoard: Vec<Vec<u8>>,
}

impl Interceptor for AllocatesForever {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { hoard: Vec::new() })
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        if batch.bodies().iter().any(|body| body == b"poison") {
            loop {
                self.hoard.push(vec![1; 1 << 20]);
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(AllocatesForever);
