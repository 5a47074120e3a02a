//! Which events of a batch a serializer is to write, and how much it may.

use std::ops::Range;

use millrace_core::Event;

/// Some events of a batch, in order: those that go to one file.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    events: &'a [Event],
    runs: &'a [Range<usize>],
    /// How many events of the first run are done.
    done: usize,
    /// How many of the others these are at most.
    limit: usize,
}

impl<'a> Rows<'a> {
    /// The events in these ranges, which ascend and do not overlap.
    pub fn new(events: &'a [Event], runs: &'a [Range<usize>]) -> Self {
        Self { events, runs, done: 0, limit: usize::MAX }
    }

    /// The events.
    pub fn iter(&self) -> impl Iterator<Item = &'a Event> + use<'a> {
        let events = self.events;
        let first = self.runs.first().map(|run| run.start + self.done..run.end);
        let others = self.runs.get(1..).unwrap_or_default().iter().cloned();
        first
            .into_iter()
            .chain(others)
            .flat_map(move |run| events.get(run).unwrap_or_default())
            .take(self.limit)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        (self.runs.iter().map(Range::len).sum::<usize>() - self.done).min(self.limit)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `count` events, or all.
    #[must_use]
    pub fn take(self, count: usize) -> Self {
        Self { limit: self.limit.min(count), ..self }
    }

    /// The events after the first `count`.
    #[must_use]
    pub fn skip(mut self, mut count: usize) -> Self {
        self.limit = self.limit.saturating_sub(count);
        while let Some(first) = self.runs.first() {
            let left = first.len() - self.done;
            if count < left {
                self.done += count;
                break;
            }
            count -= left;
            self.runs = self.runs.get(1..).unwrap_or_default();
            self.done = 0;
        }
        self
    }
}

/// How much may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Number of events.
    pub events: usize,
    /// Bytes of the output as a whole, before compression.
    pub bytes: usize,
    /// Whether the first event is written whatever its size: the file is empty and has to take it.
    pub takes_first: bool,
}

impl Room {
    /// Everything.
    pub const UNLIMITED: Self = Self { events: usize::MAX, bytes: usize::MAX, takes_first: true };

    /// Whether one more event fits, after `taken` events, when the output would then have `bytes`.
    pub(super) fn has(&self, taken: usize, bytes: usize) -> bool {
        taken < self.events && (bytes <= self.bytes || (taken == 0 && self.takes_first))
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;
    use millrace_core::Event;

    #[test]
    fn rows_skip_across_runs() {
        let events: Vec<Event> =
            ["a", "b", "c", "d", "e", "f"].iter().map(|body| Event::new(*body)).collect();
        let runs = [0..2, 3..4, 5..6];
        let bodies = |rows: Rows<'_>| -> Vec<String> {
            rows.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
        };
        let rows = Rows::new(&events, &runs);
        for (skipped, expected) in [(0, "abdf"), (1, "bdf"), (2, "df"), (3, "f"), (4, ""), (9, "")] {
            assert_eq!(bodies(rows.skip(skipped)).concat(), expected);
            assert_eq!(rows.skip(skipped).len(), expected.len());
        }
        assert_eq!(bodies(rows.skip(1).skip(2)), ["f"]);
        for (skipped, taken, expected) in [(0, 2, "ab"), (1, 2, "bd"), (1, 9, "bdf"), (0, 0, "")] {
            let rows = rows.skip(skipped).take(taken);
            assert_eq!((bodies(rows).concat().as_str(), rows.len()), (expected, expected.len()));
        }
        assert_eq!(bodies(rows.take(3).skip(1).take(9)), ["b", "d"]);
    }
}
