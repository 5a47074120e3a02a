//! The committed state of one component, and the way to a transaction on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use tokio::sync::OwnedMutexGuard;

use super::{STATE_ENTRY_BYTES, StateTransaction, Turn, writes::Changes};
use crate::{batch::Batch, channel_processor::PipelineChannel, clock::Clock, position::Positions};

/// A value and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As channels keep it: the end (8 bytes, little-endian milliseconds since 1970, 0 for never), then the value.
    stored: Bytes,
    /// When the value is no longer there; 0: never.
    pub(super) ends: u64,
}

const ENDS_BYTES: usize = 8;

impl Entry {
    pub(super) fn new(value: &[u8], ends: u64) -> Self {
        let mut stored = BytesMut::with_capacity(ENDS_BYTES + value.len());
        stored.put_u64_le(ends);
        stored.put_slice(value);
        Self { stored: stored.freeze(), ends }
    }

    /// None: these bytes were never a value of ours.
    fn from_stored(stored: Bytes) -> Option<Self> {
        let ends = u64::from_le_bytes(stored.get(..ENDS_BYTES)?.try_into().ok()?);
        Some(Self { stored, ends })
    }

    pub(super) fn value(&self) -> Bytes {
        self.stored.slice(ENDS_BYTES..)
    }

    pub(super) fn stored(&self) -> Bytes {
        self.stored.clone()
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        self.ends != 0 && self.ends <= now
    }

    /// What it costs of the component's share.
    pub(super) fn cost(&self, key: &[u8]) -> i64 {
        let bytes = STATE_ENTRY_BYTES + key.len() + self.stored.len() - ENDS_BYTES;
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }
}

/// What is committed.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) entries: BTreeMap<Bytes, Entry>,
    /// When keys end.
    pub(super) ending: BTreeSet<(u64, Bytes)>,
    pub(super) bytes: i64,
    /// The channel that has all of it.
    pub(super) home: Option<ByteString>,
    loaded: bool,
}

impl Kept {
    pub(super) fn insert(&mut self, key: Bytes, entry: Entry) {
        self.bytes += entry.cost(&key);
        if entry.ends != 0 {
            self.ending.insert((entry.ends, key.clone()));
        }
        if let Some(before) = self.entries.insert(key.clone(), entry) {
            self.bytes -= before.cost(&key);
            self.forget_end(before.ends, key);
        }
    }

    pub(super) fn remove(&mut self, key: &Bytes) {
        if let Some(before) = self.entries.remove(key) {
            self.bytes -= before.cost(key);
            self.forget_end(before.ends, key.clone());
        }
    }

    fn forget_end(&mut self, ends: u64, key: Bytes) {
        let still = self.entries.get(&key).is_some_and(|entry| entry.ends == ends);
        if ends != 0 && !still {
            self.ending.remove(&(ends, key));
        }
    }
}

/// The state of one component.
pub struct StateStore {
    owner: ByteString,
    turn: Turn,
    bytes_max: AtomicU64,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

/// The right to write, held by one batch at a time.
#[derive(Debug)]
pub(super) struct HeldTurn {
    turn: Turn,
    _guard: OwnedMutexGuard<()>,
}

impl StateStore {
    pub(super) fn new(owner: ByteString, turn: Turn, bytes_max: u64, clock: Arc<dyn Clock>) -> Self {
        Self { owner, turn, bytes_max: bytes_max.into(), clock, kept: Mutex::default() }
    }

    /// The name under which a channel keeps it.
    pub fn owner(&self) -> &ByteString {
        &self.owner
    }

    /// How much it may hold: keys, values, and [`STATE_ENTRY_BYTES`] for each key.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    pub(super) fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// How much it holds, and how many keys, those included whose time is over and which are not yet removed.
    pub fn size(&self) -> (u64, usize) {
        let kept = self.kept();
        (u64::try_from(kept.bytes).unwrap_or(0), kept.entries.len())
    }

    /// Takes over what a former run left, once: from the channel that keeps the state, or else from wherever an
    /// earlier configuration left it. Later calls do nothing: what is in memory is newer.
    pub fn load(&self, home: Option<&PipelineChannel>, others: &[PipelineChannel]) {
        let kept = &mut *self.kept();
        if std::mem::replace(&mut kept.loaded, true) {
            return;
        }
        let of = |channel: &PipelineChannel| {
            channel.channel.positions(&self.owner).filter(|positions| !positions.is_empty())
        };
        if let Some(home) = home
            && let Some(found) = of(home)
        {
            kept.home = Some(home.name.clone());
            self.take_over(kept, found);
        } else if let Some(found) = others.iter().find_map(of) {
            self.take_over(kept, found);
        }
    }

    fn take_over(&self, kept: &mut Kept, found: Positions) {
        let mut unreadable = 0_usize;
        for (key, stored) in found {
            match Entry::from_stored(stored) {
                Some(entry) => kept.insert(key, entry),
                None => unreadable += 1,
            }
        }
        if unreadable > 0 {
            tracing::warn!(owner = %self.owner, unreadable, "values of a component's state cannot be read and are left out");
        }
    }

    /// Starts to work on the state for this batch. Waits until the batches before it, of the same source, have
    /// ended. What the component has written for this batch already, in an earlier attempt, is taken along.
    ///
    /// # Cancel safety
    /// A dropped call has changed nothing.
    pub async fn begin(self: &Arc<Self>, batch: &mut Batch) -> StateTransaction {
        let held = batch.states().iter().map(|writes| &writes.turn);
        let held = held.into_iter().find(|held| Arc::ptr_eq(&held.turn, &self.turn)).cloned();
        let turn = match held {
            Some(turn) => turn,
            None => {
                let guard = Arc::clone(&self.turn).lock_owned().await;
                Arc::new(HeldTurn { turn: Arc::clone(&self.turn), _guard: guard })
            }
        };
        let earlier = batch.take_state(self);
        StateTransaction::new(Arc::clone(self), turn, earlier)
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.unix_millis()
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes changes part of what is committed. `home` says which channel committed them.
    pub(super) fn commit(&self, changes: &Changes, home: Option<&str>) {
        let kept = &mut *self.kept();
        for (key, change) in changes {
            match change {
                Some(entry) => kept.insert(key.clone(), entry.clone()),
                None => kept.remove(key),
            }
        }
        if kept.home.as_deref() != home {
            kept.home = home.map(ByteString::from);
        }
    }
}

impl std::fmt::Debug for StateStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("StateStore").field("owner", &self.owner).finish_non_exhaustive()
    }
}
