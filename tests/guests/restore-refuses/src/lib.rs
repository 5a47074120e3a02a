//! Keeps everything, and refuses whatever an older generation hands over, so a swap to it is rolled back. What it
//! saves itself has the schema `unknown`.

use millrace_plugin::{Batch, Edits, Failure, Handover, Instance, Interceptor, Issue, NoConfig, Snapshot};

struct RestoreRefuses;

impl Interceptor for RestoreRefuses {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        Ok(())
    }
}

impl Handover for RestoreRefuses {
    fn save(&mut self) -> Result<Snapshot, String> {
        Ok(Snapshot::new("unknown", 1, []))
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        Err(format!("`{}` version {} is not known here", snapshot.schema, snapshot.version))
    }
}

millrace_plugin::export!(RestoreRefuses as interceptor + handover);
