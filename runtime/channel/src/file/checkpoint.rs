//! What was in the channel at one moment, so that a start reads only what came after (FORMAT.md section 7).
//!
//! The file is replaced as a whole. Every frame up to the checkpoint's place in the log is in it; frames behind
//! it may be, too, because applying a frame twice changes nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use millrace_core::Positions;
use millrace_storage::{ByteReader, Disk, decode_positions, encode_positions, replace_file};

use super::{error::FileError, keys::KeyRing, queue::Part, small_file, small_file::sum};

pub(super) const MAGIC: &[u8; 8] = b"MRCHECK\n";
const VERSION: u32 = 1;
const PART_BYTES: usize = 52;
const FILE: &str = "checkpoint";

/// How far the log is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u64,
    /// Behind the last frame.
    pub offset: u64,
    /// The sequence of the last frame.
    pub sequence: u64,
}

/// The numbers of a checkpoint; parts and positions go beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub salt: u64,
    /// The number of the segment that will be created next.
    pub next_segment: u64,
    pub place: Place,
    /// The first file of takes that is not covered.
    pub takes_from: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub numbers: Numbers,
    pub parts: Vec<Part>,
    pub positions: BTreeMap<String, Positions>,
}

/// What is found in place of a checkpoint.
pub(super) enum Loaded {
    Missing,
    /// With the id of the key it was sealed with.
    Good(Checkpoint, Option<String>),
    Damaged,
    Newer(u32),
}

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// The bytes of a checkpoint.
pub(super) fn encode<'a>(
    numbers: &Numbers,
    count: usize,
    parts: impl Iterator<Item = &'a Part>,
    positions: &BTreeMap<String, Positions>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(72 + count * PART_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let Numbers { salt, next_segment, place, takes_from } = *numbers;
    for number in [salt, next_segment, place.segment, place.offset, place.sequence, takes_from, count as u64]
    {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for part in parts {
        for number in [part.sequence, part.segment, part.offset, part.bytes, part.at] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [part.frame_bytes, part.start, part.end] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    encode_positions(positions, &mut bytes);
    let sum = sum(&bytes[12..]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes
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
    let mut next = || reader.u64().ok();
    let numbers = Numbers {
        salt: next()?,
        next_segment: next()?,
        place: Place { segment: next()?, offset: next()?, sequence: next()? },
        takes_from: next()?,
    };
    let count = usize::try_from(next()?).ok()?;
    let mut table = ByteReader::new(reader.take(count.checked_mul(PART_BYTES)?).ok()?);
    let parts = (0..count).map(|_| decode_part(&mut table)).collect::<Option<Vec<_>>>()?;
    let positions = decode_positions(&mut reader).ok()?;
    Some(Loaded::Good(Checkpoint { numbers, parts, positions }, key))
}

fn decode_part(reader: &mut ByteReader<'_>) -> Option<Part> {
    let mut next = || reader.u64().ok();
    let (sequence, segment, offset, bytes, at) = (next()?, next()?, next()?, next()?, next()?);
    let mut next = || reader.u32().ok();
    let (frame_bytes, start, end) = (next()?, next()?, next()?);
    (start < end).then_some(Part { sequence, segment, offset, frame_bytes, start, end, bytes, at })
}

/// Replaces the checkpoint.
pub(super) fn write(disk: &dyn Disk, directory: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace_file(disk, &path(directory), bytes)
}

/// Reads the checkpoint.
pub(super) fn load(disk: &dyn Disk, directory: &Path, ring: &KeyRing) -> Result<Loaded, FileError> {
    let Some(opened) = small_file::read(disk, &path(directory), MAGIC, ring)? else {
        return Ok(Loaded::Missing);
    };
    Ok(decode(&opened.bytes, opened.key).unwrap_or(Loaded::Damaged))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Checkpoint, Loaded, Numbers, Place, decode, encode};
    use crate::file::queue::Part;

    #[test]
    fn a_checkpoint_is_read_back_and_every_flip_and_cut_is_found() {
        let place = Place { segment: 3, offset: 4096, sequence: 99 };
        let numbers = Numbers { salt: 1, next_segment: 4, place, takes_from: 2 };
        let part = |sequence| Part {
            sequence,
            segment: 3,
            offset: 8,
            frame_bytes: 5,
            start: 1,
            end: 9,
            bytes: 77,
            at: 1234,
        };
        let parts = vec![part(7), part(8)];
        let keys = [(b"k".as_slice().into(), b"v".as_slice().into())].into_iter().collect();
        let positions = BTreeMap::from([("web".to_owned(), keys)]);
        let bytes = encode(&numbers, 2, parts.iter(), &positions);
        match decode(&bytes, None) {
            Some(Loaded::Good(read, None)) => assert_eq!(read, Checkpoint { numbers, parts, positions }),
            _ => unreachable!("it was just written"),
        }
        for at in 0..bytes.len() {
            assert!(decode(&bytes[..at], None).is_none());
            let mut flipped = bytes.clone();
            flipped[at] ^= 4;
            assert!(decode(&flipped, None).is_none(), "byte {at}");
        }
    }
}
