//! Stamps: what interceptors have left of a batch gets its numbers, in one header that the sink reads and never sends.
//!
//! Before the interceptors that header says which record an event is of. They may drop events, split them, and lose the
//! header: an event without it counts to the one before it. Should they change the order of records, it is restored.

use std::collections::HashMap;

use bytestring::ByteString;
use millrace_core::{Batch, Event};

use super::{
    Ledger,
    queue::{Position, Queue, Tenure},
};
use crate::record::PLACE;

/// Where the records of a batch come from, as it was when the batch was handed on.
pub(crate) struct Journey {
    /// Of each record. None: its partition has gone.
    pub(super) places: Vec<Option<(Tenure, i64)>>,
    /// The offset behind the batch, of each partition.
    pub(super) ends: Vec<(Tenure, i64)>,
}

/// An event that stays.
struct Stamped {
    event: Event,
    tenure: Tenure,
    offset: i64,
    part: u32,
}

impl Ledger {
    /// Gives every event its number. Events that were delivered before, and those of partitions that have gone, are left
    /// out. Returns how many the latter are, too.
    pub(crate) fn stamp(&self, mut batch: Batch, journey: &Journey) -> (Batch, u64) {
        for diverted in batch.diverted_mut() {
            diverted.event.headers.remove(PLACE);
        }
        let mut given_back = 0;
        let id = self.id;
        let batch = batch.map_events(|events| {
            let mut queue = self.queue.lock();
            let before = events.len();
            let (kept, delivered) = kept(&queue, events, journey);
            given_back = (before - kept.len() - delivered) as u64;
            let serials = enter(&mut queue, &kept, journey);
            drop(queue);
            kept.into_iter()
                .zip(serials)
                .map(|(Stamped { mut event, .. }, serial)| {
                    event.headers.set(ByteString::from_static(PLACE), format!("{id:016x}-{serial}").into());
                    event
                })
                .collect()
        });
        (batch, given_back)
    }
}

/// The events that go on, and how many are left out since they were delivered before.
fn kept(queue: &Queue, events: Vec<Event>, journey: &Journey) -> (Vec<Stamped>, usize) {
    let mut last = 0_usize;
    let mut placed: Vec<(usize, Event)> = events
        .into_iter()
        .map(|event| {
            let place = event.header(PLACE).and_then(|place| place.parse().ok());
            last = place.map_or(last, |place: usize| place.min(journey.places.len().saturating_sub(1)));
            (last, event)
        })
        .collect();
    if !placed.is_sorted_by_key(|(place, _)| *place) {
        placed.sort_by_key(|(place, _)| *place);
    }
    let (mut kept, mut delivered) = (Vec::with_capacity(placed.len()), 0);
    let (mut before, mut part) = (usize::MAX, 0_u32);
    for (place, event) in placed {
        part = if place == before { part + 1 } else { 0 };
        before = place;
        let Some((tenure, offset)) = journey.places.get(place).copied().flatten() else { continue };
        let Some(holding) = queue.holding(tenure).filter(|_| !queue.is_closed()) else { continue };
        if (Position { offset, part }) < holding.start.unwrap_or_default() {
            delivered += 1;
            continue;
        }
        kept.push(Stamped { event, tenure, offset, part });
    }
    (kept, delivered)
}

/// Adds a step for each event, and one for each partition that has none.
fn enter(queue: &mut Queue, kept: &[Stamped], journey: &Journey) -> Vec<u64> {
    let ends: HashMap<Tenure, i64> = journey.ends.iter().copied().collect();
    let mut later: HashMap<Tenure, i64> = HashMap::new();
    let mut after: Vec<Position> = kept
        .iter()
        .rev()
        .map(|row| match later.insert(row.tenure, row.offset) {
            Some(next) if next == row.offset => Position { offset: next, part: row.part + 1 },
            Some(next) => Position { offset: next, part: 0 },
            None => Position { offset: ends.get(&row.tenure).copied().unwrap_or(row.offset + 1), part: 0 },
        })
        .collect();
    after.reverse();
    let serials = kept.iter().zip(after).map(|(row, after)| queue.push(row.tenure, after, false)).collect();
    if !queue.is_closed() {
        let empty = journey.ends.iter().filter(|(tenure, _)| !later.contains_key(tenure));
        for (tenure, offset) in empty {
            if queue.holding(*tenure).is_none() {
                continue;
            }
            queue.push(*tenure, Position { offset: *offset, part: 0 }, true);
        }
    }
    serials
}
