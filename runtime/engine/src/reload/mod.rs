//! Reload: the difference of two plans, and its application to what runs.
//!
//! Everything new is parsed, checked, compiled, built, opened and bound, and new versions of plugins have taken over what
//! the old ones keep, before anything old stops. From then on nothing can fail: sources get their new pipelines between two batches, then sinks change hands, then channels
//! that nobody uses any more are closed.

mod apply;
mod build;
mod diff;
mod succession;
mod switch;

pub(crate) use apply::{Applied, apply};

use millrace_config::{Diagnostics, Files};

/// What a reload did to one component.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Change {
    /// Its kind: `channel`, `source`, `interceptor`, `selector`, `sink` or `sink-group`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What was done.
    pub action: Action,
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verb = match self.action {
            Action::Add => "added",
            Action::Swap => "swapped",
            Action::Reconfigure => "reconfigured",
            Action::Remove => "removed",
        };
        write!(formatter, "{} `{}` {verb}", self.kind, self.name)
    }
}

/// What is done to a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It did not exist before.
    Add,
    /// A new instance took over.
    Swap,
    /// It goes on with changed options.
    Reconfigure,
    /// It is gone.
    Remove,
}

/// How a reload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new plan runs.
    Applied,
    /// Nothing differs.
    Unchanged,
    /// The old plan runs on.
    Refused,
}

/// The answer to a reload.
#[derive(Debug, Clone)]
pub struct ReloadReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The generation that runs now.
    pub generation: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What there is to know about new versions of plugins: where they differ, and which are on trial.
    pub notes: Vec<String>,
    /// Why it was refused, and warnings.
    pub findings: Diagnostics,
    /// The texts the findings point into.
    pub files: Files,
    /// How long it took, in milliseconds.
    pub took_millis: u64,
}
