//! What a component wrote for one batch, on its way to the commit.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    StateStore,
    store::{Entry, HeldTurn},
};
use crate::position::{PositionUpdate, Positions};

/// Keys and what becomes of them: a new value, or none.
pub(super) type Changes = BTreeMap<Bytes, Option<Entry>>;

/// The writes of one component for one batch. Whoever commits the batch puts [`StateWrites::update_for`] into the
/// commit and then calls [`StateWrites::committed`]; dropped without that, they have never been.
///
/// Holds the component's turn: the next batch begins to work on the state when the last copy is gone.
#[derive(Debug)]
pub struct StateWrites {
    pub(super) store: Arc<StateStore>,
    pub(super) turn: Arc<HeldTurn>,
    pub(super) changes: Changes,
    /// By how much they make the state larger.
    pub(super) bytes: i64,
    pub(super) committed: AtomicBool,
}

impl StateWrites {
    /// The name under which a channel keeps the state.
    pub fn owner(&self) -> &ByteString {
        self.store.owner()
    }

    pub(crate) fn is_of(&self, store: &Arc<StateStore>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// What a channel that keeps the state has to commit: the changes, or, where another one kept it so far, all
    /// of it. `there` is asked in that case for what the channel holds under this owner now.
    pub fn update_for(&self, channel: &str, there: impl FnOnce() -> Positions) -> PositionUpdate {
        let stored = |change: &Option<Entry>| change.as_ref().map(Entry::stored);
        let source = self.owner().clone();
        if self.store.kept().home.as_deref() == Some(channel) {
            let changes = self.changes.iter().map(|(key, change)| (key.clone(), stored(change)));
            return PositionUpdate { source, changes: changes.collect() };
        }
        let mut all: BTreeMap<Bytes, Option<Bytes>> = there().into_keys().map(|key| (key, None)).collect();
        {
            let kept = self.store.kept();
            all.extend(kept.entries.iter().map(|(key, entry)| (key.clone(), Some(entry.stored()))));
        }
        for (key, change) in &self.changes {
            match change {
                Some(entry) => drop(all.insert(key.clone(), Some(entry.stored()))),
                // Also where the channel does not have it: a key too much to forget does no harm.
                None => drop(all.insert(key.clone(), None)),
            }
        }
        PositionUpdate { source, changes: all.into_iter().collect() }
    }

    /// The batch is committed: what was written counts. `channel` is the one that keeps it, if one does.
    pub fn committed(&self, channel: Option<&str>) {
        if !self.committed.swap(true, Ordering::AcqRel) {
            self.store.commit(&self.changes, channel);
        }
    }
}
