//! One event by value.

use crate::bindings::millrace::plugin::types;

/// One event by value: what [`Batch::event`](crate::Batch::event) gives, and what tests are made of.
///
/// ```
/// use millrace_plugin::Event;
///
/// let event = Event::new("GET /").with_header("host", "web-1");
/// assert_eq!(event.header("host"), Some("web-1"));
/// assert_eq!(event.body, b"GET /");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The headers, each name once.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Event {
    /// Makes an event without headers.
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self { headers: Vec::new(), body: body.into() }
    }

    /// Adds a header, or replaces its value.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.set_header(name, value);
        self
    }

    /// Gives the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets a header; an older value is replaced.
    pub fn set_header(&mut self, name: &str, value: &str) {
        match self.headers.iter_mut().find(|(key, _)| key == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        Self { headers: event.headers, body: event.body }
    }
}
