//! Writes `keys` new keys of `bytes` bytes each per call, until one is refused, and says how that went in headers on all
//! events: `written`, and `outcome` (`ok`, `quota`, `too-large`, `denied` or `unavailable`). With `fail`, the call then
//! fails and asks to be tried again.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, state};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "default_keys")]
    keys: u64,
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    fail: bool,
}

struct StateFlood {
    config: Config,
    next: u64,
}

impl Interceptor for StateFlood {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config, next: 0 })
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let value = vec![b'x'; self.config.bytes];
        let mut written = 0;
        let mut outcome = "ok";
        while written < self.config.keys {
            if let Err(error) = state::set(&format!("flood/{}", self.next), &value) {
                outcome = name(&error);
                break;
            }
            self.next += 1;
            written += 1;
        }
        if self.config.fail {
            return Err(Failure::Retry(None));
        }
        edits.set_header_on_all("written", &written.to_string());
        edits.set_header_on_all("outcome", outcome);
        Ok(())
    }
}

millrace_plugin::export!(StateFlood);

fn name(error: &state::Error) -> &'static str {
    match error {
        state::Error::Quota => "quota",
        state::Error::TooLarge => "too-large",
        state::Error::Denied => "denied",
        state::Error::Unavailable(_) => "unavailable",
    }
}

fn default_keys() -> u64 {
    1_000_000
}
