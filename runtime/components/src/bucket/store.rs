//! Where files are kept: the few things a bucket writer does to them.
//!
//! Calls block; a bucket writer runs on a thread that may. A thread that blocks is never cancelled in the middle, so a
//! store never has to say what half a call has done.

use std::{
    io::{self, Read},
    path::Path,
};

/// A place for files.
pub trait Store: Clone + Send + 'static {
    /// A file that is being written.
    type File: Send;

    /// Whether what was written last can be cut off a file, and the file be written on. Without it a file in which a
    /// write has failed is given up: it is finished with what was confirmed, and another one is begun.
    const CUTS: bool;

    /// What tells this store from others, in journals: its address. Empty for the local disk.
    fn address(&self) -> &str {
        ""
    }

    /// Creates a folder with all that lead to it. Durable: they survive a power failure.
    fn create_folder(&self, path: &Path, durable: bool) -> io::Result<()>;

    /// Makes the names in a folder survive a power failure.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Whether something has this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Whether this folder can be looked into, so that a file that is not there is gone.
    fn is_reachable(&self, folder: &Path) -> bool {
        self.exists(folder).unwrap_or(false)
    }

    /// Creates a file that was not there.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// Opens a file to write on; only where files can be cut.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// Writes all of it. The offset is where the last write ended, or where the file was cut.
    fn write_at(&self, file: &mut Self::File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the contents survive a power failure.
    fn sync(&self, file: &mut Self::File) -> io::Result<()>;

    /// Syncs several files, at the same time where that is faster. One result for each.
    fn sync_all(&self, files: &mut [&mut Self::File]) -> Vec<io::Result<()>> {
        files.iter_mut().map(|file| self.sync(file)).collect()
    }

    /// Cuts a file; only where files can be cut.
    fn cut(&self, file: &mut Self::File, length: u64) -> io::Result<()>;

    /// Lets go of a file. Everything written stays.
    fn release(&self, file: Self::File) -> io::Result<()>;

    /// Gives a file another name, unless that is taken ([`io::ErrorKind::AlreadyExists`]).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes sure that nobody writes a file any more, and says how long it is. None: not yet, ask again.
    fn settle(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Leaves exactly this much, durably, of a file that has settled with at least as much.
    fn keep(&self, path: &Path, length: u64, kept: u64) -> io::Result<()>;

    /// Reads a file that has settled, from here on.
    fn read(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read>>;
}
