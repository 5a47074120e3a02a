//! Sets a header to a value that is not UTF-8.

use millrace_plugin::bindings::millrace::plugin::types::{Edit, HeaderEdit, Packed};
use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct BadUtf8;

impl Interceptor for BadUtf8 {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, _: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let values = Packed { bytes: vec![b'a', 0xff, 0xfe], ends: vec![3] };
        edits.push(Edit::SetHeader(HeaderEdit { name: "k".into(), rows: vec![0], values }));
        Ok(())
    }
}

millrace_plugin::export!(BadUtf8);
