//! Sets the header `row` on every event to its row number: one value for each row.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct SetsHeaderRows;

impl Interceptor for SetsHeaderRows {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for row in 0..batch.count() {
            edits.set_header(row, "row", &row.to_string());
        }
        Ok(())
    }
}

millrace_plugin::export!(SetsHeaderRows);
