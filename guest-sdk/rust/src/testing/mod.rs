//! Runs a plugin without an agent: batches from events, edits applied as the agent applies them, and a
//! [`Host`] in the place of its state, its clock and its HTTP.
//!
//! | role | made by | called by |
//! |---|---|---|
//! | [`Interceptor`] | [`configure`] | [`run`] |
//! | [`Source`](crate::Source) | [`configure_source`] | [`poll`], [`read`] |
//! | [`Sink`](crate::Sink) | [`configure_sink`] | [`deliver`], [`deliver_again`] |
//! | [`Codec`](crate::Codec) | [`configure_codec`] | [`decode`], [`decode_stream`], [`encode`] |
//! | [`Handover`](crate::Handover) | | [`hand_over`] |
//!
//! A call that fails leaves the state as it was, as with the agent.
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
pub(crate) mod fake;
mod held;
mod roles;

pub use apply::{Outcome, apply};
pub use fake::Host;
pub(crate) use held::HeldEvents;
pub use roles::{
    Read, configure_codec, configure_sink, configure_source, decode, decode_stream, deliver, deliver_again,
    encode, hand_over, poll, read,
};

use serde::de::DeserializeOwned;

pub use crate::Event;
use crate::{Batch, Edits, Failure, Instance, Interceptor, Issue, config};

/// Makes a batch of these events, formed at the time of the [`Host`], which stands still. Other than a batch
/// of the agent it may be empty.
pub fn batch(events: Vec<Event>) -> Batch {
    Batch::held(HeldEvents::new(events))
}

/// Makes an interceptor from options in JSON.
pub fn configure<T: Interceptor>(json: &str) -> Result<T, Vec<Issue>> {
    configure_with(json, T::configure)
}

/// Passes events through an interceptor and applies what it answers. Edits that break a rule of the
/// interface are [`Failure::Fatal`], with the rule.
pub fn run<T: Interceptor>(plugin: &mut T, events: Vec<Event>) -> Result<Outcome, Failure> {
    let batch = batch(events);
    fake::calling(|| {
        let mut edits = Edits::default();
        plugin.intercept(&batch, &mut edits)?;
        apply(&batch, edits).map_err(Failure::Fatal)
    })
}

fn configure_with<C: DeserializeOwned, T>(
    json: &str,
    configure: fn(C, &Instance) -> Result<T, Vec<Issue>>,
) -> Result<T, Vec<Issue>> {
    let instance =
        Instance { agent: "test".into(), component: "test".into(), lane: 0, lanes: 1, generation: 1 };
    config::parse(json).and_then(|config| fake::configuring(|| configure(config, &instance)))
}
