//! Names rows again and again, as the interface allows: every row gets the headers `a` and `b` twice, `c` by rows and then
//! on all, `d` set and removed, and three bodies, of which the last is `last`. The last edit of each counts.

use millrace_plugin::bindings::millrace::plugin::types::{
    BodyEdits, Edit, HeaderEdit, HeaderRemoval, Packed,
};
use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, NoConfig};

struct DuplicateEdits;

impl Interceptor for DuplicateEdits {
    type Config = NoConfig;

    fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self)
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let rows: Vec<u32> = (0..batch.count()).collect();
        let set = |name: &str, value: &str| {
            let values = Packed { bytes: value.into(), ends: vec![value.len() as u32] };
            Edit::SetHeader(HeaderEdit { name: name.into(), rows: rows.clone(), values })
        };
        edits.push(set("a", "first"));
        edits.push(set("b", "first"));
        edits.push(set("b", "last"));
        edits.push(set("a", "last"));
        edits.push(set("c", "first"));
        edits.push(Edit::SetHeaderOnAll(("c".into(), "last".into())));
        edits.push(set("d", "first"));
        edits.push(Edit::RemoveHeader(HeaderRemoval { name: "d".into(), rows: rows.clone() }));
        edits.push(Edit::RemoveHeader(HeaderRemoval { name: "d".into(), rows: rows.clone() }));
        for text in ["first", "", "last"] {
            let ends = (1..=batch.count()).map(|count| count * text.len() as u32).collect();
            let bodies = Packed { bytes: text.repeat(rows.len()).into(), ends };
            edits.push(Edit::SetBodies(BodyEdits { rows: rows.clone(), bodies }));
        }
        Ok(())
    }
}

millrace_plugin::export!(DuplicateEdits);
