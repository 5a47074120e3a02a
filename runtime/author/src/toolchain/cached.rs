//! Tools that a tool-chain fetches once: a folder in the cache, named by what they are made of.
//!
//! It is filled where it stays, because a virtual environment of Python knows its own place. A file inside says that it is whole, so
//! that one that was stopped is filled again, and a lock keeps two builds at the same time apart.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use crate::error::BuildError;

/// Says that a folder is whole.
const WHOLE: &str = ".whole";

/// Tools, and the files that say which ones.
pub(super) struct Cached<'a> {
    /// What the folder is called, in front of its number.
    pub(super) name: &'a str,
    /// Files that are put into the folder before it is filled; other ones make another folder.
    pub(super) files: &'a [(&'a str, &'a str)],
    /// The folder for what tool-chains fetch.
    pub(super) cache: &'a Path,
}

impl Cached<'_> {
    /// Gives the folder, after `fill` was called if nobody has filled it yet.
    pub(super) fn folder(
        &self,
        fill: impl FnOnce(&Path) -> Result<(), BuildError>,
    ) -> Result<PathBuf, BuildError> {
        let mut hasher = DefaultHasher::new();
        self.files.hash(&mut hasher);
        let folder = self.cache.join(format!("{}-{:016x}", self.name, hasher.finish()));
        std::fs::create_dir_all(&folder).map_err(BuildError::at(&folder))?;
        // One at a time: whoever waits finds it filled.
        let lock_path = folder.join(".lock");
        let lock = std::fs::File::create(&lock_path).map_err(BuildError::at(&lock_path))?;
        lock.lock().map_err(BuildError::at(&lock_path))?;
        let whole = folder.join(WHOLE);
        if whole.exists() {
            return Ok(folder);
        }
        for (name, text) in self.files {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(BuildError::at(&path))?;
        }
        fill(&folder)?;
        std::fs::write(&whole, "").map_err(BuildError::at(&whole))?;
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::Cached;
    use crate::error::BuildError;

    #[test]
    fn a_folder_is_filled_once_and_again_if_that_failed_or_the_files_are_others() {
        let cache = tempfile::tempdir().unwrap();
        let cached = |text: &'static str| {
            let files: &'static [(&str, &str)] = vec![("a.txt", text)].leak();
            Cached { name: "tools", files, cache: cache.path() }
        };
        let failed = cached("one").folder(|_| Err(BuildError::Project("no network".into())));
        assert!(failed.is_err());
        let mut filled = 0;
        for text in ["one", "one", "two"] {
            let folder = cached(text)
                .folder(|folder| {
                    filled += 1;
                    assert_eq!(std::fs::read_to_string(folder.join("a.txt")).unwrap(), text);
                    Ok(())
                })
                .unwrap();
            assert!(folder.join("a.txt").exists());
        }
        assert_eq!(filled, 2);
    }
}
