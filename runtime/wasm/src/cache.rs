//! Native code kept on disk, so that a plugin compiles once and then loads in microseconds.
//!
//! The `.wasm` is the root of trust: its digest is computed first and is the name of the entry, together with
//! everything native code depends on. An entry begins with the digest of what follows, so damage is noticed,
//! deleted and compiled again. The folder belongs to this agent alone (0700); where that cannot be had there is
//! no cache, and every start compiles.
#![expect(
    clippy::disallowed_methods,
    reason = "compiled plugins are files of their own, which no position or event depends on"
)]

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::{engine::PluginEngine, error::HostError};

/// Length of the digest in front of an entry.
const DIGEST_BYTES: usize = 32;

/// Where a component came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Compiled now.
    Compiled,
    /// Loaded from the cache.
    Cached,
}

/// The folder of native code; None inside: compile every time.
pub(crate) struct CodeCache {
    folder: Option<PathBuf>,
}

impl CodeCache {
    /// A cache in this folder, which is created when the first entry is written.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder: Some(folder) }
    }

    /// The component of these bytes, whose digest (in hexadecimal digits) the caller has checked.
    pub(crate) fn load(
        &self,
        engine: &PluginEngine,
        digest: &str,
        wasm: &[u8],
    ) -> Result<(Component, Origin), HostError> {
        let entry = self.entry(engine, digest);
        if let Some(entry) = &entry
            && let Some(component) = read(engine, entry)
        {
            return Ok((component, Origin::Cached));
        }
        let component = Component::from_binary(engine.wasmtime(), wasm)
            .map_err(|error| HostError::Invalid(format!("{error:#}")))?;
        if let Some(entry) = &entry
            && let Err(error) = write(entry, &component)
        {
            tracing::warn!(entry = %entry.display(), %error, "compiled plugin not kept, it will compile again");
        }
        Ok((component, Origin::Compiled))
    }

    fn entry(&self, engine: &PluginEngine, digest: &str) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        if let Err(error) = prepare(folder) {
            tracing::warn!(folder = %folder.display(), %error, "no folder for compiled plugins, they compile on every start");
            return None;
        }
        Some(folder.join(format!("{digest}-{}.cwasm", engine.compatibility())))
    }
}

/// Makes sure that nobody else can put code here.
fn prepare(folder: &Path) -> io::Result<()> {
    if !folder.exists() {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("not a folder"));
    }
    let owner = rustix::process::geteuid().as_raw();
    if metadata.uid() != owner {
        return Err(io::Error::other(format!("belongs to user {}, not to {owner}", metadata.uid())));
    }
    if metadata.mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn read(engine: &PluginEngine, entry: &Path) -> Option<Component> {
    let bytes = fs::read(entry).ok()?;
    let component = bytes.split_at_checked(DIGEST_BYTES).ok_or_else(|| "cut short".to_owned()).and_then(
        |(digest, code)| {
            if digest != Sha256::digest(code).as_slice() {
                return Err("damaged".to_owned());
            }
            // SAFETY: `deserialize` runs what it is given as native code. These bytes were written by this agent: the
            // folder is writable by nobody else (`prepare` checks owner and mode before every use), the name holds the
            // digest of the verified source and the compatibility hash of the engine, and the digest in front shows
            // that nothing was damaged since. wasmtime itself refuses code of other versions and settings.
            unsafe { Component::deserialize(engine.wasmtime(), code) }.map_err(|error| format!("{error:#}"))
        },
    );
    match component {
        Ok(component) => Some(component),
        Err(reason) => {
            tracing::warn!(entry = %entry.display(), reason, "compiled plugin unusable, compiling again");
            if let Err(error) = fs::remove_file(entry) {
                tracing::warn!(entry = %entry.display(), %error, "unusable compiled plugin not removed");
            }
            None
        }
    }
}

/// Writes aside and renames: a reader sees a whole entry or none.
fn write(entry: &Path, component: &Component) -> Result<(), String> {
    static ASIDE: AtomicU64 = AtomicU64::new(0);
    let code = component.serialize().map_err(|error| format!("{error:#}"))?;
    let mut bytes = Vec::with_capacity(DIGEST_BYTES + code.len());
    bytes.extend_from_slice(&Sha256::digest(&code));
    bytes.extend_from_slice(&code);
    let number = ASIDE.fetch_add(1, Ordering::Relaxed);
    let aside = entry.with_extension(format!("{}-{number}.new", std::process::id()));
    fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, entry)).map_err(|error| {
        // Nothing more can be done about a rest that cannot be removed either.
        let _ = fs::remove_file(&aside);
        error.to_string()
    })
}

/// The digest of a file's content in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
