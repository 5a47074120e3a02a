//! Which files there are: globs walked through the directories, excluded names left out.
//!
//! A pattern is walked part by part, so that only directories that can hold a match are read. `**` stands for
//! any number of directories; it does not follow symbolic links to directories (they may form a circle),
//! every other part does. A directory that is not there yet is no error: it may come.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Component, Path, PathBuf},
};

use globset::{GlobBuilder, GlobMatcher};

/// `**` goes down at most this many directories.
const DEPTH_MAX: usize = 64;

/// One pattern, cut into parts.
pub(super) struct Pattern {
    base: PathBuf,
    parts: Vec<Part>,
    whole: GlobMatcher,
}

enum Part {
    Literal(PathBuf),
    Glob(GlobMatcher),
    AnyDirectories,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A part of it is no glob.
    pub(super) fn parse(pattern: &Path) -> Result<Self, globset::Error> {
        let mut base = PathBuf::new();
        let mut parts = Vec::new();
        for component in pattern.components() {
            let text = component.as_os_str().to_string_lossy();
            let is_glob =
                matches!(component, Component::Normal(_)) && text.contains(['*', '?', '[', '{', '\\']);
            match (is_glob, text.as_ref()) {
                (true, "**") => parts.push(Part::AnyDirectories),
                (true, text) => parts.push(Part::Glob(compile(text)?)),
                (false, _) if parts.is_empty() => base.push(component),
                (false, _) => parts.push(Part::Literal(component.as_os_str().into())),
            }
        }
        Ok(Self { base, parts, whole: compile(&pattern.to_string_lossy())? })
    }

    /// Whether a path, there or not, matches.
    pub(super) fn is_match(&self, path: &Path) -> bool {
        self.whole.is_match(path)
    }

    /// All paths that match, found now.
    fn walk(&self, found: &mut Found) {
        self.step(&self.base, &self.parts, DEPTH_MAX, found);
    }

    fn step(&self, at: &Path, parts: &[Part], depth_left: usize, found: &mut Found) {
        let Some((part, rest)) = parts.split_first() else {
            found.paths.insert(at.to_owned());
            return;
        };
        match part {
            Part::Literal(name) => self.step(&at.join(name), rest, depth_left, found),
            Part::Glob(glob) => {
                for (path, entry) in found.list(at) {
                    let matches = path.file_name().is_some_and(|name| glob.is_match(Path::new(name)));
                    if matches && (rest.is_empty() || leads_to_directory(&path, &entry)) {
                        self.step(&path, rest, depth_left, found);
                    }
                }
            }
            Part::AnyDirectories => {
                if rest.is_empty() {
                    let entries = found.list(at);
                    found.paths.extend(entries.into_iter().map(|(path, _)| path));
                } else {
                    self.step(at, rest, depth_left, found);
                }
                for (path, entry) in found.list(at) {
                    if depth_left > 0 && entry.is_dir() {
                        self.step(&path, parts, depth_left - 1, found);
                    }
                }
            }
        }
    }
}

fn compile(text: &str) -> Result<GlobMatcher, globset::Error> {
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build()?;
    Ok(glob.compile_matcher())
}

fn leads_to_directory(path: &Path, entry: &fs::FileType) -> bool {
    entry.is_dir() || (entry.is_symlink() && path.is_dir())
}

/// A pattern that leaves files out: matched against the file name, or against the whole path if it has a `/`.
pub(super) struct Exclusion {
    glob: GlobMatcher,
    whole_path: bool,
}

impl Exclusion {
    /// Reads a pattern.
    ///
    /// # Errors
    /// It is no glob.
    pub(super) fn parse(pattern: &str) -> Result<Self, globset::Error> {
        Ok(Self { glob: compile(pattern)?, whole_path: pattern.contains('/') })
    }

    fn excludes(&self, path: &Path) -> bool {
        match path.file_name() {
            Some(name) if !self.whole_path => self.glob.is_match(Path::new(name)),
            _ => self.glob.is_match(path),
        }
    }
}

/// What one walk came upon.
#[derive(Default)]
pub(super) struct Found {
    /// Paths that match, in order of their names.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Directories that were read: where new files appear.
    pub(super) directories: BTreeSet<PathBuf>,
    /// What could not be read, and why.
    pub(super) troubles: BTreeMap<PathBuf, String>,
}

impl Found {
    fn list(&mut self, directory: &Path) -> Vec<(PathBuf, fs::FileType)> {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        match fs::read_dir(directory) {
            Ok(entries) => {
                self.directories.insert(directory.to_owned());
                entries
                    .filter_map(Result::ok)
                    .filter_map(|entry| entry.file_type().ok().map(|kind| (entry.path(), kind)))
                    .collect()
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotADirectory {
                    self.troubles.insert(directory.to_owned(), format!("cannot list the directory: {error}"));
                }
                Vec::new()
            }
        }
    }
}

/// Walks some patterns and leaves out what is excluded.
pub(super) fn find(patterns: &[Pattern], exclusions: &[Exclusion]) -> Found {
    let mut found = Found::default();
    for pattern in patterns {
        pattern.walk(&mut found);
        // A file named in full is watched for in its directory.
        if pattern.parts.is_empty()
            && let Some(parent) = pattern.base.parent()
        {
            found.directories.insert(parent.to_owned());
        }
    }
    found.paths.retain(|path| !exclusions.iter().any(|exclusion| exclusion.excludes(path)));
    found
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Exclusion, Pattern, find};

    fn matches(root: &Path, patterns: &[&str], exclusions: &[&str]) -> Vec<String> {
        let patterns: Vec<_> =
            patterns.iter().map(|pattern| Pattern::parse(&root.join(pattern)).unwrap()).collect();
        let exclusions: Vec<_> =
            exclusions.iter().map(|pattern| Exclusion::parse(pattern).unwrap()).collect();
        find(&patterns, &exclusions)
            .paths
            .iter()
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .collect()
    }

    #[test]
    fn patterns_reach_through_directories_and_exclusions_leave_out() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a.log", "a.log.gz", "x/b.log", "x/y/c.log", "x/y/z/d.log", "x2/b.log", "x/y/c.txt"] {
            fs::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs::write(root.path().join(path), "").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), root.path().join("x/loop")).unwrap();
        let root = root.path();
        assert_eq!(matches(root, &["*.log"], &[]), ["a.log"]);
        assert_eq!(matches(root, &["*/b.log"], &[]), ["x/b.log", "x2/b.log"]);
        assert_eq!(
            matches(root, &["**/*.log"], &[]),
            ["a.log", "x/b.log", "x/y/c.log", "x/y/z/d.log", "x2/b.log"]
        );
        assert_eq!(matches(root, &["x/**/c.*"], &["*.txt"]), ["x/y/c.log"]);
        assert_eq!(matches(root, &["{a,q}.log*"], &["**/*.gz"]), ["a.log"]);
        assert_eq!(matches(root, &["x/loop/a.log"], &[]), ["x/loop/a.log"]);
        assert_eq!(matches(root, &["none/*.log", "a.log", "x/../a.log"], &[]), ["a.log", "x/../a.log"]);
    }

    #[test]
    fn a_directory_that_is_missing_is_reported() {
        let root = tempfile::tempdir().unwrap();
        let found = find(&[Pattern::parse(&root.path().join("none/*.log")).unwrap()], &[]);
        assert_eq!(found.troubles.keys().collect::<Vec<_>>(), [&root.path().join("none")]);
    }
}
