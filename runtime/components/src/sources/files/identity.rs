//! Which file a file is: where its inode lives and when it was born; and what tells that it has changed.

use std::{fs::Metadata, os::unix::fs::MetadataExt, time::UNIX_EPOCH};

use bytes::Bytes;

const KEY_TAG: u8 = b'f';

/// A file of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::sources) struct FileId {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system does not know.
    born: i64,
}

impl FileId {
    /// The file behind this metadata.
    pub(in crate::sources) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|age| i64::try_from(age.as_nanos()).ok()).unwrap_or(0);
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }

    /// The key of its position.
    pub(in crate::sources) fn to_key(self) -> Bytes {
        let mut key = Vec::with_capacity(25);
        key.push(KEY_TAG);
        key.extend_from_slice(&self.device.to_le_bytes());
        key.extend_from_slice(&self.inode.to_le_bytes());
        key.extend_from_slice(&self.born.to_le_bytes());
        key.into()
    }

    /// Reads a key; None when it is not one of a file.
    pub(in crate::sources) fn from_key(key: &[u8]) -> Option<Self> {
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
    pub(in crate::sources) fn is_same_but_device(self, other: Self) -> bool {
        self.inode == other.inode && self.born == other.born && self.device != other.device
    }
}

/// Size and time of the last change: what tells cheaply that there may be something to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sources) struct Stamp {
    /// Bytes on disk.
    pub(in crate::sources) size: u64,
    /// Nanoseconds since 1970.
    pub(in crate::sources) modified: i64,
}

impl Stamp {
    /// The stamp in this metadata.
    pub(in crate::sources) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        Self { size: metadata.size(), modified }
    }
}

#[cfg(test)]
mod tests {
    use super::FileId;

    #[test]
    fn a_key_reads_back_and_other_keys_do_not() {
        let id = FileId { device: 7, inode: u64::MAX, born: -3 };
        assert_eq!(FileId::from_key(&id.to_key()), Some(id));
        assert_eq!(FileId::from_key(&id.to_key()[..24]), None);
        assert_eq!(FileId::from_key(b"s"), None);
        assert_eq!(FileId::from_key(&[&id.to_key()[..], b"x"].concat()), None);
    }
}
