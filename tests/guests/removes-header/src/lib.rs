//! Removes the header `level`: from every event by one edit, or by rows (`rows #true`).

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    rows: bool,
}

struct RemovesHeader {
    by_rows: bool,
}

impl Interceptor for RemovesHeader {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { by_rows: config.rows })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        if self.by_rows {
            (0..batch.count()).for_each(|row| edits.remove_header(row, "level"));
        } else {
            edits.remove_header_on_all("level");
        }
        Ok(())
    }
}

millrace_plugin::export!(RemovesHeader);
