//! A text with its slips mended, and the way back from places in it to places in the original.

use std::{borrow::Cow, ops::Range};

use crate::scan::Edit;

/// The mended text.
#[derive(Debug)]
pub(crate) struct Repaired<'a> {
    pub(crate) text: Cow<'a, str>,
    /// For each edit, in order: its place in the mended text and in the original.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> Repaired<'a> {
    /// Applies the edits. Where two overlap, the first one stays.
    pub(crate) fn new(original: &'a str, mut edits: Vec<Edit>) -> Self {
        if edits.is_empty() {
            return Self { text: Cow::Borrowed(original), pieces: Vec::new() };
        }
        edits.sort_by_key(|edit| edit.range.start);
        let mut text = String::with_capacity(original.len() + 64);
        let mut pieces = Vec::with_capacity(edits.len());
        let mut done = 0;
        for edit in edits {
            let Some(kept) = original.get(done..edit.range.start) else { continue };
            text.push_str(kept);
            let start = text.len();
            text.push_str(&edit.text);
            pieces.push((start..text.len(), edit.range.clone()));
            done = edit.range.end;
        }
        text.push_str(original.get(done..).unwrap_or_default());
        Self { text: Cow::Owned(text), pieces }
    }

    /// The place in the original of a range of the mended text.
    pub(crate) fn original(&self, range: Range<usize>) -> Range<usize> {
        let start = self.back(range.start, false);
        start..self.back(range.end, true).max(start)
    }

    fn back(&self, offset: usize, is_end: bool) -> usize {
        let next = self.pieces.partition_point(|(mended, _)| mended.start <= offset);
        let Some((mended, original)) = next.checked_sub(1).and_then(|at| self.pieces.get(at)) else {
            return offset;
        };
        if offset > mended.end || (offset == mended.end && !is_end && mended.start < mended.end) {
            return original.end + (offset - mended.end);
        }
        if is_end && offset > mended.start { original.end } else { original.start }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(range: Range<usize>, text: &str) -> Edit {
        Edit { range, text: text.into() }
    }

    #[test]
    fn places_lead_back_to_the_original() {
        let original = "a true /var x";
        let repaired = Repaired::new(original, vec![edit(7..11, "\"/var\""), edit(2..6, "#true")]);
        assert_eq!(repaired.text, "a #true \"/var\" x");
        for (mended, expected) in [("a", "a"), ("#true", "true"), ("\"/var\"", "/var"), ("x", "x")] {
            let at = repaired.text.find(mended).unwrap();
            assert_eq!(&original[repaired.original(at..at + mended.len())], expected);
        }
    }

    #[test]
    fn overlapping_edits_keep_the_first() {
        let repaired = Repaired::new("abcdef", vec![edit(1..4, "X"), edit(2..5, "Y")]);
        assert_eq!(repaired.text, "aXef");
    }
}
