//! A sink that takes everything and does nothing, but for a batch with a body that is exactly `poison`. `kind` is what it
//! does with that: `loops` (deliver does not come back), `allocates`, `recurses`, `out-of-range` (refuses a row that is not
//! there), `rejects` (the whole batch), `gives-up` (fails for good) or `later` (asks for a pause). With `stop` it panics
//! while it is stopped, whatever it was given.

use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, Outcome, Sink};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    kind: Kind,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Loops,
    Allocates,
    Recurses,
    OutOfRange,
    Rejects,
    GivesUp,
    Later,
    Stop,
}

struct SinkBreaks {
    kind: Kind,
}

impl Sink for SinkBreaks {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { kind: config.kind })
    }

    fn deliver(&mut self, batch: &Batch, _: &Delivery) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::delivered();
        if batch.bodies().iter().any(|body| body == b"poison") {
            match self.kind {
                Kind::Loops => spin(),
                Kind::Allocates => hoard(),
                Kind::Recurses => drop(std::hint::black_box(deeper(1))),
                Kind::OutOfRange => outcome.reject(batch.count(), "this row does not exist"),
                Kind::Rejects => return Err(Failure::Reject("asked to reject".into())),
                Kind::GivesUp => return Err(Failure::Fatal("asked to give up".into())),
                Kind::Later => return Err(Failure::Retry(None)),
                Kind::Stop => {}
            }
        }
        Ok(outcome)
    }

    fn stop(&mut self, _: u32) {
        assert!(self.kind != Kind::Stop, "asked to panic in stop");
    }
}

millrace_plugin::export!(SinkBreaks as sink);

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hoard() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&hoard);
    }
}

// Using the result behind the call keeps it from becoming a loop.
#[expect(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box(deeper(std::hint::black_box(depth) + 1)) + depth
}
