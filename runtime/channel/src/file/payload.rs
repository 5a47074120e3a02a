//! What frames carry: committed puts, taken rows, positions (FORMAT.md sections 4 to 6).
//!
//! Events are appended straight to the write buffer, and read back as slices of one read buffer. Neighbours
//! that share a header list share it on disk too.

use bytes::Bytes;
use bytestring::ByteString;
use millrace_core::{Batch, Event, Headers, PositionUpdate};
use millrace_storage::{ByteReader, Truncated};

/// A put's payload begins with this many bytes of numbers.
pub(super) const PUT_HEAD_BYTES: usize = 32;

/// Why a payload with a good checksum cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PayloadError {
    /// It is too short for what it says it holds.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// A header is not UTF-8.
    #[error("a header is not UTF-8")]
    NotText,
    /// An event refers to a header list that is not there.
    #[error("event {row} refers to header list {list}")]
    NoList {
        /// The event.
        row: usize,
        /// The list, from 1.
        list: u32,
    },
}

/// The numbers at the front of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PutHead {
    /// When it was committed, in milliseconds since 1970.
    pub at: u64,
    /// The size of all events, as [`Event::size`] counts it.
    pub size: u64,
    pub events: u32,
    lists: u32,
    updates: u32,
}

/// Rows of one put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    /// The sequence of the put's frame.
    pub sequence: u64,
    pub start: u32,
    /// The row after the last.
    pub end: u32,
}

fn number(count: usize, into: &mut Vec<u8>) {
    // All lengths are below the largest payload, which the put was checked against.
    into.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn sized(bytes: &[u8], into: &mut Vec<u8>) {
    number(bytes.len(), into);
    into.extend_from_slice(bytes);
}

/// Numbers the header list of each event: 0 is none, and a list shared with the event before keeps its number.
struct Lists<'a> {
    last: Option<&'a Headers>,
    count: usize,
}

impl<'a> Lists<'a> {
    fn new() -> Self {
        Self { last: None, count: 0 }
    }

    /// The number, and whether it is new.
    fn next(&mut self, headers: &'a Headers) -> (usize, bool) {
        if headers.is_empty() {
            return (0, false);
        }
        let known = self.last.is_some_and(|last| last.is_same_list(headers));
        if !known {
            self.count += 1;
            self.last = Some(headers);
        }
        (self.count, !known)
    }
}

/// Upper bound of a put's payload; None when it exceeds any frame.
pub(super) fn put_bytes_max(batch: &Batch, updates: &[PositionUpdate]) -> Option<usize> {
    let pairs: usize = batch.iter().map(|event| 4 + 8 * event.headers.len()).sum();
    let updates: usize = updates
        .iter()
        .map(|update| {
            let changes = update.changes.iter();
            let changed: usize =
                changes.map(|(key, value)| 9 + key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
            8 + update.source.len() + changed
        })
        .sum();
    let whole = PUT_HEAD_BYTES + batch.size() + 8 * batch.len() + pairs + updates;
    (whole <= super::frame::PUT_BYTES_MAX).then_some(whole)
}

/// Appends the payload of a put.
pub(super) fn encode_put(at: u64, batch: &Batch, updates: &[PositionUpdate], into: &mut Vec<u8>) {
    into.reserve(PUT_HEAD_BYTES + batch.size() + 8 * batch.len());
    let mut lists = Lists::new();
    for event in batch {
        lists.next(&event.headers);
    }
    into.extend_from_slice(&at.to_le_bytes());
    into.extend_from_slice(&(batch.size() as u64).to_le_bytes());
    number(batch.len(), into);
    number(lists.count, into);
    number(updates.len(), into);
    number(0, into);
    updates.iter().for_each(|update| encode_update(update, into));
    let mut lists = Lists::new();
    for event in batch {
        if let (_, true) = lists.next(&event.headers) {
            encode_headers(&event.headers, into);
        }
    }
    let mut lists = Lists::new();
    for event in batch {
        let (list, _) = lists.next(&event.headers);
        number(list, into);
        number(event.body.len(), into);
    }
    for event in batch {
        into.extend_from_slice(&event.body);
    }
}

fn encode_update(update: &PositionUpdate, into: &mut Vec<u8>) {
    sized(update.source.as_bytes(), into);
    number(update.changes.len(), into);
    for (key, value) in &update.changes {
        sized(key, into);
        into.push(u8::from(value.is_some()));
        if let Some(value) = value {
            sized(value, into);
        }
    }
}

fn encode_headers(headers: &Headers, into: &mut Vec<u8>) {
    number(headers.len(), into);
    for (name, value) in headers {
        sized(name.as_bytes(), into);
        sized(value.as_bytes(), into);
    }
}

/// Reads the numbers at the front of a put.
pub(super) fn put_head(payload: &[u8]) -> Result<PutHead, Truncated> {
    let mut reader = ByteReader::new(payload);
    let head = PutHead {
        at: reader.u64()?,
        size: reader.u64()?,
        events: reader.u32()?,
        lists: reader.u32()?,
        updates: reader.u32()?,
    };
    reader.u32()?;
    Ok(head)
}

/// Reads the positions that a put carries.
pub(super) fn put_updates(payload: &[u8]) -> Result<Vec<PositionUpdate>, PayloadError> {
    let head = put_head(payload)?;
    let mut reader = ByteReader::new(payload);
    reader.take(PUT_HEAD_BYTES)?;
    updates(&head, &mut reader)
}

fn updates(head: &PutHead, reader: &mut ByteReader<'_>) -> Result<Vec<PositionUpdate>, PayloadError> {
    let mut updates = Vec::new();
    for _ in 0..head.updates {
        let source = std::str::from_utf8(reader.sized()?).map_err(|_| PayloadError::NotText)?;
        let mut changes = Vec::new();
        for _ in 0..reader.count(5)? {
            let key = Bytes::copy_from_slice(reader.sized()?);
            let value = match reader.u8()? {
                0 => None,
                _ => Some(Bytes::copy_from_slice(reader.sized()?)),
            };
            changes.push((key, value));
        }
        updates.push(PositionUpdate { source: source.into(), changes });
    }
    Ok(updates)
}

/// Reads the events of a put; headers and bodies are slices of `payload`.
pub(super) fn decode_events(payload: &Bytes) -> Result<Vec<Event>, PayloadError> {
    let head = put_head(payload)?;
    let mut reader = ByteReader::new(payload);
    reader.take(PUT_HEAD_BYTES)?;
    updates(&head, &mut reader)?;
    let mut lists = Vec::new();
    for _ in 0..head.lists {
        lists.push(decode_headers(payload, &mut reader)?);
    }
    let rows = head.events as usize;
    let mut table = ByteReader::new(reader.take(rows.saturating_mul(8))?);
    let mut events = Vec::with_capacity(rows);
    for row in 0..rows {
        let list = table.u32()?;
        let headers = match list.checked_sub(1) {
            None => Headers::default(),
            Some(index) => lists.get(index as usize).ok_or(PayloadError::NoList { row, list })?.clone(),
        };
        let body = payload.slice_ref(reader.take(table.u32()? as usize)?);
        events.push(Event { headers, body });
    }
    Ok(events)
}

fn decode_headers(payload: &Bytes, reader: &mut ByteReader<'_>) -> Result<Headers, PayloadError> {
    let count = reader.count(8)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let name = text(payload, reader)?;
        entries.push((name, text(payload, reader)?));
    }
    Ok(entries.into_iter().collect())
}

fn text(payload: &Bytes, reader: &mut ByteReader<'_>) -> Result<ByteString, PayloadError> {
    let bytes = payload.slice_ref(reader.sized()?);
    ByteString::try_from(bytes).map_err(|_| PayloadError::NotText)
}

/// Appends the payload of a take.
pub(super) fn encode_runs(runs: &[Run], into: &mut Vec<u8>) {
    number(runs.len(), into);
    for run in runs {
        into.extend_from_slice(&run.sequence.to_le_bytes());
        into.extend_from_slice(&run.start.to_le_bytes());
        into.extend_from_slice(&run.end.to_le_bytes());
    }
}

/// Reads the payload of a take.
pub(super) fn decode_runs(payload: &[u8]) -> Result<Vec<Run>, Truncated> {
    let mut reader = ByteReader::new(payload);
    let count = reader.count(16)?;
    (0..count)
        .map(|_| Ok(Run { sequence: reader.u64()?, start: reader.u32()?, end: reader.u32()? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use millrace_core::{Batch, Event, Headers, PositionUpdate};
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::{decode_events, decode_runs, encode_put, put_bytes_max, put_head, put_updates};

    fn encode(batch: &Batch, updates: &[PositionUpdate]) -> Bytes {
        let mut payload = Vec::new();
        encode_put(9, batch, updates, &mut payload);
        assert!(payload.len() <= put_bytes_max(batch, updates).unwrap());
        payload.into()
    }

    #[test]
    fn neighbours_share_their_header_list_on_disk_and_after_reading() {
        let shared: Headers = [("host".into(), "a".repeat(100).into())].into_iter().collect();
        let events = (0..100).map(|_| Event::with_headers(shared.clone(), "x")).collect();
        let payload = encode(&Batch::new(events), &[]);
        assert_eq!(payload.len(), 32 + 4 + 8 + 104 + 100 * 9);
        let events = decode_events(&payload).unwrap();
        assert!(events.iter().all(|event| event.headers.is_same_list(&events[0].headers)));
        assert!(payload.as_ptr_range().contains(&events[99].body.as_ptr()));
    }

    #[test]
    fn every_cut_is_an_error_and_never_a_panic() {
        let event = Event::with_headers([("a".into(), "b".into())].into_iter().collect(), "body");
        let update = PositionUpdate { source: "s".into(), changes: vec![("k".into(), None)] };
        let payload = encode(&Batch::new(vec![event.clone(), event]), &[update]);
        for end in 0..payload.len() {
            assert!(decode_events(&payload.slice(..end)).is_err(), "{end}");
        }
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let pairs = proptest::collection::btree_map(".{0,8}", ".{0,8}", 0..4);
        let event = (pairs, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(|(pairs, body)| {
            let headers = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            Event::with_headers(headers, body)
        });
        proptest::collection::vec(event, 0..20)
    }

    fn updates() -> impl Strategy<Value = Vec<PositionUpdate>> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from);
        let changes = proptest::collection::vec((bytes(), proptest::option::of(bytes())), 0..4);
        let update = (".{0,5}", changes)
            .prop_map(|(source, changes)| PositionUpdate { source: source.into(), changes });
        proptest::collection::vec(update, 0..4)
    }

    proptest! {
        #[test]
        fn what_was_put_is_read_back(events in events(), updates in updates()) {
            let batch = Batch::new(events.clone());
            let payload = encode(&batch, &updates);
            let head = put_head(&payload).unwrap();
            prop_assert_eq!((head.at, head.size, head.events), (9, batch.size() as u64, events.len() as u32));
            prop_assert_eq!(put_updates(&payload).unwrap(), updates);
            prop_assert_eq!(decode_events(&payload).unwrap(), events);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _either = decode_events(&bytes.clone().into());
            let _either = decode_runs(&bytes);
        }
    }
}
