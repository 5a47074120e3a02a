//! A sink that does what a test says and remembers what it was asked.

use std::sync::Arc;

use async_trait::async_trait;
use millrace_config::OptionSpec;
use millrace_core::{Batch, Event, Member, Sink, SinkError, SinkProcessorFactory};
use parking_lot::Mutex;

#[derive(Default)]
struct State {
    delivered: Vec<String>,
    attempts: usize,
    fails: bool,
    rejects_next: bool,
    idles: usize,
    closed: bool,
}

/// The test's end of a member.
#[derive(Clone)]
pub(super) struct Script {
    name: &'static str,
    state: Arc<Mutex<State>>,
}

impl Script {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, state: Arc::default() }
    }

    pub(super) fn member(&self, priority: i64, weight: u32) -> Member {
        Member { name: self.name.into(), priority, weight, sink: Box::new(self.clone()) }
    }

    /// A member that is a group.
    pub(super) fn around(&self, sink: Box<dyn Sink>, priority: i64) -> Member {
        Member { name: self.name.into(), priority, weight: 1, sink }
    }

    pub(super) fn fail(&self, fails: bool) {
        self.state.lock().fails = fails;
    }

    pub(super) fn reject_next(&self) {
        self.state.lock().rejects_next = true;
    }

    /// The bodies in order, with a space between.
    pub(super) fn delivered(&self) -> String {
        self.state.lock().delivered.join(" ")
    }

    pub(super) fn delivered_count(&self) -> usize {
        self.state.lock().delivered.len()
    }

    pub(super) fn attempts(&self) -> usize {
        self.state.lock().attempts
    }

    pub(super) fn idles(&self) -> usize {
        self.state.lock().idles
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }
}

#[async_trait]
impl Sink for Script {
    async fn deliver(&mut self, batch: &Batch) -> Result<(), SinkError> {
        let mut state = self.state.lock();
        state.attempts += 1;
        if std::mem::take(&mut state.rejects_next) {
            return Err(SinkError::rejected("bad batch"));
        }
        if state.fails {
            return Err(SinkError::retryable(format!("{} is down", self.name)));
        }
        state.delivered.extend(batch.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()));
        Ok(())
    }

    async fn idle(&mut self) -> Result<(), SinkError> {
        let mut state = self.state.lock();
        state.idles += 1;
        if state.fails { Err(SinkError::retryable("idle failed")) } else { Ok(()) }
    }

    async fn close(self: Box<Self>) -> Result<(), SinkError> {
        let mut state = self.state.lock();
        state.closed = true;
        if state.fails { Err(SinkError::retryable("close failed")) } else { Ok(()) }
    }
}

/// A batch of one event.
pub(super) fn batch(body: &str) -> Batch {
    Batch::new(vec![Event::new(body.to_owned())])
}

/// A group from KDL.
pub(super) fn build(
    factory: &SinkProcessorFactory,
    options: &[OptionSpec],
    kdl: &str,
    members: Vec<Member>,
) -> Box<dyn Sink> {
    let folder = tempfile::tempdir().unwrap();
    let context =
        millrace_testkit::build_context(folder.path(), Arc::new(millrace_testkit::TestClock::at(0)));
    (factory.build)(&millrace_testkit::section(options, kdl), members, &context).unwrap()
}
