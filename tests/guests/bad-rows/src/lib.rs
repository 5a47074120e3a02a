//! Names rows as the interface forbids. `kind` is `out-of-range`, `descending`, `duplicate`, `gone` (dropped, then
//! named again), `split` (counts that do not add up), `values` (more values than rows) or `ends` (a packed list
//! whose ends lie).

use millrace_plugin::bindings::millrace::plugin::types::{
    BodyEdits, Edit, HeaderEdit, HeaderTable, LabelledRows, Packed, PackedEvents, Splits,
};
use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    kind: Kind,
}

struct BadRows {
    kind: Kind,
}

impl Interceptor for BadRows {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { kind: config.kind })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        let last = batch.count() - 1;
        let drop = |rows: Vec<u32>| Edit::Drop(rows);
        match self.kind {
            Kind::OutOfRange => edits.push(drop(vec![last + 1])),
            Kind::Descending => edits.push(drop(vec![last, 0])),
            Kind::Duplicate => edits.push(drop(vec![0, 0])),
            Kind::Gone => {
                edits.push(drop(vec![0]));
                edits.push(Edit::Route(LabelledRows { label: "gone".into(), rows: vec![0] }));
            }
            Kind::Split => {
                let headers = HeaderTable {
                    names: vec![],
                    counts: vec![0, 0],
                    name_ids: vec![],
                    values: packed(b"", &[]),
                };
                let events = PackedEvents { headers, bodies: packed(b"ab", &[1, 2]) };
                edits.push(Edit::Split(Splits { rows: vec![0], counts: vec![3], events }));
            }
            Kind::Values => {
                let values = packed(b"abc", &[1, 2, 3]);
                edits.push(Edit::SetHeader(HeaderEdit { name: "k".into(), rows: vec![0], values }));
            }
            Kind::Ends => {
                let bodies = packed(b"ab", &[7]);
                edits.push(Edit::SetBodies(BodyEdits { rows: vec![0], bodies }));
            }
        }
        Ok(())
    }
}

millrace_plugin::export!(BadRows);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    OutOfRange,
    Descending,
    Duplicate,
    Gone,
    Split,
    Values,
    Ends,
}

fn packed(bytes: &[u8], ends: &[u32]) -> Packed {
    Packed { bytes: bytes.to_vec(), ends: ends.to_vec() }
}
