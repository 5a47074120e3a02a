//! Many byte strings back to back: the form in which bodies cross the boundary, as a view.
//!
//! One allocation holds all bytes, another where each string ends. Reading and pushing is slicing, so a
//! batch of a thousand bodies costs two allocations instead of a thousand.

use std::ops::Index;

use crate::bindings::millrace::plugin::types;

/// Byte strings back to back, numbered from 0.
///
/// ```
/// use millrace_plugin::Packed;
///
/// let bodies: Packed = ["first", "", "third"].into_iter().collect();
/// assert_eq!(bodies.len(), 3);
/// assert_eq!(&bodies[2], b"third");
/// assert_eq!(bodies.rows().next(), Some((0, b"first".as_slice())));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Packed {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty list with room for `count` strings of `bytes` bytes together.
    pub fn with_capacity(count: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(count) }
    }

    /// Says how many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Says whether there is no string at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives one string, or none when `row` is out of range.
    #[inline]
    pub fn get(&self, row: u32) -> Option<&[u8]> {
        let row = row as usize;
        let end = *self.ends.get(row)? as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        self.bytes.get(start..end)
    }

    /// Walks through the strings.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: &self.bytes, ends: self.ends.iter(), start: 0 }
    }

    /// Walks through the strings together with their row numbers.
    #[inline]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (u32, &[u8])> {
        self.iter().enumerate().map(|(row, bytes)| (row as u32, bytes))
    }

    /// Gives all bytes at once, without the borders.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives all bytes at once, to overwrite them in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Replaces every byte by another: the fastest way to mask, if `map` has no branches.
    ///
    /// ```
    /// # use millrace_plugin::Packed;
    /// let mut bodies: Packed = ["card 17"].into_iter().collect();
    /// bodies.map_bytes(|byte| if byte.is_ascii_digit() { b'#' } else { byte });
    /// assert_eq!(&bodies[0], b"card ##");
    /// ```
    #[inline]
    pub fn map_bytes(&mut self, map: impl Fn(u8) -> u8) {
        // A turn of a loop costs a check of the time that is left, so each takes many bytes.
        let mut blocks = self.bytes.chunks_exact_mut(128);
        for block in &mut blocks {
            let Ok(block) = <&mut [u8; 128]>::try_from(block) else { continue };
            *block = block.map(&map);
        }
        for byte in blocks.into_remainder() {
            *byte = map(*byte);
        }
    }

    /// Gives the place behind each string in [`bytes`](Self::bytes).
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Adds a string.
    #[inline]
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.close();
    }

    /// Adds a string that `write` appends to the end of the vector it is given. It must not shorten it.
    ///
    /// ```
    /// # use millrace_plugin::Packed;
    /// let mut bodies = Packed::new();
    /// bodies.push_with(|out| out.extend_from_slice(b"built in place"));
    /// assert_eq!(&bodies[0], b"built in place");
    /// ```
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        assert!(self.bytes.len() >= start, "the bodies before this one were shortened");
        self.close();
    }

    /// Takes the last string off again.
    pub(crate) fn pop(&mut self) {
        if self.ends.pop().is_some() {
            self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
        }
    }

    #[inline]
    fn close(&mut self) {
        assert!(self.bytes.len() <= u32::MAX as usize, "a packed list holds less than 4 GiB");
        self.ends.push(self.bytes.len() as u32);
    }
}

impl Index<u32> for Packed {
    type Output = [u8];

    #[inline]
    fn index(&self, row: u32) -> &[u8] {
        let row = row as usize;
        let start = if row == 0 { 0 } else { self.ends[row - 1] as usize };
        &self.bytes[start..self.ends[row] as usize]
    }
}

impl<'a> IntoIterator for &'a Packed {
    type Item = &'a [u8];
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Packed {
    fn from_iter<I: IntoIterator<Item = T>>(strings: I) -> Self {
        let mut packed = Self::new();
        packed.extend(strings);
        packed
    }
}

impl<T: AsRef<[u8]>> Extend<T> for Packed {
    fn extend<I: IntoIterator<Item = T>>(&mut self, strings: I) {
        for string in strings {
            self.push(string.as_ref());
        }
    }
}

impl From<types::Packed> for Packed {
    fn from(packed: types::Packed) -> Self {
        Self { bytes: packed.bytes, ends: packed.ends }
    }
}

impl From<Packed> for types::Packed {
    fn from(packed: Packed) -> Self {
        Self { bytes: packed.bytes, ends: packed.ends }
    }
}

/// Walks through the strings of a [`Packed`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    bytes: &'a [u8],
    ends: std::slice::Iter<'a, u32>,
    start: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.ends.next()? as usize;
        let string = &self.bytes[self.start..end];
        self.start = end;
        Some(string)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_went_in() {
        let mut packed = Packed::new();
        packed.push(b"one");
        packed.push(b"");
        packed.push_with(|out| out.extend_from_slice(&[0, 255]));
        assert_eq!(packed.ends(), [3, 3, 5]);
        assert_eq!(packed.iter().collect::<Vec<_>>(), [b"one".as_slice(), b"", &[0, 255]]);
        assert_eq!(packed.get(1), Some(b"".as_slice()));
        assert_eq!(packed.get(3), None);
        assert_eq!(&packed[0], b"one");
        assert_eq!(packed.rows().last(), Some((2, [0, 255].as_slice())));
    }

    #[test]
    fn taking_the_last_one_off_leaves_the_others() {
        let mut packed: Packed = ["a", "bcd"].into_iter().collect();
        packed.pop();
        assert_eq!(packed, ["a"].into_iter().collect());
        packed.pop();
        packed.pop();
        assert!(packed.is_empty());
    }

    #[test]
    fn ends_that_lie_give_nothing_instead_of_other_bytes() {
        let packed = Packed { bytes: vec![1, 2], ends: vec![2, 1, 9] };
        assert_eq!(packed.get(0), Some([1, 2].as_slice()));
        assert_eq!(packed.get(1), None);
        assert_eq!(packed.get(2), None);
    }

    #[test]
    fn the_form_of_the_interface_is_taken_over_without_a_copy() {
        let packed: Packed = ["abc"].into_iter().collect();
        let place = packed.bytes().as_ptr();
        let raw = types::Packed::from(packed);
        assert_eq!(raw.bytes.as_ptr(), place);
        assert_eq!(Packed::from(raw).bytes().as_ptr(), place);
    }
}
