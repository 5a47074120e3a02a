//! The position of a file as it is stored with the events: little-endian, versioned, about a hundred bytes.
//!
//! Keys: `f` + device + inode + time of birth for a file; `r` + two hashes for a content that is no longer in
//! its file; `s` alone once the source has run. A value that cannot be read is as good as none: it is
//! reported and its file is read from the start, because repeating is better than losing.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::fingerprint::Fingerprint;
use crate::sources::files::Stamp;

/// Present as soon as the source has run once: files found later are new, whatever `start` says.
pub(super) const STARTED_KEY: &[u8] = b"s";
const RETIRED_TAG: u8 = b'r';
const VERSION: u8 = 1;
const MID_LINE: u8 = 1;
const FINISHED: u8 = 2;

/// How far a file was delivered, and how to know it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// Bytes delivered, of the decompressed content where it is compressed.
    pub(super) offset: u64,
    /// The offset lies inside a line that was cut.
    pub(super) mid_line: bool,
    /// It was read to an end after which nothing can follow; look again only when the stamp differs.
    pub(super) finished: bool,
    /// What was delivered.
    pub(super) fingerprint: Fingerprint,
    /// Size and time of change when it was last read.
    pub(super) stamp: Stamp,
    /// Since when the file, or this content of it, is gone: seconds since 1970; 0 while it is there.
    pub(super) gone_since: u64,
    /// Its last name.
    pub(super) path: PathBuf,
}

impl Position {
    /// The bytes to store.
    pub(super) fn encode(&self) -> Bytes {
        let path = self.path.as_os_str().as_bytes();
        let mut bytes = Vec::with_capacity(72 + path.len());
        bytes.push(VERSION);
        bytes.push(if self.mid_line { MID_LINE } else { 0 } | if self.finished { FINISHED } else { 0 });
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint.head_length.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint.head);
        bytes.extend_from_slice(&self.fingerprint.window_length.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprint.window);
        bytes.extend_from_slice(&self.stamp.size.to_le_bytes());
        bytes.extend_from_slice(&self.stamp.modified.to_le_bytes());
        bytes.extend_from_slice(&self.gone_since.to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.into()
    }

    /// Reads stored bytes; None when they are not a position of a version known here.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, flags], rest) = bytes.split_first_chunk::<2>()?;
        if version != VERSION {
            return None;
        }
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (head_length, rest) = rest.split_first_chunk::<2>()?;
        let (head, rest) = rest.split_first_chunk::<16>()?;
        let (window_length, rest) = rest.split_first_chunk::<2>()?;
        let (window, rest) = rest.split_first_chunk::<16>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (modified, rest) = rest.split_first_chunk::<8>()?;
        let (gone_since, path) = rest.split_first_chunk::<8>()?;
        Some(Self {
            offset: u64::from_le_bytes(*offset),
            mid_line: flags & MID_LINE != 0,
            finished: flags & FINISHED != 0,
            fingerprint: Fingerprint {
                head_length: u16::from_le_bytes(*head_length),
                head: *head,
                window_length: u16::from_le_bytes(*window_length),
                window: *window,
            },
            stamp: Stamp { size: u64::from_le_bytes(*size), modified: i64::from_le_bytes(*modified) },
            gone_since: u64::from_le_bytes(*gone_since),
            path: Path::new(OsStr::from_bytes(path)).to_owned(),
        })
    }

    /// The key under which a content is remembered that is no longer in its file.
    pub(super) fn retired_key(&self) -> Bytes {
        let mut key = Vec::with_capacity(33);
        key.push(RETIRED_TAG);
        key.extend_from_slice(&self.fingerprint.head);
        key.extend_from_slice(&self.fingerprint.window);
        key.into()
    }
}

/// Whether the key is one of a content that is no longer in its file.
pub(super) fn is_retired_key(key: &[u8]) -> bool {
    key.first() == Some(&RETIRED_TAG)
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Path, Position, Stamp};

    #[test]
    fn a_position_reads_back_and_damaged_ones_are_refused() {
        let position = Position {
            offset: 1 << 40,
            mid_line: true,
            finished: true,
            fingerprint: Fingerprint {
                head_length: 1024,
                head: [1; 16],
                window_length: 256,
                window: [2; 16],
            },
            stamp: Stamp { size: 5, modified: -6 },
            gone_since: 7,
            path: Path::new("/var/log/ä\u{0}.log").to_owned(),
        };
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes), Some(position));
        assert_eq!(Position::decode(&bytes[..50]), None);
        assert_eq!(Position::decode(&[]), None);
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(Position::decode(&newer), None);
    }
}
