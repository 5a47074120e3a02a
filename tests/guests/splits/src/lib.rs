//! Puts the lines of a body in the place of its event. Each keeps the headers of the event and gets the header
//! `line`, which counts from 1. A body of one line stays as it is.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct Splits;

impl Interceptor for Splits {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let (bodies, headers) = batch.everything();
        for (row, body) in bodies.rows() {
            if !body.contains(&b'\n') {
                continue;
            }
            edits.split(row, |events| {
                for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
                    let own = headers.row(row).filter(|(name, _)| *name != "line");
                    events.push(line).headers(own).header("line", &(index + 1).to_string());
                }
            });
        }
        Ok(())
    }
}

millrace_plugin::export!(Splits);
