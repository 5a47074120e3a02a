//! AES-256-GCM over frames and small files (FORMAT.md section 11).
//!
//! A key of the configuration encrypts nothing itself: each file that is made draws 32 random bytes, and a data key
//! follows from both. Inside a file the sequence of a frame is its nonce. A sealer refuses a number that is not larger
//! than the last one, so a mistake elsewhere becomes an error and never a repeated nonce.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    rand,
};

use super::{
    error::FileError,
    keys::{KEY_ID_BYTES_MAX, Key, KeyRing},
};

/// Size of a seal.
pub(super) const SEAL_BYTES: usize = 112;
/// What sealing adds to a payload.
pub(super) const TAG_BYTES: usize = 16;

const SALT_BYTES: usize = 32;
const CHECK_BYTES: usize = 16;
const CHECK_INFO: &[u8] = b"millrace key check 1";
const DATA_INFO: &[u8] = b"millrace data key 1";

/// What a sealed file says about its key. None of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seal {
    salt: [u8; SALT_BYTES],
    check: [u8; CHECK_BYTES],
    id: [u8; KEY_ID_BYTES_MAX],
    id_bytes: u8,
}

/// Why a sealed file cannot be read with the keys there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SealError {
    /// The key is not there.
    #[error(
        "it is sealed with key {id:?}, which is not among the keys of the channel ({known}); add `key {id:?}` to its \
         `encryption`, nothing was changed"
    )]
    NoKey {
        /// The key's id.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// There is a key of that name, and it is not the one.
    #[error(
        "it is sealed with key {id:?}, but the key of that id is another one now; bring back the one it was sealed \
         with, nothing was changed"
    )]
    WrongKey {
        /// The key's id.
        id: String,
    },
}

/// Seals and opens what belongs to one file.
pub(super) struct Sealer {
    key: LessSafeKey,
    /// The last number that was sealed.
    last: AtomicU64,
}

struct CheckLength;

impl KeyType for CheckLength {
    fn len(&self) -> usize {
        CHECK_BYTES
    }
}

fn failed() -> FileError {
    FileError::Crypto("the cryptographic library refused to work")
}

fn extract(key: &Key, salt: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, salt).extract(key.bytes())
}

fn check_of(prk: &Prk) -> Result<[u8; CHECK_BYTES], FileError> {
    let mut check = [0; CHECK_BYTES];
    let expanded = prk.expand(&[CHECK_INFO], CheckLength).map_err(|_| failed())?;
    expanded.fill(&mut check).map_err(|_| failed())?;
    Ok(check)
}

impl Seal {
    /// A new seal with the active key, and what seals with it. None: there is no active key. The place keeps a file
    /// from being read as another.
    pub(super) fn make(ring: &KeyRing, place: &[u8]) -> Result<Option<(Self, Sealer)>, FileError> {
        let Some((id, key)) = ring.active() else { return Ok(None) };
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| failed())?;
        let prk = extract(key, &salt);
        let mut padded = [0; KEY_ID_BYTES_MAX];
        padded.iter_mut().zip(id.bytes()).for_each(|(to, from)| *to = from);
        let id_bytes = u8::try_from(id.len()).unwrap_or(u8::MAX);
        let seal = Self { salt, check: check_of(&prk)?, id: padded, id_bytes };
        Ok(Some((seal, Sealer::new(&prk, place, 0)?)))
    }

    /// What opens what was sealed.
    pub(super) fn open(&self, ring: &KeyRing, place: &[u8]) -> Result<Sealer, FileError> {
        let prk = self.unlock(ring)?;
        // Nothing is ever added to a file of an earlier run.
        Sealer::new(&prk, place, u64::MAX)
    }

    /// Whether the key is there and the right one.
    pub(super) fn check(&self, ring: &KeyRing) -> Result<(), FileError> {
        self.unlock(ring).map(drop)
    }

    fn unlock(&self, ring: &KeyRing) -> Result<Prk, FileError> {
        let id = self.key_id();
        let Some(key) = ring.find(id) else {
            let error = SealError::NoKey { id: id.to_owned(), known: ring.ids() };
            return Err(FileError::Seal(error));
        };
        let prk = extract(key, &self.salt);
        if check_of(&prk)? != self.check {
            return Err(FileError::Seal(SealError::WrongKey { id: id.to_owned() }));
        }
        Ok(prk)
    }

    pub(super) fn key_id(&self) -> &str {
        let id = self.id.get(..usize::from(self.id_bytes)).unwrap_or_default();
        std::str::from_utf8(id).unwrap_or_default()
    }

    pub(super) fn encode(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [0; SEAL_BYTES];
        bytes[..32].copy_from_slice(&self.salt);
        bytes[32..48].copy_from_slice(&self.check);
        bytes[48] = self.id_bytes;
        bytes[49..].copy_from_slice(&self.id);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEAL_BYTES] = bytes.get(..SEAL_BYTES)?.try_into().ok()?;
        let mut seal = Self { salt: [0; 32], check: [0; 16], id: [0; KEY_ID_BYTES_MAX], id_bytes: bytes[48] };
        seal.salt.copy_from_slice(&bytes[..32]);
        seal.check.copy_from_slice(&bytes[32..48]);
        seal.id.copy_from_slice(&bytes[49..]);
        (!seal.key_id().is_empty()).then_some(seal)
    }
}

impl Sealer {
    fn new(prk: &Prk, place: &[u8], last: u64) -> Result<Self, FileError> {
        let info = [DATA_INFO, place];
        let data_key = prk.expand(&info, &AES_256_GCM).map_err(|_| failed())?;
        Ok(Self { key: LessSafeKey::new(UnboundKey::from(data_key)), last: AtomicU64::new(last) })
    }

    /// Encrypts in place and says the tag.
    ///
    /// # Errors
    /// The number is not larger than the one before, or the library refuses. What was given must not be used.
    pub(super) fn seal(
        &self,
        number: u64,
        bound_to: &[u8],
        bytes: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], FileError> {
        if self.last.fetch_max(number, Ordering::Relaxed) >= number {
            return Err(FileError::Crypto("a number would have been sealed twice"));
        }
        let sealed = self.key.seal_in_place_separate_tag(nonce(number), Aad::from(bound_to), bytes);
        let tag = sealed.map_err(|_| failed())?;
        tag.as_ref().try_into().map_err(|_| failed())
    }

    /// Decrypts in place what ends in its tag; None when it was not sealed by this key, here, as this.
    pub(super) fn open<'a>(&self, number: u64, bound_to: &[u8], bytes: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.key.open_in_place(nonce(number), Aad::from(bound_to), bytes).ok()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::{Seal, SealError};
    use crate::file::{error::FileError, keys::KeyRing};

    fn ring(id: &str, byte: u8) -> KeyRing {
        KeyRing::of(Some(id), vec![(id, [byte; 32])])
    }

    #[test]
    fn only_the_same_key_number_place_and_binding_open_what_was_sealed() {
        let keys = ring("a", 1);
        let (seal, sealer) = Seal::make(&keys, b"here").unwrap().unwrap();
        let mut bytes = b"secret".to_vec();
        let tag = sealer.seal(7, b"frame", &mut bytes).unwrap();
        bytes.extend(tag);
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
        let read = Seal::decode(&seal.encode()).unwrap();
        assert_eq!(read, seal);
        let open = |place: &[u8], number, bound: &[u8], bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            read.open(&keys, place).unwrap().open(number, bound, &mut bytes).map(|plain| plain.to_vec())
        };
        assert_eq!(open(b"here", 7, b"frame", &bytes).as_deref(), Some(&b"secret"[..]));
        assert_eq!(open(b"there", 7, b"frame", &bytes), None);
        assert_eq!(open(b"here", 8, b"frame", &bytes), None);
        assert_eq!(open(b"here", 7, b"frames", &bytes), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(b"here", 7, b"frame", &flipped), None, "bit {bit}");
        }
        assert!((0..bytes.len()).all(|end| open(b"here", 7, b"frame", &bytes[..end]).is_none()));
    }

    #[test]
    fn a_number_is_sealed_once_and_an_opened_file_is_not_written() {
        let keys = ring("a", 1);
        let (seal, sealer) = Seal::make(&keys, b"").unwrap().unwrap();
        for number in [1, 2, 9] {
            sealer.seal(number, b"", &mut [0; 4]).unwrap();
        }
        for number in [0, 1, 8, 9] {
            assert!(matches!(sealer.seal(number, b"", &mut [0; 4]), Err(FileError::Crypto(_))), "{number}");
        }
        assert!(seal.open(&keys, b"").unwrap().seal(10, b"", &mut [0; 4]).is_err());
    }

    #[test]
    fn a_missing_and_a_wrong_key_are_told_apart_by_name() {
        let (seal, _) = Seal::make(&ring("2026-05", 1), b"").unwrap().unwrap();
        let errors: Vec<String> = [ring("2026-11", 1), ring("2026-05", 2), KeyRing::default()]
            .iter()
            .map(|keys| match seal.check(keys) {
                Err(FileError::Seal(error @ (SealError::NoKey { .. } | SealError::WrongKey { .. }))) => {
                    error.to_string()
                }
                other => format!("{other:?}"),
            })
            .collect();
        assert!(errors[0].contains("\"2026-05\", which is not among the keys of the channel (2026-11)"));
        assert!(errors[1].contains("the key of that id is another one now"));
        assert!(errors[2].contains("not among the keys of the channel (none)"), "{}", errors[2]);
        assert!(Seal::decode(&[0; 112]).is_none());
        assert!(Seal::decode(&seal.encode()[..111]).is_none());
    }

    #[test]
    fn each_file_draws_a_salt_of_its_own() {
        let keys = ring("a", 1);
        let salts: std::collections::HashSet<_> =
            (0..1000).map(|_| Seal::make(&keys, b"").unwrap().unwrap().0.salt).collect();
        assert_eq!(salts.len(), 1000);
    }
}
