//! A group of events that moves through the agent as one: read, intercepted, put, taken and delivered together.
//!
//! The events sit in one shared vector: a clone, and a part of a batch, cost one reference count. Changing
//! events in place is free as long as nobody else holds the batch, which is so until it reaches a channel.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytestring::ByteString;

use crate::{
    dead_letter::Rejection,
    delivery::Delivery,
    event::{Event, Headers},
    position::PositionUpdate,
    state::{StateStore, StateWrites},
};

/// Events in order, with what belongs to the same commit.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    events: Arc<Vec<Event>>,
    range: Range<usize>,
    /// The size, once someone has asked: limits, counters and channels all do.
    size: OnceLock<usize>,
    diverted: Vec<Diverted>,
    position: Option<PositionUpdate>,
    /// What components wrote to their state for this batch.
    states: Vec<Arc<StateWrites>>,
    formed_at: Option<u64>,
    delivery: Option<Delivery>,
}

/// An event that an interceptor sent somewhere else than the selector would.
#[derive(Debug, Clone)]
pub struct Diverted {
    /// Where it goes. Further interceptors do not see it.
    pub destination: Destination,
    /// The event.
    pub event: Event,
}

impl Diverted {
    /// Whether it goes to the dead-letter channel.
    pub fn is_rejected(&self) -> bool {
        matches!(self.destination, Destination::DeadLetter(_))
    }
}

/// Where a diverted event goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// To the channel of this name.
    Channel(ByteString),
    /// To the dead-letter channel, for a reason.
    DeadLetter(Rejection),
}

/// How much one take may return, and how long it may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimit {
    /// Largest number of events. At least 1.
    pub events_max: usize,
    /// Largest size in bytes. A single event above it is still taken, alone.
    pub bytes_max: usize,
    /// How long to wait for the batch to fill once its first event is there.
    pub wait_max: Duration,
}

impl Default for BatchLimit {
    fn default() -> Self {
        Self { events_max: 1000, bytes_max: 4 << 20, wait_max: Duration::ZERO }
    }
}

impl Batch {
    /// A batch of these events.
    pub fn new(events: Vec<Event>) -> Self {
        Self::over(0..events.len(), Arc::new(events), OnceLock::new())
    }

    /// How many events there are, diverted ones not counted.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is no event to pass on; there may still be a position or diverted events.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// The events.
    pub fn events(&self) -> &[Event] {
        self.events.get(self.range.clone()).unwrap_or_default()
    }

    /// The events, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.events().iter()
    }

    /// The size of all events as [`Event::size`] counts it. Counted once.
    pub fn size(&self) -> usize {
        *self.size.get_or_init(|| self.iter().map(Event::size).sum())
    }

    /// The events for changing; copies the list (not the bodies) only when the batch is shared.
    pub fn events_mut(&mut self) -> &mut [Event] {
        let range = self.range.clone();
        self.size.take();
        Arc::make_mut(&mut self.events).get_mut(range).unwrap_or_default()
    }

    /// The events by value; position, state and diverted events are dropped. See [`Batch::map_events`].
    pub fn into_events(self) -> Vec<Event> {
        let Range { start, end } = self.range;
        match Arc::try_unwrap(self.events) {
            Ok(mut events) => {
                events.truncate(end);
                events.drain(..start);
                events
            }
            Err(shared) => shared.get(start..end).unwrap_or_default().to_vec(),
        }
    }

    /// Replaces the events and keeps position, state and diverted events.
    #[must_use]
    pub fn map_events(mut self, change: impl FnOnce(Vec<Event>) -> Vec<Event>) -> Self {
        let diverted = std::mem::take(&mut self.diverted);
        let position = self.position.take();
        let states = std::mem::take(&mut self.states);
        let formed_at = self.formed_at;
        Self { diverted, position, states, formed_at, ..Self::new(change(self.into_events())) }
    }

    /// Keeps the events for which `keep` says so. Nothing is moved while all are kept.
    #[must_use]
    pub fn retain(self, mut keep: impl FnMut(&Event) -> bool) -> Self {
        let Some(first) = self.iter().position(|event| !keep(event)) else { return self };
        self.map_events(|mut events| {
            let mut row = 0;
            events.retain(|event| {
                row += 1;
                // The rows before the first dropped one are known to stay; asking twice would repeat side effects.
                row <= first || (row > first + 1 && keep(event))
            });
            events
        })
    }

    /// Changes the headers of every event. Neighbours that shared one list share the changed one too, so
    /// events read together cost one allocation, not one each. `change` must depend on the headers only.
    pub fn change_headers(&mut self, mut change: impl FnMut(&mut Headers)) {
        let mut last: Option<(Headers, Headers)> = None;
        for event in self.events_mut() {
            match &last {
                Some((before, after)) if event.headers.is_same_list(before) => event.headers = after.clone(),
                _ => {
                    let before = event.headers.clone();
                    change(&mut event.headers);
                    last = Some((before, event.headers.clone()));
                }
            }
        }
    }

    /// A part of the batch that shares its events. Position, state and diverted events stay behind.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let end = (self.range.start + rows.end).min(self.range.end);
        let start = (self.range.start + rows.start).min(end);
        let size = if (start..end) == self.range { self.size.clone() } else { OnceLock::new() };
        Self { formed_at: self.formed_at, ..Self::over(start..end, Arc::clone(&self.events), size) }
    }

    fn over(range: Range<usize>, events: Arc<Vec<Event>>, size: OnceLock<usize>) -> Self {
        let (diverted, states) = (Vec::new(), Vec::new());
        Self { events, range, size, diverted, position: None, states, formed_at: None, delivery: None }
    }

    /// How many events from the front fit the limit: at least one, if there is one, whatever its size.
    pub fn prefix_within(&self, limit: BatchLimit) -> usize {
        if self.len() <= limit.events_max && self.size() <= limit.bytes_max {
            return self.len();
        }
        let mut bytes = 0;
        let mut rows = 0;
        for event in self.iter().take(limit.events_max.max(1)) {
            bytes += event.size();
            if rows > 0 && bytes > limit.bytes_max {
                break;
            }
            rows += 1;
        }
        rows
    }

    /// Where the source stands once these events are durable.
    pub fn position(&self) -> Option<&PositionUpdate> {
        self.position.as_ref()
    }

    /// Says where the source stands once these events are durable.
    #[must_use]
    pub fn with_position(mut self, position: PositionUpdate) -> Self {
        self.position = Some(position);
        self
    }

    /// What components wrote to their state for this batch; a channel that keeps positions commits it too.
    pub fn states(&self) -> &[Arc<StateWrites>] {
        &self.states
    }

    /// Adds what components wrote.
    #[must_use]
    pub fn with_states(mut self, states: &[Arc<StateWrites>]) -> Self {
        self.states.extend_from_slice(states);
        self
    }

    pub(crate) fn add_state(&mut self, writes: Arc<StateWrites>) {
        self.states.push(writes);
    }

    /// Takes what one component wrote out again.
    pub(crate) fn take_state(&mut self, store: &Arc<StateStore>) -> Option<Arc<StateWrites>> {
        let at = self.states.iter().position(|writes| writes.is_of(store))?;
        Some(self.states.remove(at))
    }

    /// Forgets what components wrote: the batch starts anew.
    pub(crate) fn forget_states(&mut self) {
        self.states.clear();
    }

    /// When the batch was formed, in nanoseconds since 1970, if somebody noted it: it stays the same however often
    /// the batch is tried again.
    pub fn formed_at(&self) -> Option<u64> {
        self.formed_at
    }

    /// Notes when the batch was formed, unless it is known already.
    pub fn note_formed_at(&mut self, unix_nanos: impl FnOnce() -> u64) {
        self.formed_at.get_or_insert_with(unix_nanos);
    }

    /// What a sink is told about this batch; None outside of a delivery, and for sinks that do not ask.
    pub fn delivery(&self) -> Option<&Delivery> {
        self.delivery.as_ref()
    }

    /// Names the delivery of this batch.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }

    /// Events that go elsewhere.
    pub fn diverted(&self) -> &[Diverted] {
        &self.diverted
    }

    /// The same for changing them.
    pub fn diverted_mut(&mut self) -> &mut [Diverted] {
        &mut self.diverted
    }

    /// Takes over position, state and diverted events of another batch.
    pub(crate) fn take_over(&mut self, other: &mut Self) {
        self.position = other.position.take();
        self.states = std::mem::take(&mut other.states);
        self.diverted = std::mem::take(&mut other.diverted);
    }

    /// Sends an event elsewhere; it is committed together with the batch.
    pub fn divert(&mut self, event: Event, destination: Destination) {
        self.diverted.push(Diverted { destination, event });
    }
}

impl From<Vec<Event>> for Batch {
    fn from(events: Vec<Event>) -> Self {
        Self::new(events)
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, BatchLimit};
    use crate::event::Event;

    fn batch(bodies: &[&'static str]) -> Batch {
        Batch::new(bodies.iter().map(|body| Event::new(*body)).collect())
    }

    fn bodies(batch: &Batch) -> Vec<&str> {
        batch.iter().map(|event| std::str::from_utf8(&event.body).unwrap()).collect()
    }

    #[test]
    fn retain_asks_once_for_each_event_and_keeps_order() {
        let mut asked = Vec::new();
        let kept = batch(&["a", "b", "c", "d"]).retain(|event| {
            asked.push(event.body.clone());
            event.body != "b" && event.body != "d"
        });
        assert_eq!(bodies(&kept), ["a", "c"]);
        assert_eq!(asked, ["a", "b", "c", "d"]);
    }

    #[test]
    fn parts_share_events_and_count_from_their_own_start() {
        let whole = batch(&["a", "b", "c", "d"]);
        let part = whole.part(1..4);
        assert_eq!(bodies(&part), ["b", "c", "d"]);
        assert_eq!(bodies(&part.part(1..9)), ["c", "d"]);
        assert_eq!(part.into_events().len(), 3);
    }

    #[test]
    fn changing_a_shared_batch_leaves_the_other_holder_alone() {
        let first = batch(&["a", "b"]);
        let mut second = first.clone();
        second.events_mut()[0].body = "x".into();
        assert_eq!((bodies(&first), bodies(&second)), (vec!["a", "b"], vec!["x", "b"]));
    }

    #[test]
    fn the_size_follows_changes_and_parts() {
        let mut whole = batch(&["a", "bb", "ccc"]);
        assert_eq!((whole.size(), whole.part(1..3).size(), whole.part(0..3).size()), (6, 5, 6));
        whole.events_mut()[0].body = "long".into();
        assert_eq!((whole.size(), whole.clone().retain(|event| event.body.len() > 2).size()), (9, 7));
    }

    #[test]
    fn events_that_share_headers_still_share_them_after_a_change() {
        let mut batch = batch(&["a", "b", "c"]);
        batch.change_headers(|headers| headers.set("k".into(), "v".into()));
        assert!(batch.events()[0].headers.is_same_list(&batch.events()[2].headers));
        assert_eq!(batch.events()[1].header("k").unwrap(), "v");
    }

    #[test]
    fn an_event_above_the_byte_limit_is_taken_alone() {
        let limit = BatchLimit { bytes_max: 2, ..BatchLimit::default() };
        assert_eq!(batch(&["long", "b"]).prefix_within(limit), 1);
        assert_eq!(batch(&["a", "b", "c"]).prefix_within(limit), 2);
        assert_eq!(batch(&[]).prefix_within(limit), 0);
    }
}
