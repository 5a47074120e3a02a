//! Avro's binary primitives: zig-zag numbers, bytes, strings, and the blocks of maps and arrays.
//!
//! The reader hands out slices of what it reads. Every length is checked against the bytes that are there
//! before anything is made of it.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::error::AvroError;

/// A place in a request or response.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    frame: Bytes,
    at: usize,
}

impl Reader {
    /// Reads from the start.
    pub(crate) fn new(frame: Bytes) -> Self {
        Self { frame, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    pub(crate) fn rest(&self) -> &[u8] {
        self.frame.get(self.at..).unwrap_or_default()
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> Bytes {
        if start <= self.at { self.frame.slice(start..self.at) } else { Bytes::new() }
    }

    /// Skips bytes that are known to be there.
    pub(crate) fn skip_known(&mut self, count: usize) {
        self.at = (self.at + count).min(self.frame.len());
    }

    /// A `long`.
    pub(crate) fn long(&mut self, what: &'static str) -> Result<i64, AvroError> {
        let mut value = 0_u64;
        for (index, byte) in self.rest().iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if index == 9 && bits > 1 {
                return Err(AvroError::NotANumber { what, at: self.at });
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.at += index + 1;
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        if self.rest().len() < 10 {
            return Err(AvroError::Truncated { what, at: self.frame.len() });
        }
        Err(AvroError::NotANumber { what, at: self.at })
    }

    /// A `boolean`.
    pub(crate) fn boolean(&mut self, what: &'static str) -> Result<bool, AvroError> {
        match self.fixed::<1>(what)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(AvroError::OutOfRange { what, found: other.into() }),
        }
    }

    /// A `fixed` of `N` bytes.
    pub(crate) fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], AvroError> {
        let Some(bytes) = self.rest().first_chunk::<N>().copied() else {
            return Err(AvroError::Truncated { what, at: self.frame.len() });
        };
        self.at += N;
        Ok(bytes)
    }

    /// A length that the rest of the bytes can hold.
    fn length(&mut self, what: &'static str) -> Result<usize, AvroError> {
        let found = self.long(what)?;
        let length = usize::try_from(found).map_err(|_| AvroError::OutOfRange { what, found })?;
        if length > self.rest().len() {
            return Err(AvroError::Truncated { what, at: self.frame.len() });
        }
        Ok(length)
    }

    /// `bytes`, as a slice of the frame.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<Bytes, AvroError> {
        let length = self.length(what)?;
        let start = self.at;
        self.at += length;
        Ok(self.frame.slice(start..self.at))
    }

    /// A `string`, as a slice of the frame.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<ByteString, AvroError> {
        let start = self.at;
        ByteString::try_from(self.bytes(what)?).map_err(|_| AvroError::NotText { what, at: start })
    }

    /// The item count of the next block of a map or array; 0 ends it. Each item takes at least `item_bytes_min`
    /// bytes, so that a count is never believed that the rest of the bytes cannot hold.
    pub(crate) fn block(&mut self, what: &'static str, item_bytes_min: usize) -> Result<usize, AvroError> {
        let found = self.long(what)?;
        if found < 0 {
            // A negative count is followed by the size of the block in bytes, for readers that skip it.
            self.length(what)?;
        }
        let count = usize::try_from(found.unsigned_abs()).unwrap_or(usize::MAX);
        if count > self.rest().len() / item_bytes_min.max(1) {
            return Err(AvroError::Truncated { what, at: self.frame.len() });
        }
        Ok(count)
    }

    /// The index of a union or enum with `count` branches.
    pub(crate) fn branch(&mut self, what: &'static str, count: i64) -> Result<i64, AvroError> {
        match self.long(what)? {
            found if (0..count).contains(&found) => Ok(found),
            found => Err(AvroError::OutOfRange { what, found }),
        }
    }

    /// Reads over a `map<bytes>`: the metadata of a call, which Flume does not use.
    pub(crate) fn skip_metadata(&mut self) -> Result<(), AvroError> {
        loop {
            let count = self.block("metadata", 2)?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                self.length("name of metadata").map(|length| self.at += length)?;
                self.length("value of metadata").map(|length| self.at += length)?;
            }
        }
    }
}

/// Writes a `long`.
pub(crate) fn put_long(out: &mut BytesMut, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.put_u8(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest.to_le_bytes()[0]);
}

/// Writes `bytes` or a `string`.
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    put_count(out, bytes.len());
    out.put_slice(bytes);
}

/// Writes a count or length.
pub(crate) fn put_count(out: &mut BytesMut, count: usize) {
    // A slice is never longer than an i64 can say.
    put_long(out, i64::try_from(count).unwrap_or(i64::MAX));
}
