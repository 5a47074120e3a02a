//! Sets the header `seen` to `yes` on every event, by one edit on all.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct SetsHeader;

impl Interceptor for SetsHeader {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        edits.set_header_on_all("seen", "yes");
        Ok(())
    }
}

millrace_plugin::export!(SetsHeader);
