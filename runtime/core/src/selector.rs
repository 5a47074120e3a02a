//! Selectors: which channels an event goes to.

use crate::event::Event;

/// Channels by their place in the source's list of channels ([`crate::SelectorContext::channels`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Route<'a> {
    /// All of these must take the event, or none does.
    pub required: &'a [usize],
    /// These get it if they can; a failure is counted.
    pub optional: &'a [usize],
}

/// A channel that a selector may choose, for people to see: nothing is routed by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The name of the channel.
    pub channel: String,
    /// For which events, `severity=crit|alert`. None: for all.
    pub when: Option<String>,
}

impl Way {
    /// Adds a way; a channel that is there already has one more condition.
    pub fn add(ways: &mut Vec<Self>, channel: &str, when: Option<String>) {
        match ways.iter_mut().find(|way| way.channel == channel) {
            Some(way) => {
                way.when = way.when.take().zip(when).map(|(first, second)| format!("{first} or {second}"));
            }
            None => ways.push(Self { channel: channel.to_owned(), when }),
        }
    }
}

/// Chooses channels, event by event.
pub trait Selector: Send + Sync {
    /// The channels of one event.
    fn select(&self, event: &Event) -> Route<'_>;

    /// The route of every event, where it does not depend on the event: spares asking for each.
    fn uniform(&self) -> Option<Route<'_>> {
        None
    }
}
