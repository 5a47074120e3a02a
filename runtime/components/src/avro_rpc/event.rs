//! `AvroFlumeEvent`: a map of strings and bytes, from and to [`Event`].
//!
//! Decoding copies nothing: names, values and bodies are slices of the frame. Agents usually send the same
//! headers with every event of a batch; equal bytes are recognised and share one header list, which also
//! spares checking them again.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use millrace_core::{Event, Headers};

use super::{
    error::AvroError,
    wire::{Reader, put_bytes, put_count, put_long},
};

/// Up to here repeated header names are found by comparing each with each.
const COMPARED_PAIRWISE: usize = 16;

/// What one request may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventLimits {
    /// Events of one batch.
    pub(crate) events_max: usize,
    /// Headers of all events of one batch together, shared lists counted once.
    pub(crate) headers_max: usize,
}

/// Decodes the events of one request.
pub(crate) struct Decoder {
    limits: EventLimits,
    headers_left: usize,
    entries: Vec<(ByteString, ByteString)>,
    /// The bytes of the last headers read, and what they mean.
    last: (Bytes, Headers),
}

impl Decoder {
    /// A decoder for one request.
    pub(crate) fn new(limits: EventLimits) -> Self {
        // An empty map is one zero byte.
        let last = (Bytes::from_static(&[0]), Headers::default());
        Self { limits, headers_left: limits.headers_max, entries: Vec::new(), last }
    }

    /// One `AvroFlumeEvent`.
    pub(crate) fn event(&mut self, reader: &mut Reader) -> Result<Event, AvroError> {
        let headers = self.headers(reader)?;
        let body = reader.bytes("body")?;
        Ok(Event { headers, body })
    }

    /// `array<AvroFlumeEvent>`.
    pub(crate) fn events(&mut self, reader: &mut Reader) -> Result<Vec<Event>, AvroError> {
        let mut events = Vec::new();
        loop {
            // The smallest event is an empty map and an empty body.
            let count = reader.block("events", 2)?;
            if count == 0 {
                return Ok(events);
            }
            let total = events.len().saturating_add(count);
            let max = self.limits.events_max;
            if total > max {
                return Err(AvroError::TooMuch {
                    what: "events in one request",
                    found: total as u64,
                    max: max as u64,
                });
            }
            events.reserve(count);
            for _ in 0..count {
                events.push(self.event(reader)?);
            }
        }
    }

    fn headers(&mut self, reader: &mut Reader) -> Result<Headers, AvroError> {
        // A map's bytes say where it ends, so equal bytes are the same map.
        if reader.rest().starts_with(&self.last.0) {
            reader.skip_known(self.last.0.len());
            return Ok(self.last.1.clone());
        }
        let start = reader.position();
        self.entries.clear();
        loop {
            let count = reader.block("headers", 2)?;
            if count == 0 {
                break;
            }
            if count > self.headers_left {
                return Err(AvroError::TooMuch {
                    what: "headers in one request",
                    found: self.limits.headers_max.saturating_sub(self.headers_left).saturating_add(count)
                        as u64,
                    max: self.limits.headers_max as u64,
                });
            }
            self.headers_left -= count;
            self.entries.reserve(count);
            for _ in 0..count {
                let name = reader.text("name of a header")?;
                let value = reader.text("value of a header")?;
                self.entries.push((name, value));
            }
        }
        keep_last_of_each_name(&mut self.entries);
        let headers: Headers = self.entries.drain(..).collect();
        self.last = (reader.since(start), headers.clone());
        Ok(headers)
    }
}

/// A map has one value for a name; of repeated ones the last counts, as in every Avro library.
fn keep_last_of_each_name(entries: &mut Vec<(ByteString, ByteString)>) {
    let repeated = if entries.len() <= COMPARED_PAIRWISE {
        (1..entries.len()).any(|at| entries[..at].iter().any(|(name, _)| *name == entries[at].0))
    } else {
        let mut names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    };
    if repeated {
        let mut seen = std::collections::HashMap::with_capacity(entries.len());
        let mut kept: Vec<(ByteString, ByteString)> = Vec::with_capacity(entries.len());
        for (name, value) in entries.drain(..) {
            let at = *seen.entry(name.clone()).or_insert(kept.len());
            match kept.get_mut(at) {
                Some(entry) => entry.1 = value,
                None => kept.push((name, value)),
            }
        }
        *entries = kept;
    }
}

/// Writes one `AvroFlumeEvent`.
pub(crate) fn put_event(out: &mut BytesMut, event: &Event) {
    if !event.headers.is_empty() {
        put_count(out, event.headers.len());
        for (name, value) in &event.headers {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    put_long(out, 0);
    put_bytes(out, &event.body);
}

/// Writes `array<AvroFlumeEvent>`.
pub(crate) fn put_events(out: &mut BytesMut, events: &[Event]) {
    if !events.is_empty() {
        put_count(out, events.len());
        for event in events {
            put_event(out, event);
        }
    }
    put_long(out, 0);
}

/// At least how many bytes the encoded events take, close enough to allocate once.
pub(crate) fn encoded_size_hint(events: &[Event]) -> usize {
    events.iter().map(|event| event.size() + 6 + 4 * event.headers.len()).sum::<usize>() + 16
}
