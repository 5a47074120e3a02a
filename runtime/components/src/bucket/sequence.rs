//! Where the last whole entry or block of a SequenceFile ends.

use std::io::{self, BufRead, BufReader, Read};

use super::framing::{Counted, skip_bytes};

const MAGIC: &[u8] = b"SEQ\x06";
const SYNC_BYTES: usize = 16;

/// Stands where the length of an entry would: a marker follows.
const SYNC_ESCAPE: i32 = -1;

/// Bytes from the start of the file that are whole; at least `border`.
pub fn whole_bytes(
    open: impl Fn(u64) -> io::Result<Box<dyn Read>>,
    border: u64,
    length: u64,
) -> io::Result<u64> {
    let counted = |offset: u64| -> io::Result<_> {
        let reader = BufReader::with_capacity(1 << 16, open(offset)?);
        Ok(Counted { inner: reader.take(length.saturating_sub(offset)), count: 0 })
    };
    let mut reader = counted(0)?;
    let Ok(header) = header(&mut reader) else { return Ok(border) };
    let start = reader.count;
    if border > start {
        reader = counted(border)?;
        reader.count = border;
    }
    // A header alone is no file worth keeping: an entry has to follow.
    let mut whole = border;
    while entry(&mut reader, &header).is_ok_and(|found| found) {
        whole = reader.count;
    }
    Ok(whole)
}

struct Header {
    has_blocks: bool,
    sync: [u8; SYNC_BYTES],
}

fn header(reader: &mut impl BufRead) -> io::Result<Header> {
    if bytes::<4>(reader)? != MAGIC {
        return Err(io::ErrorKind::InvalidData.into());
    }
    text(reader)?;
    text(reader)?;
    let [is_packed, has_blocks] = bytes(reader)?;
    if is_packed != 0 {
        text(reader)?;
    }
    for _ in 0..2 * u32::from_be_bytes(bytes(reader)?) {
        text(reader)?;
    }
    Ok(Header { has_blocks: has_blocks != 0, sync: bytes(reader)? })
}

/// Reads an entry with the marker before it, a block, or a marker at the end. False: the file ends.
fn entry(reader: &mut impl BufRead, header: &Header) -> io::Result<bool> {
    if reader.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let length = i32::from_be_bytes(bytes(reader)?);
    if length == SYNC_ESCAPE {
        if bytes::<SYNC_BYTES>(reader)? != header.sync {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if header.has_blocks {
            number(reader)?;
            for _ in 0..4 {
                text(reader)?;
            }
        }
        return Ok(true);
    }
    let length = u64::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
    if header.has_blocks {
        return Err(io::ErrorKind::InvalidData.into());
    }
    skip_bytes(reader, 4 + length)?;
    Ok(true)
}

/// Skips a length and as many bytes.
fn text(reader: &mut impl BufRead) -> io::Result<()> {
    let length = number(reader)?;
    skip_bytes(reader, length).map(drop)
}

fn number(reader: &mut impl BufRead) -> io::Result<u64> {
    let [first] = bytes::<1>(reader)?;
    match first as i8 {
        small @ 0.. => Ok(small as u64),
        more @ -120..=-113 => {
            let mut number = 0;
            for _ in 0..(-112 - i32::from(more)) {
                number = number << 8 | u64::from(bytes::<1>(reader)?[0]);
            }
            Ok(number)
        }
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn bytes<const COUNT: usize>(reader: &mut impl BufRead) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
