//! Lines out of a stream of bytes, as slices of the blocks in which they were read.
//!
//! A block is found, cut and passed on without a copy and without an allocation per line. What a reader may
//! have waiting is bounded by its own limit on lines plus one block.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr_iter;

/// The smallest block to read; idle connections hold no more.
const BLOCK_BYTES_MIN: usize = 8 << 10;
/// The largest one, reached while blocks come back full.
const BLOCK_BYTES_MAX: usize = 256 << 10;

/// Collects blocks and cuts them at line feeds.
pub(crate) struct LineCutter {
    waiting: BytesMut,
    /// So many bytes at the front are known to hold no line feed.
    searched: usize,
    ends: Vec<usize>,
    block_bytes: usize,
}

impl LineCutter {
    pub(crate) fn new() -> Self {
        Self { waiting: BytesMut::new(), searched: 0, ends: Vec::new(), block_bytes: BLOCK_BYTES_MIN }
    }

    /// Where the next block is to be read to.
    pub(crate) fn room(&mut self) -> &mut BytesMut {
        if self.waiting.capacity() - self.waiting.len() < self.block_bytes / 4 {
            self.waiting.reserve(self.block_bytes);
        }
        &mut self.waiting
    }

    /// Says how much was read: full blocks make the next one larger.
    pub(crate) fn read(&mut self, bytes: usize) {
        if bytes >= self.block_bytes {
            self.block_bytes = (self.block_bytes * 2).min(BLOCK_BYTES_MAX);
        } else if bytes < self.block_bytes / 8 {
            self.block_bytes = (self.block_bytes / 2).max(BLOCK_BYTES_MIN);
        }
    }

    /// Adds bytes that had to be decoded first.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.waiting.put_slice(bytes);
    }

    /// Hands over up to `lines_max` complete lines without their line feeds; returns how many.
    pub(crate) fn cut(&mut self, lines_max: usize, mut each: impl FnMut(Bytes)) -> usize {
        let unsearched = self.waiting.get(self.searched..).unwrap_or_default();
        self.ends.clear();
        self.ends.extend(memchr_iter(b'\n', unsearched).take(lines_max).map(|at| at + self.searched));
        let Some(last) = self.ends.last() else {
            self.searched = self.waiting.len();
            return 0;
        };
        let block = self.waiting.split_to(last + 1).freeze();
        self.searched = if self.ends.len() < lines_max { self.waiting.len() } else { 0 };
        let mut start = 0;
        for end in &self.ends {
            each(block.slice(start..*end));
            start = end + 1;
        }
        self.ends.len()
    }

    /// Bytes behind the last line that was cut, possibly with line feeds if the last cut was limited.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.waiting
    }

    /// Takes so many of the waiting bytes, or all there are.
    pub(crate) fn take(&mut self, bytes: usize) -> Bytes {
        let bytes = bytes.min(self.waiting.len());
        self.searched = self.searched.saturating_sub(bytes);
        self.waiting.split_to(bytes).freeze()
    }
}

/// A line without the carriage return that Windows puts at its end.
pub(crate) fn without_carriage_return(line: Bytes) -> Bytes {
    match line.last() {
        Some(b'\r') => line.slice(..line.len() - 1),
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{LineCutter, without_carriage_return};

    fn cut(cutter: &mut LineCutter, lines_max: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let count = cutter.cut(lines_max, |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        assert_eq!(count, lines.len());
        lines
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let text = "one\n\ntwo and a half\n\nthree\nrest";
        for block in 1..text.len() {
            let mut cutter = LineCutter::new();
            let mut lines = Vec::new();
            for part in text.as_bytes().chunks(block) {
                cutter.room().extend_from_slice(part);
                cutter.read(part.len());
                lines.extend(cut(&mut cutter, 100));
            }
            assert_eq!(lines, ["one", "", "two and a half", "", "three"]);
            assert_eq!(cutter.waiting(), b"rest");
        }
    }

    #[test]
    fn a_limited_cut_leaves_the_other_lines_for_the_next() {
        let mut cutter = LineCutter::new();
        cutter.push(b"a\nb\nc\nd");
        assert_eq!(cut(&mut cutter, 2), ["a", "b"]);
        assert_eq!(cut(&mut cutter, 2), ["c"]);
        assert!(cut(&mut cutter, 2).is_empty());
        assert_eq!(cutter.take(10), "d");
        cutter.push(b"e\n");
        assert_eq!(cut(&mut cutter, 2), ["e"]);
    }

    #[test]
    fn only_the_last_carriage_return_goes() {
        for (line, expected) in [("a\r", "a"), ("a\r\r", "a\r"), ("\r", ""), ("a\rb", "a\rb"), ("", "")] {
            assert_eq!(without_carriage_return(line.into()), expected);
        }
    }
}
