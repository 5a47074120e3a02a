//! Carries out checked changes.

use bytestring::ByteString;
use millrace_core::{Batch, Destination, Event, Headers, Rejection};

use super::{Change, Values};

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    Drop,
    /// So many events, from this place in the list of all that came out of splits.
    Split {
        start: usize,
        count: usize,
    },
    /// The place in the list of destinations.
    Divert(usize),
    /// As `Divert`, but later edits may still change the event.
    Route(usize),
}

impl Fate {
    /// Whether edits on all pass it over.
    fn is_gone(self) -> bool {
        matches!(self, Self::Drop | Self::Split { .. } | Self::Divert(_))
    }
}

/// What became of one row: the events in its place, and where they go if not on.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) events: Vec<Event>,
    pub(crate) destination: Option<Destination>,
}

/// Applies all changes in order. `rejection` makes the rejection for a reason that the guest gave.
pub(crate) fn apply(
    mut batch: Batch,
    changes: Vec<Change>,
    rejection: impl Fn(ByteString) -> Rejection,
) -> Batch {
    let fates = changed(&mut batch, changes, rejection);
    fates.carry_out(batch)
}

/// The same, row by row: to compare, or to put together with other rows.
pub(crate) fn rows(
    mut batch: Batch,
    changes: Vec<Change>,
    rejection: impl Fn(ByteString) -> Rejection,
) -> Vec<Row> {
    let Fates { rows, destinations, mut from_splits } = changed(&mut batch, changes, rejection);
    let fates = rows.into_iter().chain(std::iter::repeat(Fate::Keep));
    let row = |(event, fate): (Event, Fate)| match fate {
        Fate::Keep => Row { events: vec![event], destination: None },
        Fate::Drop => Row { events: Vec::new(), destination: None },
        Fate::Divert(at) | Fate::Route(at) => {
            Row { events: vec![event], destination: destinations.get(at).cloned() }
        }
        Fate::Split { start, count } => {
            let parts = from_splits.get_mut(start..start + count).unwrap_or_default();
            Row { events: parts.iter_mut().map(std::mem::take).collect(), destination: None }
        }
    };
    batch.into_events().into_iter().zip(fates).map(row).collect()
}

/// Changes the events and says what becomes of each.
fn changed(batch: &mut Batch, changes: Vec<Change>, rejection: impl Fn(ByteString) -> Rejection) -> Fates {
    let mut fates = Fates::default();
    for change in changes {
        match change {
            Change::SetBodies { rows, bodies } => {
                let events = batch.events_mut();
                for (row, body) in rows.into_iter().zip(bodies.iter()) {
                    if let Some(event) = events.get_mut(row as usize) {
                        event.body = body;
                    }
                }
            }
            Change::SetHeader { name, rows, values } => set_header(batch.events_mut(), &name, &rows, values),
            Change::RemoveHeader { name, rows } => {
                on_rows(batch.events_mut(), &rows, |headers, _| {
                    headers.remove(&name);
                });
            }
            Change::SetHeaderOnAll { name, value } => {
                fates.on_all(batch, |headers| headers.set(name.clone(), value.clone()));
            }
            Change::RemoveHeaderOnAll(name) => fates.on_all(batch, |headers| {
                headers.remove(&name);
            }),
            Change::Drop(rows) => fates.set(batch.len(), &rows, |_| Fate::Drop),
            Change::Route { channel, rows } => {
                let at = fates.destination(Destination::Channel(channel));
                fates.set(batch.len(), &rows, |_| Fate::Route(at));
            }
            Change::Reject { reason, rows } => {
                let at = fates.destination(Destination::DeadLetter(rejection(reason)));
                fates.set(batch.len(), &rows, |_| Fate::Divert(at));
            }
            Change::Split { rows, counts, events } => {
                let mut start = fates.from_splits.len();
                fates.from_splits.extend(events);
                let mut counts = counts.into_iter();
                fates.set(batch.len(), &rows, |_| {
                    let count = counts.next().unwrap_or(0) as usize;
                    start += count;
                    Fate::Split { start: start - count, count }
                });
            }
        }
    }
    fates
}

fn set_header(events: &mut [Event], name: &ByteString, rows: &[u32], values: Values) {
    match values {
        Values::One(value) => {
            on_rows(events, rows, |headers, _| headers.set(name.clone(), value.clone()));
        }
        Values::Each(values) => {
            for (row, value) in rows.iter().zip(values) {
                if let Some(event) = events.get_mut(*row as usize) {
                    event.headers.set(name.clone(), value);
                }
            }
        }
    }
}

/// Changes the headers of some rows in the same way; neighbours that shared a list share the changed one.
fn on_rows(events: &mut [Event], rows: &[u32], mut change: impl FnMut(&mut Headers, u32)) {
    let mut sharing = Sharing::default();
    for row in rows {
        if let Some(event) = events.get_mut(*row as usize) {
            sharing.change(event, |headers| change(headers, *row));
        }
    }
}

/// The last list of headers that was changed, before and after.
#[derive(Default)]
struct Sharing {
    last: Option<(Headers, Headers)>,
}

impl Sharing {
    fn change(&mut self, event: &mut Event, change: impl FnOnce(&mut Headers)) {
        match &self.last {
            Some((before, after)) if event.headers.is_same_list(before) => event.headers = after.clone(),
            _ => {
                let before = event.headers.clone();
                change(&mut event.headers);
                self.last = Some((before, event.headers.clone()));
            }
        }
    }
}

/// What becomes of every row; empty while all are kept.
#[derive(Default)]
struct Fates {
    rows: Vec<Fate>,
    destinations: Vec<Destination>,
    from_splits: Vec<Event>,
}

impl Fates {
    fn destination(&mut self, destination: Destination) -> usize {
        self.destinations.push(destination);
        self.destinations.len() - 1
    }

    fn set(&mut self, count: usize, rows: &[u32], mut fate: impl FnMut(u32) -> Fate) {
        if self.rows.is_empty() {
            self.rows = vec![Fate::Keep; count];
        }
        for row in rows {
            if let Some(place) = self.rows.get_mut(*row as usize) {
                *place = fate(*row);
            }
        }
    }

    /// Changes every event that is still there, those from splits included.
    fn on_all(&mut self, batch: &mut Batch, mut change: impl FnMut(&mut Headers)) {
        if self.rows.is_empty() {
            batch.change_headers(&mut change);
        } else {
            let mut sharing = Sharing::default();
            let events = batch.events_mut().iter_mut().zip(&self.rows);
            for (event, _) in events.filter(|(_, fate)| !fate.is_gone()) {
                sharing.change(event, &mut change);
            }
        }
        self.from_splits.iter_mut().for_each(|event| change(&mut event.headers));
    }

    fn carry_out(self, batch: Batch) -> Batch {
        if self.rows.is_empty() {
            return batch;
        }
        let Self { rows, destinations, from_splits } = self;
        let mut diverted = Vec::new();
        let has_splits = rows.iter().any(|fate| matches!(fate, Fate::Split { .. }));
        let mut batch = batch.map_events(|mut events| {
            if has_splits {
                return merge(events, &rows, from_splits, &mut diverted);
            }
            let mut fates = rows.iter();
            events.retain_mut(|event| match fates.next() {
                Some(Fate::Divert(at) | Fate::Route(at)) => {
                    diverted.push((std::mem::take(event), *at));
                    false
                }
                Some(Fate::Drop) => false,
                _ => true,
            });
            events
        });
        for (event, at) in diverted {
            if let Some(destination) = destinations.get(at) {
                batch.divert(event, destination.clone());
            }
        }
        batch
    }
}

/// Puts the events of splits in the places of their rows.
fn merge(
    events: Vec<Event>,
    fates: &[Fate],
    mut from_splits: Vec<Event>,
    diverted: &mut Vec<(Event, usize)>,
) -> Vec<Event> {
    let mut merged = Vec::with_capacity(events.len() + from_splits.len());
    for (event, fate) in events.into_iter().zip(fates) {
        match *fate {
            Fate::Keep => merged.push(event),
            Fate::Drop => {}
            Fate::Divert(at) | Fate::Route(at) => diverted.push((event, at)),
            Fate::Split { start, count } => {
                let parts = from_splits.get_mut(start..start + count).unwrap_or_default();
                merged.extend(parts.iter_mut().map(std::mem::take));
            }
        }
    }
    merged
}
