//! A file in progress: what is written, and how much of it is confirmed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{BucketError, disk::Disk, packer::Packer, settings::RollRules};
use crate::serializers::{Room, Rows, Serializer};

/// An amount of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    pub bytes: u64,
    pub events: u64,
}

/// A file in progress.
pub struct OpenFile {
    /// Its number in the journal.
    pub id: u64,
    /// Its path while in progress.
    pub path: PathBuf,
    /// None while many others are open.
    handle: Option<File>,
    serializer: Box<dyn Serializer>,
    written: Extent,
    confirmed: Extent,
    /// Whether anything changed since the last sync.
    is_dirty: bool,
    /// Whether more than `confirmed` may stand in the file, although `written` says otherwise.
    is_stale: bool,
    /// Whether a sync failed: nothing more is written, since nobody knows what the system did with it.
    pub is_sealed: bool,
    /// When it was opened and last written, in milliseconds since 1970.
    opened_millis: u64,
    written_millis: u64,
    /// The larger, the more recently used.
    pub used: u64,
}

impl OpenFile {
    pub fn new(
        id: u64,
        path: PathBuf,
        handle: File,
        serializer: Box<dyn Serializer>,
        now_millis: u64,
    ) -> Self {
        Self {
            id,
            path,
            handle: Some(handle),
            serializer,
            written: Extent::default(),
            confirmed: Extent::default(),
            is_dirty: false,
            is_stale: false,
            is_sealed: false,
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
        disk: &Disk,
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
        let taken = self.serializer.append(rows, room, plain)?;
        if taken == 0 {
            return Ok(0);
        }
        let bytes = packer.pack(plain)?;
        self.open(disk)?;
        let Some(handle) = &self.handle else { unreachable!("opened above") };
        self.is_dirty = true;
        // Set before the write: whatever part of it succeeds has to be cut off again if it fails.
        let offset = self.written.bytes;
        self.written.bytes += bytes.len() as u64;
        self.written.events += taken as u64;
        self.written_millis = now_millis;
        disk.write_at(handle, bytes, offset).map_err(BucketError::io("write", &self.path))?;
        Ok(taken)
    }

    /// Whether a rule about its contents says that it is finished.
    pub fn is_full(&self, rules: &RollRules) -> bool {
        self.written.events > 0
            && (self.written.events >= rules.events_max || self.written.bytes >= rules.bytes_max)
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
    pub fn sync(&mut self, disk: &Disk) -> Result<(), BucketError> {
        if !self.is_dirty {
            return Ok(());
        }
        self.open(disk)?;
        let Some(handle) = &self.handle else { unreachable!("opened above") };
        let synced = disk.sync(handle);
        // After a failure the system may have dropped what it could not write and would report success next time.
        self.is_sealed |= synced.is_err();
        self.is_dirty = synced.is_err();
        synced.map_err(BucketError::io("sync", &self.path))
    }

    /// What is written counts as delivered.
    pub fn confirm(&mut self) {
        self.confirmed = self.written;
    }

    /// Takes back what is not confirmed, as far as this file's memory is concerned; see [`Self::restore`].
    pub fn roll_back(&mut self) {
        self.is_stale |= self.is_touched();
        self.written = self.confirmed;
    }

    /// Cuts off what was taken back.
    pub fn restore(&mut self, disk: &Disk) -> Result<(), BucketError> {
        if self.is_stale {
            self.open(disk)?;
            let Some(handle) = &self.handle else { unreachable!("opened above") };
            disk.truncate(handle, self.confirmed.bytes).map_err(BucketError::io("cut", &self.path))?;
            self.is_stale = false;
            self.is_dirty = true;
        }
        Ok(())
    }

    /// Gives the handle back to the system; it is opened again when needed.
    pub fn release(&mut self) {
        self.handle = None;
    }

    fn open(&mut self, disk: &Disk) -> Result<(), BucketError> {
        if self.handle.is_none() {
            let path: &Path = &self.path;
            self.handle = Some(disk.open(path).map_err(BucketError::io("open", path))?);
        }
        Ok(())
    }
}
