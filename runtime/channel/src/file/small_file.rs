//! Reads and writes the small files that are replaced as a whole, sealed or not (FORMAT.md sections 7, 8 and 11).
//!
//! A sealed one is turned into what it would be unsealed, so that whoever reads the content knows of one form only.

use std::{io::ErrorKind, path::Path};

use crc_fast::{CrcAlgorithm, checksum};
use millrace_storage::{ByteReader, Disk, OpenMode};

use super::{
    error::FileError,
    keys::KeyRing,
    seal::{SEAL_BYTES, Seal, TAG_BYTES},
};

/// Magic, checksum and version.
const HEAD_BYTES: usize = 16;
const SEALED_HEAD_BYTES: usize = HEAD_BYTES + SEAL_BYTES;
const VERSION: u32 = 1;
const SEALED_VERSION: u32 = 2;
/// A file is made anew each time, under a data key of its own.
const NUMBER: u64 = 1;

/// A file as it would be unsealed, and the id of the key it was sealed with.
pub(super) struct Opened {
    pub bytes: Vec<u8>,
    pub key: Option<String>,
}

#[allow(clippy::cast_possible_truncation, reason = "a 32-bit checksum comes in 64 bits")]
pub(super) fn sum(bytes: &[u8]) -> u32 {
    checksum(CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// What the tag covers besides the content: everything before it but the checksum.
fn bound_to(head: &[u8; SEALED_HEAD_BYTES]) -> Vec<u8> {
    [&head[..8], &head[12..]].concat()
}

/// Seals the bytes of a file if there is an active key.
pub(super) fn seal(mut bytes: Vec<u8>, ring: &KeyRing) -> Result<Vec<u8>, FileError> {
    let mut head = [0; SEALED_HEAD_BYTES];
    let magic = bytes.get(..8).unwrap_or_default().to_vec();
    let Some((seal, sealer)) = Seal::make(ring, &magic)? else { return Ok(bytes) };
    head[..8].copy_from_slice(&magic);
    head[12..HEAD_BYTES].copy_from_slice(&SEALED_VERSION.to_le_bytes());
    head[HEAD_BYTES..].copy_from_slice(&seal.encode());
    let tag = sealer.seal(NUMBER, &bound_to(&head), bytes.get_mut(HEAD_BYTES..).unwrap_or_default())?;
    bytes.extend_from_slice(&tag);
    bytes.splice(..HEAD_BYTES, head);
    let sum = sum(bytes.get(12..).unwrap_or_default());
    if let Some(field) = bytes.get_mut(8..12) {
        field.copy_from_slice(&sum.to_le_bytes());
    }
    Ok(bytes)
}

/// The seal of a whole sealed file; None when it is something else.
fn sealed_head(bytes: &[u8], magic: &[u8; 8]) -> Option<Seal> {
    let mut reader = ByteReader::new(bytes);
    let known = reader.take(8).ok()? == magic;
    let whole = reader.u32().ok()? == sum(bytes.get(12..)?);
    let sealed = reader.u32().ok()? == SEALED_VERSION;
    if !known || !whole || !sealed { None } else { Seal::decode(bytes.get(HEAD_BYTES..)?) }
}

/// Opens the bytes of a file. What is not sealed, or damaged, stays as it is: its reader finds out.
///
/// # Errors
/// Its key is not there, or another one.
pub(super) fn open(mut bytes: Vec<u8>, magic: &[u8; 8], ring: &KeyRing) -> Result<Opened, FileError> {
    let Some(seal) = sealed_head(&bytes, magic) else { return Ok(Opened { bytes, key: None }) };
    let sealer = seal.open(ring, magic)?;
    let mut head = [0; SEALED_HEAD_BYTES];
    head.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    let content = bytes.get_mut(SEALED_HEAD_BYTES..).unwrap_or_default();
    if content.len() < TAG_BYTES || sealer.open(NUMBER, &bound_to(&head), content).is_none() {
        // Empty, it is as damaged as it was.
        return Ok(Opened { bytes: Vec::new(), key: None });
    }
    bytes.truncate(bytes.len() - TAG_BYTES);
    let mut plain_head = [0; HEAD_BYTES];
    plain_head[..8].copy_from_slice(magic);
    plain_head[12..].copy_from_slice(&VERSION.to_le_bytes());
    bytes.splice(..SEALED_HEAD_BYTES, plain_head);
    let sum = sum(bytes.get(12..).unwrap_or_default());
    if let Some(field) = bytes.get_mut(8..12) {
        field.copy_from_slice(&sum.to_le_bytes());
    }
    Ok(Opened { bytes, key: Some(seal.key_id().to_owned()) })
}

/// Reads a whole file; None when it is not there.
pub(super) fn read(
    disk: &dyn Disk,
    path: &Path,
    magic: &[u8; 8],
    ring: &KeyRing,
) -> Result<Option<Opened>, FileError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let file = disk.open(path, OpenMode::Read)?;
        let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| ErrorKind::FileTooLarge)?];
        let count = file.read_full_at(&mut bytes, 0)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => open(bytes, magic, ring).map(Some).map_err(|error| error.in_file(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io(format!("{}: read", path.display()), error)),
    }
}

/// Whether the key of a file is there. One that is not sealed, or damaged, needs none.
pub(super) fn check_key(
    disk: &dyn Disk,
    path: &Path,
    magic: &[u8; 8],
    ring: &KeyRing,
) -> Result<(), FileError> {
    let mut head = [0; HEAD_BYTES];
    let peeked = disk.open(path, OpenMode::Read).and_then(|file| file.read_full_at(&mut head, 0));
    // Only a whole file is believed about its key, and reading it can take a while.
    if peeked.is_ok() && head[12..] == SEALED_VERSION.to_le_bytes() {
        read(disk, path, magic, ring)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{open, seal, sum};
    use crate::file::keys::KeyRing;

    const MAGIC: &[u8; 8] = b"MRSTATE\n";

    #[test]
    fn a_sealed_file_is_read_back_and_every_flip_and_cut_is_found() {
        let ring = KeyRing::of(Some("a"), vec![("a", [3; 32])]);
        let mut plain = [MAGIC.as_slice(), &[0; 4], &1_u32.to_le_bytes(), b"the content"].concat();
        let crc = sum(&plain[12..]).to_le_bytes();
        plain[8..12].copy_from_slice(&crc);
        let sealed = seal(plain.clone(), &ring).unwrap();
        assert_ne!(sealed, seal(plain.clone(), &ring).unwrap());
        assert_eq!(sealed.len(), plain.len() + 128);
        let opened = open(sealed.clone(), MAGIC, &ring).unwrap();
        assert_eq!((opened.bytes, opened.key.as_deref()), (plain.clone(), Some("a")));
        assert!(open(sealed.clone(), MAGIC, &KeyRing::default()).is_err());
        for at in 0..sealed.len() {
            assert_ne!(open(sealed[..at].to_vec(), MAGIC, &ring).unwrap().bytes, plain);
            let mut flipped = sealed.clone();
            flipped[at] ^= 4;
            assert_ne!(open(flipped.clone(), MAGIC, &ring).unwrap().bytes, plain, "byte {at}");
            // Someone who knows how makes the checksum right again; the tag, or the key check, is not.
            let crc = sum(&flipped[12..]).to_le_bytes();
            flipped[8..12].copy_from_slice(&crc);
            if at > 15 {
                let opened = open(flipped, MAGIC, &ring).map(|opened| opened.bytes);
                assert!(opened.is_err() || opened.is_ok_and(|bytes| bytes != plain), "byte {at}");
            }
        }
        assert_eq!(seal(plain.clone(), &KeyRing::default()).unwrap(), plain);
    }
}
