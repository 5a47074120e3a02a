//! Calls itself without end on a body that is exactly `poison`, keeps everything else.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct RecursesForever;

impl Interceptor for RecursesForever {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        if batch.bodies().iter().any(|body| body == b"poison") {
            std::hint::black_box(deeper(1));
        }
        Ok(())
    }
}

millrace_plugin::export!(RecursesForever);

// Using the result behind the call keeps it from becoming a loop.
#[expect(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth) + 1)) + depth
}
