//! Compression of a put's payload (FORMAT.md section 10). Pure.
//!
//! What is unpacked says how large it will be; a length that the format forbids is refused before memory is asked for.

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use super::frame::PAYLOAD_BYTES_MAX;

/// Smaller payloads are not worth the time.
const PACKED_BYTES_MIN: usize = 512;
/// Bytes that one packed byte may stand for at most. Neither method reaches it.
const RATIO_MAX: usize = 1 << 16;
/// The length in front of what was packed.
const LENGTH_BYTES: usize = 4;
/// Fast: it works on the thread that all commits wait for.
const ZSTD_LEVEL: i32 = 1;
/// Larger than this the room for a result is not kept.
const SCRATCH_BYTES_MAX: usize = 16 << 20;

/// How a payload is packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// With zstd.
    Zstd,
    /// With LZ4.
    Lz4,
}

impl Compression {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
            Self::Lz4 => 2,
        }
    }

    pub(super) fn of(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::None),
            1 => Some(Self::Zstd),
            2 => Some(Self::Lz4),
            _ => None,
        }
    }
}

/// Packs one payload after the other.
#[derive(Default)]
pub(super) struct Packer {
    zstd: Option<Compressor<'static>>,
    scratch: Vec<u8>,
}

impl Packer {
    /// Replaces everything from `start` by its packed form if that is smaller; says whether it did.
    pub(super) fn pack(&mut self, how: Compression, bytes: &mut Vec<u8>, start: usize) -> Compression {
        let Some(plain) = bytes.get(start..).filter(|plain| plain.len() >= PACKED_BYTES_MIN) else {
            return Compression::None;
        };
        let (Some(packed), Ok(length)) = (self.packed(how, plain), u32::try_from(plain.len())) else {
            return Compression::None;
        };
        let worth = packed + LENGTH_BYTES < plain.len() && plain.len() / RATIO_MAX < packed;
        if worth {
            bytes.truncate(start);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(self.scratch.get(..packed).unwrap_or_default());
        }
        if self.scratch.len() > SCRATCH_BYTES_MAX {
            self.scratch = Vec::new();
        }
        if worth { how } else { Compression::None }
    }

    /// Packs into the scratch space; the length. None when it does not work.
    fn packed(&mut self, how: Compression, plain: &[u8]) -> Option<usize> {
        let bytes_max = match how {
            Compression::None => return None,
            Compression::Zstd => zstd::zstd_safe::compress_bound(plain.len()),
            Compression::Lz4 => lz4_flex::block::get_maximum_output_size(plain.len()),
        };
        if self.scratch.len() < bytes_max {
            self.scratch.resize(bytes_max, 0);
        }
        let scratch = self.scratch.as_mut_slice();
        if how == Compression::Lz4 {
            return lz4_flex::block::compress_into(plain, scratch).ok();
        }
        if self.zstd.is_none() {
            self.zstd = Compressor::new(ZSTD_LEVEL).ok();
        }
        self.zstd.as_mut()?.compress_to_buffer(plain, scratch).ok()
    }
}

/// What was packed; None when it is not what the format allows.
pub(super) fn unpack(how: Compression, stored: &[u8]) -> Option<Bytes> {
    let (length, packed) = stored.split_first_chunk::<LENGTH_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > PAYLOAD_BYTES_MAX || length > packed.len().checked_mul(RATIO_MAX)? {
        return None;
    }
    let mut plain = Vec::new();
    plain.try_reserve_exact(length).ok()?;
    match how {
        Compression::None => return None,
        Compression::Zstd => {
            Decompressor::new().ok()?.decompress_to_buffer(packed, &mut plain).ok()?;
        }
        Compression::Lz4 => {
            plain.resize(length, 0);
            let count = lz4_flex::block::decompress_into(packed, &mut plain).ok()?;
            plain.truncate(count);
        }
    }
    (plain.len() == length).then(|| plain.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::{Compression, PACKED_BYTES_MIN, Packer, unpack};

    const BOTH: [Compression; 2] = [Compression::Zstd, Compression::Lz4];

    #[test]
    fn only_what_gets_smaller_is_packed() {
        let mut packer = Packer::default();
        let noise: Vec<u8> = {
            let mut state = 1_u32;
            let next = |_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            (0..10_000).map(next).collect()
        };
        for how in BOTH {
            for (payload, expected) in [
                (vec![b'a'; PACKED_BYTES_MIN], how),
                (vec![b'a'; PACKED_BYTES_MIN - 1], Compression::None),
                (vec![0; 3 << 20], how),
                (noise.clone(), Compression::None),
            ] {
                let mut bytes = [b"head".as_slice(), &payload].concat();
                assert_eq!(packer.pack(how, &mut bytes, 4), expected, "{how:?}, {}", payload.len());
                assert_eq!(&bytes[..4], b"head");
                match expected {
                    Compression::None => assert_eq!(bytes[4..], payload),
                    how => assert_eq!(unpack(how, &bytes[4..]).unwrap(), payload),
                }
            }
        }
    }

    #[test]
    fn hostile_lengths_are_refused_before_memory_is_asked_for() {
        for how in BOTH {
            let mut bytes = vec![b'a'; 4096];
            Packer::default().pack(how, &mut bytes, 0);
            for length in [0, 4095, 4097, 1 << 30, (1 << 30) + 1, u32::MAX] {
                bytes[..4].copy_from_slice(&length.to_le_bytes());
                assert_eq!(unpack(how, &bytes), None, "{how:?} {length}");
            }
            assert!((0..bytes.len()).all(|end| unpack(how, &bytes[..end]).is_none()));
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for how in BOTH {
                let _either = unpack(how, &bytes);
            }
        }

        #[test]
        fn what_was_packed_is_unpacked(word in proptest::collection::vec(any::<u8>(), 1..40), times in 60_usize..200) {
            let payload = word.repeat(times);
            for how in BOTH {
                let mut bytes = payload.clone();
                let packed = Packer::default().pack(how, &mut bytes, 0);
                prop_assert!(packed == how || payload.len() < PACKED_BYTES_MIN || bytes == payload);
                if packed == how {
                    prop_assert_eq!(unpack(how, &bytes).unwrap(), payload.clone());
                }
            }
        }
    }
}
