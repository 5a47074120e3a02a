//! The rules that every answer must obey.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    ADDED_BYTES_MAX, Change, EditError, HEADER_NAME_BYTES_MAX, HEADER_VALUE_BYTES_MAX, REASON_BYTES_MAX, Rules,
    Slices, Values,
    split::{self, SplitBounds},
};
use crate::{
    bindings::{Edit, LabelledRows, Packed},
    host::escaped,
};

/// Checks the whole answer.
///
/// # Errors
/// The first rule that is broken.
pub(crate) fn check(edits: Vec<Edit>, rules: &Rules<'_>) -> Result<Vec<Change>, EditError> {
    let mut state = State { rules, gone: Vec::new(), added_bytes: 0, split_events: 0 };
    edits.into_iter().enumerate().map(|(at, edit)| state.change(at, edit)).collect()
}

struct State<'a> {
    rules: &'a Rules<'a>,
    /// Rows that may not be named again; empty until there is one.
    gone: Vec<bool>,
    added_bytes: usize,
    split_events: usize,
}

impl State<'_> {
    fn change(&mut self, edit: usize, from: Edit) -> Result<Change, EditError> {
        Ok(match from {
            Edit::Drop(rows) => {
                self.rows_end(edit, &rows)?;
                Change::Drop(rows)
            }
            Edit::SetBodies(bodies) => {
                self.rows(edit, &bodies.rows)?;
                expect_count(edit, "bodies", bodies.bodies.ends.len(), bodies.rows.len())?;
                self.add_bytes(edit, bodies.bodies.bytes.len())?;
                Change::SetBodies { rows: bodies.rows, bodies: slices(edit, "bodies", bodies.bodies)? }
            }
            Edit::SetHeader(header) => self.set_header(edit, header.name, header.rows, header.values)?,
            Edit::SetHeaderOnAll((name, value)) => {
                let name = header_name(edit, name)?;
                let value = ByteString::from(value);
                header_value(edit, &name, value.as_bytes())?;
                let rows = self.rules.batch.len() + self.split_events;
                self.add_bytes(edit, value.len().saturating_mul(rows))?;
                Change::SetHeaderOnAll { name, value }
            }
            Edit::RemoveHeader(removal) => {
                self.rows(edit, &removal.rows)?;
                Change::RemoveHeader { name: removal.name, rows: removal.rows }
            }
            Edit::RemoveHeaderOnAll(name) => Change::RemoveHeaderOnAll(name),
            Edit::Split(splits) => {
                self.rows_end(edit, &splits.rows)?;
                expect_count(edit, "counts", splits.counts.len(), splits.rows.len())?;
                let bytes = splits.events.bodies.bytes.len() + splits.events.headers.values.bytes.len();
                self.add_bytes(edit, bytes)?;
                let bounds = SplitBounds { edit, events_before: self.split_events };
                let events = split::events(&bounds, &splits.counts, splits.events)?;
                self.split_events += events.len();
                Change::Split { rows: splits.rows, counts: splits.counts, events }
            }
            Edit::Route(LabelledRows { label, rows }) => {
                self.rows(edit, &rows)?;
                let granted = self.rules.channels.iter().find(|channel| ***channel == *label);
                match granted {
                    Some(channel) => Change::Route { channel: channel.clone(), rows },
                    None => return Err(EditError::ChannelNotGranted { edit, channel: escaped(&label, 256) }),
                }
            }
            Edit::Reject(LabelledRows { label, rows }) => {
                self.rows_end(edit, &rows)?;
                Change::Reject { reason: escaped(&label, REASON_BYTES_MAX).into(), rows }
            }
        })
    }

    fn set_header(
        &mut self,
        edit: usize,
        name: String,
        rows: Vec<u32>,
        values: Packed,
    ) -> Result<Change, EditError> {
        self.rows(edit, &rows)?;
        let name = header_name(edit, name)?;
        let is_one = values.ends.len() == 1;
        if !is_one {
            expect_count(edit, "values", values.ends.len(), rows.len())?;
        }
        let copies = if is_one { rows.len() } else { 1 };
        self.add_bytes(edit, values.bytes.len().saturating_mul(copies))?;
        let mut checked = Vec::with_capacity(values.ends.len());
        for value in slices(edit, "values", values)?.iter() {
            checked.push(text(edit, &name, value)?);
        }
        let values = match checked.pop() {
            Some(value) if is_one => Values::One(value),
            last => {
                checked.extend(last);
                Values::Each(checked)
            }
        };
        Ok(Change::SetHeader { name, rows, values })
    }

    /// Rows ascend, exist, and are still there.
    fn rows(&self, edit: usize, rows: &[u32]) -> Result<(), EditError> {
        let count = self.rules.batch.len();
        let mut before = None;
        for &row in rows {
            if let Some(before) = before.filter(|before| row <= *before) {
                return Err(EditError::RowsNotAscending { edit, row, before });
            }
            before = Some(row);
        }
        // Ascending: only the last one can be out of range first.
        if let Some(&row) = rows.iter().find(|row| **row as usize >= count) {
            return Err(EditError::RowOutOfRange { edit, row, count });
        }
        if !self.gone.is_empty()
            && let Some(&row) = rows.iter().find(|row| self.gone.get(**row as usize) == Some(&true))
        {
            return Err(EditError::RowGone { edit, row });
        }
        Ok(())
    }

    /// As `rows`, and they are gone afterwards.
    fn rows_end(&mut self, edit: usize, rows: &[u32]) -> Result<(), EditError> {
        self.rows(edit, rows)?;
        if self.gone.is_empty() && !rows.is_empty() {
            self.gone = vec![false; self.rules.batch.len()];
        }
        for row in rows {
            if let Some(gone) = self.gone.get_mut(*row as usize) {
                *gone = true;
            }
        }
        Ok(())
    }

    fn add_bytes(&mut self, edit: usize, bytes: usize) -> Result<(), EditError> {
        self.added_bytes = self.added_bytes.saturating_add(bytes);
        if self.added_bytes <= ADDED_BYTES_MAX {
            return Ok(());
        }
        let bytes_max = ADDED_BYTES_MAX.saturating_add(self.rules.batch.size().saturating_mul(4));
        if self.added_bytes > bytes_max {
            return Err(EditError::TooManyBytes { edit, bytes: self.added_bytes, bytes_max });
        }
        Ok(())
    }
}

pub(super) fn expect_count(
    edit: usize,
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), EditError> {
    if found == expected { Ok(()) } else { Err(EditError::CountMismatch { edit, what, found, expected }) }
}

/// Ends never descend, and the last one is the length.
pub(super) fn slices(edit: usize, what: &'static str, packed: Packed) -> Result<Slices, EditError> {
    let bytes = packed.bytes.len();
    let ascend = packed.ends.is_sorted();
    if ascend && packed.ends.last().map_or(0, |last| *last as usize) == bytes {
        return Ok(Slices { bytes: packed.bytes, ends: packed.ends });
    }
    Err(EditError::BadEnds { edit, what, bytes })
}

pub(super) fn header_name(edit: usize, name: String) -> Result<ByteString, EditError> {
    if (1..=HEADER_NAME_BYTES_MAX).contains(&name.len()) {
        Ok(name.into())
    } else {
        Err(EditError::BadHeaderName { edit, bytes: name.len() })
    }
}

fn header_value(edit: usize, name: &str, value: &[u8]) -> Result<(), EditError> {
    if value.len() <= HEADER_VALUE_BYTES_MAX {
        return Ok(());
    }
    Err(EditError::HeaderValueTooLong { edit, name: escaped(name, 256), bytes: value.len() })
}

pub(super) fn text(edit: usize, name: &str, value: Bytes) -> Result<ByteString, EditError> {
    header_value(edit, name, &value)?;
    ByteString::try_from(value).map_err(|_| EditError::NotUtf8 { edit, name: escaped(name, 256) })
}
