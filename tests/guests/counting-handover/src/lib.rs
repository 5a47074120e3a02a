//! Numbers the events that it and the generations before it have seen, in the header `n`, from 1 on, by a number in
//! memory that each generation hands to the next. The option `label`, if there is one, becomes the header
//! `label`, to tell generations apart.

use millrace_plugin::{Batch, Edits, Failure, Handover, Instance, Interceptor, Issue, Snapshot};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    label: Option<String>,
}

struct CountingHandover {
    label: Option<String>,
    seen: u64,
}

impl Interceptor for CountingHandover {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { label: config.label, seen: 0 })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for row in 0..batch.count() {
            self.seen += 1;
            edits.set_header(row, "n", &self.seen.to_string());
        }
        if let Some(label) = &self.label {
            edits.set_header_on_all("label", label);
        }
        Ok(())
    }
}

impl Handover for CountingHandover {
    fn save(&mut self) -> Result<Snapshot, String> {
        Ok(Snapshot::new("count", 1, self.seen.to_le_bytes()))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        let bytes = snapshot.expect("count", 1)?;
        let bytes = bytes.as_slice().try_into().map_err(|_| "a count has 8 bytes".to_owned())?;
        self.seen = u64::from_le_bytes(bytes);
        Ok(())
    }
}

millrace_plugin::export!(CountingHandover as interceptor + handover);
