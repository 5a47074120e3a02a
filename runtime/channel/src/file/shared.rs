//! What the channel, its transactions and its log thread share.
//!
//! One lock guards the state. It is held for moments only: never while the disk is asked for anything, and never
//! across an await.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use millrace_core::{ChannelError, ChannelMetrics, Clock, Positions};
use millrace_storage::{Disk, Guard};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::{
    cache::Cache, checkpoint::Place, error::FileError, inbox::Inbox, queue::Part, queue::Queue,
    segment::Segment, states::States, take_log::TakeLog, writing::Writing,
};
use crate::{keep_alive::KeepAlive, room::Amount, room::Room};

pub(super) struct Shared {
    pub name: String,
    pub disk: Arc<dyn Disk>,
    pub directory: PathBuf,
    pub segment_bytes: u64,
    pub free_bytes_min: AtomicU64,
    /// How what is put is written from now on.
    pub writing: RwLock<Arc<Writing>>,
    /// The active key changed: checkpoint and state are to be sealed with it.
    pub rekey: AtomicBool,
    pub room: Arc<Room>,
    pub keep_alive: KeepAlive,
    pub state: Mutex<State>,
    /// Wakes waiting takers: something was added or returned, or the channel closed.
    pub changed: Notify,
    pub inbox: Inbox,
    /// Segments with something to read.
    pub segments: RwLock<HashMap<u64, Arc<Segment>>>,
    /// What components keep. Only the log thread changes it; it holds the lock also while it writes the file, so nobody
    /// else takes it on the path of an event.
    pub states: Mutex<States>,
    /// Held while takes are written, on threads that may block.
    pub takes: Mutex<Option<TakeLog>>,
    pub lock: Mutex<Option<Guard>>,
    /// Set when the disk had no room: puts look again before they reserve.
    pub disk_full: AtomicBool,
    pub damaged: AtomicU64,
    pub clock: Arc<dyn Clock>,
    pub metrics: ChannelMetrics,
}

pub(super) struct State {
    pub phase: Phase,
    pub queue: Queue,
    pub cache: Cache,
    /// Events of each segment that are not taken for good.
    pub live: BTreeMap<u64, u64>,
    pub positions: BTreeMap<String, Positions>,
    /// Everything up to here is in the queue, or was.
    pub place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    Open,
    Closed,
}

impl State {
    /// Forgets parts for good; says what they held, and whether a segment became empty by it.
    pub(super) fn forget(&mut self, parts: &[Part]) -> (Amount, bool) {
        let amount = self.queue.forget(parts);
        let mut emptied = false;
        for part in parts {
            if let Some(live) = self.live.get_mut(&part.segment) {
                *live = live.saturating_sub(part.amount().events);
                emptied |= *live == 0;
            }
        }
        (amount, emptied)
    }
}

impl Shared {
    /// Makes the takes written so far durable. Blocks.
    pub(super) fn sync_takes(&self) -> Result<(), FileError> {
        let unsynced = self.takes.lock().as_ref().and_then(TakeLog::unsynced);
        let Some(unsynced) = unsynced else { return Ok(()) };
        unsynced.sync()?;
        if let Some(takes) = self.takes.lock().as_mut() {
            takes.synced(&unsynced);
        }
        Ok(())
    }

    pub(super) fn closed(&self) -> ChannelError {
        FileError::NotOpen.of_channel(&self.name)
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().phase == Phase::Open
    }

    pub(super) fn segment(&self, id: u64) -> Option<Arc<Segment>> {
        self.segments.read().get(&id).cloned()
    }

    pub(super) fn count_damaged(&self, places: u64) {
        self.damaged.fetch_add(places, Ordering::Relaxed);
    }

    /// Whether the disk has room for puts; only asked again after it had none. Blocks.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn check_disk(&self, wanted: u64) -> Result<(), FileError> {
        let minimum = self.free_bytes_min.load(Ordering::Relaxed);
        let free = self
            .disk
            .free_space(&self.directory)
            .map_err(|error| FileError::io(format!("{}: free space", self.directory.display()), error))?;
        let enough = free >= minimum.saturating_add(wanted);
        self.disk_full.store(!enough, Ordering::Relaxed);
        if enough {
            return Ok(());
        }
        Err(FileError::DiskFull(format!(
            "{} has {free} bytes free, {wanted} are needed and {minimum} stay free",
            self.directory.display()
        )))
    }
}
