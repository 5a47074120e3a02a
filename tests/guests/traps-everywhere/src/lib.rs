//! An interceptor with handover that panics in the call named by `in` (`configure`, `intercept`, `save`, `restore` or
//! `stop`), and otherwise sets the header `alive` on all events.

use millrace_plugin::{Batch, Edits, Failure, Handover, Instance, Interceptor, Issue, Snapshot};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    r#in: Option<Call>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Call {
    Configure,
    Intercept,
    Save,
    Restore,
    Stop,
}

struct TrapsEverywhere {
    trap: Option<Call>,
}

impl TrapsEverywhere {
    fn enter(&self, call: Call) {
        assert_ne!(self.trap, Some(call), "asked to panic in {call:?}");
    }
}

impl Interceptor for TrapsEverywhere {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        let plugin = Self { trap: config.r#in };
        plugin.enter(Call::Configure);
        Ok(plugin)
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        self.enter(Call::Intercept);
        edits.set_header_on_all("alive", "yes");
        Ok(())
    }

    fn stop(&mut self, _deadline_ms: u32) {
        self.enter(Call::Stop);
    }
}

impl Handover for TrapsEverywhere {
    fn save(&mut self) -> Result<Snapshot, String> {
        self.enter(Call::Save);
        Ok(Snapshot::new("nothing", 1, []))
    }

    fn restore(&mut self, _: Snapshot) -> Result<(), String> {
        self.enter(Call::Restore);
        Ok(())
    }
}

millrace_plugin::export!(TrapsEverywhere as interceptor + handover);
