//! Where the next transaction goes: into memory, or to disk because something is there.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};

/// Where transactions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Side {
    /// Nothing is on disk.
    #[default]
    Memory,
    /// Something is on disk or on its way there.
    Overflow,
}

/// The side of the moment, and who has to know when it changes.
#[derive(Default)]
pub(super) struct Route {
    state: Arc<Mutex<State>>,
    /// Wakes takers: they look for events elsewhere now.
    changed: Notify,
}

#[derive(Default)]
struct State {
    side: Side,
    /// Transactions that put events on disk and have not ended.
    spilling: usize,
}

/// A transaction that puts events on disk. Until it is dropped, everything new goes there.
pub(super) struct Spilling {
    state: Arc<Mutex<State>>,
}

impl Route {
    pub(super) fn side(&self) -> Side {
        self.state.lock().side
    }

    /// The side for a new transaction: back to memory when the disk is drained, as `is_drained` says, and no
    /// transaction is under way to it.
    pub(super) fn next(&self, is_drained: impl FnOnce() -> bool) -> Side {
        let mut state = self.state.lock();
        if state.side == Side::Overflow && state.spilling == 0 && is_drained() {
            state.side = Side::Memory;
            drop(state);
            self.changed.notify_waiters();
            return Side::Memory;
        }
        state.side
    }

    /// From now on everything goes to disk.
    pub(super) fn spill(&self) -> Spilling {
        let mut state = self.state.lock();
        state.spilling += 1;
        if state.side == Side::Memory {
            state.side = Side::Overflow;
            drop(state);
            self.changed.notify_waiters();
        }
        Spilling { state: Arc::clone(&self.state) }
    }

    /// Resolves when the side changes after it was enabled.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

impl Drop for Spilling {
    fn drop(&mut self) {
        self.state.lock().spilling -= 1;
    }
}
