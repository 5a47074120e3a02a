//! Reading little-endian fields from bytes that may be cut short or wrong.

/// The bytes end before the field does, or a length in them is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end at {at} where {wanted} more were expected")]
pub struct Truncated {
    /// Where reading stopped.
    pub at: usize,
    /// How many bytes the field needs.
    pub wanted: usize,
}

/// Walks over bytes from the front.
#[derive(Debug, Clone)]
pub struct ByteReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> ByteReader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How far it is.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let end = self.at.checked_add(count);
        let found = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = found.ok_or(Truncated { at: self.at, wanted: count })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| Truncated { at, wanted: N })
    }

    /// The next 8 bits.
    ///
    /// # Errors
    /// The bytes end.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(u8::from_le_bytes)
    }

    /// The next 16 bits.
    ///
    /// # Errors
    /// The bytes end.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 32 bits.
    ///
    /// # Errors
    /// The bytes end.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 64 bits.
    ///
    /// # Errors
    /// The bytes end.
    pub fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(u64::from_le_bytes)
    }

    /// A count of items of at least this size: more than the bytes could hold is an error, so that a wrong
    /// count never becomes a huge allocation.
    ///
    /// # Errors
    /// The bytes end, or cannot hold as many.
    pub fn count(&mut self, item_bytes_min: usize) -> Result<usize, Truncated> {
        let count = self.u32()? as usize;
        let wanted = count.saturating_mul(item_bytes_min);
        if wanted > self.remaining() {
            return Err(Truncated { at: self.at, wanted });
        }
        Ok(count)
    }

    /// A 32-bit length and as many bytes.
    ///
    /// # Errors
    /// The bytes end.
    pub fn sized(&mut self) -> Result<&'a [u8], Truncated> {
        let length = self.u32()? as usize;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteReader, Truncated};

    #[test]
    fn fields_are_little_endian_and_stop_at_the_end() {
        let mut reader = ByteReader::new(&[1, 2, 0, 3, 0, 0, 0, b'a', b'b', b'c', 9]);
        assert_eq!((reader.u8(), reader.u16(), reader.sized()), (Ok(1), Ok(2), Ok(&b"abc"[..])));
        assert_eq!(reader.u64(), Err(Truncated { at: 10, wanted: 8 }));
        assert_eq!((reader.u8(), reader.remaining()), (Ok(9), 0));
    }

    #[test]
    fn a_count_that_cannot_be_true_is_refused_before_anything_is_allocated() {
        let mut bytes = u32::MAX.to_le_bytes().to_vec();
        bytes.extend([0; 20]);
        assert!(ByteReader::new(&bytes).count(1).is_err());
        assert_eq!(ByteReader::new(&[2, 0, 0, 0, 7, 7]).count(1), Ok(2));
    }
}
