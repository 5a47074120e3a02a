//! Events that come back by value, in place of rows.

use bytestring::ByteString;
use millrace_core::{Event, Headers};

use super::{
    EditError, SPLIT_EVENTS_MAX,
    check::{expect_count, header_name, slices, text},
};
use crate::{bindings::PackedEvents, host::escaped};

/// Where in the answer the events stand.
pub(super) struct SplitBounds {
    pub(super) edit: usize,
    /// Events out of earlier splits of the same answer.
    pub(super) events_before: usize,
}

/// Decodes and checks the events; `counts` says how many belong to each row.
pub(super) fn events(
    bounds: &SplitBounds,
    counts: &[u32],
    packed: PackedEvents,
) -> Result<Vec<Event>, EditError> {
    let edit = bounds.edit;
    let count: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    if count + bounds.events_before as u64 > SPLIT_EVENTS_MAX as u64 {
        return Err(EditError::TooManyEvents { edit });
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    expect_count(edit, "bodies", packed.bodies.ends.len(), count)?;
    let table = packed.headers;
    expect_count(edit, "header counts", table.counts.len(), count)?;
    let headers: u64 = table.counts.iter().map(|count| u64::from(*count)).sum();
    let headers = usize::try_from(headers).unwrap_or(usize::MAX);
    expect_count(edit, "header names", table.name_ids.len(), headers)?;
    expect_count(edit, "header values", table.values.ends.len(), headers)?;
    let names: Vec<ByteString> =
        table.names.into_iter().map(|name| header_name(edit, name)).collect::<Result<_, _>>()?;
    let values = slices(edit, "header values", table.values)?;
    let bodies = slices(edit, "bodies", packed.bodies)?;
    // For each name the last event that had it, counted from 1: tells a repetition without searching.
    let mut seen = vec![0_usize; names.len()];
    let mut headers = table.name_ids.iter().zip(values.iter());
    let mut list = Vec::with_capacity(count);
    for (number, (header_count, body)) in table.counts.iter().zip(bodies.iter()).enumerate() {
        let mut own = Vec::with_capacity(*header_count as usize);
        for (&id, value) in headers.by_ref().take(*header_count as usize) {
            let found = names.get(id as usize).zip(seen.get_mut(id as usize));
            let (name, last) = found.ok_or(EditError::NameOutOfRange { edit, id, names: names.len() })?;
            if std::mem::replace(last, number + 1) == number + 1 {
                return Err(EditError::HeaderTwice { edit, name: escaped(name, 256) });
            }
            own.push((name.clone(), text(edit, name, value)?));
        }
        list.push(Event::with_headers(Headers::from_iter(own), body));
    }
    // Names that the guest wrote twice would slip through the check above.
    distinct(edit, &names)?;
    Ok(list)
}

fn distinct(edit: usize, names: &[ByteString]) -> Result<(), EditError> {
    let mut known = std::collections::HashSet::with_capacity(names.len());
    match names.iter().find(|name| !known.insert(&***name)) {
        Some(name) => Err(EditError::HeaderTwice { edit, name: escaped(name, 256) }),
        None => Ok(()),
    }
}
