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

/// Chooses channels, event by event.
pub trait Selector: Send + Sync {
    /// The channels of one event.
    fn select(&self, event: &Event) -> Route<'_>;

    /// The route of every event, where it does not depend on the event: spares asking for each.
    fn uniform(&self) -> Option<Route<'_>> {
        None
    }
}
