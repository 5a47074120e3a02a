//! How far a file of the spool was delivered, as it is stored with the events. Little-endian, versioned.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::sources::files::Stamp;

const VERSION: u8 = 1;

/// The state of a file that is still in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) state: State,
    /// Bytes, or Avro datums, delivered.
    pub(super) place: u64,
    /// Size and time of change when it was opened first.
    pub(super) stamp: Stamp,
    /// Its name then.
    pub(super) path: PathBuf,
}

/// What is left to do about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// To be read on.
    Reading,
    /// Delivered whole; to be renamed, deleted or tracked.
    Delivered,
    /// Not to be touched: it changed while it was read, or cannot be decoded.
    SetAside,
}

impl Position {
    /// The bytes to store.
    pub(super) fn encode(&self) -> Bytes {
        let path = self.path.as_os_str().as_bytes();
        let mut bytes = Vec::with_capacity(26 + path.len());
        bytes.push(VERSION);
        bytes.push(match self.state {
            State::Reading => 0,
            State::Delivered => 1,
            State::SetAside => 2,
        });
        bytes.extend_from_slice(&self.place.to_le_bytes());
        bytes.extend_from_slice(&self.stamp.size.to_le_bytes());
        bytes.extend_from_slice(&self.stamp.modified.to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.into()
    }

    /// Reads stored bytes; None when they are not a position of a version known here.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&[version, state], rest) = bytes.split_first_chunk::<2>()?;
        let (place, rest) = rest.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (modified, path) = rest.split_first_chunk::<8>()?;
        let state = match (version, state) {
            (VERSION, 0) => State::Reading,
            (VERSION, 1) => State::Delivered,
            (VERSION, 2) => State::SetAside,
            _ => return None,
        };
        Some(Self {
            state,
            place: u64::from_le_bytes(*place),
            stamp: Stamp { size: u64::from_le_bytes(*size), modified: i64::from_le_bytes(*modified) },
            path: Path::new(OsStr::from_bytes(path)).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, Stamp, State};

    #[test]
    fn a_position_reads_back_and_damaged_ones_are_refused() {
        for state in [State::Reading, State::Delivered, State::SetAside] {
            let stamp = Stamp { size: 1, modified: -2 };
            let position = Position { state, place: 3, stamp, path: "/spool/a".into() };
            let bytes = position.encode();
            assert_eq!(Position::decode(&bytes), Some(position));
            assert_eq!(Position::decode(&bytes[..20]), None);
        }
        assert_eq!(Position::decode(&[1, 9, 0]), None);
    }
}
