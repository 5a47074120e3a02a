//! One file of frames: its name, its header, reading a frame in it (FORMAT.md section 2).
//!
//! Frames of puts are in segments, frames of takes in files of the same shape and another name. The header is
//! written twice, so that one damaged sector does not cost the whole file, and never changes afterwards.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use millrace_storage::{ByteReader, Disk, File, OpenMode};

use super::{
    coding::Coding,
    error::FileError,
    frame::{HEADER_BYTES, Seed, Stamp},
    keys::KeyRing,
    pack::Compression,
    seal::{SEAL_BYTES, Seal},
    writing::Writing,
};

/// The newest version of the format, and the one that is written.
pub(super) const VERSION: u16 = 1;
/// Where the first frame is.
pub(super) const FRAMES_START: u64 = 4096;

const MAGIC: &[u8; 8] = b"MILLRACE";
const HEAD_BYTES: usize = 64;
/// With a seal.
const SEALED_HEAD_BYTES: usize = HEAD_BYTES + SEAL_BYTES + 4;
const SECOND_HEAD: u64 = 2048;

const PACKED: u32 = 1;
const SEALED: u32 = 2;
const LOOSE: u32 = 4;

/// What the frames of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Puts.
    Segment,
    /// Takes.
    Takes,
}

impl FileKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Segment => "segment-",
            Self::Takes => "takes-",
        }
    }

    fn code(self) -> u16 {
        match self {
            Self::Segment => 1,
            Self::Takes => 2,
        }
    }

    pub(super) fn file_name(self, id: u64) -> String {
        format!("{}{id:012}.log", self.prefix())
    }

    /// The number in a file's name; None when it is not a file of this kind.
    pub(super) fn id_of(self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(self.prefix())?.strip_suffix(".log")?;
        let id = digits.parse().ok()?;
        (self.file_name(id) == name).then_some(id)
    }
}

/// What a file says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHead {
    pub kind: FileKind,
    pub id: u64,
    /// The same in all files of a channel.
    pub salt: u64,
    /// The sequence of the first frame. Frames of earlier segments from this number on were abandoned.
    pub first_sequence: u64,
    /// Whether frames may be packed.
    pub packed: bool,
    /// Whether frames counted before they were durable.
    pub loose: bool,
    /// How all frames are sealed, if they are.
    pub seal: Option<Seal>,
}

/// The state of a file's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadState {
    Good(FileHead),
    /// One of the two copies is damaged.
    Half(FileHead),
    Newer(u16),
    Bad,
}

impl FileHead {
    /// The header of a file to be made, and how its frames are written.
    pub(super) fn make(
        kind: FileKind,
        id: u64,
        salt: u64,
        first_sequence: u64,
        writing: &Writing,
    ) -> Result<(Self, Coding), FileError> {
        // Numbers of takes are small, and nobody waits for their sync anyway.
        let puts = kind == FileKind::Segment;
        let packed = puts && writing.compression != Compression::None;
        let mut head =
            Self { kind, id, salt, first_sequence, packed, loose: puts && writing.is_loose(), seal: None };
        let made = Seal::make(&writing.ring, &head.place())?;
        let sealer = made.map(|(seal, sealer)| {
            head.seal = Some(seal);
            sealer
        });
        Ok((head, Coding { seed: Seed::new(salt, id), sealer, packed }))
    }

    /// How the frames of an existing file are read.
    ///
    /// # Errors
    /// The key of the file is not there, or another one.
    pub(super) fn coding(&self, ring: &KeyRing) -> Result<Coding, FileError> {
        let sealer = self.seal.as_ref().map(|seal| seal.open(ring, &self.place())).transpose()?;
        Ok(Coding { seed: Seed::new(self.salt, self.id), sealer, packed: self.packed })
    }

    /// What tells this file from all others: its data key depends on it.
    fn place(&self) -> Vec<u8> {
        let (kind, id, salt) =
            (self.kind.code().to_le_bytes(), self.id.to_le_bytes(), self.salt.to_le_bytes());
        [&kind[..], &id, &salt].concat()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEAD_BYTES];
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = flag(self.packed, PACKED) | flag(self.seal.is_some(), SEALED) | flag(self.loose, LOOSE);
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.kind.code().to_le_bytes());
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        let sum_of_head = sum(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum_of_head.to_le_bytes());
        if let Some(seal) = &self.seal {
            let seal = seal.encode();
            bytes.extend_from_slice(&seal);
            bytes.extend_from_slice(&sum(&seal).to_le_bytes());
        }
        bytes
    }

    /// All bytes in front of the first frame, and the zeros that end an empty file.
    fn prefix(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(FRAMES_START).unwrap_or_default() + HEADER_BYTES];
        let head = self.encode();
        for start in [0, usize::try_from(SECOND_HEAD).unwrap_or_default()] {
            if let Some(copy) = bytes.get_mut(start..start + head.len()) {
                copy.copy_from_slice(&head);
            }
        }
        bytes
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a 32-bit checksum comes in 64 bits")]
fn sum(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn decode_head(bytes: &[u8], kind: FileKind) -> Option<Result<FileHead, u16>> {
    let mut reader = ByteReader::new(bytes);
    if reader.take(8).ok()? != MAGIC
        || sum(bytes.get(..60)?) != ByteReader::new(bytes.get(60..)?).u32().ok()?
    {
        return None;
    }
    let version = reader.u16().ok()?;
    let (code, flags) = (reader.u16().ok()?, reader.u32().ok()?);
    if version > VERSION || flags & !(PACKED | SEALED | LOOSE) != 0 {
        return Some(Err(version));
    }
    let seal = match flags & SEALED {
        0 => None,
        _ => Some(decode_seal(bytes.get(HEAD_BYTES..)?)?),
    };
    let head = FileHead {
        kind,
        id: reader.u64().ok()?,
        salt: reader.u64().ok()?,
        first_sequence: reader.u64().ok()?,
        packed: flags & PACKED != 0,
        loose: flags & LOOSE != 0,
        seal,
    };
    (code == kind.code()).then_some(Ok(head))
}

/// Reads a seal and the checksum behind it.
pub(super) fn decode_seal(bytes: &[u8]) -> Option<Seal> {
    let (seal, rest) = bytes.split_at_checked(SEAL_BYTES)?;
    let whole = ByteReader::new(rest).u32().ok()? == sum(seal);
    Seal::decode(seal).filter(|_| whole)
}

/// Reads the header of an open file.
pub(super) fn read_head(file: &dyn File, kind: FileKind) -> std::io::Result<HeadState> {
    let mut copies = [None, None];
    for (copy, offset) in copies.iter_mut().zip([0, SECOND_HEAD]) {
        let mut bytes = [0; SEALED_HEAD_BYTES];
        let count = file.read_full_at(&mut bytes, offset)?;
        *copy = decode_head(bytes.get(..count).unwrap_or_default(), kind);
    }
    Ok(match copies {
        [Some(Ok(first)), Some(Ok(second))] if first == second => HeadState::Good(first),
        [Some(Ok(head)), _] | [_, Some(Ok(head))] => HeadState::Half(head),
        [Some(Err(version)), _] | [_, Some(Err(version))] => HeadState::Newer(version),
        [None, None] => HeadState::Bad,
    })
}

/// An open file of frames.
pub(super) struct Segment {
    pub id: u64,
    pub path: PathBuf,
    pub file: Box<dyn File>,
    pub head: FileHead,
    pub coding: Coding,
}

/// What is at a place where a frame should be.
pub(super) enum Found {
    /// A whole frame: its payload, opened and unpacked.
    Whole(Stamp, Bytes),
    /// Something else.
    Damaged,
}

impl Segment {
    /// Writes a new file under a temporary name, durable, and gives it its own.
    pub(super) fn create(
        disk: &dyn Disk,
        directory: &Path,
        (head, coding): (FileHead, Coding),
        prepare: impl FnOnce(&Path) -> Result<Box<dyn File>, FileError>,
    ) -> Result<Self, FileError> {
        let path = directory.join(head.kind.file_name(head.id));
        let temporary = path.with_extension("new");
        let failed = |source| FileError::io(format!("{}: cannot create", path.display()), source);
        let file = prepare(&temporary)?;
        let written = file
            .write_all_at(&head.prefix(), 0)
            .and_then(|()| file.sync_data())
            .and_then(|()| disk.rename(&temporary, &path))
            .and_then(|()| disk.sync_dir(directory));
        if let Err(error) = written {
            // Neither name may stay behind: a later attempt creates the file anew.
            let _gone = disk.remove(&temporary);
            let _gone = disk.remove(&path);
            return Err(failed(error));
        }
        Ok(Self { id: head.id, path, file, head, coding })
    }

    /// A new, empty file under a temporary name.
    pub(super) fn fresh(disk: &dyn Disk, temporary: &Path) -> Result<Box<dyn File>, FileError> {
        let failed = |source| FileError::io(format!("{}: cannot create", temporary.display()), source);
        match disk.open(temporary, OpenMode::Create) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                disk.remove(temporary).map_err(failed)?;
                disk.open(temporary, OpenMode::Create).map_err(failed)
            }
            opened => opened.map_err(failed),
        }
    }

    /// Reads a frame.
    pub(super) fn read(&self, offset: u64, frame_bytes: usize) -> std::io::Result<Found> {
        let mut bytes = vec![0; frame_bytes];
        let count = self.file.read_full_at(&mut bytes, offset)?;
        bytes.truncate(count);
        let Some(header) = self.coding.check(&bytes) else { return Ok(Found::Damaged) };
        let payload = self.coding.payload(&header, bytes, offset);
        Ok(payload.map_or(Found::Damaged, |payload| Found::Whole(header.stamp, payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::FileKind;

    #[test]
    fn only_names_that_we_give_are_ours() {
        assert_eq!(FileKind::Segment.file_name(7), "segment-000000000007.log");
        assert_eq!(FileKind::Segment.id_of("segment-000000000007.log"), Some(7));
        for name in ["segment-7.log", "segment-000000000007.log.damaged", "takes-000000000007.log", "lock"] {
            assert_eq!(FileKind::Segment.id_of(name), None, "{name}");
        }
    }
}
