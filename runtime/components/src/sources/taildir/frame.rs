//! Where events begin and end in a stretch of bytes.
//!
//! Framing keeps no state between calls: it looks at the bytes from the start of the first unfinished event
//! and says where that event ends, or that its end is not there yet. So a restart, a second look after the
//! file has grown, and a piece of a larger read all give the same events.

use std::ops::Range;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use regex::bytes::Regex;

/// How to cut.
pub(super) struct Framing {
    /// Largest body; what is longer is cut.
    pub(super) line_bytes_max: usize,
    /// What happens to the rest of a line that was cut.
    pub(super) long_lines: LongLines,
    /// How lines are joined, if they are.
    pub(super) multiline: Option<Multiline>,
    /// How a line ends.
    pub(super) line_end: LineEnd,
}

/// What becomes of lines above the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LongLines {
    /// Every piece is an event.
    Split,
    /// The first piece is an event, the rest is dropped.
    Truncate,
}

/// How a line ends, by character encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnd {
    /// One byte: every encoding in which a byte below 0x80 at a line end means ASCII.
    Byte,
    /// Two bytes, low byte first.
    Utf16Le,
    /// Two bytes, high byte first.
    Utf16Be,
}

impl LineEnd {
    /// The line end of an encoding.
    pub(super) fn of(encoding: Option<&'static Encoding>) -> Self {
        match encoding {
            Some(encoding) if encoding == UTF_16LE => Self::Utf16Le,
            Some(encoding) if encoding == UTF_16BE => Self::Utf16Be,
            _ => Self::Byte,
        }
    }

    fn width(self) -> usize {
        if self == Self::Byte { 1 } else { 2 }
    }

    /// The first line of the data: where its text ends and where the next line begins.
    #[inline]
    fn find(self, data: &[u8]) -> Option<(usize, usize)> {
        let (text_end, next) = match self {
            Self::Byte => memchr::memchr(b'\n', data).map(|at| (at, at + 1))?,
            Self::Utf16Le => find_pair(data, [b'\n', 0])?,
            Self::Utf16Be => find_pair(data, [0, b'\n'])?,
        };
        let text = data.get(..text_end).unwrap_or_default();
        let has_return = match self {
            Self::Byte => text.last() == Some(&b'\r'),
            Self::Utf16Le => text.ends_with(b"\r\0"),
            Self::Utf16Be => text.ends_with(b"\0\r"),
        };
        Some((if has_return { text_end - self.width() } else { text_end }, next))
    }
}

fn find_pair(data: &[u8], pair: [u8; 2]) -> Option<(usize, usize)> {
    data.chunks_exact(2).position(|unit| unit == pair).map(|at| (at * 2, at * 2 + 2))
}

/// How lines become one event. A line begins a new event when it matches `start`, or when `continuation` is
/// given and it does not match that; a line that matches `end` is the last of its event.
pub(super) struct Multiline {
    /// Matches the first line of an event.
    pub(super) start: Option<Regex>,
    /// Matches every further line of an event.
    pub(super) continuation: Option<Regex>,
    /// Matches the last line of an event.
    pub(super) end: Option<Regex>,
    /// Largest number of lines in an event.
    pub(super) lines_max: usize,
}

/// What to do with an event whose end is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flush {
    /// Wait for it.
    Nothing,
    /// Complete lines form an event; an unfinished line waits.
    Lines,
    /// Everything there is forms an event.
    Everything,
}

/// A stretch of the data that is dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// The event's body; None where the stretch is no event.
    pub(super) body: Option<Range<usize>>,
    /// The body goes on a line whose beginning was an event before.
    pub(super) continued: bool,
    /// How much of the data is done with.
    pub(super) consumed: usize,
    /// What follows goes on the same line.
    pub(super) mid_line: bool,
}

impl Frame {
    fn whole(body: Range<usize>, consumed: usize, mid_line_before: bool) -> Self {
        // The line end after a piece of the greatest length, or after a flushed part, is not an empty line.
        let is_rest = mid_line_before && body.is_empty();
        Self { body: (!is_rest).then_some(body), continued: mid_line_before, consumed, mid_line: false }
    }
}

impl Framing {
    /// The most bytes that may be needed to see the end of an event.
    pub(super) fn bytes_needed_max(&self) -> usize {
        self.line_bytes_max.saturating_add(2 * self.line_end.width())
    }

    /// The first event of the data, which begins where the last one ended.
    #[inline]
    pub(super) fn next(&self, data: &[u8], mid_line: bool, flush: Flush) -> Option<Frame> {
        if data.is_empty() {
            return None;
        }
        if mid_line && self.long_lines == LongLines::Truncate {
            return self.discard(data);
        }
        match &self.multiline {
            Some(multiline) if !mid_line => self.next_lines(multiline, data, flush),
            _ => self.next_line(data, mid_line, flush),
        }
    }

    #[inline]
    fn next_line(&self, data: &[u8], mid_line: bool, flush: Flush) -> Option<Frame> {
        let searched = data.get(..self.bytes_needed_max()).unwrap_or(data);
        match self.line_end.find(searched) {
            Some((end, next)) if end <= self.line_bytes_max => Some(Frame::whole(0..end, next, mid_line)),
            None if data.len() < self.bytes_needed_max() => (flush == Flush::Everything).then(|| Frame {
                body: Some(0..data.len().min(self.line_bytes_max)),
                continued: mid_line,
                consumed: data.len().min(self.line_bytes_max),
                mid_line: self.long_lines == LongLines::Split,
            }),
            _ => Some(self.cut(data, mid_line)),
        }
    }

    /// The first piece of a line that is too long.
    fn cut(&self, data: &[u8], mid_line: bool) -> Frame {
        let mut end = self.line_bytes_max.min(data.len());
        if self.line_end == LineEnd::Byte {
            // Not inside a UTF-8 character, if it is one.
            let back = (0..4).find(|back| data.get(end - back).is_none_or(|byte| byte & 0xc0 != 0x80));
            end -= back.filter(|back| *back < end).unwrap_or(0);
        } else {
            end = (end & !1).max(2).min(data.len());
        }
        Frame { body: Some(0..end), continued: mid_line, consumed: end, mid_line: true }
    }

    /// Drops the rest of a line that was truncated, as far as it is there.
    fn discard(&self, data: &[u8]) -> Option<Frame> {
        let (consumed, mid_line) = match self.line_end.find(data) {
            Some((_, next)) => (next, false),
            None => (data.len() - data.len() % self.line_end.width(), true),
        };
        (consumed > 0).then_some(Frame { body: None, continued: true, consumed, mid_line })
    }

    fn next_lines(&self, multiline: &Multiline, data: &[u8], flush: Flush) -> Option<Frame> {
        let (mut lines, mut text_end, mut next) = (0, 0, 0);
        loop {
            let rest = data.get(next..).unwrap_or_default();
            let Some((line_end, line_next)) = self.line_end.find(rest) else { break };
            let line = rest.get(..line_end).unwrap_or_default();
            if lines > 0 && (multiline.begins(line) || next + line_end > self.line_bytes_max) {
                return Some(Frame::whole(0..text_end, next, false));
            }
            if lines == 0 && line_end > self.line_bytes_max {
                return Some(self.cut(data, false));
            }
            lines += 1;
            text_end = next + line_end;
            next += line_next;
            if lines >= multiline.lines_max || multiline.end.as_ref().is_some_and(|end| end.is_match(line)) {
                return Some(Frame::whole(0..text_end, next, false));
            }
        }
        let too_long = data.len() >= self.bytes_needed_max();
        match (lines, flush) {
            (0, _) => self.next_line(data, false, flush),
            (_, Flush::Everything) if next < data.len() && data.len() <= self.line_bytes_max => Some(Frame {
                body: Some(0..data.len()),
                continued: false,
                consumed: data.len(),
                mid_line: self.long_lines == LongLines::Split,
            }),
            (_, Flush::Lines | Flush::Everything) => Some(Frame::whole(0..text_end, next, false)),
            _ if too_long => Some(Frame::whole(0..text_end, next, false)),
            _ => None,
        }
    }
}

impl Multiline {
    /// Whether the line cannot belong to the event before it.
    fn begins(&self, line: &[u8]) -> bool {
        self.start.as_ref().is_some_and(|start| start.is_match(line))
            || self.continuation.as_ref().is_some_and(|further| !further.is_match(line))
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
