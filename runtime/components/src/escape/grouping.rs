//! Sorts the events of a batch by where they go.

use std::{collections::HashMap, ops::Range, sync::Arc, time::SystemTime};

use millrace_core::{Batch, Refusal};

use super::{Expander, Expansion};

/// The events of a batch that go to the same place.
#[derive(Debug)]
pub struct Group {
    /// What the templates say for them.
    pub place: Expansion,
    /// Their rows, ascending.
    pub runs: Vec<Range<usize>>,
}

/// Sorts the rows of a batch by place, places in order of appearance. Rows that can never be placed come back
/// with the reason.
pub fn group(expander: &mut Expander, batch: &Batch, now: SystemTime) -> (Vec<Group>, Vec<Refusal>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut refusals = Vec::new();
    let mut known: HashMap<Expansion, usize> = HashMap::new();
    let mut last: Option<usize> = None;
    for (row, event) in batch.iter().enumerate() {
        let place = match expander.expand(&event.headers, now) {
            Ok(place) => place,
            Err(error) => {
                refusals.push(Refusal { row, reason: error.to_string() });
                continue;
            }
        };
        let same =
            last.and_then(|index| groups.get(index)).is_some_and(|last| Arc::ptr_eq(&last.place, place));
        let index = match last {
            Some(index) if same => index,
            _ => *known.entry(Arc::clone(place)).or_insert_with(|| {
                groups.push(Group { place: Arc::clone(place), runs: Vec::new() });
                groups.len() - 1
            }),
        };
        last = Some(index);
        if let Some(group) = groups.get_mut(index) {
            match group.runs.last_mut() {
                Some(run) if run.end == row => run.end = row + 1,
                _ => group.runs.push(row..row + 1),
            }
        }
    }
    (groups, refusals)
}
