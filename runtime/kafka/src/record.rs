//! Records of Kafka as events: a batch is filled from records one by one, and becomes events all at once.
//!
//! All bytes of a batch (bodies, keys, headers, numbers as text) are copied once into one piece of memory; the events are
//! slices of it. What repeats (topic, partition, header names) is text that is shared.

use std::{collections::HashMap, ops::Range};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use millrace_components::flume_event::FlumeEventReader;
use millrace_core::{Batch, Destination, Event, Headers, Rejection};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

use crate::marks::{Marks, is_among};

/// The header that holds the key of a record.
pub(crate) const KEY: &str = "key";
/// The header that holds a key which is no text.
pub(crate) const KEY_BASE64: &str = "key-base64";
/// The header that says which record of its batch an event is of, and later which event of its source it is. It stays between a
/// source and the sink that commits its offsets.
pub(crate) const PLACE: &str = "kafka.place";
/// The header of an event out of a channel that could not be read, with the reason.
const UNREADABLE: &str = "kafka-channel.unreadable";
/// Different names of record headers that are remembered.
const NAMES_MAX: usize = 256;

/// What of a record becomes what of an event.
#[derive(Debug, Clone)]
pub(crate) struct RecordRule {
    /// The component, for dead letters.
    pub(crate) component: ByteString,
    /// Values are Flume events as Avro data.
    pub(crate) is_flume_event: bool,
    /// The header that gets the topic.
    pub(crate) topic_header: Option<ByteString>,
    /// Whether there are headers `timestamp`, `partition` and `offset`.
    pub(crate) has_position: bool,
    /// Which headers of a record an event gets.
    pub(crate) record_headers: RecordHeaders,
    /// Whether events say which record they are of.
    pub(crate) has_place: bool,
}

/// Which headers of a record an event gets.
#[derive(Debug, Clone)]
pub(crate) enum RecordHeaders {
    /// None.
    None,
    /// Every one, under its own name.
    All,
    /// These: by the name in the record, the name in the event.
    Some(HashMap<String, ByteString>),
}

/// A part of the batch's memory.
type Slice = Range<usize>;

struct Row {
    topic: ByteString,
    partition: i32,
    offset: i64,
    body: Slice,
    key: Option<Slice>,
    /// Where in `headers`.
    headers: Range<usize>,
    offset_text: Slice,
    timestamp: Slice,
}

/// A batch that is being filled.
pub(crate) struct Filling {
    rule: RecordRule,
    memory: BytesMut,
    rows: Vec<Row>,
    headers: Vec<(ByteString, Slice)>,
    topics: Vec<ByteString>,
    names: Vec<ByteString>,
    /// Numbers of partitions as text; the one needed last is the first.
    partitions: Vec<(i32, ByteString)>,
}

/// A batch that is full enough, and how far it reaches.
pub(crate) struct Filled {
    pub(crate) batch: Batch,
    pub(crate) marks: Marks,
    /// How many of its records were no events.
    pub(crate) corrupt: u64,
    /// Where each record was, if events say which one they are of.
    pub(crate) places: Vec<Place>,
}

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

impl Filling {
    pub(crate) fn new(rule: RecordRule) -> Self {
        Self {
            rule,
            memory: BytesMut::new(),
            rows: Vec::new(),
            headers: Vec::new(),
            topics: Vec::new(),
            names: Vec::new(),
            partitions: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// Copies a record. A value that is absent (a tombstone) is an empty body.
    pub(crate) fn add(&mut self, record: &BorrowedMessage<'_>) {
        let topic = self.topic(record.topic());
        let body = self.copy(record.payload().unwrap_or_default());
        let key = record.key().map(|key| self.copy(key));
        let headers = self.copy_headers(record);
        let (mut offset_text, mut timestamp) = (0..0, 0..0);
        if self.rule.has_position {
            offset_text = self.copy_number(record.offset());
            timestamp = record.timestamp().to_millis().map_or(0..0, |millis| self.copy_number(millis));
        }
        let (partition, offset) = (record.partition(), record.offset());
        self.rows.push(Row { topic, partition, offset, body, key, headers, offset_text, timestamp });
    }

    fn topic(&mut self, name: &str) -> ByteString {
        if let Some(last) = self.rows.last()
            && last.topic == name
        {
            return last.topic.clone();
        }
        known(&mut self.topics, name)
    }

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

    fn copy(&mut self, bytes: &[u8]) -> Slice {
        let start = self.memory.len();
        self.memory.extend_from_slice(bytes);
        start..self.memory.len()
    }

    fn copy_number(&mut self, number: i64) -> Slice {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number.unsigned_abs();
        loop {
            at -= 1;
            // A remainder of ten is one digit.
            digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            digits[at] = b'-';
        }
        self.copy(digits.get(at..).unwrap_or_default())
    }

    /// Of headers that repeat, the last one counts, as in Flume.
    fn copy_headers(&mut self, record: &BorrowedMessage<'_>) -> Range<usize> {
        let start = self.headers.len();
        if matches!(self.rule.record_headers, RecordHeaders::None) {
            return start..start;
        }
        for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
            let name = match &self.rule.record_headers {
                RecordHeaders::Some(names) => match names.get(header.key) {
                    Some(name) => name.clone(),
                    None => continue,
                },
                _ => known(&mut self.names, header.key),
            };
            let value = self.copy(header.value.unwrap_or_default());
            let earlier = self.headers.get_mut(start..).unwrap_or_default();
            match earlier.iter_mut().find(|(known, _)| *known == name) {
                Some(entry) => entry.1 = value,
                None => self.headers.push((name, value)),
            }
        }
        start..self.headers.len()
    }

    /// Forgets the records of partitions that are somebody else's now: they are read there.
    pub(crate) fn forget(&mut self, partitions: &[(ByteString, i32)]) {
        self.rows.retain(|row| !is_among(partitions, &row.topic, row.partition));
    }

    /// The batch; the next one starts empty.
    pub(crate) fn take(&mut self) -> Filled {
        let capacity = self.memory.len();
        let memory = std::mem::replace(&mut self.memory, BytesMut::with_capacity(capacity)).freeze();
        let rows = std::mem::take(&mut self.rows);
        let headers = std::mem::take(&mut self.headers);
        let mut marks = Marks::default();
        let mut events = Vec::with_capacity(rows.len());
        let mut corrupt = Vec::new();
        let mut reader = FlumeEventReader::default();
        let mut scratch = Vec::new();
        let mut places = Vec::new();
        for row in &rows {
            marks.note(&row.topic, row.partition, row.offset + 1);
            let (event, reason) = self.read(&mut reader, memory.slice(row.body.clone()));
            let own = headers.get(row.headers.clone()).unwrap_or_default();
            let mut headers = self.headers_of(&mut scratch, event.headers, row, own, &memory);
            if self.rule.has_place {
                headers.set(ByteString::from_static(PLACE), places.len().to_string().into());
                let (topic, partition, offset) = (row.topic.clone(), row.partition, row.offset);
                places.push(Place { topic, partition, offset });
            }
            let event = Event { headers, body: event.body };
            match reason {
                None => events.push(event),
                Some(reason) => corrupt.push((event, reason)),
            }
        }
        self.rows = Vec::with_capacity(rows.len());
        let count = corrupt.len() as u64;
        let mut batch = Batch::new(events);
        for (event, reason) in corrupt {
            let rejection = Rejection::new(self.rule.component.clone(), reason);
            batch.divert(event, Destination::DeadLetter(rejection));
        }
        Filled { batch, marks, corrupt: count, places }
    }

    /// The events one by one, with their places. One that cannot be read is its bytes, with a header that says why.
    pub(crate) fn take_placed(&mut self) -> Vec<Placed> {
        let memory = std::mem::take(&mut self.memory).freeze();
        let rows = std::mem::take(&mut self.rows);
        let headers = std::mem::take(&mut self.headers);
        let (mut reader, mut scratch) = (FlumeEventReader::default(), Vec::new());
        let mut placed = Vec::with_capacity(rows.len());
        for row in rows {
            let own = headers.get(row.headers.clone()).unwrap_or_default();
            let (event, reason) = self.read(&mut reader, memory.slice(row.body.clone()));
            let mut headers = self.headers_of(&mut scratch, event.headers, &row, own, &memory);
            if let Some(reason) = reason {
                headers.set(ByteString::from_static(UNREADABLE), reason.into());
            }
            let event = Event { headers, body: event.body };
            placed.push(Placed { event, topic: row.topic, partition: row.partition, offset: row.offset });
        }
        placed
    }

    /// A value as an event; what is none is a body, with the reason.
    fn read(&self, reader: &mut FlumeEventReader, value: Bytes) -> (Event, Option<String>) {
        if !self.rule.is_flume_event {
            return (Event::new(value), None);
        }
        match reader.read(value.clone()) {
            Ok(event) => (event, None),
            Err(error) => (Event::new(value), Some(error.to_string())),
        }
    }

    /// The headers of an event: its own, those of the record, and where it comes from. What is there already stays, but the
    /// key is always the record's.
    fn headers_of(
        &mut self,
        scratch: &mut Vec<(ByteString, ByteString)>,
        event: Headers,
        row: &Row,
        own: &[(ByteString, Slice)],
        memory: &Bytes,
    ) -> Headers {
        let adds_nothing = own.is_empty() && row.key.is_none() && !self.rule.has_position;
        if adds_nothing && self.rule.topic_header.is_none() {
            return event;
        }
        scratch.clear();
        scratch.extend(event.iter().cloned());
        for (name, value) in own {
            add_if_absent(scratch, name, || text(memory.slice(value.clone())));
        }
        if self.rule.has_position {
            if !row.timestamp.is_empty() {
                let name = ByteString::from_static("timestamp");
                add_if_absent(scratch, &name, || text(memory.slice(row.timestamp.clone())));
            }
            let partition = self.partition(row.partition);
            add_if_absent(scratch, &ByteString::from_static("partition"), || partition);
            let name = ByteString::from_static("offset");
            add_if_absent(scratch, &name, || text(memory.slice(row.offset_text.clone())));
        }
        if let Some(name) = &self.rule.topic_header {
            add_if_absent(scratch, name, || row.topic.clone());
        }
        if let Some(key) = &row.key {
            scratch.retain(|(name, _)| name != KEY && name != KEY_BASE64);
            let key = memory.slice(key.clone());
            scratch.push(match ByteString::try_from(key.clone()) {
                Ok(key) => (ByteString::from_static(KEY), key),
                Err(_) => (ByteString::from_static(KEY_BASE64), BASE64_STANDARD.encode(key).into()),
            });
        }
        scratch.drain(..).collect()
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
    match ByteString::try_from(bytes.clone()) {
        Ok(text) => text,
        Err(_) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

/// One copy of each name, as long as there are not too many.
fn known(names: &mut Vec<ByteString>, name: &str) -> ByteString {
    if let Some(known) = names.iter().find(|known| *known == name) {
        return known.clone();
    }
    let new = ByteString::from(name);
    if names.len() < NAMES_MAX {
        names.push(new.clone());
    }
    new
}

#[cfg(test)]
mod tests {
    use super::{Filling, RecordHeaders, RecordRule};

    #[test]
    fn numbers_are_written_as_everybody_writes_them() {
        let rule = RecordRule {
            component: "test".into(),
            is_flume_event: false,
            topic_header: None,
            has_position: true,
            record_headers: RecordHeaders::None,
            has_place: false,
        };
        let mut filling = Filling::new(rule);
        for number in [0, 7, 10, -1, 1_700_000_000_123, i64::MAX, i64::MIN] {
            let place = filling.copy_number(number);
            assert_eq!(filling.memory[place], *number.to_string().as_bytes());
        }
        let texts: Vec<_> = [3, 4, 3, 5, 4].map(|number| filling.partition(number).to_string()).into();
        assert_eq!(texts, ["3", "4", "3", "5", "4"]);
    }
}
