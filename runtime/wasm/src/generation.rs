//! One version of an interceptor: its instances, and what a call on them comes to.
//!
//! What a guest answers becomes one of three things: a changed batch, an error with the untouched batch (try again
//! later), or a fault. A fault costs the instance; the batch is tried once more on a fresh one and then searched
//! for the events that break the plugin (see `rescue`). What a call wrote to its state counts only where the call passed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use millrace_core::{Batch, Destination, InterceptorError, Rejection, StateTransaction};

use crate::{
    bindings::{Failure, Snapshot},
    edits::{self, Change, REASON_BYTES_MAX, Row, Rules},
    error::{Fault, FaultKind},
    held::{Held, Later, Problem, Unchanged, start_problem},
    host::escaped,
    instance::{Template, at_once},
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

/// The state that a call works on; None: the plugin has none.
pub(crate) type State = Option<StateTransaction>;

/// One version of a component, with its instances.
pub(crate) struct Generation {
    pub(crate) template: Arc<Template>,
    pub(crate) lanes: Lanes,
    pub(crate) origin: Origin,
    channels: Vec<ByteString>,
    on_fault: OnFault,
    /// Events that broke the plugin since a call last passed.
    bad_in_a_row: AtomicUsize,
    /// What calls usually take.
    usual_nanos: AtomicU64,
}

impl Generation {
    pub(crate) fn new(prepared: Prepared, on_fault: OnFault) -> Self {
        let Prepared { template, first, grants, origin, memory_bytes_max } = prepared;
        Self {
            lanes: Lanes::new(Arc::clone(&template), first, Recycling::new(memory_bytes_max)),
            template,
            origin,
            channels: grants.channel_names(),
            on_fault,
            bad_in_a_row: 0.into(),
            usual_nanos: 0.into(),
        }
    }

    /// The number of the configuration that it belongs to.
    pub(crate) fn number(&self) -> u64 {
        self.template.generation
    }

    /// Whether it can hand over what its instance keeps in memory.
    pub(crate) fn hands_over(&self) -> bool {
        self.template.plugin.exports.handover.is_some()
    }

    /// What its instance keeps in memory, asked for between two batches. None: it has not been called yet. Whoever calls
    /// holds the permits of all lanes, of which there is one.
    pub(crate) async fn save(&self) -> Option<Result<Snapshot, String>> {
        let mut lane = self.lanes.take()?;
        lane.save().await
    }

    /// Gives what another version kept to its instance, or to a fresh one that takes its place.
    pub(crate) async fn take_in(&self, snapshot: Snapshot, fresh: bool) -> Result<(), String> {
        let Some(mut lane) = self.lanes.take() else { return Err(Held::Stopped.to_string()) };
        lane.take_in(&self.template, snapshot, fresh).await
    }

    /// Sets the gauges of its state.
    pub(crate) fn note_state(&self) {
        if let Some(store) = &self.template.state {
            let (bytes, keys) = store.size();
            self.template.metrics.state_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            self.template.metrics.state_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        }
    }

    /// Ends its instances, once the calls under way have ended.
    pub(crate) async fn close(self: Arc<Self>) {
        let instances = self.lanes.close().await;
        let stop = async move {
            for instance in instances {
                instance.stop().await;
            }
        };
        if self.waits() {
            return stop.await;
        }
        off_worker::run(&self, Expected::Long, |_| at_once(stop)).await;
    }

    /// Runs `work`, which blocks as long as guests run unless they may wait, where it does not hold up other tasks.
    pub(crate) async fn run<R, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F + Send + 'static) -> R
    where
        F: Future<Output = R> + Send,
        R: Send + 'static,
    {
        if self.waits() {
            return work(Arc::clone(self)).await;
        }
        let own = Arc::clone(self);
        off_worker::run(self, self.expected(), move |_| at_once(work(own))).await
    }

    pub(crate) fn held(&self, batch: Batch, later: Later) -> InterceptorError {
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
    pub(crate) fn waits(&self) -> bool {
        self.template.plugin.waits
    }

    /// Takes a batch through the plugin. Whoever calls holds a permit.
    pub(crate) async fn process(&self, batch: Batch, state: &mut State) -> Result<Batch, InterceptorError> {
        let Some(mut lane) = self.lanes.take() else {
            return Err(self.held(batch, Later::stopped()));
        };
        self.process_on(&mut lane, batch, state).await
    }

    /// One call on a lane, without a second attempt: `Err` says what went wrong and brings the batch back as it was.
    pub(crate) async fn once(&self, batch: Batch, state: &mut State) -> Result<Batch, (Batch, String)> {
        let Some(mut lane) = self.lanes.take() else { return Err((batch, Held::Stopped.to_string())) };
        match self.attempt(&mut lane, batch, state).await {
            Ok(batch) => {
                keep_call(state);
                Ok(batch)
            }
            Err(unchanged) => {
                forget_call(state);
                Err((unchanged.batch, unchanged.problem.to_string()))
            }
        }
    }

    /// As [`Generation::once`], row by row.
    pub(crate) async fn once_by_rows(&self, batch: Batch, state: &mut State) -> Result<Vec<Row>, String> {
        let Some(mut lane) = self.lanes.take() else { return Err(Held::Stopped.to_string()) };
        self.rows_on(&mut lane, batch, state).await
    }

    /// The same on a lane of the caller's.
    pub(crate) async fn rows_on(
        &self,
        lane: &mut Lane,
        batch: Batch,
        state: &mut State,
    ) -> Result<Vec<Row>, String> {
        let result = match self.answer(lane, batch, state).await {
            Ok(Answered { batch, reply }) => Ok(match reply {
                Reply::Changes(changes) => {
                    edits::rows(batch, changes, |reason| self.origin.rejection(reason))
                }
                Reply::Reject(reason) => rejected_rows(batch, &self.origin.rejection(reason)),
            }),
            Err(unchanged) => Err(unchanged.problem.to_string()),
        };
        if result.is_ok() {
            keep_call(state)
        } else {
            forget_call(state)
        }
        result
    }

    async fn process_on(
        &self,
        lane: &mut Lane,
        batch: Batch,
        state: &mut State,
    ) -> Result<Batch, InterceptorError> {
        let mut result = self.attempt(lane, batch, state).await;
        if let Err(unchanged) = &result
            && let Problem::Fault(fault) = &unchanged.problem
        {
            let Origin { component, plugin, generation, .. } = &self.origin;
            let events = unchanged.batch.len();
            tracing::warn!(target: "plugin", %component, %plugin, %generation, events, %fault,
                "plugin broke, trying again on a fresh instance");
            if let Err(unchanged) = result {
                forget_call(state);
                result = self.attempt(lane, unchanged.batch, state).await;
            }
        }
        let Unchanged { batch, problem } = match result {
            Ok(batch) => {
                keep_call(state);
                self.passed();
                return Ok(batch);
            }
            Err(unchanged) => *unchanged,
        };
        forget_call(state);
        match problem {
            Problem::Later(later) => Err(self.held(batch, later)),
            Problem::Fault(fault) if self.on_fault == OnFault::Hold => {
                Err(self.held(batch, Later { held: Held::Broke(fault), after: None }))
            }
            Problem::Fault(fault) => self.rescue(lane, batch, fault, state).await,
        }
    }

    fn passed(&self) {
        // Read first: a plain store would make all lanes fight for the cache line.
        if self.bad_in_a_row.load(Ordering::Relaxed) != 0 {
            self.bad_in_a_row.store(0, Ordering::Relaxed);
        }
    }

    /// One call, and once more on a fresh instance where the guest says that this one is broken. What it wrote to its
    /// state is still to be kept, or forgotten.
    async fn attempt(
        &self,
        lane: &mut Lane,
        batch: Batch,
        state: &mut State,
    ) -> Result<Batch, Box<Unchanged>> {
        let Answered { batch, reply } = self.answer(lane, batch, state).await?;
        Ok(match reply {
            Reply::Reject(reason) => reject(batch, &self.origin.rejection(reason)),
            Reply::Changes(changes) if changes.is_empty() => self.came_out(batch),
            Reply::Changes(changes) => {
                self.came_out(edits::apply(batch, changes, |reason| self.origin.rejection(reason)))
            }
        })
    }

    fn came_out(&self, batch: Batch) -> Batch {
        self.template.metrics.events_out.inc_by(batch.len() as u64);
        batch
    }

    /// The guest's answer, checked, with the batch as it was.
    async fn answer(
        &self,
        lane: &mut Lane,
        mut batch: Batch,
        state: &mut State,
    ) -> Result<Answered, Box<Unchanged>> {
        let mut given_up = None;
        for _ in 0..2 {
            let (returned, answer) = match lane.instance(&self.template).await {
                Ok(instance) => {
                    let answer = instance.intercept(batch, state).await;
                    self.took(instance.last_call_nanos());
                    answer
                }
                Err(error) => return Err(Unchanged::new(batch, start_problem(&error))),
            };
            batch = returned;
            let edits = match answer {
                Ok(Ok(edits)) => edits,
                Ok(Err(Failure::Fatal(reason))) => {
                    lane.discard();
                    forget_call(state);
                    given_up = Some(escaped(&reason, REASON_BYTES_MAX));
                    continue;
                }
                Ok(Err(Failure::Reject(reason))) => {
                    let reason = escaped(&reason, REASON_BYTES_MAX).into();
                    return Ok(Answered { batch, reply: Reply::Reject(reason) });
                }
                Ok(Err(Failure::Retry(pause))) => {
                    let after = pause.map(|ms| Duration::from_millis(ms.into()));
                    return Err(Unchanged::new(batch, Problem::Later(Later { held: Held::Retry, after })));
                }
                Err(fault) => return Err(Unchanged::new(batch, self.broke(lane, fault))),
            };
            return match edits::check(edits, &Rules { batch: &batch, channels: &self.channels }) {
                Ok(changes) => Ok(Answered { batch, reply: Reply::Changes(changes) }),
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

    async fn rescue(
        &self,
        lane: &mut Lane,
        batch: Batch,
        fault: Fault,
        state: &mut State,
    ) -> Result<Batch, InterceptorError> {
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
            match self.attempt(lane, part, state).await {
                Ok(part) => {
                    if search.is_probing() {
                        forget_call(state)
                    } else {
                        keep_call(state)
                    }
                    search.passed(part);
                }
                Err(unchanged) => {
                    forget_call(state);
                    match unchanged.problem {
                        Problem::Fault(fault) => search.broke(fault),
                        Problem::Later(later) => break Err(later),
                    }
                }
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
}

/// A guest's answer that breaks no rule.
struct Answered {
    batch: Batch,
    reply: Reply,
}

enum Reply {
    Changes(Vec<Change>),
    /// The guest refuses the batch as a whole.
    Reject(ByteString),
}

fn keep_call(state: &mut State) {
    if let Some(state) = state {
        state.keep_call();
    }
}

fn forget_call(state: &mut State) {
    if let Some(state) = state {
        state.forget_call();
    }
}

fn reject(batch: Batch, rejection: &Rejection) -> Batch {
    let events = batch.events().to_vec();
    let mut batch = batch.map_events(|_| Vec::new());
    for event in events {
        batch.divert(event, Destination::DeadLetter(rejection.clone()));
    }
    batch
}

fn rejected_rows(batch: Batch, rejection: &Rejection) -> Vec<Row> {
    let row =
        |event| Row { events: vec![event], destination: Some(Destination::DeadLetter(rejection.clone())) };
    batch.into_events().into_iter().map(row).collect()
}
