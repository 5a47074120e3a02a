//! Completes the files that an earlier run left in progress.
//!
//! Where the process died and the machine lived, the journal is exact: a file is cut to what was confirmed, so
//! a batch that comes again is not repeated. After a power failure the journal may lag behind what was synced,
//! so nothing it confirms is doubted and whatever is whole after that is kept; a batch may then be repeated,
//! but never lost.

use std::{
    fs,
    io::{self, Read},
    path::Path,
};

use super::{
    BucketError,
    disk::Disk,
    journal::{self, Entry, JOURNAL_EXTENSION, UNNAMED_EXTENSION},
    names,
};

/// A journal larger than this is not ours.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// How much of what earlier runs left could be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// All of it.
    Done,
    /// An earlier sink still holds a journal, as when it was given up in the middle of its work.
    Held,
}

/// Completes everything that no living sink holds, except the journal given. What cannot be completed now is
/// reported and stays for the next start.
pub fn recover(folder: &Path, own: Option<&Path>, disk: &Disk) -> Result<Recovery, BucketError> {
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recovery::Done),
        Err(error) => return Err(BucketError::io("list", folder)(error)),
    };
    let mut outcome = Recovery::Done;
    for found in listing {
        let path = found.map_err(BucketError::io("list", folder))?.path();
        let is_called = |name| path.extension().is_some_and(|extension| extension == name);
        if is_called(JOURNAL_EXTENSION) {
            if own != Some(path.as_path()) && recover_journal(&path, disk)? == Recovery::Held {
                outcome = Recovery::Held;
            }
        } else if is_called(UNNAMED_EXTENSION)
            && disk.open(&path).and_then(|file| disk.lock(file)).is_ok_and(|locked| locked.is_some())
        {
            // Its sink ended before the journal had its name, so it had opened no file.
            disk.remove(&path).map_err(BucketError::io("remove journal", &path))?;
        }
    }
    Ok(outcome)
}

fn recover_journal(path: &Path, disk: &Disk) -> Result<Recovery, BucketError> {
    let file = match disk.open(path) {
        Ok(file) => file,
        // Its sink has just finished.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recovery::Done),
        Err(error) => return Err(BucketError::io("open journal", path)(error)),
    };
    let Some(file) = disk.lock(file).map_err(BucketError::io("lock journal", path))? else {
        return Ok(Recovery::Held);
    };
    let mut bytes = Vec::new();
    (&*file)
        .take(JOURNAL_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(BucketError::io("read journal", path))?;
    let Some(contents) = journal::read(&String::from_utf8_lossy(&bytes)) else {
        tracing::warn!(journal = %path.display(), "unreadable journal set aside");
        let aside = path.with_extension("damaged");
        fs::rename(path, &aside).map_err(BucketError::io("set aside", path))?;
        return Ok(Recovery::Done);
    };
    let is_exact = !contents.boot.is_empty() && contents.boot == journal::boot_id();
    let mut is_complete = true;
    for entry in contents.entries.values() {
        match complete(entry, is_exact, disk) {
            Ok(Completion::Named(bytes)) => {
                tracing::info!(file = %entry.path.display(), bytes, "completed a file left in progress");
            }
            Ok(Completion::Empty) => {
                tracing::info!(file = %entry.path.display(), "removed an empty file left in progress");
            }
            Ok(Completion::Gone) => {}
            Err(error) => {
                is_complete = false;
                tracing::warn!(%error, "a file left in progress cannot be completed; the next start tries again");
            }
        }
    }
    if is_complete {
        disk.remove(path).map_err(BucketError::io("remove journal", path))?;
    }
    Ok(Recovery::Done)
}

enum Completion {
    Named(u64),
    Empty,
    Gone,
}

fn complete(entry: &Entry, is_exact: bool, disk: &Disk) -> Result<Completion, BucketError> {
    let path = entry.path.as_path();
    let file = match disk.open(path) {
        Ok(file) => file,
        // With its folder there, the file was named or removed just before the end. Without, perhaps a disk is
        // not mounted yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(Path::is_dir) => {
            return Ok(Completion::Gone);
        }
        Err(error) => return Err(BucketError::io("open", path)(error)),
    };
    let length = file.metadata().map_err(BucketError::io("read", path))?.len();
    let confirmed = entry.confirmed_bytes.min(length);
    let kept = if is_exact {
        confirmed
    } else {
        entry.framing.whole_bytes(&file, confirmed, length).map_err(BucketError::io("read", path))?
    };
    if kept == 0 {
        disk.remove(path).map_err(BucketError::io("remove", path))?;
        return Ok(Completion::Empty);
    }
    if kept < length {
        disk.truncate(&file, kept).map_err(BucketError::io("cut", path))?;
    }
    disk.sync(&file).map_err(BucketError::io("sync", path))?;
    names::finish(path, true, disk)?;
    Ok(Completion::Named(kept))
}
