//! Signatures: pairs of keys, and signing a plugin file with the secret one. Checking is the host's.

use std::{
    fs::OpenOptions,
    io::{Cursor, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use crate::error::BuildError;

/// Makes a pair of keys: `STEM.key`, readable by its owner only, and `STEM.pub`. Returns the public key as configurations
/// write it. `password` protects the secret key; empty: it is not protected.
///
/// # Errors
/// One of the files exists, or cannot be written.
pub fn keygen(stem: &Path, password: &str) -> Result<String, BuildError> {
    let (secret, public) = (with_extension(stem, "key"), with_extension(stem, "pub"));
    if let Some(existing) = [&secret, &public].into_iter().find(|path| path.exists()) {
        let path = existing.display();
        return Err(BuildError::Project(format!(
            "{path} exists already: a key that is lost cannot be made again"
        )));
    }
    let failed = |error: minisign::PError| BuildError::Project(format!("no key: {error}"));
    let pair = if password.is_empty() {
        KeyPair::generate_unencrypted_keypair()
    } else {
        KeyPair::generate_encrypted_keypair(Some(password.to_owned()))
    };
    let KeyPair { pk, sk } = pair.map_err(failed)?;
    let secret_text = sk.to_box(Some("secret key for plugins of Millrace")).map_err(failed)?.into_string();
    let public_text = pk.to_box().map_err(failed)?.into_string();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .map_err(BuildError::at(&secret))?;
    file.write_all(secret_text.as_bytes()).map_err(BuildError::at(&secret))?;
    std::fs::write(&public, public_text).map_err(BuildError::at(&public))?;
    Ok(pk.to_base64())
}

/// Signs a file and writes the signature beside it. Returns the path of the signature and the public key.
///
/// # Errors
/// The key cannot be read or its password is another one; the file cannot be read.
pub fn sign(file: &Path, key: &Path, password: &str) -> Result<(PathBuf, String), BuildError> {
    let bytes = crate::read(file)?;
    let secret = secret_key(key, password)?;
    let failed = |error: minisign::PError| BuildError::Project(format!("not signed: {error}"));
    let public = PublicKey::from_secret_key(&secret).map_err(failed)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // The trusted comment is part of what is signed: the file cannot pose as another one.
    let trusted = format!("file:{name}");
    let signature = minisign::sign(
        Some(&public),
        &secret,
        Cursor::new(bytes),
        Some(&trusted),
        Some("signature of a plugin of Millrace"),
    );
    let path = millrace_wasm::signature_path(file);
    std::fs::write(&path, signature.map_err(failed)?.into_string()).map_err(BuildError::at(&path))?;
    Ok((path, public.to_base64()))
}

/// Checks the signature beside a file; returns its trusted comment.
///
/// # Errors
/// It is not there, not of this key, or not of this content.
pub fn verify(file: &Path, key: &str) -> Result<String, BuildError> {
    let bytes = crate::read(file)?;
    let path = millrace_wasm::signature_path(file);
    let signature = std::fs::read_to_string(&path).map_err(BuildError::at(&path))?;
    let key = public_key(key)?;
    millrace_wasm::verify_signature(&bytes, &signature, &key)
        .map_err(|reason| BuildError::Project(format!("{}: {reason}", file.display())))
}

/// A public key as it is, or out of a file that holds it.
fn public_key(text: &str) -> Result<String, BuildError> {
    let path = Path::new(text);
    if !path.is_file() {
        return Ok(text.to_owned());
    }
    let content = std::fs::read_to_string(path).map_err(BuildError::at(path))?;
    let line = content.lines().map(str::trim).find(|line| line.starts_with("RW"));
    line.map(str::to_owned).ok_or_else(|| BuildError::Project(format!("{text} holds no public key")))
}

fn secret_key(path: &Path, password: &str) -> Result<SecretKey, BuildError> {
    let text = std::fs::read_to_string(path).map_err(BuildError::at(path))?;
    let failed = |error: minisign::PError| BuildError::Project(format!("{}: {error}", path.display()));
    let sealed = |text: &str| SecretKeyBox::from_string(text).map_err(failed);
    if let Ok(key) = sealed(&text)?.into_unencrypted_secret_key() {
        return Ok(key);
    }
    if password.is_empty() {
        let reason =
            format!("{} is protected by a password: give it in MILLRACE_KEY_PASSWORD", path.display());
        return Err(BuildError::Project(reason));
    }
    sealed(&text)?.into_secret_key(Some(password.to_owned())).map_err(failed)
}

fn with_extension(stem: &Path, extension: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{keygen, sign, verify};

    #[test]
    fn a_file_that_is_signed_is_good_until_a_byte_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (stem, file) = (folder.path().join("mine"), folder.path().join("a.wasm"));
        let public = keygen(&stem, "").unwrap();
        let key = folder.path().join("mine.key");
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(keygen(&stem, "").is_err());
        std::fs::write(&file, b"content").unwrap();
        assert!(verify(&file, &public).is_err());
        let (signature, of) = sign(&file, &key, "").unwrap();
        assert_eq!((signature, of), (folder.path().join("a.wasm.minisig"), public.clone()));
        assert_eq!(verify(&file, &public).unwrap(), "file:a.wasm");
        assert_eq!(verify(&file, folder.path().join("mine.pub").to_str().unwrap()).unwrap(), "file:a.wasm");
        let other = keygen(&folder.path().join("other"), "").unwrap();
        assert!(verify(&file, &other).unwrap_err().to_string().ends_with("it is signed with another key"));
        assert!(verify(&file, "RWnonsense").unwrap_err().to_string().contains("no public key of minisign"));
        std::fs::write(&file, b"contenT").unwrap();
        assert!(
            verify(&file, &public)
                .unwrap_err()
                .to_string()
                .ends_with("the signature is not one of this content")
        );
        std::fs::write(folder.path().join("a.wasm.minisig"), b"\xff\xfe").unwrap();
        assert!(verify(&file, &public).is_err());
    }

    #[test]
    fn a_protected_key_needs_its_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        std::fs::write(&file, b"content").unwrap();
        let public = keygen(&folder.path().join("k"), "secret").unwrap();
        let key = folder.path().join("k.key");
        assert!(sign(&file, &key, "").unwrap_err().to_string().contains("MILLRACE_KEY_PASSWORD"));
        assert!(sign(&file, &key, "wrong").is_err());
        sign(&file, &key, "secret").unwrap();
        verify(&file, &public).unwrap();
    }
}
