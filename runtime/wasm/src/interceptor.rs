//! A plugin as an interceptor: the same trait as a native one, so the engine cannot tell them apart.
//!
//! What a guest answers becomes one of three things: a changed batch, an error with the untouched batch (try again
//! later), or a fault. A fault costs the instance; the batch is tried once more on a fresh one and then searched
//! for the events that break the plugin (see `rescue`).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytestring::ByteString;
use millrace_core::{Batch, Clock, Destination, Interceptor, InterceptorError};

use crate::{
    bindings::Failure,
    edits::{self, REASON_BYTES_MAX, Rules},
    error::{Fault, FaultKind},
    host::escaped,
    instance::{StartError, Template, at_once},
    lanes::{Lane, Lanes, Recycling},
    off_worker::{self, Expected},
    origin::Origin,
    plugin_host::Prepared,
    rescue::{Next, Search},
};

/// Events in a row that may break the plugin alone before it counts as broken itself.
const BAD_IN_A_ROW_MAX: usize = 64;

/// Calls longer than this leave the worker thread first: what that costs is a tenth of it.
const LONG_CALL_NANOS: u64 = 100_000;

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
    #[error("the plugin does not start: {0}")]
    Start(String),
    #[error("the plugin is being stopped")]
    Stopped,
}

/// A call that concerns the whole batch and did not work out.
struct Later {
    held: Held,
    after: Option<Duration>,
}

/// A batch that did not get through, as it was.
struct Unchanged {
    batch: Batch,
    problem: Problem,
}

impl Unchanged {
    fn new(batch: Batch, problem: Problem) -> Box<Self> {
        Box::new(Self { batch, problem })
    }
}

/// A call that broke, or one that did not work out.
enum Problem {
    Fault(Fault),
    Later(Later),
}

/// An interceptor that runs in a guest.
pub(crate) struct WasmInterceptor {
    inner: Arc<Inner>,
}

struct Inner {
    template: Arc<Template>,
    lanes: Lanes,
    origin: Origin,
    channels: Vec<ByteString>,
    on_fault: OnFault,
    clock: Arc<dyn Clock>,
    /// Events that broke the plugin since a call last passed.
    bad_in_a_row: AtomicUsize,
    /// What calls usually take.
    usual_nanos: AtomicU64,
}

impl WasmInterceptor {
    pub(crate) fn new(prepared: Prepared, on_fault: OnFault, clock: Arc<dyn Clock>) -> Self {
        let Prepared { template, first, grants, origin, memory_bytes_max } = prepared;
        let inner = Inner {
            lanes: Lanes::new(Arc::clone(&template), first, Recycling::new(memory_bytes_max)),
            template,
            origin,
            channels: grants.channels,
            on_fault,
            clock,
            bad_in_a_row: 0.into(),
            usual_nanos: 0.into(),
        };
        Self { inner: Arc::new(inner) }
    }
}

#[async_trait]
impl Interceptor for WasmInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        if batch.is_empty() {
            return Ok(batch);
        }
        batch.note_formed_at(|| self.inner.clock.unix_nanos());
        let Some(permit) = self.inner.lanes.acquire().await else {
            return Err(self.inner.held(batch, Later { held: Held::Stopped, after: None }));
        };
        if self.inner.waits() {
            let result = self.inner.process(batch).await;
            drop(permit);
            return result;
        }
        off_worker::run(&self.inner, self.inner.expected(), move |inner| {
            let result = at_once(inner.process(batch));
            drop(permit);
            result
        })
        .await
    }

    async fn close(&self) {
        let instances = self.inner.lanes.close().await;
        let stop = async move {
            for instance in instances {
                instance.stop().await;
            }
        };
        if self.inner.waits() {
            return stop.await;
        }
        off_worker::run(&self.inner, Expected::Long, |_| at_once(stop)).await;
    }
}

impl Inner {
    fn held(&self, batch: Batch, later: Later) -> InterceptorError {
        InterceptorError {
            interceptor: self.origin.component.to_string(),
            after: later.after,
            batch: Box::new(batch),
            source: Box::new(later.held),
        }
    }

    /// What the next call will probably take, after what the last ones took.
    fn expected(&self) -> Expected {
        let usual = self.usual_nanos.load(Ordering::Relaxed);
        if usual > LONG_CALL_NANOS { Expected::Long } else { Expected::Short }
    }

    /// A moving average over about eight calls. Lost updates between lanes do not matter.
    fn took(&self, nanos: u64) {
        let usual = self.usual_nanos.load(Ordering::Relaxed);
        self.usual_nanos.store(usual - usual / 8 + nanos / 8, Ordering::Relaxed);
    }

    /// Whether calls may wait, see `LoadedPlugin::waits`; then nothing here blocks. Otherwise nothing here waits, and
    /// everything blocks for as long as the guest may run.
    fn waits(&self) -> bool {
        self.template.plugin.waits
    }

    /// Takes a batch through the plugin.
    async fn process(&self, batch: Batch) -> Result<Batch, InterceptorError> {
        let Some(mut lane) = self.lanes.take() else {
            return Err(self.held(batch, Later { held: Held::Stopped, after: None }));
        };
        self.process_on(&mut lane, batch).await
    }

    async fn process_on(&self, lane: &mut Lane, batch: Batch) -> Result<Batch, InterceptorError> {
        let mut result = self.attempt(lane, batch).await;
        if let Err(unchanged) = &result
            && let Problem::Fault(fault) = &unchanged.problem
        {
            let Origin { component, plugin, generation, .. } = &self.origin;
            let events = unchanged.batch.len();
            tracing::warn!(target: "plugin", %component, %plugin, %generation, events, %fault,
                "plugin broke, trying again on a fresh instance");
            if let Err(unchanged) = result {
                result = self.attempt(lane, unchanged.batch).await;
            }
        }
        let Unchanged { batch, problem } = match result {
            Ok(batch) => {
                self.passed();
                return Ok(batch);
            }
            Err(unchanged) => *unchanged,
        };
        match problem {
            Problem::Later(later) => Err(self.held(batch, later)),
            Problem::Fault(fault) if self.on_fault == OnFault::Hold => {
                Err(self.held(batch, Later { held: Held::Broke(fault), after: None }))
            }
            Problem::Fault(fault) => self.rescue(lane, batch, fault).await,
        }
    }

    fn passed(&self) {
        // Read first: a plain store would make all lanes fight for the cache line.
        if self.bad_in_a_row.load(Ordering::Relaxed) != 0 {
            self.bad_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// One call, and once more on a fresh instance where the guest says that this one is broken.
    async fn attempt(&self, lane: &mut Lane, batch: Batch) -> Result<Batch, Box<Unchanged>> {
        let mut batch = batch;
        let mut given_up = None;
        for _ in 0..2 {
            let (returned, answer) = match lane.instance(&self.template).await {
                Ok(instance) => {
                    let answer = instance.intercept(batch).await;
                    self.took(instance.last_call_nanos());
                    answer
                }
                Err(error) => return Err(Unchanged::new(batch, start_problem(error))),
            };
            batch = returned;
            let edits = match answer {
                Ok(Ok(edits)) => edits,
                Ok(Err(Failure::Fatal(reason))) => {
                    lane.discard();
                    given_up = Some(escaped(&reason, REASON_BYTES_MAX));
                    continue;
                }
                Ok(Err(Failure::Reject(reason))) => return Ok(self.reject(batch, &reason)),
                Ok(Err(Failure::Retry(pause))) => {
                    let after = pause.map(|ms| Duration::from_millis(ms.into()));
                    return Err(Unchanged::new(batch, Problem::Later(Later { held: Held::Retry, after })));
                }
                Err(fault) => return Err(Unchanged::new(batch, self.broke(lane, fault))),
            };
            if edits.is_empty() {
                self.template.metrics.events_out.inc_by(batch.len() as u64);
                return Ok(batch);
            }
            return match edits::check(edits, &Rules { batch: &batch, channels: &self.channels }) {
                Ok(changes) => {
                    let batch = edits::apply(batch, changes, |reason| self.origin.rejection(reason));
                    self.template.metrics.events_out.inc_by(batch.len() as u64);
                    Ok(batch)
                }
                Err(error) => {
                    let reason = error.to_string();
                    let fault = Fault { kind: FaultKind::Edits, reason, backtrace: String::new() };
                    Err(Unchanged::new(batch, self.broke(lane, fault)))
                }
            };
        }
        let held = Held::Fatal(given_up.unwrap_or_default());
        Err(Unchanged::new(batch, Problem::Later(Later { held, after: None })))
    }

    /// Counts a fault and throws the instance away.
    fn broke(&self, lane: &mut Lane, fault: Fault) -> Problem {
        lane.discard();
        self.template.metrics.fault(fault.kind).inc();
        Problem::Fault(fault)
    }

    async fn rescue(&self, lane: &mut Lane, batch: Batch, fault: Fault) -> Result<Batch, InterceptorError> {
        if !self.waits() {
            // Many calls, perhaps each with its whole deadline.
            off_worker::leave();
        }
        let guard = self.on_fault != OnFault::DeadLetterAlways;
        let mut search = Search::new(&batch, fault, guard);
        let given_up = loop {
            let part = match search.next() {
                Next::Try { part, .. } => part,
                Next::Done(rescued) => break Ok((rescued, search.has_passed())),
                Next::Systematic(fault) => break Err(Later { held: Held::Systematic(fault), after: None }),
            };
            match self.attempt(lane, part).await {
                Ok(part) => search.passed(part),
                Err(unchanged) => match unchanged.problem {
                    Problem::Fault(fault) => search.broke(fault),
                    Problem::Later(later) => break Err(later),
                },
            }
        };
        let (rescued, passed) = match given_up {
            Ok(rescued) => rescued,
            Err(later) => return Err(self.held(batch, later)),
        };
        if passed {
            self.passed();
        }
        let bad_in_a_row =
            self.bad_in_a_row.fetch_add(rescued.bad.len(), Ordering::Relaxed) + rescued.bad.len();
        if let (true, Some((_, fault))) =
            (guard && !passed && bad_in_a_row > BAD_IN_A_ROW_MAX, rescued.bad.last())
        {
            let held = Held::Systematic(fault.clone());
            return Err(self.held(batch, Later { held, after: None }));
        }
        let bad: Vec<_> = rescued
            .bad
            .into_iter()
            .filter_map(|(row, fault)| Some((batch.events().get(row)?.clone(), fault)))
            .collect();
        let mut batch = batch.map_events(|_| rescued.events);
        for diverted in rescued.diverted {
            batch.divert(diverted.event, diverted.destination);
        }
        for (event, fault) in bad {
            tracing::warn!(target: "plugin", component = %self.origin.component, plugin = %self.origin.plugin,
                generation = %self.origin.generation, digest = %self.origin.digest, %fault, "an event breaks the plugin, dead letter");
            self.template.metrics.dead_letters.inc();
            batch.divert(event, Destination::DeadLetter(self.origin.dead_letter(&fault)));
        }
        Ok(batch)
    }

    /// The guest refuses the batch as a whole.
    fn reject(&self, batch: Batch, reason: &str) -> Batch {
        let rejection = self.origin.rejection(escaped(reason, REASON_BYTES_MAX).into());
        let events = batch.events().to_vec();
        let mut batch = batch.map_events(|_| Vec::new());
        for event in events {
            batch.divert(event, Destination::DeadLetter(rejection.clone()));
        }
        batch
    }
}

/// A fresh instance that does not start is no fault of any event: `configure` worked before.
fn start_problem(error: StartError) -> Problem {
    let held = match error {
        StartError::Fault(fault) => Held::Start(fault.to_string()),
        StartError::Issues(issues) => {
            let reasons = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.reason));
            Held::Start(escaped(&reasons.collect::<Vec<_>>().join("; "), REASON_BYTES_MAX))
        }
    };
    Problem::Later(Later { held, after: None })
}
