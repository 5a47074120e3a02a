//! The stage: files in progress on the local disk, and their renaming, which is the upload.
//!
//! A staged file is called by a hash of its object's path, so that neither deep folders nor long names matter; the
//! journal of the bucket writer knows the path.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_components::bucket::{Disk, Store};
use object_store::path::Path as ObjectPath;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::remote::Remote;

/// Files on their way to a store. Its calls block, and want a thread of a runtime that may.
#[derive(Clone)]
pub struct Stage {
    folder: PathBuf,
    address: Arc<str>,
    remote: Remote,
    disk: Disk,
}

impl Stage {
    /// A stage in this folder, for the store with this address.
    pub fn new(folder: PathBuf, address: String, remote: Remote, disk: Disk) -> Self {
        Self { folder, address: address.into(), remote, disk }
    }

    fn local(&self, path: &Path) -> PathBuf {
        self.folder.join(hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes())))
    }
}

impl Store for Stage {
    type File = File;

    const CUTS: bool = true;

    fn address(&self) -> &str {
        &self.address
    }

    fn create_folder(&self, _path: &Path, durable: bool) -> io::Result<()> {
        self.disk.create_folder(&self.folder, durable)
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        self.disk.sync_folder(&self.folder)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        // Nobody else has names with the random digits of this sink.
        Ok(self.local(path).exists())
    }

    fn is_reachable(&self, _folder: &Path) -> bool {
        self.folder.is_dir()
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        self.disk.create(&self.local(path))
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        self.disk.open(&self.local(path))
    }

    fn write_at(&self, file: &mut File, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.write_at(file, bytes, offset)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        self.disk.sync(file)
    }

    fn cut(&self, file: &mut File, length: u64) -> io::Result<()> {
        self.disk.truncate(file, length)
    }

    fn release(&self, _file: File) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.local(from);
        let object =
            ObjectPath::parse(to.to_string_lossy().trim_start_matches('/')).map_err(io::Error::other)?;
        let note = file.with_extension("upload");
        Handle::current().block_on(self.remote.upload(&file, &object, &note))?;
        self.disk.remove(&file)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(&self.local(path))
    }

    fn settle(&self, path: &Path) -> io::Result<Option<u64>> {
        Store::settle(&self.disk, &self.local(path))
    }

    fn keep(&self, path: &Path, length: u64, kept: u64) -> io::Result<()> {
        Store::keep(&self.disk, &self.local(path), length, kept)
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
        Store::read(&self.disk, &self.local(path), offset)
    }
}
