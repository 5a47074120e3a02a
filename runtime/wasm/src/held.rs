//! Calls that did not work out, and why a batch is held because of one.

use std::time::Duration;

use millrace_core::Batch;

use crate::{error::Fault, instance::StartError};

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

/// A fresh instance that does not start is no fault of any event: `configure` worked before.
pub(crate) fn start_problem(error: &StartError) -> Problem {
    Problem::Later(Later { held: Held::Start(error.to_string()), after: None })
}
