//! The seam between the agent's state and a disk: everything the agent asks for, and nothing more.
//!
//! A test puts a disk of its own here: one that tears writes, forgets what was not synced, fails or fills up.
//! Calls block; they belong on threads of their own.

use std::{
    any::Any,
    io::{Error, ErrorKind, Result},
    path::{Path, PathBuf},
};

/// How a file is opened. Nothing is ever truncated by opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file that must not exist yet, for reading and writing.
    Create,
}

/// A file in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name, without the directory.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Keeps a directory locked until dropped.
pub type Guard = Box<dyn Any + Send + Sync>;

/// Why a directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else holds it.
    #[error("{} is in use by {}", directory.display(), holder(*pid))]
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process that holds it, where known.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    #[error("{} cannot be locked: {source}", directory.display())]
    Failed {
        /// The directory.
        directory: PathBuf,
        /// The cause.
        source: Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A place for files.
pub trait Disk: Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// As the disk says; a missing file is `NotFound`, an existing one with [`OpenMode::Create`] `AlreadyExists`.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>>;

    /// Renames a file; an existing one of the new name is replaced in the same step.
    ///
    /// # Errors
    /// As the disk says.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the disk says.
    fn remove(&self, path: &Path) -> Result<()>;

    /// The files of a directory, by name. Other directories in it are left out.
    ///
    /// # Errors
    /// As the disk says.
    fn list(&self, directory: &Path) -> Result<Vec<FileEntry>>;

    /// Makes a directory and those above it; an existing one is fine.
    ///
    /// # Errors
    /// As the disk says.
    fn create_dir(&self, directory: &Path) -> Result<()>;

    /// Makes new, renamed and removed names of a directory durable.
    ///
    /// # Errors
    /// As the disk says.
    fn sync_dir(&self, directory: &Path) -> Result<()>;

    /// How many bytes may still be written.
    ///
    /// # Errors
    /// As the disk says.
    fn free_space(&self, directory: &Path) -> Result<u64>;

    /// Makes this process the only user of a directory.
    ///
    /// # Errors
    /// It is in use, or the lock file cannot be written.
    fn lock(&self, directory: &Path) -> std::result::Result<Guard, LockError>;
}

/// An open file. Offsets are explicit, so that one file serves several threads.
pub trait File: Send + Sync {
    /// Reads at most as many bytes as fit; 0 at the end.
    ///
    /// # Errors
    /// As the disk says.
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize>;

    /// Writes a part of the bytes and says how many.
    ///
    /// # Errors
    /// As the disk says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize>;

    /// Makes the content durable.
    ///
    /// # Errors
    /// As the disk says. What was written since the last success may be lost, whatever a later call says.
    fn sync_data(&self) -> Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// As the disk says.
    fn set_len(&self, bytes: u64) -> Result<()>;

    /// Sets space aside up to this size, so that writing there later finds room. The content is zeros.
    ///
    /// # Errors
    /// As the disk says.
    fn allocate(&self, bytes: u64) -> Result<()>;

    /// The size.
    ///
    /// # Errors
    /// As the disk says.
    fn len(&self) -> Result<u64>;

    /// Whether the file is empty.
    ///
    /// # Errors
    /// As the disk says.
    fn is_empty(&self) -> Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }

    /// Reads until the slice is full or the file ends; says how many bytes.
    ///
    /// # Errors
    /// As the disk says.
    fn read_full_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// As the disk says; some bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            match self.write_at(rest, offset + done as u64) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
