//! The local disk, as a store and for journals, in one place so that tests can make each operation fail.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    ops::Deref,
    os::unix::fs::FileExt,
    path::Path,
};

use rustix::fs::{CWD, FlockOperation, RenameFlags};

use super::store::Store;

/// Access to files.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    #[cfg(test)]
    pub faults: std::sync::Arc<crate::sinks::file_roll::tests::Faults>,
}

impl Disk {
    /// Creates a folder with all that lead to it. Durable: they survive a power failure.
    pub fn create_folder(&self, path: &Path, durable: bool) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        self.create_folder(parent, durable)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if path.is_dir() {
                    Ok(())
                } else {
                    Err(io::ErrorKind::NotADirectory.into())
                }
            }
            Err(error) => Err(error),
            Ok(()) if durable => self.sync_folder(parent),
            Ok(()) => Ok(()),
        }
    }

    /// Creates a file that was not there.
    pub fn create(&self, path: &Path) -> io::Result<File> {
        #[cfg(test)]
        self.faults.check("create")?;
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// Opens a file for writing in its middle.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }

    /// Writes all of it.
    pub fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Err(full) = self.faults.check("write") {
            // As a full disk does: what still fits is written.
            file.write_all_at(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset)?;
            return Err(full);
        }
        file.write_all_at(bytes, offset)
    }

    /// Makes the contents survive a power failure.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check("sync")?;
        file.sync_data()
    }

    /// Cuts a file.
    pub fn truncate(&self, file: &File, length: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check("truncate")?;
        file.set_len(length)
    }

    /// Gives a file another name, unless that is taken.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check("rename")?;
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // File systems without this flag: a second name never replaces anything either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            result => result.map_err(io::Error::from),
        }
    }

    /// Removes a file.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check("remove")?;
        fs::remove_file(path)
    }

    /// Makes the names in a folder survive a power failure.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        File::open(path)?.sync_all()
    }

    /// Marks a file as in use by its holder. None: somebody else uses it.
    pub fn lock(&self, file: File) -> io::Result<Option<LockedFile>> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(LockedFile(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Store for Disk {
    type File = File;

    const CUTS: bool = true;

    fn create_folder(&self, path: &Path, durable: bool) -> io::Result<()> {
        Self::create_folder(self, path, durable)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        Self::sync_folder(self, path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(path.exists())
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        Self::create(self, path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        Self::open(self, path)
    }

    fn write_at(&self, file: &mut File, bytes: &[u8], offset: u64) -> io::Result<()> {
        Self::write_at(self, file, bytes, offset)
    }

    fn sync(&self, file: &mut File) -> io::Result<()> {
        Self::sync(self, file)
    }

    fn cut(&self, file: &mut File, length: u64) -> io::Result<()> {
        self.truncate(file, length)
    }

    fn release(&self, _file: File) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Self::rename(self, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Self::remove(self, path)
    }

    fn settle(&self, path: &Path) -> io::Result<Option<u64>> {
        // Its writer held the journal as well, and that was locked.
        self.open(path)?.metadata().map(|metadata| Some(metadata.len()))
    }

    fn keep(&self, path: &Path, length: u64, kept: u64) -> io::Result<()> {
        let file = self.open(path)?;
        if kept < length {
            self.truncate(&file, kept)?;
        }
        Self::sync(self, &file)
    }

    fn read(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }
}

/// A file that is marked as in use until this is dropped, or until the process ends.
///
/// Closing the file would not be enough. A program that another thread is just starting shares every open file,
/// and with it the mark, between its fork and its exec, so the file would seem to be in use for a while longer.
#[derive(Debug)]
pub struct LockedFile(File);

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Should this fail, closing the file does the same a little later.
        let _unlocked = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}
