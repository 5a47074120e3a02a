//! Small files that change as a whole: after a crash there is the old content or the new, never a mixture.

use std::{
    io::{ErrorKind, Result},
    path::{Path, PathBuf},
};

use crate::disk::{Disk, OpenMode};

/// Replaces the content of a file durably: writes beside it, syncs, renames, syncs the directory.
///
/// # Errors
/// As the disk says. Before the rename the old content stays; after it either may be there after a crash.
pub fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<()> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    let file = match disk.open(&temporary, OpenMode::Create) {
        // Left over by a crash.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            disk.remove(&temporary)?;
            disk.open(&temporary, OpenMode::Create)?
        }
        opened => opened?,
    };
    file.write_all_at(content, 0)?;
    file.sync_data()?;
    drop(file);
    disk.rename(&temporary, path)?;
    disk.sync_dir(directory)
}

/// Renames a file that cannot be used to `<name>.damaged`, or `.damaged-2` and so on, and says its new path.
///
/// # Errors
/// As the disk says.
pub fn set_aside(disk: &dyn Disk, path: &Path) -> Result<PathBuf> {
    let directory = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let taken: Vec<String> = disk.list(directory)?.into_iter().map(|entry| entry.name).collect();
    let free = (1_u64..)
        .map(
            |number| if number == 1 { format!("{name}.damaged") } else { format!("{name}.damaged-{number}") },
        )
        .find(|candidate| !taken.contains(candidate))
        .ok_or(ErrorKind::AlreadyExists)?;
    let target = directory.join(free);
    disk.rename(path, &target)?;
    disk.sync_dir(directory)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::{replace_file, set_aside};
    use crate::SystemDisk;

    #[test]
    fn a_left_over_temporary_file_does_not_stop_a_replacement() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        std::fs::write(folder.path().join("state.new"), b"half of somethi").unwrap();
        replace_file(&SystemDisk, &path, b"one").unwrap();
        replace_file(&SystemDisk, &path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert!(!folder.path().join("state.new").exists());
    }

    #[test]
    fn each_damaged_file_keeps_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        for (content, name) in [("a", "state.damaged"), ("b", "state.damaged-2"), ("c", "state.damaged-3")] {
            std::fs::write(&path, content).unwrap();
            let aside = set_aside(&SystemDisk, &path).unwrap();
            assert_eq!(aside.file_name().unwrap(), name);
            assert_eq!(std::fs::read(aside).unwrap(), content.as_bytes());
        }
    }
}
