//! Drops events whose header `level` is `debug`, by the column of that header.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct FiltersHeader;

impl Interceptor for FiltersHeader {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        edits.drop_rows(batch.header_column("level").rows_where(|level| level == Some("debug")));
        Ok(())
    }
}

millrace_plugin::export!(FiltersHeader);
