//! Walks over the frames of a file that a former run left, and tells its end from damage.
//!
//! Where a frame should be and none is, the valid frames behind it decide. Each says which frames were durable
//! when it was written: if the missing one was, it is damage, and what follows is used. If none says so, they all
//! belong to a write that was never acknowledged, and the file ends here.

use std::io::Result;

use bytes::Bytes;
use millrace_storage::File;

use super::{
    coding::Coding,
    frame::{self, ALIGNMENT, HEADER_BYTES, Stamp, frame_bytes},
};

const WINDOW_BYTES: usize = 1 << 20;

/// A whole frame and where it is.
pub(super) struct Entry {
    pub stamp: Stamp,
    pub offset: u64,
    /// Size on the disk, header and padding included.
    pub frame_bytes: usize,
    /// Opened and unpacked.
    pub payload: Bytes,
}

/// A stretch of bytes that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub offset: u64,
    pub bytes: u64,
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Behind the last frame.
    pub end: u64,
    /// The sequence of the frame that would follow.
    pub next_sequence: u64,
    /// Places where frames that were durable are no longer whole.
    pub damaged: Vec<Gap>,
    /// What is left of a write that a crash cut off.
    pub torn: Option<Gap>,
}

/// What to walk over.
pub(super) struct Scan<'a> {
    pub file: &'a dyn File,
    pub coding: &'a Coding,
    /// Where the first frame is expected.
    pub start: u64,
    /// The least sequence it may have.
    pub sequence: u64,
    /// Frames from this sequence on were abandoned, since a later file begins with it.
    pub stop: Option<u64>,
}

impl Scan<'_> {
    /// Hands every valid frame to `visit`, in order.
    pub(super) fn run(&self, mut visit: impl FnMut(Entry)) -> Result<Scanned> {
        let mut window =
            Window { file: self.file, file_bytes: self.file.len()?, start: 0, bytes: Vec::new() };
        let mut scanned =
            Scanned { end: self.start, next_sequence: self.sequence, damaged: Vec::new(), torn: None };
        let mut offset = self.start;
        loop {
            match self.frame_at(&mut window, offset, scanned.next_sequence)? {
                Some(entry) => {
                    if self.stop.is_some_and(|stop| entry.stamp.sequence >= stop) {
                        return Ok(scanned);
                    }
                    scanned.next_sequence = entry.stamp.sequence + 1;
                    offset += entry.frame_bytes as u64;
                    scanned.end = offset;
                    visit(entry);
                }
                None => match self.resume(&mut window, offset, &scanned)? {
                    Some(next) => {
                        scanned.damaged.push(Gap { offset, bytes: next - offset });
                        offset = next;
                    }
                    None => {
                        scanned.torn = torn(&mut window, offset)?;
                        return Ok(scanned);
                    }
                },
            }
        }
    }

    fn frame_at(&self, window: &mut Window<'_>, offset: u64, sequence_min: u64) -> Result<Option<Entry>> {
        let Some(header) = frame::header(window.slice(offset, HEADER_BYTES)?) else { return Ok(None) };
        let whole = frame_bytes(header.payload_bytes);
        if header.stamp.sequence < sequence_min || offset + whole as u64 > window.file_bytes {
            return Ok(None);
        }
        let bytes = window.slice(offset, whole)?;
        let Some(header) = self.coding.check(bytes) else { return Ok(None) };
        let payload = self.coding.payload(&header, bytes.to_vec(), offset);
        Ok(payload.map(|payload| Entry { stamp: header.stamp, offset, frame_bytes: whole, payload }))
    }

    /// Where to go on behind a damaged place; None when the file ends there. The first valid frame may belong to
    /// the same write as the missing one and prove nothing; then one of those behind it does, or none.
    fn resume(&self, window: &mut Window<'_>, gap: u64, so_far: &Scanned) -> Result<Option<u64>> {
        let missing = so_far.next_sequence;
        let mut first = None;
        let mut sequence_min = missing;
        let mut offset = gap + ALIGNMENT as u64;
        while offset + HEADER_BYTES as u64 <= window.file_bytes {
            let Some(entry) = self.frame_at(window, offset, sequence_min)? else {
                offset += ALIGNMENT as u64;
                continue;
            };
            first.get_or_insert(offset);
            // A later file was begun only after every frame below its first one was durable.
            let was_durable = match self.stop {
                Some(stop) => entry.stamp.sequence < stop,
                None => entry.stamp.durable >= missing,
            };
            if was_durable {
                return Ok(first);
            }
            sequence_min = entry.stamp.sequence + 1;
            offset += entry.frame_bytes as u64;
        }
        Ok(None)
    }
}

/// The bytes of an unfinished write: nothing, if the place for the next frame's header is still zeros.
fn torn(window: &mut Window<'_>, offset: u64) -> Result<Option<Gap>> {
    let header = window.slice(offset, HEADER_BYTES)?;
    if header.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let claimed =
        frame::header(header).map_or(HEADER_BYTES, |header| frame_bytes(header.payload_bytes)) as u64;
    Ok(Some(Gap { offset, bytes: claimed.min(window.file_bytes.saturating_sub(offset)) }))
}

/// Bytes of the file around where the scan is.
struct Window<'a> {
    file: &'a dyn File,
    file_bytes: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// The bytes at a place; fewer where the file ends.
    fn slice(&mut self, offset: u64, count: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = count.min(left);
        let inside = offset >= self.start && offset + count as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            self.bytes.resize(count.max(WINDOW_BYTES.min(left)), 0);
            let read = self.file.read_full_at(&mut self.bytes, offset)?;
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        let to = from.saturating_add(count).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }
}
