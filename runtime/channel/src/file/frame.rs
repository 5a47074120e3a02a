//! The bytes of one frame: a header of 32 bytes, the payload, zeros up to a multiple of 8 (FORMAT.md section 3).
//!
//! Pure: no disk, no state. A frame is valid only in the file it was written for, because its checksum starts
//! from the salt of the channel and the number of the file: the bytes of an older life of a recycled file, and
//! bytes that a producer made up, are never taken for a frame.

use crc_fast::{CrcAlgorithm, Digest};

use super::pack::Compression;

/// Size of a frame's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Size of the header behind its checksum.
pub(super) const FIELDS_BYTES: usize = HEADER_BYTES - 8;
/// Frames start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;
/// Largest payload. A longer length is not believed.
pub(super) const PAYLOAD_BYTES_MAX: usize = 1 << 30;
/// Largest payload of a put, which leaves room for what sealing adds.
pub(super) const PUT_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - 64;

const MAGIC: [u8; 4] = *b"MRF1";
/// The flag of a sealed frame; the flags below it say how the payload is packed.
const SEALED: u8 = 4;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The events and positions of one committed put.
    Put,
    /// Which events were taken for good.
    Take,
    /// The positions of all sources.
    Positions,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Put => 1,
            Self::Take => 2,
            Self::Positions => 3,
        }
    }

    fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Put),
            2 => Some(Self::Take),
            3 => Some(Self::Positions),
            _ => None,
        }
    }
}

/// What a frame says about itself, but for its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub kind: Kind,
    pub packing: Compression,
    pub sealed: bool,
    /// The number of the frame; goes up by one with each.
    pub sequence: u64,
    /// Every frame up to this number was durable when this one was written.
    pub durable: u64,
}

impl Stamp {
    /// The header behind the checksum.
    pub(super) fn fields(&self, payload_bytes: usize) -> [u8; FIELDS_BYTES] {
        let mut fields = [0; FIELDS_BYTES];
        fields[..4].copy_from_slice(&u32::try_from(payload_bytes).unwrap_or(u32::MAX).to_le_bytes());
        fields[4] = self.kind.code();
        fields[5] = self.packing.code() | if self.sealed { SEALED } else { 0 };
        fields[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        fields[16..].copy_from_slice(&self.durable.to_le_bytes());
        fields
    }
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub stamp: Stamp,
    /// Size of the payload as it is on the disk.
    pub payload_bytes: usize,
    checksum: u32,
}

/// Where the checksums of a file start.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    digest: Digest,
}

impl Seed {
    pub(super) fn new(salt: u64, file: u64) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&salt.to_le_bytes());
        digest.update(&file.to_le_bytes());
        Self { digest }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a 32-bit checksum comes in 64 bits")]
    fn checksum(&self, covered: &[u8]) -> u32 {
        let mut digest = self.digest;
        digest.update(covered);
        digest.finalize() as u32
    }
}

/// Size of a whole frame with this payload.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Leaves space for a header; the payload is then appended, and [`finish`] completes the frame.
pub(super) fn begin(into: &mut Vec<u8>) -> usize {
    let start = into.len();
    into.resize(start + HEADER_BYTES, 0);
    start
}

/// Completes the frame that starts at `start` and whose payload, as it is going to be on the disk, is everything after
/// its header.
pub(super) fn finish(into: &mut Vec<u8>, start: usize, stamp: &Stamp, seed: &Seed) {
    let payload_bytes = into.len() - start - HEADER_BYTES;
    assert!(payload_bytes <= PAYLOAD_BYTES_MAX, "a frame of {payload_bytes} bytes");
    into.resize(start + frame_bytes(payload_bytes), 0);
    let Some(frame) = into.get_mut(start..) else { return };
    frame[..4].copy_from_slice(&MAGIC);
    frame[8..HEADER_BYTES].copy_from_slice(&stamp.fields(payload_bytes));
    let checksum = seed.checksum(&frame[8..]);
    frame[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a header; None when the bytes are none.
pub(super) fn header(bytes: &[u8]) -> Option<FrameHeader> {
    let bytes: &[u8; HEADER_BYTES] = bytes.get(..HEADER_BYTES)?.try_into().ok()?;
    // A frame that uses reserved bits is not ours to read.
    if bytes[..4] != MAGIC || bytes[14..16] != [0; 2] {
        return None;
    }
    let payload_bytes = u32::from_le_bytes(field(bytes, 8)) as usize;
    if payload_bytes > PAYLOAD_BYTES_MAX {
        return None;
    }
    let stamp = Stamp {
        kind: Kind::of(bytes[12])?,
        packing: Compression::of(bytes[13] & !SEALED)?,
        sealed: bytes[13] & SEALED != 0,
        sequence: u64::from_le_bytes(field(bytes, 16)),
        durable: u64::from_le_bytes(field(bytes, 24)),
    };
    Some(FrameHeader { stamp, payload_bytes, checksum: u32::from_le_bytes(field(bytes, 4)) })
}

fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

/// Checks a whole frame: header, payload and padding, nothing more.
pub(super) fn check(frame: &[u8], seed: &Seed) -> Option<FrameHeader> {
    let header = header(frame)?;
    let whole = frame.len() == frame_bytes(header.payload_bytes);
    (whole && seed.checksum(&frame[8..]) == header.checksum).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Seed, Stamp, begin, check, finish, frame_bytes};
    use crate::file::pack::Compression;

    fn frame(payload: &[u8], seed: &Seed) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        let start = begin(&mut bytes);
        bytes.extend_from_slice(payload);
        let packing = Compression::None;
        let stamp = Stamp { kind: Kind::Put, packing, sealed: false, sequence: 7, durable: 5 };
        finish(&mut bytes, start, &stamp, seed);
        bytes.split_off(start)
    }

    #[test]
    fn a_frame_has_exactly_these_bytes() {
        let bytes = frame(b"abc", &Seed::new(1, 2));
        let mut expected = b"MRF1".to_vec();
        expected.extend([0xa6, 0x58, 0x8f, 0x79, 3, 0, 0, 0, 1, 0, 0, 0]);
        expected.extend([7, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend(b"abc\0\0\0\0\0");
        // The checksum is recomputed here bit by bit, independent of the library.
        let covered = [&1_u64.to_le_bytes()[..], &2_u64.to_le_bytes(), &expected[8..]].concat();
        expected[4..8].copy_from_slice(&crc32c(&covered).to_le_bytes());
        assert_eq!(bytes, expected);
    }

    fn crc32c(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(
                crc ^ u32::from(*byte),
                |crc, _| {
                    if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
                },
            )
        })
    }

    #[test]
    fn every_flipped_bit_and_every_other_file_is_found() {
        let seed = Seed::new(1, 2);
        let whole = frame(b"0123456789", &seed);
        assert_eq!(check(&whole, &seed).map(|header| header.payload_bytes), Some(10));
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(check(&flipped, &seed), None, "bit {bit}");
        }
        assert_eq!(check(&whole, &Seed::new(1, 3)), None);
        assert_eq!(check(&whole, &Seed::new(2, 2)), None);
        assert!((0..whole.len()).all(|end| check(&whole[..end], &seed).is_none()));
        assert_eq!(whole.len(), frame_bytes(10));
    }
}
