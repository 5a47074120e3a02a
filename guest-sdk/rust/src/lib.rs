//! Plugins for Millrace, the durable log agent, in Rust.
//!
//! A plugin is a struct that implements the trait of its role, named once in [`export!`]. An
//! [`Interceptor`] looks at events on their way into the channels, a [`Source`] brings them in, a [`Sink`]
//! takes them out, a [`Codec`] turns frames into events and back. The agent lends a plugin batches of
//! events; it reads the columns it needs and says what should become of them.
//!
//! ```
//! use millrace_plugin::{Batch, Edits, Failure, Finder, Instance, Interceptor, Issue};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "kebab-case", deny_unknown_fields)]
//! struct Config {
//!     contains: String,
//! }
//!
//! struct DropRule {
//!     needle: Finder,
//! }
//!
//! impl Interceptor for DropRule {
//!     type Config = Config;
//!
//!     fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
//!         if config.contains.is_empty() {
//!             return Err(vec![Issue::new("/contains", "must not be empty")]);
//!         }
//!         Ok(Self { needle: Finder::new(config.contains) })
//!     }
//!
//!     fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
//!         edits.drop_rows(self.needle.rows(batch.bodies()));
//!         Ok(())
//!     }
//! }
//!
//! millrace_plugin::export!(DropRule);
//! # use millrace_plugin::testing::{self, Event};
//! # let mut rule = testing::configure::<DropRule>(r#"{"contains":"debug"}"#).unwrap();
//! # let outcome = testing::run(&mut rule, vec![Event::new("a debug line"), Event::new("kept")]).unwrap();
//! # assert_eq!(outcome.kept, vec![Event::new("kept")]);
//! ```
//!
//! - Reading: [`Batch`], [`Packed`], [`HeaderColumn`], [`Headers`]. What is not read is not copied.
//! - Changing: [`Edits`], [`Events`]. Untouched events pass as they are.
//! - Remembering: [`state`], and [`Handover`] for what is in memory.
//! - Reaching out: [`http`], [`clock`]. The operator grants what a plugin may reach.
//! - Talking: [`log`], [`metrics`].
//! - Testing on the machine you write on: [`testing`].
//!
//! # When a plugin panics
//!
//! The panic is logged with its place, the call ends as a trap, the agent throws the instance away and
//! tries the batch on a fresh one, in halves until the one event that causes it is alone. That event
//! goes to the dead-letter channel. Nothing else is lost.

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

mod batch;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
mod codec;
mod config;
mod edits;
mod event;
mod events;
mod failure;
mod find;
mod guest;
mod handover;
mod header_column;
mod headers;
pub mod http;
mod interceptor;
pub mod log;
pub mod metrics;
mod packed;
mod sink;
mod source;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use batch::Batch;
pub use codec::{Codec, Cut};
pub use config::{Issue, NoConfig, one_or_many};
pub use edits::Edits;
pub use event::Event;
pub use events::{EventEntry, Events};
pub use failure::Failure;
pub use find::Finder;
#[doc(hidden)]
pub use guest::Slot;
pub use handover::{Handover, Snapshot};
pub use header_column::HeaderColumn;
pub use headers::Headers;
pub use interceptor::{Instance, Interceptor};
pub use packed::Packed;
pub use sink::{Delivery, Outcome, Sink, TwoPhase};
pub use source::{Limits, Pace, Polled, Source};
