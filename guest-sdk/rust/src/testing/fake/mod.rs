//! What the agent offers to plugins, for tests: a state, a clock that stands still, and somebody who answers
//! HTTP. It belongs to the thread that made it, so tests beside each other do not meet.

pub(crate) mod clock;
pub(crate) mod http;
pub(crate) mod state;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::http::{Error, Request, Response};
use crate::state::Error as StateError;
use state::Entries;

/// 2026-01-01T00:00:00Z, in nanoseconds: the time of a new host, and without one, so that tests repeat.
pub(crate) const START_NANOS: u64 = 1_767_225_600_000_000_000;

thread_local! {
    static HOST: RefCell<Option<Rc<RefCell<Offered>>>> = const { RefCell::new(None) };
}

/// Everything on offer.
#[derive(Default)]
struct Offered {
    entries: Entries,
    state_error: Option<StateError>,
    clock_nanos: u64,
    is_configuring: bool,
    answer: Option<Box<dyn FnMut(&Request) -> Result<Response, Error>>>,
    requests: Vec<Request>,
}

/// What the agent offers, as long as this value lives, to plugins on the same thread. Without one, the state
/// is unavailable, no request gets through, and the clock stands at 2026-01-01T00:00:00Z.
///
/// ```
/// use std::time::Duration;
/// use millrace_plugin::{clock, http, state, testing};
///
/// let host = testing::Host::new();
/// host.on_http(|request| match request.url.as_str() {
///     "https://a.example/" => Ok(http::Response::new(200).with_body("hello")),
///     _ => Err(http::Error::Denied),
/// });
/// assert_eq!(http::Request::get("https://a.example/").send()?.text(), "hello");
/// assert_eq!(http::Request::get("https://b.example/").send(), Err(http::Error::Denied));
/// assert_eq!(host.requests().len(), 2);
///
/// state::set_for("key", b"value", Duration::from_secs(60)).unwrap();
/// host.advance(Duration::from_secs(60));
/// assert_eq!(state::get("key").unwrap(), None);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Debug)]
pub struct Host {
    /// The one that this one stands in front of.
    outer: Option<Rc<RefCell<Offered>>>,
}

impl Host {
    /// Makes a host with an empty state, at 2026-01-01T00:00:00Z, that denies every request.
    #[allow(clippy::new_without_default, reason = "it has an effect until it is dropped")]
    pub fn new() -> Self {
        let offered = Offered { clock_nanos: START_NANOS, ..Offered::default() };
        Self { outer: HOST.with(|host| host.replace(Some(Rc::new(RefCell::new(offered))))) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        with(|offered| offered.clock_nanos = offered.clock_nanos.saturating_add(nanos));
    }

    /// Sets what answers requests from now on. It must not use the host itself.
    pub fn on_http(&self, answer: impl FnMut(&Request) -> Result<Response, Error> + 'static) {
        with(|offered| offered.answer = Some(Box::new(answer)));
    }

    /// Gives all requests made so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        with(|offered| offered.requests.clone()).unwrap_or_default()
    }

    /// Lets every use of the state fail like this, or none.
    pub fn fail_state(&self, error: Option<StateError>) {
        with(|offered| offered.state_error = error);
    }

    /// Gives the keys and values of the state that are there now, in order.
    pub fn state(&self) -> Vec<(String, Vec<u8>)> {
        with(|offered| offered.entries.all(offered.clock_nanos)).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        HOST.with(|host| host.replace(self.outer.take()));
    }
}

/// Uses what is on offer on this thread, if there is a host.
fn with<R>(read: impl FnOnce(&mut Offered) -> R) -> Option<R> {
    let offered = HOST.with(|host| host.borrow().clone())?;
    Some(read(&mut offered.borrow_mut()))
}

/// Runs `configure`, which must not touch the state or the network.
pub(crate) fn configuring<R>(configure: impl FnOnce() -> R) -> R {
    with(|offered| offered.is_configuring = true);
    let _after = Finally(|| {
        with(|offered| offered.is_configuring = false);
    });
    configure()
}

/// Runs a call of the agent: what it wrote to the state is taken back if it fails or panics.
pub(crate) fn calling<R, E>(call: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
    let before = with(|offered| offered.entries.clone());
    let is_success = std::cell::Cell::new(false);
    let _after = Finally(|| {
        if let Some(entries) = before.clone().filter(|_| !is_success.get()) {
            with(|offered| offered.entries = entries);
        }
    });
    let answer = call();
    is_success.set(answer.is_ok());
    answer
}

/// Does something at the end, also when there is a panic on the way.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Offered {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Offered").field("requests", &self.requests).finish_non_exhaustive()
    }
}
