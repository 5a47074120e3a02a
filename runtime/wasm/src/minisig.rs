//! Signatures of plugin files, as `minisign` makes them: beside the file, under its name with `.minisig` behind it.
//!
//! The operator names the public key; a plugin whose key is named is loaded only with a signature of that key over exactly
//! the bytes that are loaded.

use std::path::{Path, PathBuf};

use minisign_verify::{PublicKey, Signature};

/// What stands behind the file's name.
pub const SIGNATURE_EXTENSION: &str = "minisig";

/// Largest signature file: four short lines.
const SIGNATURE_BYTES_MAX: u64 = 16 << 10;

/// Where the signature of a plugin file is.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(SIGNATURE_EXTENSION);
    name.into()
}

/// Checks a signature (the content of a `.minisig` file) of some bytes against a public key (`RWQ…`). Returns its trusted
/// comment.
///
/// # Errors
/// The key or the signature is none, or the signature is not of that key and these bytes.
pub fn verify_signature(bytes: &[u8], signature: &str, key: &str) -> Result<String, String> {
    let key = public_key(key)?;
    let signature =
        Signature::decode(signature).map_err(|error| format!("the signature cannot be read: {error}"))?;
    // Signatures of the old form sign the bytes themselves instead of their hash; both are fine for files of this size.
    key.verify(bytes, &signature, true).map_err(|error| match error {
        minisign_verify::Error::UnexpectedKeyId => "it is signed with another key".to_owned(),
        minisign_verify::Error::InvalidSignature => "the signature is not one of this content".to_owned(),
        other => other.to_string(),
    })?;
    Ok(signature.trusted_comment().to_owned())
}

/// Whether a text is a public key.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn public_key(text: &str) -> Result<PublicKey, String> {
    let no_key = |error: minisign_verify::Error| {
        format!("the key is no public key of minisign ({error}); it begins with RW and has 56 characters")
    };
    PublicKey::from_base64(text.trim()).map_err(no_key)
}

/// Reads the signature beside a file.
#[expect(clippy::disallowed_methods, reason = "stands beside the file that the user names")]
pub(crate) fn read_beside(path: &Path) -> Result<String, String> {
    let path = signature_path(path);
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if std::fs::metadata(&path).map_err(unreadable)?.len() > SIGNATURE_BYTES_MAX {
        return Err(format!("{} is too large for a signature", path.display()));
    }
    std::fs::read_to_string(&path).map_err(unreadable)
}
