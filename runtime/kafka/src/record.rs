//! Records of Kafka on their way to be events: a batch is filled from records one by one, on the thread that polls.
//! [`Records`] make events of it, on another.
//!
//! All bytes of a batch (bodies, keys, headers, numbers as text) are copied once into one piece of memory; the events are
//! slices of it. What repeats (topic, partition, header names) is text that is shared.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::BytesMut;
use bytestring::ByteString;
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    marks::is_among,
    records::{Place, Records},
};

/// The header that holds the key of a record.
pub(crate) const KEY: &str = "key";
/// The header that holds a key which is no text.
pub(crate) const KEY_BASE64: &str = "key-base64";
/// The header that says which record of its batch an event is of, and later which event of its source it is. It stays between a
/// source and the sink that commits its offsets.
pub(crate) const PLACE: &str = "kafka.place";
/// The header of an event out of a channel that could not be read, with the reason.
pub(crate) const UNREADABLE: &str = "kafka-channel.unreadable";
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
pub(crate) type Slice = Range<usize>;

pub(crate) struct Row {
    pub(crate) topic: ByteString,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) body: Slice,
    pub(crate) key: Option<Slice>,
    /// Where in `headers`.
    pub(crate) headers: Range<usize>,
    pub(crate) offset_text: Slice,
    pub(crate) timestamp: Slice,
}

impl Row {
    pub(crate) fn place(&self) -> Place {
        Place { topic: self.topic.clone(), partition: self.partition, offset: self.offset }
    }
}

/// A batch that is being filled.
pub(crate) struct Filling {
    rule: Arc<RecordRule>,
    memory: BytesMut,
    rows: Vec<Row>,
    headers: Vec<(ByteString, Slice)>,
    topics: Vec<ByteString>,
    names: Vec<ByteString>,
}

impl Filling {
    pub(crate) fn new(rule: RecordRule) -> Self {
        Self {
            rule: Arc::new(rule),
            memory: BytesMut::new(),
            rows: Vec::new(),
            headers: Vec::new(),
            topics: Vec::new(),
            names: Vec::new(),
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

    /// What was added; the next batch starts empty. Costs the same however much it is.
    pub(crate) fn take(&mut self) -> Records {
        let memory = std::mem::take(&mut self.memory);
        self.memory.reserve(memory.len());
        let rows = std::mem::take(&mut self.rows);
        self.rows.reserve(rows.len());
        let headers = std::mem::take(&mut self.headers);
        Records::new(Arc::clone(&self.rule), memory.freeze(), rows, headers)
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
    }
}
