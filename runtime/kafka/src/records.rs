//! The records of one batch, and what becomes of them: events all at once.
//!
//! Their bytes are in one piece of memory, of which the events are slices.

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use millrace_components::flume_event::FlumeEventReader;
use millrace_core::{Batch, Destination, Event, Headers, Rejection};

use crate::{
    marks::Marks,
    record::{KEY, KEY_BASE64, PLACE, RecordRule, Row, Slice, UNREADABLE},
};

/// Where a record was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic: ByteString,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Place {
    pub(crate) fn is_of_same_partition(&self, other: &Self) -> bool {
        self.partition == other.partition && self.topic == other.topic
    }
}

/// An event and where it was.
pub(crate) struct Placed {
    pub(crate) event: Event,
    pub(crate) topic: ByteString,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// The records of one batch.
pub(crate) struct Records {
    rule: Arc<RecordRule>,
    memory: Bytes,
    rows: Vec<Row>,
    headers: Vec<(ByteString, Slice)>,
}

/// What making events needs again and again.
#[derive(Default)]
struct Tools {
    reader: FlumeEventReader,
    headers: Vec<(ByteString, ByteString)>,
    /// Numbers of partitions as text; the one needed last is the first.
    partitions: Vec<(i32, ByteString)>,
}

impl Records {
    pub(crate) fn new(
        rule: Arc<RecordRule>,
        memory: Bytes,
        rows: Vec<Row>,
        headers: Vec<(ByteString, Slice)>,
    ) -> Self {
        Self { rule, memory, rows, headers }
    }

    /// How far they reach.
    pub(crate) fn marks(&self) -> Marks {
        let mut marks = Marks::default();
        for row in &self.rows {
            marks.note(&row.topic, row.partition, row.offset + 1);
        }
        marks
    }

    /// Where each was.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.rows.iter().map(Row::place).collect()
    }

    /// The batch, and how many records were no events.
    pub(crate) fn into_batch(self) -> (Batch, u64) {
        let mut tools = Tools::default();
        let mut events = Vec::with_capacity(self.rows.len());
        let mut corrupt = Vec::new();
        for (number, row) in self.rows.iter().enumerate() {
            let (mut event, reason) = self.event(row, &mut tools);
            if self.rule.has_place {
                event.headers.set(ByteString::from_static(PLACE), number.to_string().into());
            }
            match reason {
                None => events.push(event),
                Some(reason) => corrupt.push((event, reason)),
            }
        }
        let count = corrupt.len() as u64;
        let mut batch = Batch::new(events);
        for (event, reason) in corrupt {
            let rejection = Rejection::new(self.rule.component.clone(), reason);
            batch.divert(event, Destination::DeadLetter(rejection));
        }
        (batch, count)
    }

    /// The events one by one, with their places. One that cannot be read is its bytes, with a header that says why.
    pub(crate) fn into_placed(self) -> Vec<Placed> {
        let mut tools = Tools::default();
        let placed = |row: &Row| {
            let (mut event, reason) = self.event(row, &mut tools);
            if let Some(reason) = reason {
                event.headers.set(ByteString::from_static(UNREADABLE), reason.into());
            }
            let Place { topic, partition, offset } = row.place();
            Placed { event, topic, partition, offset }
        };
        self.rows.iter().map(placed).collect()
    }

    /// A record as an event; what is none is a body, with the reason.
    fn event(&self, row: &Row, tools: &mut Tools) -> (Event, Option<String>) {
        let value = self.memory.slice(row.body.clone());
        let (event, reason) = if self.rule.is_flume_event {
            match tools.reader.read(value.clone()) {
                Ok(event) => (event, None),
                Err(error) => (Event::new(value), Some(error.to_string())),
            }
        } else {
            (Event::new(value), None)
        };
        (Event { headers: self.headers_of(event.headers, row, tools), body: event.body }, reason)
    }

    /// The headers of an event: its own, those of the record, and where it comes from. What is there already stays, but the
    /// key is always the record's.
    fn headers_of(&self, event: Headers, row: &Row, tools: &mut Tools) -> Headers {
        let own = self.headers.get(row.headers.clone()).unwrap_or_default();
        let adds_nothing = own.is_empty() && row.key.is_none() && !self.rule.has_position;
        if adds_nothing && self.rule.topic_header.is_none() {
            return event;
        }
        let slice = |slice: &Slice| self.memory.slice(slice.clone());
        let mut all = std::mem::take(&mut tools.headers);
        all.extend(event.iter().cloned());
        for (name, value) in own {
            add_if_absent(&mut all, name, || text(slice(value)));
        }
        if self.rule.has_position {
            if !row.timestamp.is_empty() {
                let name = ByteString::from_static("timestamp");
                add_if_absent(&mut all, &name, || text(slice(&row.timestamp)));
            }
            let name = ByteString::from_static("partition");
            add_if_absent(&mut all, &name, || tools.partition(row.partition));
            let name = ByteString::from_static("offset");
            add_if_absent(&mut all, &name, || text(slice(&row.offset_text)));
        }
        if let Some(name) = &self.rule.topic_header {
            add_if_absent(&mut all, name, || row.topic.clone());
        }
        if let Some(key) = &row.key {
            all.retain(|(name, _)| name != KEY && name != KEY_BASE64);
            let key = slice(key);
            all.push(match ByteString::try_from(key.clone()) {
                Ok(key) => (ByteString::from_static(KEY), key),
                Err(_) => (ByteString::from_static(KEY_BASE64), BASE64_STANDARD.encode(key).into()),
            });
        }
        let headers = all.drain(..).collect();
        tools.headers = all;
        headers
    }
}

impl Tools {
    fn partition(&mut self, number: i32) -> ByteString {
        match self.partitions.iter().position(|(known, _)| *known == number) {
            Some(place) => self.partitions.swap(0, place),
            None => {
                self.partitions.push((number, number.to_string().into()));
                let last = self.partitions.len() - 1;
                self.partitions.swap(0, last);
            }
        }
        self.partitions.first().map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

fn add_if_absent(
    entries: &mut Vec<(ByteString, ByteString)>,
    name: &ByteString,
    value: impl FnOnce() -> ByteString,
) {
    if !entries.iter().any(|(known, _)| known == name) {
        entries.push((name.clone(), value()));
    }
}

/// Bytes as text; what is no text is replaced.
fn text(bytes: Bytes) -> ByteString {
    // Looking twice at a few bytes costs less than another reference to their memory.
    match std::str::from_utf8(&bytes) {
        Ok(_) => ByteString::try_from(bytes).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Tools;

    #[test]
    fn numbers_of_partitions_are_remembered() {
        let mut tools = Tools::default();
        let texts: Vec<_> = [3, 4, 3, 5, 4].map(|number| tools.partition(number).to_string()).into();
        assert_eq!(texts, ["3", "4", "3", "5", "4"]);
    }
}
