//! One header of every event of a batch, as a view on one text.

use crate::bindings::millrace::plugin::types;

/// The values of one header, one for each event of the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderColumn {
    values: String,
    ends: Vec<u32>,
    /// Rows without the header, ascending. Only looked at where the value is empty.
    missing: Vec<u32>,
}

impl HeaderColumn {
    /// Says how many events there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Says whether the batch has no events. It never has none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives the value in one row; none where the event does not have the header.
    #[inline]
    pub fn get(&self, row: u32) -> Option<&str> {
        let index = row as usize;
        let end = *self.ends.get(index)? as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        self.present(row, self.values.get(start..end)?)
    }

    /// Walks through the events: row and value.
    #[inline]
    pub fn rows(&self) -> impl Iterator<Item = (u32, Option<&str>)> {
        let mut start = 0;
        self.ends.iter().enumerate().map(move |(row, &end)| {
            let value = self.values.get(start..end as usize).unwrap_or_default();
            start = end as usize;
            (row as u32, self.present(row as u32, value))
        })
    }

    /// Gives the rows in which the header has exactly this value.
    ///
    /// ```
    /// # use millrace_plugin::{testing, Event};
    /// # let batch = testing::batch(vec![
    /// #     Event::new("").with_header("level", "debug"),
    /// #     Event::new("").with_header("level", "error"),
    /// # ]);
    /// let errors = batch.header_column("level").rows_where(|level| level == Some("error"));
    /// # assert_eq!(errors, [1]);
    /// ```
    #[inline]
    pub fn rows_where(&self, keep: impl Fn(Option<&str>) -> bool) -> Vec<u32> {
        self.rows().filter(|(_, value)| keep(*value)).map(|(row, _)| row).collect()
    }

    #[inline]
    fn present<'a>(&self, row: u32, value: &'a str) -> Option<&'a str> {
        if value.is_empty() && self.missing.binary_search(&row).is_ok() {
            return None;
        }
        Some(value)
    }
}

impl From<types::HeaderColumn> for HeaderColumn {
    fn from(column: types::HeaderColumn) -> Self {
        Self { values: text(column.values.bytes), ends: column.values.ends, missing: column.missing }
    }
}

/// Checks all values of a column in one go, instead of each for itself.
pub(crate) fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        // The interface promises UTF-8. What is not is replaced, byte for byte, so that the ends still fit.
        Err(error) => {
            error.into_bytes().into_iter().map(|b| if b < 0x80 { b as char } else { '?' }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[&str], missing: &[u32]) -> HeaderColumn {
        let packed: crate::Packed = values.iter().collect();
        types::HeaderColumn { values: packed.into(), missing: missing.to_vec() }.into()
    }

    #[test]
    fn absent_and_empty_are_told_apart() {
        let column = column(&["a", "", "", "ü"], &[2]);
        let rows: Vec<_> = column.rows().collect();
        assert_eq!(rows, [(0, Some("a")), (1, Some("")), (2, None), (3, Some("ü"))]);
        assert_eq!(column.get(1), Some(""));
        assert_eq!(column.get(2), None);
        assert_eq!(column.get(3), Some("ü"));
        assert_eq!(column.get(4), None);
        assert_eq!(column.len(), 4);
    }

    #[test]
    fn rows_are_chosen_by_value_and_by_absence() {
        let column = column(&["x", "", "x"], &[1]);
        assert_eq!(column.rows_where(|value| value == Some("x")), [0, 2]);
        assert_eq!(column.rows_where(|value| value.is_none()), [1]);
    }

    #[test]
    fn bytes_that_are_no_text_keep_the_borders_in_place() {
        let values = types::Packed { bytes: vec![b'a', 0xff, b'b'], ends: vec![2, 3] };
        let column = HeaderColumn::from(types::HeaderColumn { values, missing: vec![] });
        assert_eq!(column.get(0), Some("a?"));
        assert_eq!(column.get(1), Some("b"));
    }
}
