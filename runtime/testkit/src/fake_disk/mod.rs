//! A disk in memory that fails as real ones do.
//!
//! It keeps apart what was written and what is durable. A crash keeps what was synced, and of the rest a random
//! part: some writes, some sectors of a write, the first few changes of names. A failed sync forgets what it
//! should have written, as Linux does. Faults and limits are set by the test; a seed makes a crash replayable.

mod inode;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Error, ErrorKind, Result},
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_storage::{Disk, File, FileEntry, Guard, LockError, OpenMode};
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::inode::Inode;

/// A kind of call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Syncing a file.
    Sync,
}

struct Fault {
    call: Call,
    kind: ErrorKind,
    times: u64,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    changes: Vec<NameChange>,
    locked: BTreeSet<PathBuf>,
    faults: Vec<Fault>,
    operations: u64,
    bytes_written: u64,
    power_fails_at: Option<u64>,
    bytes_max: Option<u64>,
    short_writes: bool,
}

/// A disk in memory. Clones share it.
#[derive(Clone, Default)]
pub struct FakeDisk {
    state: Arc<Mutex<State>>,
}

fn power_failure() -> Error {
    Error::other("the power failed")
}

impl FakeDisk {
    /// How many operations changed something or synced.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// How many bytes were written to files.
    pub fn bytes_written(&self) -> u64 {
        self.state.lock().bytes_written
    }

    /// The power fails in the middle of the operation of this number; everything after it fails.
    pub fn fail_power_at(&self, operation: u64) {
        self.state.lock().power_fails_at = Some(operation);
    }

    /// The next calls of a kind fail.
    pub fn fail(&self, call: Call, kind: ErrorKind, times: u64) {
        self.state.lock().faults.push(Fault { call, kind, times });
    }

    /// The disk holds no more than this; None lifts the limit.
    pub fn limit_bytes(&self, bytes_max: Option<u64>) {
        self.state.lock().bytes_max = bytes_max;
    }

    /// Every write writes only a part.
    pub fn write_short(&self) {
        self.state.lock().short_writes = true;
    }

    /// What is on the disk when the machine comes up again.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let state = self.state.lock();
        let mut names = state.durable_names.clone();
        let kept = rng.random_range(0..=state.changes.len());
        state.changes.iter().take(kept).for_each(|change| apply(change, &mut names));
        let inodes = state.inodes.iter().map(|inode| inode.after_crash(&mut rng)).collect();
        let after = State { inodes, durable_names: names.clone(), names, ..State::default() };
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// The disk when only the process died: everything that was written, and what was not synced still is not.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state.lock();
        let after = State {
            inodes: state.inodes.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            changes: state.changes.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// All files with their contents.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.state.lock();
        state.names.iter().map(|(path, id)| (path.clone(), state.inodes[*id].content().to_vec())).collect()
    }

    /// Changes a byte behind everyone's back.
    pub fn flip(&self, path: &Path, at: usize, bits: u8) {
        let state = &mut *self.state.lock();
        if let Some(id) = state.names.get(path) {
            state.inodes[*id].flip(at, bits);
        }
    }

    /// Replaces a file behind everyone's back; None removes it.
    pub fn replace(&self, path: &Path, content: Option<Vec<u8>>) {
        let state = &mut *self.state.lock();
        match content {
            None => drop((state.names.remove(path), state.durable_names.remove(path))),
            Some(content) => {
                state.inodes.push(Inode::durable(content));
                let id = state.inodes.len() - 1;
                state.names.insert(path.to_owned(), id);
                state.durable_names.insert(path.to_owned(), id);
            }
        }
    }
}

fn apply(change: &NameChange, names: &mut BTreeMap<PathBuf, usize>) {
    match change {
        NameChange::Link(path, inode) => drop(names.insert(path.clone(), *inode)),
        NameChange::Unlink(path) => drop(names.remove(path)),
        NameChange::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl State {
    /// Counts an operation; true when the power fails in the middle of it.
    fn operation(&mut self) -> Result<bool> {
        self.operations += 1;
        match self.power_fails_at {
            Some(at) if self.operations > at => Err(power_failure()),
            at => Ok(at == Some(self.operations)),
        }
    }

    fn fault(&mut self, call: Call) -> Result<()> {
        let Some(fault) = self.faults.iter_mut().find(|fault| fault.call == call && fault.times > 0) else {
            return Ok(());
        };
        fault.times -= 1;
        Err(fault.kind.into())
    }

    fn change(&mut self, change: NameChange) -> Result<()> {
        let last = self.operation()?;
        apply(&change, &mut self.names);
        self.changes.push(change);
        if last { Err(power_failure()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|id| self.inodes[*id].content().len() as u64).sum()
    }

    /// Whether a file may grow to this size.
    fn check_space(&self, id: usize, bytes: u64) -> Result<()> {
        let growth = bytes.saturating_sub(self.inodes[id].content().len() as u64);
        match self.bytes_max {
            Some(max) if growth > 0 && self.used() + growth > max => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for FakeDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let state = &mut *self.state.lock();
        let id = match (state.names.get(path), mode) {
            (Some(_), OpenMode::Create) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(id), _) => *id,
            (None, OpenMode::Create) => {
                state.inodes.push(Inode::default());
                let id = state.inodes.len() - 1;
                state.change(NameChange::Link(path.to_owned(), id))?;
                id
            }
            (None, _) => return Err(ErrorKind::NotFound.into()),
        };
        Ok(Box::new(FakeFile { state: Arc::clone(&self.state), id }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        if !state.names.contains_key(from) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        if !state.names.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        state.change(NameChange::Unlink(path.to_owned()))
    }

    fn list(&self, directory: &Path) -> Result<Vec<FileEntry>> {
        let state = self.state.lock();
        let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(directory));
        Ok(inside
            .filter_map(|(path, id)| {
                let name = path.file_name()?.to_str()?.to_owned();
                Some(FileEntry { name, bytes: state.inodes[*id].content().len() as u64 })
            })
            .collect())
    }

    fn create_dir(&self, _directory: &Path) -> Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _directory: &Path) -> Result<()> {
        let state = &mut *self.state.lock();
        if state.operation()? {
            return Err(power_failure());
        }
        state.changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn free_space(&self, _directory: &Path) -> Result<u64> {
        let state = self.state.lock();
        Ok(state.bytes_max.map_or(u64::MAX / 2, |max| max.saturating_sub(state.used())))
    }

    fn lock(&self, directory: &Path) -> std::result::Result<Guard, LockError> {
        let directory = directory.to_owned();
        if !self.state.lock().locked.insert(directory.clone()) {
            return Err(LockError::Held { directory, pid: Some(1) });
        }
        Ok(Box::new(Unlock { state: Arc::clone(&self.state), directory }))
    }
}

struct Unlock {
    state: Arc<Mutex<State>>,
    directory: PathBuf,
}

impl Drop for Unlock {
    fn drop(&mut self) {
        self.state.lock().locked.remove(&self.directory);
    }
}

struct FakeFile {
    state: Arc<Mutex<State>>,
    id: usize,
}

impl File for FakeFile {
    fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize> {
        let state = &mut *self.state.lock();
        state.fault(Call::Read)?;
        let content = state.inodes[self.id].content();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let count = into.len().min(content.len() - from);
        into[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<usize> {
        let state = &mut *self.state.lock();
        let last = state.operation()?;
        state.fault(Call::Write)?;
        let count = if state.short_writes { bytes.len().div_ceil(2) } else { bytes.len() };
        state.check_space(self.id, offset + count as u64)?;
        state.inodes[self.id].write(&bytes[..count], offset);
        state.bytes_written += count as u64;
        if last { Err(power_failure()) } else { Ok(count) }
    }

    fn sync_data(&self) -> Result<()> {
        let state = &mut *self.state.lock();
        if state.operation()? {
            return Err(power_failure());
        }
        if let Err(error) = state.fault(Call::Sync) {
            state.inodes[self.id].forget_unsynced();
            return Err(error);
        }
        state.inodes[self.id].sync();
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        let state = &mut *self.state.lock();
        let last = state.operation()?;
        state.check_space(self.id, bytes)?;
        state.inodes[self.id].set_len(bytes);
        if last { Err(power_failure()) } else { Ok(()) }
    }

    fn allocate(&self, bytes: u64) -> Result<()> {
        if self.len()? < bytes { self.set_len(bytes) } else { Ok(()) }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.state.lock().inodes[self.id].content().len() as u64)
    }
}
