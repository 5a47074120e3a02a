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
    framing::FileFraming,
    journal::{self, Entry, JOURNAL_EXTENSION, UNNAMED_EXTENSION},
    names::{self, FilePaths},
    store::Store,
};

/// A journal larger than this is not ours.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// How much of what earlier runs left could be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// All of it.
    Done,
    /// Not yet: an earlier sink still holds a journal, as when it was given up in the middle of its work, or the store
    /// cannot complete a file now.
    Held,
}

/// Completes everything that no living sink holds, except the journal given. What cannot be completed now is
/// reported and stays for the next start.
pub fn recover(
    folder: &Path,
    own: Option<&Path>,
    disk: &Disk,
    store: &impl Store,
) -> Result<Recovery, BucketError> {
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
            if own != Some(path.as_path()) && recover_journal(&path, disk, store)? == Recovery::Held {
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

fn recover_journal(path: &Path, disk: &Disk, store: &impl Store) -> Result<Recovery, BucketError> {
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
    if contents.store != store.address() && !contents.entries.is_empty() {
        tracing::warn!(
            journal = %path.display(), files = contents.entries.len(), store = contents.store,
            "files were left in progress in another store; they are completed when the sink writes there again"
        );
        return Ok(Recovery::Done);
    }
    let is_exact = !contents.boot.is_empty() && contents.boot == journal::boot_id();
    let (mut is_complete, mut is_pending) = (true, false);
    for entry in contents.entries.values() {
        match complete_left(entry, is_exact, store) {
            Ok(Some(_)) => {}
            Ok(None) => (is_complete, is_pending) = (false, true),
            Err(error) => {
                is_complete = false;
                // A store that is not on this machine comes and goes.
                is_pending |= !store.address().is_empty();
                tracing::warn!(%error, "a file left in progress cannot be completed; this is tried again");
            }
        }
    }
    if is_complete {
        disk.remove(path).map_err(BucketError::io("remove journal", path))?;
    }
    Ok(if is_pending { Recovery::Held } else { Recovery::Done })
}

/// What has become of a file in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It has its name, and this many bytes.
    Named(u64),
    /// Nothing of it was confirmed: it is removed.
    Empty,
    /// It was not there.
    Gone,
}

fn complete_left(
    entry: &Entry,
    is_exact: bool,
    store: &impl Store,
) -> Result<Option<Completion>, BucketError> {
    let file = entry.paths.in_progress.display();
    let completion = complete(&entry.paths, entry.confirmed_bytes, entry.framing, is_exact, store)?;
    match completion {
        Some(Completion::Named(bytes)) => tracing::info!(%file, bytes, "completed a file left in progress"),
        Some(Completion::Empty) => tracing::info!(%file, "removed an empty file left in progress"),
        Some(Completion::Gone) | None => {}
    }
    Ok(completion)
}

/// Gives a file that nobody writes any more its name, with what is confirmed; where that is not exact also with what
/// is whole after that. None: not yet.
pub fn complete(
    paths: &FilePaths,
    confirmed_bytes: u64,
    framing: FileFraming,
    is_exact: bool,
    store: &impl Store,
) -> Result<Option<Completion>, BucketError> {
    let path = paths.in_progress.as_path();
    if is_exact && confirmed_bytes == 0 {
        return match store.remove(path) {
            Ok(()) => Ok(Some(Completion::Empty)),
            Err(error) if is_gone(&error, path, store) => Ok(Some(Completion::Gone)),
            Err(error) => Err(BucketError::io("remove", path)(error)),
        };
    }
    let length = match store.settle(path) {
        Ok(Some(length)) => length,
        Ok(None) => return Ok(None),
        Err(error) if is_gone(&error, path, store) => return Ok(Some(Completion::Gone)),
        Err(error) => return Err(BucketError::io("open", path)(error)),
    };
    let whole_from = |border| {
        let whole = framing.whole_bytes(|offset| store.read(path, offset), border, length);
        whole.map_err(BucketError::io("read", path))
    };
    let kept = if length < confirmed_bytes {
        // Confirmed, but not synced, as configured; or the store has broken its word.
        let whole = whole_from(0)?;
        tracing::error!(file = %path.display(), whole, confirmed_bytes, "a file has lost what was delivered");
        whole
    } else if is_exact {
        confirmed_bytes
    } else {
        whole_from(confirmed_bytes)?
    };
    if kept == 0 {
        store.remove(path).map_err(BucketError::io("remove", path))?;
        return Ok(Some(Completion::Empty));
    }
    store.keep(path, length, kept).map_err(BucketError::io("cut", path))?;
    names::finish(paths, true, store)?;
    Ok(Some(Completion::Named(kept)))
}

/// With its folder there, the file was named or removed just before the end. Without, perhaps a disk is not mounted yet.
fn is_gone(error: &io::Error, path: &Path, store: &impl Store) -> bool {
    error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(|folder| store.is_reachable(folder))
}
