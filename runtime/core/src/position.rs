//! Where sources stand: opaque keys and values that become durable together with the events they follow.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;

use crate::error::BoxError;

/// All positions of one source: its own keys (a file identity, or nothing at all) to its own values.
pub type Positions = BTreeMap<Bytes, Bytes>;

/// What a batch changes in the positions of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionUpdate {
    /// Whose they are: the source, or the owner of a state (see [`crate::is_state_owner`]).
    pub source: ByteString,
    /// Key by key: the new value, or None to forget the key.
    pub changes: Vec<(Bytes, Option<Bytes>)>,
}

impl PositionUpdate {
    /// An update of one key.
    pub fn set(source: ByteString, key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { source, changes: vec![(key.into(), Some(value.into()))] }
    }

    /// Applies the changes.
    pub fn apply_to(&self, positions: &mut Positions) {
        for (key, value) in &self.changes {
            match value {
                Some(value) => drop(positions.insert(key.clone(), value.clone())),
                None => drop(positions.remove(key)),
            }
        }
    }
}

/// Keeps the positions of sources whose channels do not.
///
/// In front of a channel that loses its events in a crash a position need not be more durable than they
/// are: an implementation may delay writing, at most by a second, and writes on [`PositionStore::flush`].
pub trait PositionStore: Send + Sync {
    /// The positions of a source.
    fn load(&self, source: &str) -> Positions;
    /// Remembers a change.
    fn update(&self, update: &PositionUpdate);
    /// Writes what is not yet on disk.
    ///
    /// # Errors
    /// The disk refused; the changes stay in memory and the next flush tries again.
    fn flush(&self) -> Result<(), BoxError>;
}
