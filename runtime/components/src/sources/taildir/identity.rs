//! What makes a file the same file: where its inode lives, when it was born, and what was already read of it.
//!
//! Names change with every rotation and inode numbers are used again, so neither is trusted alone. A
//! [`FileId`] (device, inode, time of birth) says which file; a [`Fingerprint`] says whether its content is
//! still the one that was read. The fingerprint covers delivered bytes only: its head grows with the offset
//! up to 1 KiB, its window is the last stretch before the offset. So a file with nothing delivered has an
//! empty fingerprint, and starting over costs nothing there.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt, time::UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest, Md5};

use super::content::Content;

/// The head covers at most this many bytes.
pub(super) const HEAD_BYTES_MAX: usize = 1024;
/// The window covers at most this many bytes.
pub(super) const WINDOW_BYTES_MAX: usize = 256;

const KEY_TAG: u8 = b'f';

/// A file of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system does not know.
    born: i64,
}

impl FileId {
    /// The file behind this metadata.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|age| i64::try_from(age.as_nanos()).ok()).unwrap_or(0);
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }

    /// The key of its position.
    pub(super) fn to_key(self) -> Bytes {
        let mut key = Vec::with_capacity(25);
        key.push(KEY_TAG);
        key.extend_from_slice(&self.device.to_le_bytes());
        key.extend_from_slice(&self.inode.to_le_bytes());
        key.extend_from_slice(&self.born.to_le_bytes());
        key.into()
    }

    /// Reads a key; None when it is not one of a file.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let (&tag, rest) = key.split_first()?;
        let (device, rest) = rest.split_first_chunk::<8>()?;
        let (inode, rest) = rest.split_first_chunk::<8>()?;
        let born: &[u8; 8] = rest.try_into().ok()?;
        (tag == KEY_TAG).then(|| Self {
            device: u64::from_le_bytes(*device),
            inode: u64::from_le_bytes(*inode),
            born: i64::from_le_bytes(*born),
        })
    }

    /// Whether the two differ in the device number alone, which may change from one boot to the next.
    pub(super) fn is_same_but_device(self, other: Self) -> bool {
        self.inode == other.inode && self.born == other.born && self.device != other.device
    }
}

/// Size and time of the last change: what tells cheaply that there may be something to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes on disk.
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i64,
}

impl Stamp {
    /// The stamp in this metadata.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { size: metadata.size(), modified }
    }
}

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
    use super::{FileId, Trace, hash};

    #[test]
    fn a_key_reads_back_and_other_keys_do_not() {
        let id = FileId { device: 7, inode: u64::MAX, born: -3 };
        assert_eq!(FileId::from_key(&id.to_key()), Some(id));
        assert_eq!(FileId::from_key(&id.to_key()[..24]), None);
        assert_eq!(FileId::from_key(b"s"), None);
        assert_eq!(FileId::from_key(&[&id.to_key()[..], b"x"].concat()), None);
    }

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
