//! Collects what should change, row by row, and turns it into columns.
//!
//! One edit per row would cost the agent two allocations per header. Here all rows that get the
//! same header share one edit, all new bodies share one run of bytes, and so on.
//!
//! Invariants: changes to one header, or to bodies, are sent in the order in which they were made.
//! What ends an event (drop, split, reject) is sent behind what changes it, so that a
//! row may be changed and dropped in any order. Rows of each edit are strictly ascending.

use crate::bindings::millrace::plugin::types::{self, Edit};
use crate::{Events, Packed};

/// What should change in the batch of this call. Nothing noted means: keep all as it is.
///
/// Row numbers always mean the batch as it was lent. Each event can end once: as dropped, split or
/// rejected.
///
/// ```
/// use millrace_plugin::{testing, Edits, Event};
///
/// let batch = testing::batch(vec![Event::new("a"), Event::new("b"), Event::new("c")]);
/// let mut edits = Edits::default();
/// edits.drop(1);
/// edits.set_header(2, "seen", "yes");
///
/// let outcome = testing::apply(&batch, edits).unwrap();
/// assert_eq!(outcome.kept, [Event::new("a"), Event::new("c").with_header("seen", "yes")]);
/// ```
#[derive(Debug, Default)]
pub struct Edits {
    /// Changes, in order.
    changes: Vec<Change>,
    drops: Vec<u32>,
    splits: Splits,
    rejects: Vec<types::LabelledRows>,
}

/// One edit that still grows.
#[derive(Debug)]
enum Change {
    Bodies {
        rows: Vec<u32>,
        bodies: Packed,
    },
    Header(HeaderChange),
    Removal(types::HeaderRemoval),
    Route(types::LabelledRows),
    /// Nothing is added to these any more.
    Closed(Edit),
}

/// One header set on some rows. As long as all rows get the same value, it is there once.
#[derive(Debug)]
struct HeaderChange {
    name: String,
    rows: Vec<u32>,
    values: Packed,
}

#[derive(Debug, Default)]
struct Splits {
    rows: Vec<u32>,
    counts: Vec<u32>,
    events: Events,
}

impl Edits {
    /// Says whether nothing has been noted.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
            && self.drops.is_empty()
            && self.splits.rows.is_empty()
            && self.rejects.is_empty()
    }

    /// Drops an event.
    #[inline]
    pub fn drop(&mut self, row: u32) {
        self.drops.push(row);
    }

    /// Drops many events.
    pub fn drop_rows(&mut self, rows: Vec<u32>) {
        if self.drops.is_empty() {
            self.drops = rows;
        } else {
            self.drops.extend(rows);
        }
    }

    /// Replaces a body.
    pub fn set_body(&mut self, row: u32, body: &[u8]) {
        self.set_body_with(row, |out| out.extend_from_slice(body));
    }

    /// Replaces a body by what `write` appends to the end of the vector it is given.
    ///
    /// ```
    /// # use millrace_plugin::{testing, Edits, Event};
    /// # let batch = testing::batch(vec![Event::new("a")]);
    /// # let mut edits = Edits::default();
    /// edits.set_body_with(0, |out| out.extend(batch.body(0).iter().map(u8::to_ascii_uppercase)));
    /// # assert_eq!(testing::apply(&batch, edits).unwrap().kept, [Event::new("A")]);
    /// ```
    pub fn set_body_with(&mut self, row: u32, write: impl FnOnce(&mut Vec<u8>)) {
        // Bodies do not depend on any other change, so the newest edit of bodies is the one to extend.
        let open = self.changes.iter_mut().rev().find_map(|change| match change {
            Change::Bodies { rows, bodies } => Some((rows, bodies)),
            _ => None,
        });
        match open {
            Some((rows, bodies)) if may_follow(rows, row) => {
                if rows.last() == Some(&row) {
                    bodies.pop();
                } else {
                    rows.push(row);
                }
                bodies.push_with(write);
            }
            _ => {
                let mut bodies = Packed::new();
                bodies.push_with(write);
                self.changes.push(Change::Bodies { rows: vec![row], bodies });
            }
        }
    }

    /// Replaces the bodies of rows 0, 1, 2, … by these, in order.
    pub fn set_all_bodies(&mut self, bodies: Packed) {
        let rows = (0..bodies.len() as u32).collect();
        self.set_bodies(rows, bodies);
    }

    /// Replaces the bodies of some rows, which must ascend. There is one body for each row.
    pub fn set_bodies(&mut self, rows: Vec<u32>, bodies: Packed) {
        assert_eq!(rows.len(), bodies.len(), "one body for each row");
        self.changes.push(Change::Bodies { rows, bodies });
    }

    /// Sets a header of one event; an older value is replaced.
    #[inline]
    pub fn set_header(&mut self, row: u32, name: &str, value: &str) {
        match self.last_change_of(name) {
            Some(Change::Header(change)) if may_follow(&change.rows, row) => change.push(row, value),
            _ => {
                let mut change = HeaderChange::new(name);
                change.push(row, value);
                self.changes.push(Change::Header(change));
            }
        }
    }

    /// Sets a header to the same value on some rows, which must ascend.
    pub fn set_header_rows(&mut self, rows: Vec<u32>, name: &str, value: &str) {
        if rows.is_empty() {
            return;
        }
        let mut change = HeaderChange::new(name);
        change.rows = rows;
        change.values.push(value.as_bytes());
        self.changes.push(Change::Header(change));
    }

    /// Sets a header on every event that is still there, also on those that took the place of others by
    /// earlier splits. What ended an event before this call stays ended: it may not be named again.
    pub fn set_header_on_all(&mut self, name: &str, value: &str) {
        self.close_ended();
        let edit = Edit::SetHeaderOnAll((name.to_owned(), value.to_owned()));
        self.changes.push(Change::Closed(edit));
    }

    /// Removes a header of one event. An event without it stays as it is.
    pub fn remove_header(&mut self, row: u32, name: &str) {
        match self.last_change_of(name) {
            Some(Change::Removal(removal)) if may_follow(&removal.rows, row) => {
                push_once(&mut removal.rows, row);
            }
            _ => self
                .changes
                .push(Change::Removal(types::HeaderRemoval { name: name.to_owned(), rows: vec![row] })),
        }
    }

    /// Removes a header from every event that is still there, as [`Self::set_header_on_all`] sets one.
    pub fn remove_header_on_all(&mut self, name: &str) {
        self.close_ended();
        self.changes.push(Change::Closed(Edit::RemoveHeaderOnAll(name.to_owned())));
    }

    /// Puts other events in the place of one. They inherit nothing from it. No events: a drop.
    /// Rows must ascend.
    ///
    /// ```
    /// # use millrace_plugin::{testing, Edits, Event};
    /// # let batch = testing::batch(vec![Event::new("a\nb").with_header("host", "web")]);
    /// # let mut edits = Edits::default();
    /// let event = batch.event(0);
    /// edits.split(0, |events| {
    ///     for line in event.body.split(|byte| *byte == b'\n') {
    ///         events.push(line).headers(event.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    ///     }
    /// });
    /// # assert_eq!(testing::apply(&batch, edits).unwrap().kept[1], Event::new("b").with_header("host", "web"));
    /// ```
    pub fn split(&mut self, row: u32, write: impl FnOnce(&mut Events)) {
        let before = self.splits.events.len();
        write(&mut self.splits.events);
        self.splits.rows.push(row);
        self.splits.counts.push((self.splits.events.len() - before) as u32);
    }

    /// Sends an event to the channel of this name, whatever the selector says. The operator must have
    /// granted the channel. The last route of an event counts.
    pub fn route(&mut self, row: u32, channel: &str) {
        let open = self.changes.iter_mut().rev().find_map(|change| match change {
            Change::Route(route) => Some(route),
            _ => None,
        });
        match open {
            Some(route) if route.label == channel && may_follow(&route.rows, row) => {
                push_once(&mut route.rows, row);
            }
            _ => self.changes.push(Change::Route(labelled(channel, row))),
        }
    }

    /// Sends an event to the dead-letter channel, with a reason.
    pub fn reject(&mut self, row: u32, reason: &str) {
        match self.rejects.iter_mut().rev().find(|rows| rows.label == reason) {
            Some(rows) => rows.rows.push(row),
            None => self.rejects.push(labelled(reason, row)),
        }
    }

    /// Adds an edit exactly as the interface has it, behind all that was noted so far. Nothing is checked.
    #[doc(hidden)]
    pub fn push(&mut self, edit: Edit) {
        self.close_ended();
        self.changes.push(Change::Closed(edit));
    }

    /// Gives the edits in the form that crosses the boundary.
    #[doc(hidden)]
    pub fn finish(mut self) -> Vec<Edit> {
        self.close_ended();
        self.changes.into_iter().map(Change::into_edit).collect()
    }

    /// Finds the change that a new one to the same header could join. A change to all headers of that
    /// name, or one whose content is unknown here, is a border that nothing may cross.
    #[inline]
    fn last_change_of(&mut self, header: &str) -> Option<&mut Change> {
        self.changes.iter_mut().rev().find(|change| match change {
            Change::Header(change) => change.name == header,
            Change::Removal(removal) => removal.name == header,
            Change::Closed(_) => true,
            Change::Bodies { .. } | Change::Route(_) => false,
        })
    }

    /// Moves what ends events behind the changes made so far.
    fn close_ended(&mut self) {
        let closed = |edit| Change::Closed(edit);
        if !self.drops.is_empty() {
            let rows = ascending(std::mem::take(&mut self.drops));
            self.changes.push(closed(Edit::Drop(rows)));
        }
        if !self.splits.rows.is_empty() {
            let splits = std::mem::take(&mut self.splits);
            self.changes.push(closed(Edit::Split(types::Splits {
                rows: splits.rows,
                counts: splits.counts,
                events: splits.events.into(),
            })));
        }
        for mut rejected in std::mem::take(&mut self.rejects) {
            rejected.rows = ascending(rejected.rows);
            self.changes.push(closed(Edit::Reject(rejected)));
        }
    }
}

impl Change {
    fn into_edit(self) -> Edit {
        match self {
            Self::Bodies { rows, bodies } => {
                Edit::SetBodies(types::BodyEdits { rows, bodies: bodies.into() })
            }
            Self::Header(change) => Edit::SetHeader(types::HeaderEdit {
                name: change.name,
                rows: change.rows,
                values: change.values.into(),
            }),
            Self::Removal(removal) => Edit::RemoveHeader(removal),
            Self::Route(rows) => Edit::Route(rows),
            Self::Closed(edit) => edit,
        }
    }
}

impl HeaderChange {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), rows: Vec::new(), values: Packed::new() }
    }

    #[inline]
    fn push(&mut self, row: u32, value: &str) {
        let value = value.as_bytes();
        if self.rows.last() == Some(&row) {
            self.expand();
            self.values.pop();
            self.values.push(value);
            return;
        }
        let is_shared = self.values.len() == 1 && self.values.get(0) == Some(value);
        if !is_shared {
            self.expand();
            self.values.push(value);
        }
        self.rows.push(row);
    }

    /// Gives every row a value of its own, once they are no longer all the same.
    fn expand(&mut self) {
        if self.values.len() == 1 && self.rows.len() > 1 {
            let shared = self.values[0].to_vec();
            for _ in 1..self.rows.len() {
                self.values.push(&shared);
            }
        }
    }
}

fn labelled(label: &str, row: u32) -> types::LabelledRows {
    types::LabelledRows { label: label.to_owned(), rows: vec![row] }
}

#[inline]
fn may_follow(rows: &[u32], row: u32) -> bool {
    rows.last().is_none_or(|last| *last <= row)
}

fn push_once(rows: &mut Vec<u32>, row: u32) {
    if rows.last() != Some(&row) {
        rows.push(row);
    }
}

/// Sorts rows unless they ascend already, as they nearly always do, and keeps each once.
fn ascending(mut rows: Vec<u32>) -> Vec<u32> {
    if !rows.is_sorted_by(|a, b| a < b) {
        rows.sort_unstable();
        rows.dedup();
    }
    rows
}

#[cfg(test)]
mod tests;
