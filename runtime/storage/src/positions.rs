//! Positions of sources as bytes: the same in the position file and in a file channel's checkpoint.
//!
//! Layout: the number of sources; for each its name and the number of its keys; for each key the key and the
//! value. Numbers and lengths have 32 bits, little-endian.

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_core::Positions;

use crate::bytes::{ByteReader, Truncated};

/// Appends the positions of all sources.
pub fn encode_positions(positions: &BTreeMap<String, Positions>, into: &mut Vec<u8>) {
    count(positions.len(), into);
    for (source, keys) in positions {
        sized(source.as_bytes(), into);
        count(keys.len(), into);
        for (key, value) in keys {
            sized(key, into);
            sized(value, into);
        }
    }
}

/// Reads the positions of all sources.
///
/// # Errors
/// The bytes end too early.
pub fn decode_positions(from: &mut ByteReader<'_>) -> Result<BTreeMap<String, Positions>, Truncated> {
    let mut positions = BTreeMap::new();
    for _ in 0..from.count(8)? {
        let source = String::from_utf8_lossy(from.sized()?).into_owned();
        let mut keys = Positions::new();
        for _ in 0..from.count(8)? {
            let key = Bytes::copy_from_slice(from.sized()?);
            let value = Bytes::copy_from_slice(from.sized()?);
            keys.insert(key, value);
        }
        positions.insert(source, keys);
    }
    Ok(positions)
}

fn count(number: usize, into: &mut Vec<u8>) {
    // Four billion keys do not fit in memory, so this never saturates.
    into.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn sized(bytes: &[u8], into: &mut Vec<u8>) {
    count(bytes.len(), into);
    into.extend_from_slice(bytes);
}
