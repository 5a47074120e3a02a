//! What is written beside an event that can never go its way.

use bytestring::ByteString;

use crate::event::Event;

/// Why an event goes to the dead-letter channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Who says so: the component's name.
    pub component: ByteString,
    /// The reason, for people.
    pub reason: ByteString,
    /// What else is known: plugin, digest, generation, backtrace. Names without prefix.
    pub details: Vec<(&'static str, ByteString)>,
}

impl Rejection {
    /// A rejection without details.
    pub fn new(component: impl Into<ByteString>, reason: impl Into<ByteString>) -> Self {
        Self { component: component.into(), reason: reason.into(), details: Vec::new() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<ByteString>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}

/// The event as the dead-letter channel holds it: untouched, with `dead-letter.component`, `.reason`,
/// `.time` (milliseconds since 1970) and one header for each detail.
pub fn dead_letter_event(mut event: Event, rejection: &Rejection, unix_millis: u64) -> Event {
    let headers = &mut event.headers;
    headers.set("dead-letter.component".into(), rejection.component.clone());
    headers.set("dead-letter.reason".into(), rejection.reason.clone());
    headers.set("dead-letter.time".into(), unix_millis.to_string().into());
    for (name, value) in &rejection.details {
        headers.set(format!("dead-letter.{name}").into(), value.clone());
    }
    event
}
