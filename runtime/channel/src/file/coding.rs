//! What all frames of one file have in common: where their checksum starts, how they are sealed, whether they may be
//! packed. Turns payloads into frames as they stand on the disk and back.
//!
//! A payload is packed, then sealed, then covered by the checksum; reading goes the other way round, and what fails at
//! any of the three is no frame (FORMAT.md sections 3, 10 and 11).

use bytes::Bytes;

use super::{
    error::FileError,
    frame::{self, FIELDS_BYTES, FrameHeader, HEADER_BYTES, Kind, Seed, Stamp},
    pack::{Compression, Packer, unpack},
    seal::{Sealer, TAG_BYTES},
};

/// How the frames of one file are written and read.
pub(super) struct Coding {
    pub seed: Seed,
    pub sealer: Option<Sealer>,
    /// Whether its frames may be packed.
    pub packed: bool,
}

/// What a frame's tag covers besides its payload: the offset, and its header behind the checksum.
fn bound_to(offset: u64, fields: &[u8; FIELDS_BYTES]) -> [u8; 8 + FIELDS_BYTES] {
    let mut bound = [0; 8 + FIELDS_BYTES];
    bound[..8].copy_from_slice(&offset.to_le_bytes());
    bound[8..].copy_from_slice(fields);
    bound
}

impl Coding {
    /// Completes the frame that starts at `start`, whose payload is everything after its header, and that will be at
    /// `offset` of its file.
    ///
    /// # Errors
    /// It could not be sealed; nothing of the bytes may be written.
    pub(super) fn finish(
        &self,
        into: &mut Vec<u8>,
        start: usize,
        (kind, sequence, durable): (Kind, u64, u64),
        offset: u64,
        (how, packer): (Compression, &mut Packer),
    ) -> Result<(), FileError> {
        let payload = start + HEADER_BYTES;
        let packing = if self.packed && kind == Kind::Put {
            packer.pack(how, into, payload)
        } else {
            Compression::None
        };
        let stamp = Stamp { kind, packing, sealed: self.sealer.is_some(), sequence, durable };
        if let Some(sealer) = &self.sealer {
            let fields = stamp.fields(into.len() - payload + TAG_BYTES);
            let tag = sealer.seal(
                sequence,
                &bound_to(offset, &fields),
                into.get_mut(payload..).unwrap_or_default(),
            )?;
            into.extend_from_slice(&tag);
        }
        frame::finish(into, start, &stamp, &self.seed);
        Ok(())
    }

    /// Checks a whole frame as it stands on the disk, but not its seal and its packing.
    pub(super) fn check(&self, frame: &[u8]) -> Option<FrameHeader> {
        let header = frame::check(frame, &self.seed)?;
        let allowed = header.stamp.sealed == self.sealer.is_some()
            && (self.packed || header.stamp.packing == Compression::None);
        allowed.then_some(header)
    }

    /// The payload of a frame that passed the check; None when its seal or packing is wrong. This is the one way from
    /// what is on the disk to what was meant.
    pub(super) fn payload(&self, header: &FrameHeader, mut frame: Vec<u8>, offset: u64) -> Option<Bytes> {
        let mut bytes = header.payload_bytes;
        if let Some(sealer) = &self.sealer {
            let fields = header.stamp.fields(bytes);
            let stored = frame.get_mut(HEADER_BYTES..HEADER_BYTES + bytes)?;
            bytes = sealer.open(header.stamp.sequence, &bound_to(offset, &fields), stored)?.len();
        }
        match header.stamp.packing {
            Compression::None => {
                let frame = Bytes::from(frame);
                Some(frame.slice(HEADER_BYTES..HEADER_BYTES + bytes))
            }
            how => unpack(how, frame.get(HEADER_BYTES..HEADER_BYTES + bytes)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Coding, Compression, Packer};
    use crate::file::{
        frame::{Kind, Seed, begin},
        keys::KeyRing,
        seal::Seal,
    };

    const OFFSET: u64 = 4096;

    fn coding(seal: Option<&Seal>, ring: &KeyRing, packed: bool) -> Coding {
        let sealer = seal.map(|seal| seal.open(ring, b"").unwrap());
        Coding { seed: Seed::new(1, 2), sealer, packed }
    }

    #[test]
    fn frames_are_read_back_and_only_as_their_file_has_them() {
        let ring = KeyRing::of(Some("a"), vec![("a", [3; 32])]);
        let payload = b"some words, ".repeat(100);
        for how in [Compression::None, Compression::Zstd, Compression::Lz4] {
            for sealed in [false, true] {
                let made = sealed.then(|| Seal::make(&ring, b"").unwrap().unwrap());
                let (seal, sealer) = made.map_or((None, None), |(seal, sealer)| (Some(seal), Some(sealer)));
                let packed = how != Compression::None;
                let writing = Coding { seed: Seed::new(1, 2), sealer, packed };
                let mut frame = Vec::new();
                let start = begin(&mut frame);
                frame.extend(&payload);
                let packer = (how, &mut Packer::default());
                writing.finish(&mut frame, start, (Kind::Put, 7, 5), OFFSET, packer).unwrap();
                assert!(!sealed || !frame.windows(4).any(|bytes| bytes == b"word"));
                let reading = coding(seal.as_ref(), &ring, packed);
                let header = reading.check(&frame).unwrap();
                assert_eq!((header.stamp.packing, header.stamp.sealed), (how, sealed));
                assert_eq!(reading.payload(&header, frame.clone(), OFFSET).unwrap(), payload);
                assert_eq!(reading.payload(&header, frame.clone(), OFFSET + 8).is_none(), sealed);
                let other = if sealed { None } else { Some(Seal::make(&ring, b"").unwrap().unwrap().0) };
                assert!(coding(other.as_ref(), &ring, packed).check(&frame).is_none());
                assert_eq!(coding(seal.as_ref(), &ring, false).check(&frame).is_none(), packed);
            }
        }
    }
}
