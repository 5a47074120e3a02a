//! The outside world as a configuration may see it: variables, files, folders.
//!
//! Passed in, so that reading a configuration is a function of its input: tests bring [`MapEnvironment`], and
//! only the command line decides which variables exist.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// What a configuration may ask for while it is read.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The content of a file, cut after `bytes_max + 1` bytes: one more than allowed tells the caller that it
    /// is too large without reading all of it.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>>;

    /// The paths of the entries of a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
}

/// Files from the disk, variables from a function that the command line provides.
#[derive(Debug, Clone, Copy)]
pub struct SystemEnvironment {
    variables: fn(&str) -> Option<String>,
}

impl SystemEnvironment {
    /// `SystemEnvironment::new(|name| std::env::var(name).ok())` in `main`.
    pub const fn new(variables: fn(&str) -> Option<String>) -> Self {
        Self { variables }
    }
}

#[expect(clippy::disallowed_methods, reason = "configuration files are this crate's subject")]
impl Environment for SystemEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
    }
}

/// Variables and files held in memory.
#[derive(Debug, Clone, Default)]
pub struct MapEnvironment {
    variables: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl MapEnvironment {
    /// Adds a variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Adds a file; its folders exist with it.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(plain(&path.into()), content.into());
        self
    }
}

impl Environment for MapEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let path = &plain(path);
        if let Some(content) = self.files.get(path) {
            let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX).saturating_add(1);
            return Ok(content.get(..limit).unwrap_or(content).to_vec());
        }
        let folder = self.files.keys().any(|file| file.starts_with(path));
        Err(io::Error::from(if folder { io::ErrorKind::IsADirectory } else { io::ErrorKind::NotFound }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let folder = &plain(folder);
        let mut entries: Vec<PathBuf> = self
            .files
            .keys()
            .filter_map(|file| {
                file.strip_prefix(folder).ok()?.components().next().map(|name| folder.join(name))
            })
            .collect();
        entries.dedup();
        if entries.is_empty() {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(entries)
    }
}

/// A path without `.` and with `..` resolved where the text allows it: enough to recognise a file again.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
