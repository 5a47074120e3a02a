//! How a component is doing, for the status page: its state and the last thing that went wrong.

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;

/// What a component is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthState {
    /// Not running yet.
    Starting,
    /// Working, or waiting for work.
    Running,
    /// A source has read, and its channels hold, everything that is there now; what comes later it reads as well.
    Idle,
    /// Something failed; it is tried again after a pause.
    Retrying,
    /// It has ended and will not come back.
    Stopped,
}

#[derive(Debug, Clone)]
struct Snapshot {
    state: HealthState,
    last_error: Option<(SystemTime, Arc<str>)>,
}

/// A handle to the state of one component; clones share it.
#[derive(Debug, Clone)]
pub struct Health {
    snapshot: Arc<ArcSwap<Snapshot>>,
}

impl Default for Health {
    fn default() -> Self {
        let snapshot = Snapshot { state: HealthState::Starting, last_error: None };
        Self { snapshot: Arc::new(ArcSwap::from_pointee(snapshot)) }
    }
}

impl Health {
    /// The state now.
    pub fn state(&self) -> HealthState {
        self.snapshot.load().state
    }

    /// When the last error was, and what it said. It stays after recovery.
    pub fn last_error(&self) -> Option<(SystemTime, Arc<str>)> {
        self.snapshot.load().last_error.clone()
    }

    /// Changes the state. Cheap when it is the same.
    pub fn set(&self, state: HealthState) {
        if self.state() != state {
            self.snapshot.rcu(|old| Snapshot { state, last_error: old.last_error.clone() });
        }
    }

    /// Records an error; the state becomes `Retrying`.
    pub fn failed(&self, when: SystemTime, error: &dyn std::fmt::Display) {
        let text: Arc<str> = error.to_string().into();
        self.snapshot
            .store(Arc::new(Snapshot { state: HealthState::Retrying, last_error: Some((when, text)) }));
    }
}
