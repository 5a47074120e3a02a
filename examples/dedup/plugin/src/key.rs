//! What two events must share to count as the same one.

use sha2::{Digest, Sha256};

/// The first half of a SHA-256: short enough to keep millions, and nobody can make two events meet.
pub type Key = [u8; 16];

/// Makes the key of a text: a header or a body.
pub fn key(text: &[u8]) -> Key {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let [half, _] = digest.as_chunks::<16>().0 else { unreachable!("32 bytes are twice 16") };
    *half
}

/// Says under which name a key is in the state.
pub fn name(key: &Key) -> String {
    use std::fmt::Write;
    key.iter().fold("seen/".to_owned(), |mut name, byte| {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_name() {
        assert_eq!(name(&key(b"")), "seen/e3b0c44298fc1c149afbf4c8996fb924");
        assert_ne!(key(b"a"), key(b"b"));
    }
}
