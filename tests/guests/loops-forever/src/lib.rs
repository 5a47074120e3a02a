//! Loops without end on a body that is exactly `poison`, keeps everything else.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct LoopsForever;

impl Interceptor for LoopsForever {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        if batch.bodies().iter().any(|body| body == b"poison") {
            let mut turns = 0_u64;
            loop {
                turns = std::hint::black_box(turns.wrapping_add(1));
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(LoopsForever);
