//! Drops events whose header `level` is `debug`, asking for the header row by row.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct FiltersHeaderByRow;

impl Interceptor for FiltersHeaderByRow {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for row in 0..batch.count() {
            if batch.header(row, "level").as_deref() == Some("debug") {
                edits.drop(row);
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(FiltersHeaderByRow);
