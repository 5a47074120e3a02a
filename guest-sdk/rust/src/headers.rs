//! All headers of a batch, as a view on the table that crossed the boundary.

use crate::bindings::millrace::plugin::types;
use crate::header_column::text;

/// All headers of all events of a batch.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    names: Vec<String>,
    /// Where the headers of each row end in `name_ids`.
    ends: Vec<u32>,
    name_ids: Vec<u32>,
    values: String,
    value_ends: Vec<u32>,
}

impl Headers {
    /// Gives the names that occur, each once.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Says how many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Says whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Walks through the headers of one event; an event that is not there has none.
    pub fn row(&self, row: u32) -> impl Iterator<Item = (&str, &str)> {
        let row = row as usize;
        let end = self.ends.get(row).map_or(0, |end| *end as usize);
        let start = if row == 0 || end == 0 { 0 } else { self.ends[row - 1] as usize };
        (start..end).map(move |index| (self.name(index), self.value(index)))
    }

    /// Gives one header of one event.
    pub fn get(&self, row: u32, name: &str) -> Option<&str> {
        self.row(row).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn name(&self, index: usize) -> &str {
        let id = self.name_ids.get(index).map_or(usize::MAX, |id| *id as usize);
        self.names.get(id).map_or("", String::as_str)
    }

    fn value(&self, index: usize) -> &str {
        let end = self.value_ends.get(index).map_or(0, |end| *end as usize);
        let start = if index == 0 { 0 } else { self.value_ends[index - 1] as usize };
        self.values.get(start..end).unwrap_or_default()
    }
}

impl From<types::HeaderTable> for Headers {
    fn from(table: types::HeaderTable) -> Self {
        let mut ends = table.counts;
        let mut total = 0_u32;
        for end in &mut ends {
            total = total.saturating_add(*end);
            *end = total;
        }
        Self {
            names: table.names,
            ends,
            name_ids: table.name_ids,
            values: text(table.values.bytes),
            value_ends: table.values.ends,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Event, testing};

    #[test]
    fn every_event_has_its_own_headers() {
        let batch = testing::batch(vec![
            Event::new("").with_header("a", "1").with_header("b", "2"),
            Event::new(""),
            Event::new("").with_header("b", "3"),
        ]);
        let headers = batch.headers();
        assert_eq!(headers.names(), ["a", "b"]);
        assert_eq!(headers.row(0).collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(headers.row(1).count(), 0);
        assert_eq!(headers.row(2).collect::<Vec<_>>(), [("b", "3")]);
        assert_eq!(headers.row(3).count(), 0);
        assert_eq!(headers.get(2, "b"), Some("3"));
        assert_eq!(headers.get(2, "a"), None);
        assert_eq!(headers.len(), 3);
    }
}
