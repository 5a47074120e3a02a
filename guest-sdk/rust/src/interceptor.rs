//! The trait of a plugin that stands between a source and its channels.

use crate::bindings::lifecycle::exports::millrace::plugin::lifecycle;
use crate::{Batch, Edits, Failure, Issue};

/// Looks at events between a source and its channels. See the [crate](crate) for an example.
pub trait Interceptor: Sized {
    /// The options, as they stand in the configuration: derive [`serde::Deserialize`], with
    /// `rename_all = "kebab-case"` and `deny_unknown_fields`. [`NoConfig`](crate::NoConfig) has none.
    type Config: serde::de::DeserializeOwned;

    /// Checks the options and makes the instance. Called once, before anything else, and also by
    /// `millrace check`. All mistakes should be reported at once.
    fn configure(config: Self::Config, instance: &Instance) -> Result<Self, Vec<Issue>>;

    /// Looks at one batch and notes in `edits` what should change. What was noted counts only if the
    /// answer is `Ok`. It must be safe to repeat: after a fault the same events come again.
    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure>;

    /// Called last, if the agent has the time. Nothing may depend on it.
    fn stop(&mut self, _deadline_ms: u32) {}
}

/// Who this instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The name of the agent.
    pub agent: String,
    /// The name that the component has in the configuration.
    pub component: String,
    /// Which one of `lanes` instances that share the work; starts at 0.
    pub lane: u32,
    /// How many instances share the work.
    pub lanes: u32,
    /// Which configuration this is: goes up with every reload that changes the component.
    pub generation: u64,
}

impl From<lifecycle::Instance> for Instance {
    fn from(instance: lifecycle::Instance) -> Self {
        Self {
            agent: instance.agent,
            component: instance.component,
            lane: instance.lane,
            lanes: instance.lanes,
            generation: instance.generation,
        }
    }
}
