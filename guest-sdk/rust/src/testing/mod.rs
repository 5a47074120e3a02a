//! Runs a plugin without an agent: batches from events, and edits applied as the agent applies them.
//!
//! ```
//! use millrace_plugin::{testing, Batch, Edits, Event, Failure, Instance, Interceptor, Issue, NoConfig};
//!
//! struct DropEmpty;
//!
//! impl Interceptor for DropEmpty {
//!     type Config = NoConfig;
//!     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
//!         Ok(Self)
//!     }
//!     fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
//!         for (row, body) in batch.bodies().rows() {
//!             if body.is_empty() {
//!                 edits.drop(row);
//!             }
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut plugin = testing::configure::<DropEmpty>("{}").unwrap();
//! let outcome = testing::run(&mut plugin, vec![Event::new(""), Event::new("kept")]).unwrap();
//! assert_eq!(outcome.kept, [Event::new("kept")]);
//! assert_eq!(outcome.dropped, [Event::new("")]);
//! ```

mod apply;
mod held;

pub use apply::{Outcome, apply};
pub(crate) use held::HeldEvents;

pub use crate::Event;
use crate::{Batch, Edits, Failure, Instance, Interceptor, Issue, config};

/// Makes a batch of these events. Other than a batch of the agent it may be empty.
pub fn batch(events: Vec<Event>) -> Batch {
    Batch::held(HeldEvents::new(events))
}

/// Makes an instance from options in JSON.
pub fn configure<T: Interceptor>(json: &str) -> Result<T, Vec<Issue>> {
    let instance =
        Instance { agent: "test".into(), component: "test".into(), lane: 0, lanes: 1, generation: 1 };
    config::parse(json).and_then(|config| T::configure(config, &instance))
}

/// Passes events through a plugin and applies what it answers. Edits that break a rule of the interface
/// are [`Failure::Fatal`], with the rule.
pub fn run<T: Interceptor>(plugin: &mut T, events: Vec<Event>) -> Result<Outcome, Failure> {
    let batch = batch(events);
    let mut edits = Edits::default();
    plugin.intercept(&batch, &mut edits)?;
    apply(&batch, edits).map_err(Failure::Fatal)
}
