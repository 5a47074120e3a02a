//! What was read of a file, as hashes: whether its content is still the one that was read.
//!
//! Names change with every rotation and inode numbers are used again, so neither is trusted alone. The
//! fingerprint covers delivered bytes only: its head grows with the offset up to 1 KiB, its window is the last
//! stretch before the offset. So a file with nothing delivered has an empty fingerprint, and starting over
//! costs nothing there.

use std::io;

use md5::{Digest, Md5};

use crate::sources::files::Content;

/// The head covers at most this many bytes.
pub(super) const HEAD_BYTES_MAX: usize = 1024;
/// The window covers at most this many bytes.
pub(super) const WINDOW_BYTES_MAX: usize = 256;

/// Hashes of what was delivered of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint {
    /// How many bytes the head covers.
    pub(super) head_length: u16,
    /// Hash of the head.
    pub(super) head: [u8; 16],
    /// How many bytes before the offset the window covers.
    pub(super) window_length: u16,
    /// Hash of the window.
    pub(super) window: [u8; 16],
}

impl Fingerprint {
    /// Whether the content is the one of which `offset` bytes were delivered.
    pub(super) fn matches(&self, content: &mut Content, offset: u64) -> io::Result<bool> {
        let head_length = usize::from(self.head_length);
        let head = content.read_exactly(0, head_length)?;
        if head.len() < head_length || hash(&head) != self.head {
            return Ok(false);
        }
        let window_length = usize::from(self.window_length);
        let window = content.read_exactly(offset.saturating_sub(window_length as u64), window_length)?;
        Ok(window.len() == window_length && hash(&window) == self.window)
    }
}

/// The hash of a head or window. Strong enough that two contents never meet by accident; not a safeguard
/// against a writer who wants them to.
pub(super) fn hash(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The bytes behind a fingerprint, kept while a file is open so that a check costs a comparison.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    head: Vec<u8>,
    window: Vec<u8>,
    head_hash: Option<[u8; 16]>,
}

impl Trace {
    /// Reads the trace of a file of which `offset` bytes were delivered.
    pub(super) fn load(content: &mut Content, offset: u64) -> io::Result<Self> {
        let head_length = usize::try_from(offset).map_or(HEAD_BYTES_MAX, |offset| offset.min(HEAD_BYTES_MAX));
        let window_length = head_length.min(WINDOW_BYTES_MAX);
        let head = content.read_exactly(0, head_length)?;
        let window = content.read_exactly(offset - window_length as u64, window_length)?;
        Ok(Self { head, window, head_hash: None })
    }

    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last bytes before the offset.
    pub(super) fn window(&self) -> &[u8] {
        &self.window
    }

    /// Takes in what was delivered: `read` is the content from `base` up to the new offset and begins no later
    /// than the window did.
    pub(super) fn advance(&mut self, base: u64, read: &[u8]) {
        if let Some(seen) =
            (self.head.len() as u64).checked_sub(base).and_then(|seen| usize::try_from(seen).ok())
            && self.head.len() < HEAD_BYTES_MAX
        {
            let room = HEAD_BYTES_MAX - self.head.len();
            let fresh = read.get(seen..).unwrap_or_default();
            self.head.extend_from_slice(fresh.get(..room).unwrap_or(fresh));
            self.head_hash = None;
        }
        self.window.clear();
        self.window
            .extend_from_slice(read.get(read.len().saturating_sub(WINDOW_BYTES_MAX)..).unwrap_or(read));
    }

    /// The hashes.
    pub(super) fn fingerprint(&mut self) -> Fingerprint {
        let head = *self.head_hash.get_or_insert_with(|| hash(&self.head));
        Fingerprint {
            head_length: u16::try_from(self.head.len()).unwrap_or(u16::MAX),
            head,
            window_length: u16::try_from(self.window.len()).unwrap_or(u16::MAX),
            window: hash(&self.window),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Trace, hash};

    #[test]
    fn a_trace_grows_with_what_is_delivered() {
        let content: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
        let mut trace = Trace::default();
        let mut offset = 0;
        for end in [10, 900, 1100, 1101, 2999] {
            let base = offset - usize::min(offset, 256);
            trace.advance(base as u64, &content[base..end]);
            offset = end;
            let fingerprint = trace.fingerprint();
            let head = end.min(1024);
            assert_eq!((fingerprint.head_length as usize, fingerprint.head), (head, hash(&content[..head])));
            let window = end.min(256);
            assert_eq!(fingerprint.window_length as usize, window);
            assert_eq!(fingerprint.window, hash(&content[end - window..end]));
        }
    }
}
