//! Events in memory that answer as the batch of an agent does.

use crate::bindings::millrace::plugin::types;
use crate::{Event, Events, Packed};

/// Events in memory, with the methods of a lent batch.
#[derive(Debug)]
pub(crate) struct HeldEvents {
    events: Vec<Event>,
    formed_at: u64,
}

impl HeldEvents {
    pub(crate) fn new(events: Vec<Event>) -> Self {
        Self { events, formed_at: super::fake::clock::unix_nanos() }
    }

    pub(crate) fn count(&self) -> u32 {
        self.events.len() as u32
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        self.events.iter().map(|event| event.body.len() as u64).sum()
    }

    pub(crate) fn formed_at(&self) -> u64 {
        self.formed_at
    }

    pub(crate) fn bodies(&self) -> types::Packed {
        self.events.iter().map(|event| &event.body).collect::<Packed>().into()
    }

    pub(crate) fn bodies_of(&self, rows: &[u32]) -> types::Packed {
        rows.iter().map(|row| &self.events[*row as usize].body).collect::<Packed>().into()
    }

    pub(crate) fn header_column(&self, name: &str) -> types::HeaderColumn {
        let values = self.events.iter().map(|event| event.header(name).unwrap_or_default());
        let missing = (0..self.count()).filter(|row| self.header(*row, name).is_none());
        types::HeaderColumn { values: values.collect::<Packed>().into(), missing: missing.collect() }
    }

    pub(crate) fn header_names(&self) -> Vec<String> {
        self.headers().names
    }

    pub(crate) fn headers(&self) -> types::HeaderTable {
        self.events().headers
    }

    pub(crate) fn events(&self) -> types::PackedEvents {
        let mut packed = Events::default();
        for event in &self.events {
            let headers = event.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            packed.push(&event.body).headers(headers);
        }
        packed.into()
    }

    pub(crate) fn body(&self, row: u32) -> Vec<u8> {
        self.events[row as usize].body.clone()
    }

    pub(crate) fn body_part(&self, row: u32, start: u32, length: u32) -> Vec<u8> {
        let body = &self.events[row as usize].body;
        body.iter().skip(start as usize).take(length as usize).copied().collect()
    }

    pub(crate) fn header(&self, row: u32, name: &str) -> Option<String> {
        self.events[row as usize].header(name).map(str::to_owned)
    }

    pub(crate) fn event(&self, row: u32) -> types::Event {
        let event = self.events[row as usize].clone();
        types::Event { headers: event.headers, body: event.body }
    }
}
