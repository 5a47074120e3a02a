//! Answers with a failure instead of edits: `kind` is `retry` (with `pause-ms`), `reject` or `fatal`; `times` says how
//! often, then it keeps everything. Only batches with a body that is exactly `fail` fail.

use std::time::Duration;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    kind: Kind,
    #[serde(default)]
    pause_ms: Option<u64>,
    #[serde(default = "forever")]
    times: u32,
}

struct Fails {
    kind: Kind,
    pause: Option<Duration>,
    left: u32,
}

impl Interceptor for Fails {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        let pause = config.pause_ms.map(Duration::from_millis);
        Ok(Self { kind: config.kind, pause, left: config.times })
    }

    fn intercept(&mut self, batch: &Batch, _: &mut Edits) -> Result<(), Failure> {
        let is_due = self.left > 0 && batch.bodies().iter().any(|body| body == b"fail");
        if !is_due {
            return Ok(());
        }
        self.left -= 1;
        Err(match self.kind {
            Kind::Retry => Failure::Retry(self.pause),
            Kind::Reject => Failure::Reject("asked to".into()),
            Kind::Fatal => Failure::Fatal("asked to".into()),
        })
    }
}

millrace_plugin::export!(Fails);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Retry,
    Reject,
    Fatal,
}

fn forever() -> u32 {
    u32::MAX
}
