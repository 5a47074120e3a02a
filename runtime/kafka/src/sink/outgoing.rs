//! A batch as records: topic, partition, key, value and time of each event.

use std::{ops::Range, time::SystemTime};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::BytesMut;
use bytestring::ByteString;
use millrace_components::{
    escape::{Expander, Expansion},
    flume_event::write_flume_event,
};
use millrace_core::{Batch, Event, Refusal};
use rdkafka::message::{Header, OwnedHeaders};

use super::settings::{Settings, SinkHeaders};
use crate::{producer::Outgoing, record::KEY_BASE64};

/// Longest name of a topic.
const TOPIC_BYTES_MAX: usize = 249;

/// A batch whose events all have their places.
pub(crate) struct Prepared<'a> {
    batch: &'a Batch,
    settings: &'a Settings,
    rows: Vec<Row>,
    /// Events in Avro, one after the other.
    encoded: BytesMut,
    /// Which entry of `rows` an event has; those refused have none.
    places: Vec<Option<usize>>,
}

struct Row {
    row: usize,
    topic: Topic,
    partition: Option<i32>,
    key: Key,
    encoded: Range<usize>,
    timestamp: Option<i64>,
}

enum Topic {
    /// From a header of the event.
    Own(ByteString),
    /// From the option; whether anything of the event is in it.
    Expanded(Expansion, bool),
}

impl Topic {
    fn name(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Expanded(texts, _) => texts.first().map(String::as_str).unwrap_or_default(),
        }
    }
}

enum Key {
    None,
    Text(ByteString),
    Expanded(Expansion),
    Bytes(Vec<u8>),
}

impl Key {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::Text(text) => Some(text.as_bytes()),
            Self::Expanded(texts) => texts.get(1).filter(|text| !text.is_empty()).map(|text| text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

impl<'a> Prepared<'a> {
    /// Finds a place for every event; those that can have none are refused.
    pub(crate) fn new(
        settings: &'a Settings,
        expander: &mut Expander,
        batch: &'a Batch,
        now: SystemTime,
        refusals: &mut Vec<Refusal>,
    ) -> Self {
        let mut prepared = Self {
            batch,
            settings,
            rows: Vec::with_capacity(batch.len()),
            encoded: BytesMut::new(),
            places: vec![None; batch.len()],
        };
        if settings.is_flume_event {
            prepared.encoded.reserve(batch.size() + 16 * batch.len());
        }
        for (row, event) in batch.iter().enumerate() {
            match prepared.place(expander, row, event, now) {
                Ok(placed) => {
                    if let Some(place) = prepared.places.get_mut(row) {
                        *place = Some(prepared.rows.len());
                    }
                    prepared.rows.push(placed);
                }
                Err(reason) => refusals.push(Refusal { row, reason }),
            }
        }
        prepared
    }

    fn place(
        &mut self,
        expander: &mut Expander,
        row: usize,
        event: &Event,
        now: SystemTime,
    ) -> Result<Row, String> {
        let settings = self.settings;
        let own = settings.topic_header.as_deref().and_then(|name| event.header(name));
        let mut expansion = None;
        if own.is_none() || settings.key.is_some() {
            let texts = expander.expand(&event.headers, now).map_err(|error| error.to_string())?;
            expansion = Some(texts.clone());
        }
        let topic = match (own, &expansion) {
            (Some(own), _) => Topic::Own(own.clone()),
            (None, Some(texts)) => Topic::Expanded(texts.clone(), !settings.topic.is_literal()),
            (None, None) => return Err("no topic".to_owned()),
        };
        check_topic(topic.name())?;
        let key = match expansion {
            Some(texts) if settings.key.is_some() => Key::Expanded(texts),
            _ => key_of(settings, event)?,
        };
        let partition = match settings.partition_header.as_deref().and_then(|name| event.header(name)) {
            Some(text) => Some(text.trim().parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
                let name = settings.partition_header.as_deref().unwrap_or_default();
                format!("header {name}: {:?} is no partition", shortened(text))
            })?),
            None => settings.partition,
        };
        let timestamp = settings
            .timestamp_header
            .as_deref()
            .and_then(|name| event.header(name))
            .and_then(|text| text.trim().parse::<i64>().ok())
            .filter(|millis| *millis >= 0);
        let start = self.encoded.len();
        if settings.is_flume_event {
            write_flume_event(&mut self.encoded, event);
        }
        Ok(Row { row, topic, partition, key, encoded: start..self.encoded.len(), timestamp })
    }

    /// The rows that have a place.
    pub(crate) fn rows(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.row).collect()
    }

    fn find(&self, row: usize) -> Option<&Row> {
        self.rows.get((*self.places.get(row)?)?)
    }

    fn value(&self, row: &Row) -> &[u8] {
        if self.settings.is_flume_event {
            self.encoded.get(row.encoded.clone()).unwrap_or_default()
        } else {
            self.batch.events().get(row.row).map(|event| &*event.body).unwrap_or_default()
        }
    }

    /// Some of the rows as records.
    pub(crate) fn records<'b>(
        &'b self,
        rows: &'b [usize],
    ) -> impl ExactSizeIterator<Item = Outgoing<'b>> + use<'a, 'b> {
        rows.iter().map(|row| match self.find(*row) {
            Some(row) => Outgoing {
                row: row.row,
                topic: row.topic.name(),
                partition: row.partition,
                key: row.key.bytes(),
                value: self.value(row),
                timestamp: row.timestamp,
                headers: self.batch.events().get(row.row).and_then(|event| self.headers(event)),
            },
            None => unreachable!("only rows that have a place are sent"),
        })
    }

    fn headers(&self, event: &Event) -> Option<OwnedHeaders> {
        let named: Vec<(&str, &ByteString)> = match &self.settings.headers {
            SinkHeaders::None => return None,
            SinkHeaders::All => event.headers.iter().map(|(name, value)| (&**name, value)).collect(),
            SinkHeaders::Some(names) => names
                .iter()
                .filter_map(|(event_name, record_name)| {
                    Some((record_name.as_str(), event.header(event_name)?))
                })
                .collect(),
        };
        // A null byte would end the name.
        let named = named.into_iter().filter(|(name, _)| !name.contains('\0'));
        let headers = named.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(&**value) })
        });
        Some(headers)
    }

    pub(crate) fn topic(&self, row: usize) -> &str {
        self.find(row).map(|row| row.topic.name()).unwrap_or_default()
    }

    /// Whether something of the event is in its topic's name.
    pub(crate) fn chose_its_topic(&self, row: usize) -> bool {
        self.find(row).is_some_and(|row| matches!(row.topic, Topic::Own(_) | Topic::Expanded(_, true)))
    }

    pub(crate) fn value_bytes(&self, row: usize) -> usize {
        self.find(row).map_or(0, |row| self.value(row).len())
    }

    /// Whether the client takes a record of this size: then only its company can be the reason.
    pub(crate) fn fits(&self, row: usize, settings: &Settings) -> bool {
        self.value_bytes(row) < settings.record_bytes_max
    }
}

fn key_of(settings: &Settings, event: &Event) -> Result<Key, String> {
    if let Some(key) = event.header(&settings.key_header) {
        return Ok(Key::Text(key.clone()));
    }
    match event.header(KEY_BASE64).filter(|_| settings.key_header == crate::record::KEY) {
        Some(text) => match BASE64_STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Key::Bytes(bytes)),
            Err(error) => Err(format!("header {KEY_BASE64}: {error}")),
        },
        None => Ok(Key::None),
    }
}

/// What brokers would refuse is refused here: they are asked about names only.
fn check_topic(name: &str) -> Result<(), String> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(is_allowed) {
        return Err(format!("{:?} is no name of a topic", shortened(name)));
    }
    if name.len() > TOPIC_BYTES_MAX {
        return Err(format!("a topic's name of {} bytes; {TOPIC_BYTES_MAX} are allowed", name.len()));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
