//! A file in progress: what is written, and how much of it is confirmed.

use std::{path::Path, time::Duration};

use super::{BucketError, names::FilePaths, packer::Packer, settings::RollRules, store::Store};
use crate::serializers::{Room, Rows, Serializer};

/// An amount of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    pub bytes: u64,
    pub events: u64,
}

/// A file in progress.
pub struct OpenFile<S: Store> {
    /// Its number in the journal.
    pub id: u64,
    /// Its paths.
    pub paths: FilePaths,
    /// None while many others are open, and when nothing more is written.
    handle: Option<S::File>,
    serializer: Box<dyn Serializer>,
    written: Extent,
    confirmed: Extent,
    /// Whether anything changed since the last sync.
    is_dirty: bool,
    /// Whether more than `confirmed` may stand in the file, although `written` says otherwise.
    is_stale: bool,
    /// Whether a sync failed: nothing more is written, since nobody knows what the system did with it.
    pub is_sealed: bool,
    /// Whether it can neither be cut nor written on: it is completed with what is confirmed.
    pub is_given_up: bool,
    /// When it was opened and last written, in milliseconds since 1970.
    opened_millis: u64,
    written_millis: u64,
    /// The larger, the more recently used.
    pub used: u64,
}

impl<S: Store> OpenFile<S> {
    pub fn new(
        id: u64,
        paths: FilePaths,
        handle: S::File,
        serializer: Box<dyn Serializer>,
        now_millis: u64,
    ) -> Self {
        Self {
            id,
            paths,
            handle: Some(handle),
            serializer,
            written: Extent::default(),
            confirmed: Extent::default(),
            is_dirty: false,
            is_stale: false,
            is_sealed: false,
            is_given_up: false,
            opened_millis: now_millis,
            written_millis: now_millis,
            used: 0,
        }
    }

    /// Appends what has room; returns how many events. None: the file is full.
    pub fn append(
        &mut self,
        rows: Rows<'_>,
        rules: &RollRules,
        packer: &mut Packer,
        plain: &mut Vec<u8>,
        store: &S,
        now_millis: u64,
    ) -> Result<usize, BucketError> {
        if self.is_full(rules) {
            return Ok(0);
        }
        plain.clear();
        if self.written.bytes == 0 {
            self.serializer.begin(plain);
        }
        let bytes_left = match packer {
            Packer::None => rules.bytes_max - self.written.bytes,
            // How much it will be is known only afterwards.
            _ => u64::MAX,
        };
        let room = Room {
            events: usize::try_from(rules.events_max - self.written.events).unwrap_or(usize::MAX),
            bytes: usize::try_from(bytes_left).unwrap_or(usize::MAX),
            takes_first: self.written.events == 0,
        };
        self.serializer.set_time(now_millis);
        self.serializer.set_length(self.written.bytes);
        let taken = self.serializer.append(rows, room, plain)?;
        if taken == 0 {
            return Ok(0);
        }
        let bytes = packer.pack(plain)?;
        self.open(store)?;
        let Some(handle) = &mut self.handle else { unreachable!("opened above") };
        self.is_dirty = true;
        // Set before the write: whatever part of it succeeds has to be cut off again if it fails.
        let offset = self.written.bytes;
        self.written.bytes += bytes.len() as u64;
        self.written.events += taken as u64;
        self.written_millis = now_millis;
        store.write_at(handle, bytes, offset).map_err(BucketError::io("write", &self.paths.in_progress))?;
        Ok(taken)
    }

    /// Whether a rule about its contents says that it is finished.
    pub fn is_full(&self, rules: &RollRules) -> bool {
        self.written.events > 0
            && (self.written.events >= rules.events_max
                || self.written.bytes >= rules.bytes_max
                || self.serializer.is_full())
    }

    /// Whether a rule about time says that it is finished.
    pub fn is_due(&self, rules: &RollRules, now_millis: u64) -> bool {
        let since = |millis: u64| Duration::from_millis(now_millis.saturating_sub(millis));
        rules.interval.is_some_and(|interval| since(self.opened_millis) >= interval)
            || rules.idle.is_some_and(|idle| since(self.written_millis) >= idle)
    }

    /// Whether it holds something that is not confirmed.
    pub fn is_touched(&self) -> bool {
        self.written != self.confirmed
    }

    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    pub fn has_confirmed(&self) -> bool {
        self.confirmed.events > 0
    }

    pub fn written_bytes(&self) -> u64 {
        self.written.bytes
    }

    /// Forces what changed to the disk.
    pub fn sync(&mut self, store: &S) -> Result<(), BucketError> {
        if !self.is_dirty {
            return Ok(());
        }
        self.open(store)?;
        let Some(handle) = &mut self.handle else { unreachable!("opened above") };
        let synced = store.sync(handle);
        self.after_sync(synced)
    }

    fn after_sync(&mut self, synced: std::io::Result<()>) -> Result<(), BucketError> {
        // After a failure the system may have dropped what it could not write and would report success next time.
        self.is_sealed |= synced.is_err();
        self.is_dirty = synced.is_err();
        synced.map_err(BucketError::io("sync", &self.paths.in_progress))
    }

    /// Forces what changed in any of these files to the disk, at the same time where the store can.
    pub fn sync_all<'a>(files: impl Iterator<Item = &'a mut Self>, store: &S) -> Result<(), BucketError>
    where
        S: 'a,
    {
        let mut dirty: Vec<&mut Self> = files.filter(|file| file.is_dirty).collect();
        if let [one] = dirty.as_mut_slice() {
            return one.sync(store);
        }
        let mut handles = Vec::with_capacity(dirty.len());
        for file in &mut dirty {
            file.open(store)?;
            handles.extend(file.handle.as_mut());
        }
        let results = store.sync_all(&mut handles);
        let mut outcome = Ok(());
        for (file, synced) in dirty.into_iter().zip(results) {
            outcome = outcome.and(file.after_sync(synced));
        }
        outcome
    }

    /// What is written counts as delivered.
    pub fn confirm(&mut self) {
        if self.is_touched() {
            self.confirmed = self.written;
            self.serializer.confirm();
        }
    }

    /// Takes back what is not confirmed, as far as this file's memory is concerned; see [`Self::restore`].
    pub fn roll_back(&mut self) {
        self.is_stale |= self.is_touched();
        self.written = self.confirmed;
        self.serializer.roll_back();
    }

    /// Cuts off what was taken back.
    pub fn restore(&mut self, store: &S) -> Result<(), BucketError> {
        if self.is_stale {
            self.open(store)?;
            let Some(handle) = &mut self.handle else { unreachable!("opened above") };
            store
                .cut(handle, self.confirmed.bytes)
                .map_err(BucketError::io("cut", &self.paths.in_progress))?;
            self.is_stale = false;
            self.is_dirty = true;
        }
        Ok(())
    }

    /// Lets go of the file, which stays as it is. Where files can be cut it is opened again when needed.
    pub fn release(&mut self, store: &S) -> Result<(), BucketError> {
        match self.handle.take() {
            Some(handle) => {
                let released = store.release(handle);
                self.is_given_up |= !S::CUTS && released.is_err();
                released.map_err(BucketError::io("close", &self.paths.in_progress))
            }
            None => Ok(()),
        }
    }

    /// Gives the file up: what is confirmed will be all of it.
    pub fn give_up(&mut self) {
        self.handle = None;
        self.written = self.confirmed;
        self.is_given_up = true;
    }

    /// What of it is confirmed.
    pub fn confirmed_bytes(&self) -> u64 {
        self.confirmed.bytes
    }

    fn open(&mut self, store: &S) -> Result<(), BucketError> {
        if self.handle.is_none() {
            let path: &Path = &self.paths.in_progress;
            self.handle = Some(store.open(path).map_err(BucketError::io("open", path))?);
        }
        Ok(())
    }
}
