//! Where the last whole append to a Parquet file ends: after the frames that stand before them.

use std::io::{self, BufRead, Read};

use super::framing::Counted;

const MAGIC: &[u8; 4] = b"PAR1";

/// Bytes after the border that are whole appends.
pub fn whole_bytes<R: BufRead>(mut reader: Counted<R>, border: u64) -> u64 {
    let mut magic = [0; 4];
    if border == 0 && (reader.read_exact(&mut magic).is_err() || magic != *MAGIC) {
        return 0;
    }
    // The first four bytes alone are no file: an append has to follow.
    let mut whole = 0;
    while append(&mut reader).is_ok() {
        whole = reader.count;
    }
    whole
}

fn append(reader: &mut impl BufRead) -> io::Result<()> {
    let (mut length, mut checksum) = ([0; 8], [0; 4]);
    reader.read_exact(&mut length)?;
    reader.read_exact(&mut checksum)?;
    let mut left = u64::from_le_bytes(length);
    let mut found = flate2::Crc::new();
    while left > 0 {
        let chunk = reader.fill_buf()?;
        let chunk = chunk.get(..usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len())));
        let chunk = chunk.filter(|chunk| !chunk.is_empty()).ok_or(io::ErrorKind::UnexpectedEof)?;
        found.update(chunk);
        let length = chunk.len();
        reader.consume(length);
        left -= length as u64;
    }
    // Nothing but zeros would be a frame, too.
    let is_whole = length != [0; 8] && found.sum().to_le_bytes() == checksum;
    if is_whole { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
