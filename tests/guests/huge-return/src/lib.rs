//! Returns far too much: `edits` edits that each set a header on the first row, and a body of `body-bytes` bytes for it.

use millrace_plugin::bindings::millrace::plugin::types::{Edit, HeaderEdit, Packed};
use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default)]
    edits: u32,
    #[serde(default)]
    body_bytes: usize,
}

struct HugeReturn {
    config: Config,
}

impl Interceptor for HugeReturn {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { config })
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        if self.config.body_bytes > 0 {
            edits.set_body(0, &vec![b'x'; self.config.body_bytes]);
        }
        for _ in 0..self.config.edits {
            let values = Packed { bytes: vec![b'v'], ends: vec![1] };
            edits.push(Edit::SetHeader(HeaderEdit { name: "h".into(), rows: vec![0], values }));
        }
        Ok(())
    }
}

millrace_plugin::export!(HugeReturn);
