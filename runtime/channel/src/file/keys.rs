//! Keys of encryption at rest: where they come from, and which one new files are sealed with.
//!
//! They are read when the channel opens or is given other options, kept in memory that is wiped, and shown nowhere:
//! errors and logs name ids and places only.
#![expect(clippy::disallowed_methods, reason = "the user names files and variables that hold keys")]

use std::{collections::BTreeMap, fmt, io::Read, os::unix::fs::PermissionsExt, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::{Zeroize, Zeroizing};

/// Longest id of a key; a seal has so much room for it.
pub(super) const KEY_ID_BYTES_MAX: usize = 63;
/// More than this is no key.
const FILE_BYTES_MAX: u64 = 4096;

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// In a variable of the agent's environment.
    Variable(String),
}

/// Which keys there are, and the one for new files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptionOptions {
    /// The id of the key that new files are sealed with; None leaves them open.
    pub active: Option<String>,
    /// Ids, and where their keys are.
    pub keys: Vec<(String, KeySource)>,
}

/// Why a key cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("key {id:?}: cannot read {}: {reason}", path.display())]
    Unreadable { id: String, path: PathBuf, reason: String },
    #[error("key {id:?}: {} can be written by everyone; take that away with `chmod o-w`", path.display())]
    Exposed { id: String, path: PathBuf },
    #[error("key {id:?}: environment variable {name} is not set")]
    NoVariable { id: String, name: String },
    #[error(
        "key {id:?}: {place} holds no key: expected 32 bytes as 64 hexadecimal digits or in base64, as \
         `openssl rand -hex 32` prints them"
    )]
    NoKey { id: String, place: String },
    #[error("the active key {id:?} is not among the keys")]
    NoActive { id: String },
}

/// A key of 32 bytes.
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    pub(super) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// Reads 64 hexadecimal digits, or base64. White space around it does not count.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut key = Zeroizing::new([0; 32]);
        if text.len() == 64 {
            hex::decode_to_slice(text, &mut *key).ok()?;
            return Some(Self(key));
        }
        if text.len() != 44 {
            return None;
        }
        let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
        (bytes.len() == key.len()).then(|| {
            key.copy_from_slice(&bytes);
            Self(key)
        })
    }
}

/// The keys of a channel.
#[derive(Default)]
pub(super) struct KeyRing {
    active: Option<String>,
    keys: BTreeMap<String, Key>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyRing({})", self.ids())
    }
}

impl KeyRing {
    /// Reads all keys. Blocks.
    pub(super) fn load(options: &EncryptionOptions) -> Result<Self, KeyError> {
        Self::load_with(options, |name| std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes))
    }

    fn load_with(
        options: &EncryptionOptions,
        variable: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for (id, source) in &options.keys {
            let (text, place) = match source {
                KeySource::File(path) => (read_file(id, path)?, path.display().to_string()),
                KeySource::Variable(name) => {
                    let text = variable(name)
                        .ok_or_else(|| KeyError::NoVariable { id: id.clone(), name: name.clone() })?;
                    (Zeroizing::new(text), format!("environment variable {name}"))
                }
            };
            let key = Key::parse(&text).ok_or(KeyError::NoKey { id: id.clone(), place })?;
            keys.insert(id.clone(), key);
        }
        match &options.active {
            Some(id) if !keys.contains_key(id) => Err(KeyError::NoActive { id: id.clone() }),
            active => Ok(Self { active: active.clone(), keys }),
        }
    }

    /// The key that new files are sealed with.
    pub(super) fn active(&self) -> Option<(&str, &Key)> {
        let id = self.active.as_ref()?;
        self.keys.get(id).map(|key| (id.as_str(), key))
    }

    pub(super) fn active_id(&self) -> Option<&str> {
        self.active.as_deref()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// The ids, for whoever looks for one.
    pub(super) fn ids(&self) -> String {
        if self.keys.is_empty() {
            return "none".to_owned();
        }
        self.keys.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    #[cfg(test)]
    pub(super) fn of(active: Option<&str>, keys: Vec<(&str, [u8; 32])>) -> Self {
        let keys = keys.into_iter().map(|(id, key)| (id.to_owned(), Key(Zeroizing::new(key))));
        Self { active: active.map(str::to_owned), keys: keys.collect() }
    }
}

fn read_file(id: &str, path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |error: std::io::Error| KeyError::Unreadable {
        id: id.to_owned(),
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o002 != 0 {
        return Err(KeyError::Exposed { id: id.to_owned(), path: path.to_owned() });
    }
    if mode & 0o004 != 0 {
        // Not an error: secrets that an orchestrator mounts are like this inside of a container.
        tracing::warn!(key = id, file = %path.display(), "every user of this machine can read this key");
    }
    // Once, so that no copy is left behind by growing.
    let mut text = Zeroizing::new(vec![0; usize::try_from(FILE_BYTES_MAX).unwrap_or_default() + 1]);
    let mut length = 0;
    let mut file = file.take(FILE_BYTES_MAX + 1);
    while let Some(rest) = text.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(failed)? {
            0 => break,
            count => length += count,
        }
    }
    if length as u64 > FILE_BYTES_MAX {
        text.zeroize();
        length = 0;
    }
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{EncryptionOptions, Key, KeyError, KeyRing, KeySource};

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn key(text: &str) -> Option<Vec<u8>> {
        Key::parse(text.as_bytes()).map(|key| key.bytes().to_vec())
    }

    #[test]
    fn a_key_is_32_bytes_in_hexadecimal_or_base64_and_nothing_else() {
        let expected: Vec<u8> = (0..32).collect();
        assert_eq!(key(HEX), Some(expected.clone()));
        assert_eq!(key(&format!("  {}\r\n", HEX.to_uppercase())), Some(expected.clone()));
        assert_eq!(key(&format!("{BASE64}\n")), Some(expected));
        let long = format!("{HEX}0");
        for text in ["", "secret", &HEX[1..], &long, &BASE64[1..], &"g".repeat(64), &"=".repeat(44)] {
            assert_eq!(key(text), None, "{text}");
        }
    }

    #[test]
    fn errors_name_the_key_and_the_place_and_never_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let options =
            |source| EncryptionOptions { active: Some("a".into()), keys: vec![("a".into(), source)] };
        let load = |options: &EncryptionOptions| {
            KeyRing::load_with(options, |name| (name == "SET").then(|| BASE64.into()))
        };
        let file = options(KeySource::File(path.clone()));
        assert!(matches!(load(&file), Err(KeyError::Unreadable { .. })));
        for text in [String::new(), format!("{HEX}deadbeef"), "\u{0}".repeat(5000)] {
            std::fs::write(&path, &text).unwrap();
            let error = load(&file).unwrap_err();
            assert!(matches!(error, KeyError::NoKey { .. }), "{error}");
            assert!(!error.to_string().contains("0001"), "{error}");
        }
        std::fs::write(&path, HEX).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o602)).unwrap();
        assert!(matches!(load(&file), Err(KeyError::Exposed { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let ring = load(&file).unwrap();
        assert_eq!((ring.active_id(), format!("{ring:?}")), (Some("a"), "KeyRing(a)".to_owned()));
        assert!(load(&options(KeySource::Variable("SET".into()))).is_ok());
        let unset = load(&options(KeySource::Variable("UNSET".into()))).unwrap_err();
        assert_eq!(unset.to_string(), "key \"a\": environment variable UNSET is not set");
        let none = EncryptionOptions { active: Some("b".into()), keys: Vec::new() };
        assert_eq!(load(&none).unwrap_err(), KeyError::NoActive { id: "b".into() });
    }
}
