//! From a guest's answer to a changed batch: the whole list is checked before anything is applied.
//!
//! [`check`] turns edits, which may say anything, into changes that cannot be wrong any more; [`apply`] carries them
//! out and cannot fail. An event that no edit names is never copied.

mod apply;
mod check;
mod split;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Batch, Event};

use crate::bindings::PackedEvents;

pub(crate) use apply::{Row, apply, rows};
pub(crate) use check::check;

/// Events that the splits of one answer may produce.
pub(crate) const SPLIT_EVENTS_MAX: usize = 100_000;

/// Bytes that one answer may add to a batch, besides four times the size of the batch itself.
pub(crate) const ADDED_BYTES_MAX: usize = 64 << 20;

/// Longest header name.
pub(crate) const HEADER_NAME_BYTES_MAX: usize = 1024;

/// Longest header value.
pub(crate) const HEADER_VALUE_BYTES_MAX: usize = 65_535;

/// Longest reason of a rejection; the rest is cut.
pub(crate) const REASON_BYTES_MAX: usize = 1024;

/// Events that a guest returns by value, all of them, checked.
pub(crate) fn events_of(packed: PackedEvents) -> Result<Vec<Event>, String> {
    let count = u32::try_from(packed.bodies.ends.len()).unwrap_or(u32::MAX);
    let bounds = split::SplitBounds { edit: 0, events_before: 0 };
    let events = split::events(&bounds, &[count], packed);
    // There is no list of edits here that the place in it could mean.
    events.map_err(|error| error.to_string().replacen("edit 0: ", "", 1))
}

/// What edits are checked against.
pub(crate) struct Rules<'a> {
    /// The batch as it was lent.
    pub(crate) batch: &'a Batch,
    /// The channels that the operator granted.
    pub(crate) channels: &'a [ByteString],
}

/// A rule that an answer breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error("edit {edit}: row {row} is out of range, the batch has {count}")]
    RowOutOfRange { edit: usize, row: u32, count: usize },
    #[error("edit {edit}: row {row} comes after row {before}; rows must ascend")]
    RowsNotAscending { edit: usize, row: u32, before: u32 },
    #[error("edit {edit}: row {row} was dropped, split or rejected by an earlier edit")]
    RowGone { edit: usize, row: u32 },
    #[error("edit {edit}: {found} {what} for {expected} rows")]
    CountMismatch { edit: usize, what: &'static str, found: usize, expected: usize },
    #[error("edit {edit}: the ends of {what} do not ascend to the {bytes} bytes there are")]
    BadEnds { edit: usize, what: &'static str, bytes: usize },
    #[error("edit {edit}: a value of header {name:?} is not UTF-8")]
    NotUtf8 { edit: usize, name: String },
    #[error("edit {edit}: a header name of {bytes} bytes; 1 to {HEADER_NAME_BYTES_MAX} are allowed")]
    BadHeaderName { edit: usize, bytes: usize },
    #[error(
        "edit {edit}: a value of header {name:?} has {bytes} bytes, at most {HEADER_VALUE_BYTES_MAX} are allowed"
    )]
    HeaderValueTooLong { edit: usize, name: String, bytes: usize },
    #[error("edit {edit}: name {id} of a header is out of range, the table has {names}")]
    NameOutOfRange { edit: usize, id: u32, names: usize },
    #[error("edit {edit}: header {name:?} occurs twice in an event")]
    HeaderTwice { edit: usize, name: String },
    #[error(
        "edit {edit}: channel {channel:?} is not granted; the plugin needs `grant {{ channel {channel:?} }}`"
    )]
    ChannelNotGranted { edit: usize, channel: String },
    #[error("edit {edit}: more than {SPLIT_EVENTS_MAX} events out of splits")]
    TooManyEvents { edit: usize },
    #[error("edit {edit}: {bytes} bytes added, at most {bytes_max} are allowed for this batch")]
    TooManyBytes { edit: usize, bytes: usize, bytes_max: usize },
}

/// An edit that obeys every rule.
#[derive(Debug)]
pub(crate) enum Change {
    Drop(Vec<u32>),
    SetBodies { rows: Vec<u32>, bodies: Slices },
    SetHeader { name: ByteString, rows: Vec<u32>, values: Values },
    SetHeaderOnAll { name: ByteString, value: ByteString },
    RemoveHeader { name: String, rows: Vec<u32> },
    RemoveHeaderOnAll(String),
    Split { rows: Vec<u32>, counts: Vec<u32>, events: Vec<Event> },
    Route { channel: ByteString, rows: Vec<u32> },
    Reject { reason: ByteString, rows: Vec<u32> },
}

/// Values of a header for some rows.
#[derive(Debug)]
pub(crate) enum Values {
    /// All rows get this one.
    One(ByteString),
    /// One for each row.
    Each(Vec<ByteString>),
}

/// Byte strings that share one allocation, with ends that are known to be right.
#[derive(Debug)]
pub(crate) struct Slices {
    bytes: Bytes,
    ends: Vec<u32>,
}

impl Slices {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Bytes> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let slice = self.bytes.slice(start..*end as usize);
            start = *end as usize;
            slice
        })
    }
}
