//! The disk of the operating system.
#![expect(clippy::disallowed_methods, reason = "this is the disk")]

use std::{
    fs,
    io::{ErrorKind, Result},
    os::unix::fs::FileExt,
    path::Path,
};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock, statvfs};

use crate::disk::{Disk, File, FileEntry, Guard, LockError, OpenMode};

const LOCK_FILE: &str = "lock";

/// Files where the paths say.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

struct SystemFile {
    file: fs::File,
}

impl Disk for SystemDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(mode != OpenMode::Read)
            .create_new(mode == OpenMode::Create)
            .open(path)?;
        Ok(Box::new(SystemFile { file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<FileEntry>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // A name that is not text is not one of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => files.push(FileEntry { name, bytes: metadata.len() }),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    fn create_dir(&self, directory: &Path) -> Result<()> {
        let missing: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
        fs::create_dir_all(directory)?;
        // A new directory is durable when the one above it is synced. A relative path ends in nothing: here.
        for parent in missing.into_iter().filter_map(Path::parent) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            self.sync_dir(parent)?;
        }
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> Result<()> {
        fs::File::open(directory)?.sync_all()
    }

    fn free_space(&self, directory: &Path) -> Result<u64> {
        let space = statvfs(directory)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn lock(&self, directory: &Path) -> std::result::Result<Guard, LockError> {
        let failed = |source| LockError::Failed { directory: directory.to_owned(), source };
        let path = directory.join(LOCK_FILE);
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                return Err(LockError::Held { directory: directory.to_owned(), pid });
            }
            Err(error) => return Err(failed(error.into())),
        }
        let held = Held { file };
        // The number only helps whoever is refused.
        held.file.set_len(0).map_err(failed)?;
        held.file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0).map_err(failed)?;
        Ok(Box::new(held))
    }
}

/// A held lock. It ends with an explicit unlock: a program that another thread is starting at this moment has
/// a copy of the open file, and closing ours alone would leave the lock to it for a while.
struct Held {
    file: fs::File,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "cannot unlock a directory; it is free once the process ends");
        }
    }
}

impl File for SystemFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        FileExt::read_at(&self.file, into, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        FileExt::write_at(&self.file, bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot: then the file grows as it is written.
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn len(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Disk, LockError, OpenMode, SystemDisk};

    #[test]
    fn a_copy_of_the_open_file_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let guard = SystemDisk.lock(folder.path()).unwrap();
        let copy = guard.downcast_ref::<super::Held>().unwrap().file.try_clone().unwrap();
        drop(guard);
        assert!(SystemDisk.lock(folder.path()).is_ok());
        drop(copy);
    }

    #[test]
    fn a_second_owner_is_told_who_has_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let first = SystemDisk.lock(folder.path()).unwrap();
        let Err(refused) = SystemDisk.lock(folder.path()) else { unreachable!("locked twice") };
        assert!(matches!(refused, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()));
        assert_eq!(
            refused.to_string(),
            format!("{} is in use by process {}", folder.path().display(), std::process::id())
        );
        drop(first);
        SystemDisk.lock(folder.path()).unwrap();
    }

    #[test]
    fn directories_are_made_with_those_above_them() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        SystemDisk.create_dir(&deep).unwrap();
        SystemDisk.create_dir(&deep).unwrap();
        assert!(deep.is_dir());
    }

    #[test]
    fn a_file_is_created_once_and_read_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let file = SystemDisk.open(&path, OpenMode::Create).unwrap();
        assert_eq!(
            SystemDisk.open(&path, OpenMode::Create).err().map(|error| error.kind()),
            Some(std::io::ErrorKind::AlreadyExists)
        );
        file.allocate(10).unwrap();
        file.write_all_at(b"xyz", 4).unwrap();
        let mut bytes = [9; 16];
        assert_eq!(file.read_full_at(&mut bytes, 2).unwrap(), 8);
        assert_eq!(&bytes[..8], b"\0\0xyz\0\0\0");
        assert_eq!(SystemDisk.list(folder.path()).unwrap()[0].bytes, 10);
    }
}
