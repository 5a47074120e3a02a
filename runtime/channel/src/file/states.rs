//! The state of components: kept in memory as a whole, and in a file of its own (FORMAT.md section 8).
//!
//! Every change is in the frame of the put it belongs to. The file holds what all frames up to a sequence came to, so
//! that segments can go; it is replaced as a whole, with a checkpoint, and only when something changed since. A
//! checkpoint that only frees segments waits until the log has grown by a multiple of the file, so that a large state
//! is not written again and again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use millrace_core::{PositionUpdate, Positions};
use millrace_storage::{ByteReader, Disk, replace_file};

use super::{error::FileError, keys::KeyRing, small_file, small_file::sum};

pub(super) const MAGIC: &[u8; 8] = b"MRSTATE\n";
const VERSION: u32 = 1;
const FILE: &str = "state";

/// State that no component has asked for in so long goes with the next checkpoint, in milliseconds.
const UNCLAIMED_MILLIS_MAX: u64 = 30 * 24 * 60 * 60 * 1000;

/// What one component keeps.
#[derive(Debug, Default, PartialEq, Eq)]
struct Owned {
    /// When its component last worked with it, in milliseconds since 1970.
    claimed_at: u64,
    entries: Positions,
}

/// The state of all components whose sources put into this channel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct States {
    owners: BTreeMap<String, Owned>,
    /// All frames up to this one are in it.
    pub(super) sequence: u64,
    /// Whether it differs from the file.
    pub(super) changed: bool,
    /// How large the file is.
    pub(super) file_bytes: u64,
}

/// What is found in place of the file.
pub(super) enum Loaded {
    Missing,
    /// With the salt of its channel and the id of the key it was sealed with.
    Good(u64, States, Option<String>),
    Damaged,
    Newer(u32),
}

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

impl States {
    /// Applies a change committed at this time.
    pub(super) fn apply(&mut self, update: &PositionUpdate, at: u64) {
        let name: &str = &update.source;
        let owned = match self.owners.get_mut(name) {
            Some(owned) => owned,
            None => self.owners.entry(name.to_owned()).or_default(),
        };
        owned.claimed_at = owned.claimed_at.max(at);
        update.apply_to(&mut owned.entries);
        self.changed = true;
    }

    /// What a component keeps; it counts as claimed from now on.
    pub(super) fn claim(&mut self, owner: &str, at: u64) -> Positions {
        let Some(owned) = self.owners.get_mut(owner) else { return Positions::new() };
        owned.claimed_at = owned.claimed_at.max(at);
        owned.entries.clone()
    }

    /// Forgets what nobody wanted for long, and what is empty.
    fn forget_unclaimed(&mut self, now: u64) {
        self.owners.retain(|owner, owned| {
            let stays =
                !owned.entries.is_empty() && owned.claimed_at.saturating_add(UNCLAIMED_MILLIS_MAX) >= now;
            if !stays && !owned.entries.is_empty() {
                tracing::info!(owner, "state of a component that is gone for a month is forgotten");
            }
            stays
        });
    }

    /// Replaces the file; the sequence is that of the last frame.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        (salt, sequence, now): (u64, u64, u64),
        ring: &KeyRing,
    ) -> Result<(), FileError> {
        self.forget_unclaimed(now);
        self.sequence = sequence;
        let bytes = small_file::seal(self.encode(salt), ring)?;
        replace_file(disk, &path(directory), &bytes)
            .map_err(|error| FileError::io(format!("{}: state", directory.display()), error))?;
        self.file_bytes = bytes.len() as u64;
        self.changed = false;
        Ok(())
    }

    fn encode(&self, salt: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.file_bytes).unwrap_or_default() + 64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for number in [salt, self.sequence, self.owners.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (owner, owned) in &self.owners {
            sized(owner.as_bytes(), &mut bytes);
            bytes.extend_from_slice(&owned.claimed_at.to_le_bytes());
            bytes.extend_from_slice(&(owned.entries.len() as u64).to_le_bytes());
            for (key, value) in &owned.entries {
                sized(key, &mut bytes);
                sized(value, &mut bytes);
            }
        }
        let sum = sum(&bytes[12..]);
        bytes[8..12].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

fn sized(bytes: &[u8], into: &mut Vec<u8>) {
    // Keys and values were in a frame, whose payload is far below 4 GiB.
    into.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend_from_slice(bytes);
}

fn decode(bytes: &[u8], key: Option<String>) -> Option<Loaded> {
    let mut reader = ByteReader::new(bytes);
    if reader.take(8).ok()? != MAGIC {
        return None;
    }
    let expected = reader.u32().ok()?;
    let version = reader.u32().ok()?;
    if sum(bytes.get(12..)?) != expected {
        return None;
    }
    if version != VERSION {
        return Some(Loaded::Newer(version));
    }
    let (salt, sequence, count) = (reader.u64().ok()?, reader.u64().ok()?, reader.u64().ok()?);
    let mut states = States { sequence, file_bytes: bytes.len() as u64, ..States::default() };
    for _ in 0..count {
        let owner = std::str::from_utf8(reader.sized().ok()?).ok()?.to_owned();
        let claimed_at = reader.u64().ok()?;
        let mut entries = Positions::new();
        for _ in 0..reader.u64().ok()? {
            let key = Bytes::copy_from_slice(reader.sized().ok()?);
            entries.insert(key, Bytes::copy_from_slice(reader.sized().ok()?));
        }
        states.owners.insert(owner, Owned { claimed_at, entries });
    }
    Some(Loaded::Good(salt, states, key))
}

/// Reads the file.
pub(super) fn load(disk: &dyn Disk, directory: &Path, ring: &KeyRing) -> Result<Loaded, FileError> {
    let Some(opened) = small_file::read(disk, &path(directory), MAGIC, ring)? else {
        return Ok(Loaded::Missing);
    };
    Ok(decode(&opened.bytes, opened.key).unwrap_or(Loaded::Damaged))
}

#[cfg(test)]
mod tests {
    use millrace_core::PositionUpdate;

    use super::{Loaded, States, UNCLAIMED_MILLIS_MAX, decode};

    fn states() -> States {
        let mut states = States { sequence: 41, ..States::default() };
        states.apply(&PositionUpdate::set("state:interceptor/web/count".into(), "a", "1"), 7);
        states.apply(&PositionUpdate::set("state:interceptor/web/count".into(), "b", ""), 9);
        states.apply(&PositionUpdate::set("state:source/poll".into(), "", "x"), 8);
        states
    }

    #[test]
    fn a_state_file_is_read_back_and_every_flip_and_cut_is_found() {
        let bytes = states().encode(5);
        match decode(&bytes, None) {
            Some(Loaded::Good(5, read, None)) => {
                assert_eq!((read.owners, read.sequence), (states().owners, 41))
            }
            _ => unreachable!("it was just written"),
        }
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at], None).is_none());
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode(&flipped, None).is_none(), "byte {at}");
        }
    }

    #[test]
    fn what_nobody_claims_for_a_month_is_forgotten_and_what_is_claimed_stays() {
        let mut states = states();
        states.claim("state:source/poll", 1_000);
        states.forget_unclaimed(1_000 + UNCLAIMED_MILLIS_MAX);
        assert_eq!(states.owners.keys().collect::<Vec<_>>(), ["state:source/poll"]);
        assert_eq!(states.claim("state:source/poll", 0).len(), 1);
        assert!(states.claim("state:interceptor/web/count", 0).is_empty());
    }
}
