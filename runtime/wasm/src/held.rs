//! Why a batch did not get through a plugin, and what the operator wants to become of it.

use std::time::Duration;

use millrace_core::Batch;

use crate::error::Fault;

/// What to do with events that break the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFault {
    /// The bad events go to the dead-letter channel; a plugin that breaks on everything holds the batch.
    DeadLetter,
    /// As above, even when every event is bad.
    DeadLetterAlways,
    /// The batch is held until the plugin is replaced.
    Hold,
}

/// Why a batch is held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Held {
    #[error("the plugin asks to try again later")]
    Retry,
    #[error("the plugin gave up twice: {0}")]
    Fatal(String),
    #[error("the plugin breaks on every event, last with {0}")]
    Systematic(Fault),
    #[error("the plugin broke: {0}")]
    Broke(Fault),
    #[error("{0}")]
    Start(String),
    #[error("the plugin is being stopped")]
    Stopped,
}

/// A call that concerns the whole batch and did not work out.
pub(crate) struct Later {
    pub(crate) held: Held,
    pub(crate) after: Option<Duration>,
}

impl Later {
    /// The component is being stopped.
    pub(crate) fn stopped() -> Self {
        Self { held: Held::Stopped, after: None }
    }
}

/// A batch that did not get through, as it was.
pub(crate) struct Unchanged {
    pub(crate) batch: Batch,
    pub(crate) problem: Problem,
}

impl Unchanged {
    pub(crate) fn new(batch: Batch, problem: Problem) -> Box<Self> {
        Box::new(Self { batch, problem })
    }
}

/// A call that broke, or one that did not work out.
pub(crate) enum Problem {
    Fault(Fault),
    Later(Later),
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::Later(later) => later.held.fmt(f),
        }
    }
}
