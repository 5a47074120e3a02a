//! Keys and values of components that remember: what they write becomes durable with the batch they wrote it for.
//!
//! A component's state is kept in memory as a whole and, where its source has a channel that keeps positions, in
//! the very commit of that channel which holds the events. In front of other channels it lives as long as the agent.
//!
//! Invariants:
//! - **One batch at a time.** A batch that has written holds the *turn* of its source until its commit has ended,
//!   well or badly. The next one therefore reads what was committed, never what may still vanish. A batch that has only
//!   read gives its turn back at once.
//! - **No deadlock.** A source and all of its interceptors share one turn, and a batch never asks for a second one:
//!   whoever waits for a turn holds nothing that its holder could need.
//! - **A commit that nobody waits for any more still counts.** The writes travel with the put, so the channel
//!   itself says when they are durable, and only then is the turn free.

mod store;
mod transaction;
mod writes;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Mutex as AsyncMutex;

pub use self::{store::StateStore, transaction::StateTransaction, writes::StateWrites};
use crate::clock::Clock;

/// What names of owners of state begin with, where a channel keeps them beside sources. No source is called so.
const OWNER_PREFIX: &str = "state:";

/// Longest key.
pub const STATE_KEY_BYTES_MAX: usize = 1024;

/// Longest value.
pub const STATE_VALUE_BYTES_MAX: usize = 1 << 20;

/// What each key costs of the share besides its own and its value's length.
pub const STATE_ENTRY_BYTES: usize = 64;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The component has used up its share.
    #[error("the state would hold more than the {bytes_max} bytes allowed")]
    Quota {
        /// The share.
        bytes_max: u64,
    },
    /// The key or the value is over its limit, or the value is no number.
    #[error("the {what} has {bytes} bytes, {wanted} are allowed")]
    TooLarge {
        /// `key`, `value` or `number`.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// How large it may be.
        wanted: usize,
    },
}

/// Whether the owner of an update is a component with state, not a source with positions.
pub fn is_state_owner(owner: &str) -> bool {
    owner.starts_with(OWNER_PREFIX)
}

type Turn = Arc<AsyncMutex<()>>;

/// The state of all components of an agent. It outlives reloads.
pub struct StateStores {
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    stores: HashMap<String, Arc<StateStore>>,
    turns: HashMap<String, Turn>,
}

impl StateStores {
    /// No state yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// The state of an interceptor, named `source/interceptor`.
    pub fn interceptor(&self, component: &str, bytes_max: u64) -> Arc<StateStore> {
        let source = component.split('/').next().unwrap_or(component);
        self.store("interceptor", component, &format!("source/{source}"), bytes_max)
    }

    /// The state of a source.
    pub fn source(&self, component: &str, bytes_max: u64) -> Arc<StateStore> {
        self.store("source", component, &format!("source/{component}"), bytes_max)
    }

    /// The state of a sink. Nothing but memory keeps it.
    pub fn sink(&self, component: &str, bytes_max: u64) -> Arc<StateStore> {
        self.store("sink", component, &format!("sink/{component}"), bytes_max)
    }

    fn store(&self, role: &str, component: &str, turn: &str, bytes_max: u64) -> Arc<StateStore> {
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = format!("{OWNER_PREFIX}{role}/{component}");
        if let Some(store) = known.stores.get(&owner) {
            store.set_bytes_max(bytes_max);
            return Arc::clone(store);
        }
        let turn = Arc::clone(known.turns.entry(turn.to_owned()).or_default());
        let store =
            Arc::new(StateStore::new(owner.as_str().into(), turn, bytes_max, Arc::clone(&self.clock)));
        known.stores.insert(owner, Arc::clone(&store));
        store
    }
}

#[cfg(test)]
mod tests;
