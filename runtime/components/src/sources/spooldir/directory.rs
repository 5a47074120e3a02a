//! The spool directory: which files are to be read, in which order, and what marks them as finished.

use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
};

use rand::seq::SliceRandom;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

use super::options::{Finish, Order, Settings};
use crate::sources::files::{FileId, Stamp};

/// Directories inside each other are followed at most this deep.
const DEPTH_MAX: usize = 64;
/// How many numbers are tried for a finished file whose name is taken.
const NUMBERS_MAX: u32 = 10_000;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// All files to be read, the next one first.
///
/// # Errors
/// The spool directory cannot be listed.
pub(super) fn list(settings: &Settings) -> io::Result<VecDeque<Candidate>> {
    let mut found = Vec::new();
    walk(settings, &settings.spool_dir, 0, &mut found)?;
    match settings.order {
        Order::Oldest => found.sort_by(|a, b| (a.stamp.modified, &a.path).cmp(&(b.stamp.modified, &b.path))),
        Order::Youngest => {
            found.sort_by(|a, b| b.stamp.modified.cmp(&a.stamp.modified).then_with(|| a.path.cmp(&b.path)));
        }
        Order::Random => found.shuffle(&mut rand::rng()),
    }
    Ok(found.into())
}

fn walk(settings: &Settings, directory: &Path, depth: usize, found: &mut Vec<Candidate>) -> io::Result<()> {
    for entry in fs::read_dir(directory)?.filter_map(Result::ok) {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || settings.ignore.is_match(&name) {
            continue;
        }
        // It may be gone by now.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            if settings.recursive && !is_link && depth < DEPTH_MAX {
                // One directory that cannot be read does not hide the others.
                drop(walk(settings, &path, depth + 1, found));
            }
            continue;
        }
        let is_finished = match &settings.finish {
            Finish::Rename => name.ends_with(settings.suffix.as_str()),
            Finish::Delete => false,
            Finish::Track(_) => tracker(settings, &path).is_some_and(|tracker| tracker.exists()),
        };
        if metadata.is_file() && !is_finished && settings.include.is_match(&name) {
            found.push(Candidate { id: FileId::of(&metadata), path, stamp: Stamp::of(&metadata) });
        }
    }
    Ok(())
}

/// The empty file that says that a file is finished.
fn tracker(settings: &Settings, path: &Path) -> Option<PathBuf> {
    let Finish::Track(directory) = &settings.finish else { return None };
    let relative = path.strip_prefix(&settings.spool_dir).ok()?;
    Some(directory.join(with_suffix(relative, &settings.suffix)))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Marks a file as finished. When the name it should get is taken, a number is put into it; the new path is
/// returned in that case.
///
/// # Errors
/// The file system refused.
pub(super) fn finish(settings: &Settings, path: &Path) -> io::Result<Option<PathBuf>> {
    match &settings.finish {
        Finish::Delete => fs::remove_file(path).map(|()| None),
        Finish::Track(_) => {
            if let Some(tracker) = tracker(settings, path) {
                if let Some(parent) = tracker.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::File::create(tracker)?;
            }
            Ok(None)
        }
        Finish::Rename => {
            for number in 0..NUMBERS_MAX {
                let suffix = match number {
                    0 => settings.suffix.clone(),
                    _ => format!(".{number}{}", settings.suffix),
                };
                let target = with_suffix(path, &suffix);
                if rename_to_free_name(path, &target)? {
                    return Ok((number > 0).then_some(target));
                }
            }
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "all names for the finished file are taken"))
        }
    }
}

/// Renames unless the name is taken.
fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // Some network file systems cannot do it in one step.
        Err(Errno::INVAL | Errno::NOSYS) if to.exists() => Ok(false),
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to).map(|()| true),
        Err(error) => Err(error.into()),
    }
}
