//! A list of events that is built for the agent: what a source or a codec brings in, and what takes the
//! place of a split event.
//!
//! Headers are kept as a table with each name once, and all bodies in one run of bytes, because that is
//! the form that crosses the boundary without an allocation per event.

use crate::Packed;
use crate::bindings::millrace::plugin::types;

/// Events in the making, in the form that crosses the boundary.
#[derive(Clone, Debug, Default)]
pub struct Events {
    names: Vec<String>,
    counts: Vec<u32>,
    name_ids: Vec<u32>,
    values: Packed,
    bodies: Packed,
}

impl Events {
    /// Says how many events there are.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Says whether there is no event yet.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Says how many bytes the bodies and the headers have together; a name counts once.
    pub fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(String::len).sum();
        names + self.values.bytes().len() + self.bodies.bytes().len()
    }

    /// Takes events off the end until so many are left.
    pub fn truncate(&mut self, count: usize) {
        for headers in self.counts.drain(count.min(self.counts.len())..) {
            for _ in 0..headers {
                self.name_ids.pop();
                self.values.pop();
            }
            self.bodies.pop();
        }
    }

    /// Adds an event without headers, and gives it back to add some.
    ///
    /// ```
    /// # use millrace_plugin::Events;
    /// let mut events = Events::default();
    /// events.push(b"first line").header("line", "1");
    /// events.push(b"second line").header("line", "2");
    /// assert_eq!(events.len(), 2);
    /// ```
    pub fn push(&mut self, body: &[u8]) -> EventEntry<'_> {
        self.bodies.push(body);
        self.counts.push(0);
        EventEntry { events: self }
    }

    fn name_id(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }) as u32
    }
}

impl From<Events> for types::PackedEvents {
    fn from(events: Events) -> Self {
        Self {
            headers: types::HeaderTable {
                names: events.names,
                counts: events.counts,
                name_ids: events.name_ids,
                values: events.values.into(),
            },
            bodies: events.bodies.into(),
        }
    }
}

/// The event that was added last.
#[derive(Debug)]
pub struct EventEntry<'a> {
    events: &'a mut Events,
}

impl EventEntry<'_> {
    /// Adds a header. Each name may be given once.
    pub fn header(self, name: &str, value: &str) -> Self {
        let id = self.events.name_id(name);
        self.events.name_ids.push(id);
        self.events.values.push(value.as_bytes());
        if let Some(count) = self.events.counts.last_mut() {
            *count += 1;
        }
        self
    }

    /// Adds many headers, for example those of the event that is replaced.
    pub fn headers<'h>(self, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Self {
        headers.into_iter().fold(self, |entry, (name, value)| entry.header(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_and_headers_stay_with_their_event() {
        let mut events = Events::default();
        events.push(b"a").header("k", "1").header("l", "2");
        events.push(b"");
        events.push(b"c").headers([("l", "3"), ("k", "4")]);
        let raw = types::PackedEvents::from(events);
        assert_eq!(raw.headers.names, ["k", "l"]);
        assert_eq!(raw.headers.counts, [2, 0, 2]);
        assert_eq!(raw.headers.name_ids, [0, 1, 1, 0]);
        assert_eq!(raw.headers.values.bytes, b"1234");
        assert_eq!(raw.bodies.ends, [1, 1, 2]);
    }

    #[test]
    fn events_are_taken_off_with_their_headers() {
        let mut events = Events::default();
        events.push(b"a").header("k", "1");
        events.push(b"bb").header("k", "2").header("l", "3");
        events.push(b"");
        assert_eq!(events.bytes(), 2 + 3 + 3);
        events.truncate(1);
        events.truncate(7);
        assert_eq!(events.len(), 1);
        events.push(b"c");
        let raw = types::PackedEvents::from(events);
        assert_eq!(raw.headers.counts, [1, 0]);
        assert_eq!(raw.headers.values.bytes, b"1");
        assert_eq!(raw.bodies.bytes, b"ac");
    }
}
