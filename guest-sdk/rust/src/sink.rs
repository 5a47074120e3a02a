//! The trait of a plugin that takes events out, and how far it got with a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::bindings::sink::exports::millrace::plugin::sink as raw;
use crate::{Batch, Failure, Instance, Issue};

/// Takes events out.
///
/// ```
/// use millrace_plugin::{Batch, Delivery, Failure, Instance, Issue, NoConfig, Outcome, Sink, http};
///
/// struct Post;
///
/// impl Sink for Post {
///     type Config = NoConfig;
///
///     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> {
///         Ok(Self)
///     }
///
///     fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure> {
///         let lines: Vec<_> = batch.bodies().iter().collect();
///         http::Request::post("https://logs.example.com/", lines.join(&b'\n'))
///             .header("idempotency-key", delivery.id.as_str())
///             .send()?
///             .success()?;
///         Ok(Outcome::delivered())
///     }
/// }
///
/// millrace_plugin::export!(Post as sink);
/// # use millrace_plugin::testing::{self, Event};
/// # let host = testing::Host::new();
/// # host.on_http(|_| Ok(http::Response::new(200)));
/// # let mut sink = testing::configure_sink::<Post>("{}").unwrap();
/// # testing::deliver(&mut sink, "batch-1", vec![Event::new("a"), Event::new("b")]).unwrap();
/// # assert_eq!(host.requests()[0].body, b"a\nb");
/// ```
pub trait Sink: Sized {
    /// The options, as for an [`Interceptor`](crate::Interceptor).
    type Config: serde::de::DeserializeOwned;

    /// Checks the options and makes the instance. Called once, before anything else, and also by
    /// `millrace check`, so it connects to nothing. All mistakes should be reported at once.
    fn configure(config: Self::Config, instance: &Instance) -> Result<Self, Vec<Issue>>;

    /// Delivers a batch and says how far it went. When it returns, the destination has what it says:
    /// the channel forgets it now, so nothing may be held back.
    fn deliver(&mut self, batch: &Batch, delivery: &Delivery) -> Result<Outcome, Failure>;

    /// Called last, if the agent has the time, in milliseconds. Nothing may depend on it.
    fn stop(&mut self, _deadline_ms: u32) {}
}

/// For sinks whose destination has a two-phase commit, so that each event reaches its readers exactly once.
/// Exported by `export!(MySink as sink + two_phase)`.
///
/// `deliver` stages, `prepare` makes the staged events survive a crash, the agent notes the token durably, commits its
/// take, and `commit` shows them to readers. With the note the delivery is decided: it is committed, whatever
/// happens, and not delivered again. Without it, it is taken back and delivered again. `commit`, `abort` and `recover`
/// may come to another instance than the one that prepared, so what they need is in the token or at the destination.
///
/// ```
/// use millrace_plugin::{Failure, TwoPhase, http};
/// # use millrace_plugin::{Batch, Delivery, Instance, Issue, NoConfig, Outcome, Sink};
///
/// struct Ledger;
/// # impl Sink for Ledger {
/// #     type Config = NoConfig;
/// #     fn configure(_: NoConfig, _: &Instance) -> Result<Self, Vec<Issue>> { Ok(Self) }
/// #     fn deliver(&mut self, _: &Batch, _: &Delivery) -> Result<Outcome, Failure> { Ok(Outcome::delivered()) }
/// # }
///
/// fn ask(what: &str, id: &str) -> Result<(), Failure> {
///     http::Request::post(format!("https://ledger.example.com/{what}/{id}"), "").send()?.success()?;
///     Ok(())
/// }
///
/// impl TwoPhase for Ledger {
///     fn prepare(&mut self, delivery: &str) -> Result<Vec<u8>, Failure> {
///         ask("prepare", delivery)?;
///         Ok(delivery.into())
///     }
///
///     fn commit(&mut self, token: &[u8]) -> Result<(), Failure> {
///         ask("commit", &String::from_utf8_lossy(token))
///     }
///
///     fn abort(&mut self, token: &[u8]) -> Result<(), Failure> {
///         ask("abort", &String::from_utf8_lossy(token))
///     }
///
///     fn recover(&mut self, tokens: Vec<Vec<u8>>) -> Result<(), Failure> {
///         for token in &tokens {
///             self.commit(token)?;
///         }
///         ask("abort-others", "lane-0")
///     }
/// }
///
/// millrace_plugin::export!(Ledger as sink + two_phase);
/// ```
pub trait TwoPhase {
    /// Makes what the delivery of this id staged survive a crash, and names it by a token of 4096 bytes at most.
    fn prepare(&mut self, delivery: &str) -> Result<Vec<u8>, Failure>;
    /// Shows it to readers. Must be safe to repeat. After any failure it is called again, before the next `deliver`.
    fn commit(&mut self, token: &[u8]) -> Result<(), Failure>;
    /// Takes it back. Must be safe to repeat.
    fn abort(&mut self, token: &[u8]) -> Result<(), Failure>;
    /// Commits these, and aborts every other open transaction of this component and lane; on lane 0 also those of lanes
    /// that are no more ([`Instance::lanes`] and above). Called at the start, before the first `deliver`, and again before
    /// the `deliver` that follows a failure or a trap. Must be safe to repeat.
    fn recover(&mut self, tokens: Vec<Vec<u8>>) -> Result<(), Failure>;
}

/// Which batch this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Unique across agents and restarts. The same id always is the same events in the same order, so it
    /// serves as an idempotency key.
    pub id: String,
    /// 1, then one more each time that the same id is tried again.
    pub attempt: u32,
}

/// How far a delivery went: all of it but for the rows that were refused.
///
/// ```
/// # use millrace_plugin::Outcome;
/// let mut outcome = Outcome::delivered();
/// outcome.reject(3, "no timestamp");
/// outcome.retry(4, None);
/// assert_eq!(outcome.refused().count(), 2);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    refused: BTreeMap<u32, Failure>,
}

impl Outcome {
    /// Says that the destination has all of it.
    pub fn delivered() -> Self {
        Self::default()
    }

    /// Says that the destination did not take this row, and never will: it goes to the dead-letter channel
    /// with this reason.
    pub fn reject(&mut self, row: u32, reason: impl Into<String>) {
        self.refused.insert(row, Failure::Reject(reason.into()));
    }

    /// Says that the destination did not take this row now: it comes again under another id, not before
    /// this pause; none leaves the pause to the agent.
    pub fn retry(&mut self, row: u32, pause: Option<Duration>) {
        self.refused.insert(row, Failure::Retry(pause));
    }

    /// Walks through the rows that were not taken, ascending.
    pub fn refused(&self) -> impl ExactSizeIterator<Item = (u32, &Failure)> {
        self.refused.iter().map(|(row, failure)| (*row, failure))
    }
}

impl From<raw::Delivery> for Delivery {
    fn from(delivery: raw::Delivery) -> Self {
        Self { id: delivery.id, attempt: delivery.attempt }
    }
}

impl From<Outcome> for raw::Outcome {
    fn from(outcome: Outcome) -> Self {
        if outcome.refused.is_empty() {
            return Self::Delivered;
        }
        let refusal = |(row, failure): (u32, Failure)| raw::Refusal { row, failure: failure.into() };
        Self::Partial(outcome.refused.into_iter().map(refusal).collect())
    }
}
