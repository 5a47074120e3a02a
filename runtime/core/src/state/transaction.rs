//! Reading and writing for one batch.

use std::{
    ops::Bound,
    sync::{Arc, atomic::AtomicBool},
};

use bytes::Bytes;

use super::{
    STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateError, StateStore, StateWrites,
    store::{Entry, HeldTurn, Kept},
    writes::Changes,
};
use crate::batch::Batch;

/// Keys whose time is over that a commit removes, besides twice as many as it writes.
const SWEPT_MAX: usize = 256;

/// Changes that lie on top of what is committed.
#[derive(Debug, Clone, Default)]
struct Layer {
    changes: Changes,
    bytes: i64,
}

/// The state as one batch sees it: what is committed, what the calls before have written, and on top what the call
/// under way has. The last part can be thrown away by itself, when the call breaks.
#[derive(Debug)]
pub struct StateTransaction {
    store: Arc<StateStore>,
    turn: Arc<HeldTurn>,
    before: Layer,
    call: Layer,
}

impl StateTransaction {
    pub(super) fn new(
        store: Arc<StateStore>,
        turn: Arc<HeldTurn>,
        earlier: Option<Arc<StateWrites>>,
    ) -> Self {
        let before = earlier
            .map(|writes| Layer { changes: writes.changes.clone(), bytes: writes.bytes })
            .unwrap_or_default();
        Self { store, turn, before, call: Layer::default() }
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<Bytes> {
        let now = self.store.now();
        let kept = self.store.kept();
        self.seen(&kept, key.as_bytes()).filter(|entry| !entry.is_over(now)).map(Entry::value)
    }

    /// Sets a value, for good or for so many milliseconds.
    ///
    /// # Errors
    /// It is too large, or the share is used up. Nothing is written then.
    pub fn set(&mut self, key: &str, value: &[u8], ttl_millis: Option<u64>) -> Result<(), StateError> {
        check("key", key.len(), STATE_KEY_BYTES_MAX)?;
        check("value", value.len(), STATE_VALUE_BYTES_MAX)?;
        // An end of 0 would be none.
        let ends = ttl_millis.map_or(0, |ttl| self.store.now().saturating_add(ttl).max(1));
        self.write(Bytes::copy_from_slice(key.as_bytes()), Entry::new(value, ends))
    }

    /// Removes a key; one that is not there is fine.
    pub fn delete(&mut self, key: &str) {
        let (there, cost) = {
            let kept = self.store.kept();
            let seen = self.seen(&kept, key.as_bytes());
            (seen.is_some(), seen.map_or(0, |entry| entry.cost(key.as_bytes())))
        };
        if there {
            self.call.changes.insert(Bytes::copy_from_slice(key.as_bytes()), None);
            self.call.bytes -= cost;
        }
    }

    /// Adds to a number that starts at 0 and wraps around; returns the sum. The end of an existing one stays.
    ///
    /// # Errors
    /// The value there is no number, or the share is used up. Nothing is written then.
    pub fn increment(&mut self, key: &str, by: i64) -> Result<i64, StateError> {
        check("key", key.len(), STATE_KEY_BYTES_MAX)?;
        let now = self.store.now();
        let found = {
            let kept = self.store.kept();
            self.seen(&kept, key.as_bytes())
                .filter(|entry| !entry.is_over(now))
                .map(|entry| (entry.value(), entry.ends))
        };
        let (number, ends) = match found {
            None => (0, 0),
            Some((value, ends)) => {
                let bytes = <[u8; 8]>::try_from(value.as_ref());
                let wrong = StateError::TooLarge { what: "number", bytes: value.len(), wanted: 8 };
                (i64::from_le_bytes(bytes.map_err(|_| wrong)?), ends)
            }
        };
        let sum = number.wrapping_add(by);
        self.write(Bytes::copy_from_slice(key.as_bytes()), Entry::new(&sum.to_le_bytes(), ends))?;
        Ok(sum)
    }

    /// The keys that begin with `prefix`, in the order of their bytes, from behind `after` on.
    pub fn keys(&self, prefix: &str, after: Option<&str>, keys_max: usize) -> Vec<Bytes> {
        let now = self.store.now();
        let kept = self.store.kept();
        let mut from = match after.filter(|after| after.as_bytes() >= prefix.as_bytes()) {
            Some(after) => Bound::Excluded(Bytes::copy_from_slice(after.as_bytes())),
            None => Bound::Included(Bytes::copy_from_slice(prefix.as_bytes())),
        };
        let mut keys = Vec::new();
        while keys.len() < keys_max {
            let range = (from.clone(), Bound::Unbounded);
            let candidates = [
                kept.entries.range(range.clone()).next().map(|(key, _)| key),
                self.before.changes.range(range.clone()).next().map(|(key, _)| key),
                self.call.changes.range(range).next().map(|(key, _)| key),
            ];
            let Some(key) = candidates.into_iter().flatten().min().cloned() else { break };
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            if self.seen(&kept, &key).is_some_and(|entry| !entry.is_over(now)) {
                keys.push(key.clone());
            }
            from = Bound::Excluded(key);
        }
        keys
    }

    /// Keeps what the call under way has written: it went well.
    pub fn keep_call(&mut self) {
        let call = std::mem::take(&mut self.call);
        self.before.bytes += call.bytes;
        if self.before.changes.is_empty() {
            self.before.changes = call.changes;
        } else {
            self.before.changes.extend(call.changes);
        }
    }

    /// Forgets what the call under way has written: it broke, or was only a trial.
    pub fn forget_call(&mut self) {
        self.call = Layer::default();
    }

    /// Forgets everything written for the batch.
    pub fn forget(&mut self) {
        self.forget_call();
        self.before = Layer::default();
    }

    /// The same view once more, for a trial whose writes are compared with nothing and thrown away.
    #[must_use]
    pub fn fork(&self) -> Self {
        let (store, turn) = (Arc::clone(&self.store), Arc::clone(&self.turn));
        Self { store, turn, before: self.before.clone(), call: Layer::default() }
    }

    /// Hands what the calls have written to the batch, whose commit decides. Where nothing was written the turn ends
    /// here.
    pub fn finish(mut self, batch: &mut Batch) {
        self.forget_call();
        if let Some(writes) = self.into_writes() {
            batch.add_state(writes);
        }
    }

    /// Makes it count at once, in memory only: for sinks, which have no put to go with.
    pub fn commit(mut self) {
        self.forget_call();
        if let Some(writes) = self.into_writes() {
            writes.committed(None);
        }
    }

    /// Hands over everything there is, written or not: for a move from one channel to another.
    pub(crate) fn finish_move(mut self, channel: &str, batch: &mut Batch) {
        self.forget_call();
        let there = {
            let kept = self.store.kept();
            kept.home.as_deref() == Some(channel) || kept.entries.is_empty()
        };
        if !there {
            batch.add_state(Arc::new(self.writes()));
        }
    }

    fn into_writes(mut self) -> Option<Arc<StateWrites>> {
        if self.before.changes.is_empty() {
            return None;
        }
        self.sweep(SWEPT_MAX + 2 * self.before.changes.len());
        self.keep_call();
        Some(Arc::new(self.writes()))
    }

    fn writes(self) -> StateWrites {
        let Layer { changes, bytes } = self.before;
        let committed = AtomicBool::new(false);
        StateWrites { store: self.store, turn: self.turn, changes, bytes, committed }
    }

    /// What is there, its time over or not.
    fn seen<'a>(&'a self, kept: &'a Kept, key: &[u8]) -> Option<&'a Entry> {
        let layers = [&self.call.changes, &self.before.changes];
        match layers.into_iter().find_map(|changes| changes.get(key)) {
            Some(change) => change.as_ref(),
            None => kept.entries.get(key),
        }
    }

    fn write(&mut self, key: Bytes, entry: Entry) -> Result<(), StateError> {
        let cost = entry.cost(&key);
        if !self.has_room(&key, cost) {
            self.sweep(usize::MAX);
            if !self.has_room(&key, cost) {
                return Err(StateError::Quota { bytes_max: self.store.bytes_max() });
            }
        }
        let before = {
            let kept = self.store.kept();
            self.seen(&kept, &key).map_or(0, |entry| entry.cost(&key))
        };
        self.call.bytes += cost - before;
        self.call.changes.insert(key, Some(entry));
        Ok(())
    }

    fn has_room(&self, key: &[u8], cost: i64) -> bool {
        let kept = self.store.kept();
        let before = self.seen(&kept, key).map_or(0, |entry| entry.cost(key));
        let used = kept.bytes + self.before.bytes + self.call.bytes;
        // What does not make it larger is always allowed, also where the share was made smaller.
        cost <= before || used + cost - before <= i64::try_from(self.store.bytes_max()).unwrap_or(i64::MAX)
    }

    /// Removes committed keys whose time is over, unless something was written to them meanwhile.
    fn sweep(&mut self, keys_max: usize) {
        let now = self.store.now();
        let over: Vec<(Bytes, i64)> = {
            let kept = self.store.kept();
            let over = kept.ending.iter().take_while(|(ends, _)| *ends <= now).take(keys_max);
            over.filter(|(_, key)| {
                !self.call.changes.contains_key(key) && !self.before.changes.contains_key(key)
            })
            .map(|(_, key)| (key.clone(), kept.entries.get(key).map_or(0, |entry| entry.cost(key))))
            .collect()
        };
        for (key, cost) in over {
            self.call.bytes -= cost;
            self.call.changes.insert(key, None);
        }
    }
}

fn check(what: &'static str, bytes: usize, wanted: usize) -> Result<(), StateError> {
    if bytes > wanted { Err(StateError::TooLarge { what, bytes, wanted }) } else { Ok(()) }
}
