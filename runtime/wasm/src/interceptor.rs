//! A plugin as an interceptor: the same trait as a native one, so the engine cannot tell them apart.
//!
//! Behind it stands one version of the plugin, or two while the newer one is on trial (see `swap`). When the next
//! version has taken over, whatever still comes here is passed on to it.

use std::{any::Any, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use millrace_core::{
    Batch, BoxError, Clock, Interceptor, InterceptorError, StateStore, SwapState, SwapStatus, Takeover,
};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    generation::{Generation, State},
    held::Later,
    instance::at_once,
    off_worker::{self, Expected},
    swap::{self, Passed, Recent, Settings, Tally, Trial, Verdict},
};

/// Differences that a status shows, and a log gets.
const SHOWN_MAX: usize = 10;

/// An interceptor that runs in a guest.
pub(crate) struct WasmInterceptor {
    node: Arc<Node>,
}

/// What is built for one configuration of an interceptor.
pub(crate) struct Node {
    own: Arc<Generation>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    course: ArcSwap<Course>,
    pub(crate) recent: Recent,
    status: Mutex<Option<SwapStatus>>,
    /// Held while the course changes.
    switching: Mutex<()>,
}

/// What happens to batches.
enum Course {
    /// One version works.
    Plain(Arc<Generation>),
    /// Two do.
    Trial(Arc<Trial>),
    /// They go elsewhere.
    Gone {
        next: Arc<Node>,
        /// The version that nobody uses any more.
        left: Mutex<Option<Arc<Generation>>>,
    },
}

impl Course {
    /// The state that calls work on.
    fn state(&self) -> Option<&Arc<StateStore>> {
        match self {
            Self::Plain(generation) => generation.template.state.as_ref(),
            Self::Trial(trial) => trial.new.template.state.as_ref().or(trial.old.template.state.as_ref()),
            Self::Gone { .. } => None,
        }
    }

    /// Waits for the lanes that a batch needs. None: they are being closed.
    async fn acquire(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        match self {
            Self::Plain(generation) => Some(vec![generation.lanes.acquire().await?]),
            Self::Trial(trial) if trial.settings.mode == swap::Mode::Immediate => {
                Some(vec![trial.new.lanes.acquire().await?])
            }
            // Always in this order, so that two batches cannot wait for each other.
            Self::Trial(trial) => {
                let old = trial.old.lanes.acquire().await?;
                Some(vec![old, trial.new.lanes.acquire().await?])
            }
            Self::Gone { .. } => None,
        }
    }
}

impl WasmInterceptor {
    pub(crate) fn new(generation: Generation, settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let own = Arc::new(generation);
        let node = Node {
            course: ArcSwap::from_pointee(Course::Plain(Arc::clone(&own))),
            recent: Recent::new(settings.replay_batches),
            own,
            settings,
            clock,
            status: Mutex::new(None),
            switching: Mutex::new(()),
        };
        Self { node: Arc::new(node) }
    }
}

#[async_trait]
impl Interceptor for WasmInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        if batch.is_empty() {
            return Ok(batch);
        }
        batch.note_formed_at(|| self.node.clock.unix_nanos());
        let mut node = Arc::clone(&self.node);
        let mut state: State = None;
        loop {
            let course = node.course.load_full();
            if let Course::Gone { next, .. } = &*course {
                node = Arc::clone(next);
                continue;
            }
            // The turn comes before the lane: who has the turn may need a lane, never the other way round.
            if let (None, Some(store)) = (&state, course.state()) {
                state = Some(store.begin(&mut batch).await);
                continue;
            }
            let permits = course.acquire().await;
            match permits {
                _ if !node.is_on(&course) => {}
                Some(permits) => return node.pass(&course, permits, batch, state).await,
                None => return Err(node.own.held(batch, Later::stopped())),
            }
        }
    }

    fn state(&self) -> Option<Arc<StateStore>> {
        self.node.own.template.state.clone()
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }

    async fn take_over(&self, before: &dyn Interceptor) -> Result<Option<Box<dyn Takeover>>, BoxError> {
        let before = before.as_any().and_then(|before| before.downcast_ref::<Self>());
        match before {
            Some(before) => swap::prepare(&before.node, &self.node).await.map(Some),
            None => Ok(None),
        }
    }

    fn swap_status(&self) -> Option<SwapStatus> {
        self.node.status.lock().clone()
    }

    async fn close(&self) {
        match &*self.node.course.load_full() {
            Course::Plain(generation) => Arc::clone(generation).close().await,
            Course::Trial(trial) => {
                trial.end();
                Arc::clone(&trial.new).close().await;
                Arc::clone(&trial.old).close().await;
            }
            Course::Gone { left, .. } => {
                let left = left.lock().take();
                if let Some(left) = left {
                    left.close().await;
                }
            }
        }
    }
}

impl Node {
    /// What this configuration was built for.
    pub(crate) fn own(&self) -> &Arc<Generation> {
        &self.own
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The version that the next one follows; None: one already has.
    pub(crate) fn stable(&self) -> Option<Arc<Generation>> {
        match &*self.course.load_full() {
            Course::Plain(generation) => Some(Arc::clone(generation)),
            Course::Trial(trial) => Some(Arc::clone(trial.stable())),
            Course::Gone { .. } => None,
        }
    }

    fn is_on(&self, course: &Arc<Course>) -> bool {
        Arc::ptr_eq(&self.course.load_full(), course)
    }

    async fn pass(
        self: &Arc<Self>,
        course: &Arc<Course>,
        permits: Vec<OwnedSemaphorePermit>,
        batch: Batch,
        mut state: State,
    ) -> Result<Batch, InterceptorError> {
        self.recent.note(&batch);
        let (result, state) = match &**course {
            Course::Plain(generation) => {
                let work = move |generation: Arc<Generation>| async move {
                    let result = generation.process(batch, &mut state).await;
                    drop(permits);
                    (result, state)
                };
                generation.run(work).await
            }
            Course::Trial(trial) => {
                let passed = run_trial(trial, batch, state).await;
                self.note(&passed);
                let Passed { result, state, verdict, .. } = passed;
                if let Some(verdict) = verdict {
                    self.end(course, trial, verdict).await;
                }
                drop(permits);
                (result, state)
            }
            // Nobody gets a permit for it.
            Course::Gone { .. } => (Err(self.own.held(batch, Later::stopped())), state),
        };
        let mut batch = result?;
        if let Some(state) = state {
            state.finish(&mut batch);
            self.own.note_state();
        }
        Ok(batch)
    }

    /// Takes the place of the version before. What there is to tell about it.
    pub(crate) fn succeed(
        self: &Arc<Self>,
        before: &Arc<Self>,
        tally: Tally,
        hands_over: bool,
    ) -> Vec<String> {
        let _alone = before.switching.lock();
        let (old, loser) = match &*before.course.load_full() {
            Course::Plain(generation) => (Arc::clone(generation), None),
            Course::Trial(trial) => {
                trial.end();
                (Arc::clone(trial.stable()), Some(Arc::clone(trial.unstable())))
            }
            Course::Gone { .. } => return Vec::new(),
        };
        if let Some(loser) = loser {
            close_later(loser);
        }
        self.recent.inherit(&before.recent);
        let notes = self.start_status(&old, tally);
        let mut left = Some(Arc::clone(&old));
        if self.settings.has_trial() {
            left = None;
            let trial = Arc::new(Trial::new(old, Arc::clone(&self.own), self.settings.clone(), hands_over));
            let course = Arc::new(Course::Trial(Arc::clone(&trial)));
            self.course.store(Arc::clone(&course));
            if let Some(time) = self.settings.time {
                tokio::spawn(end_in_time(Arc::downgrade(self), course, time));
            }
        }
        before.course.store(Arc::new(Course::Gone { next: Arc::clone(self), left: Mutex::new(left) }));
        notes
    }

    fn start_status(&self, old: &Generation, tally: Tally) -> Vec<String> {
        let (mode, has_trial) = (self.settings.mode.name(), self.settings.has_trial());
        let component = &self.own.origin.component;
        tracing::info!(target: "plugin", %component, mode, from = old.number(), to = self.own.number(),
            replayed = tally.events, differing = tally.differing, "a new version takes over");
        let mut notes = Vec::new();
        if tally.differing > 0 {
            notes.push(format!(
                "{component}: the new version differs on {} of {} replayed events",
                tally.differing, tally.events
            ));
            notes.extend(tally.shown.iter().map(|difference| format!("{component}: {difference}")));
        }
        if has_trial && mode != "immediate" {
            notes.push(format!("{component}: the new version is on trial ({mode})"));
        }
        self.log_differences(&tally.shown);
        let now = self.clock.unix_millis();
        *self.status.lock() = Some(SwapStatus {
            mode,
            state: if has_trial { SwapState::Trial } else { SwapState::Promoted },
            since_unix_millis: now,
            ended_unix_millis: (!has_trial).then_some(now),
            old_generation: old.number(),
            new_generation: self.own.number(),
            running_generation: if mode == "immediate" { self.own.number() } else { old.number() },
            batches: 0,
            events: 0,
            events_replayed: tally.events,
            events_replayed_differing: tally.differing,
            events_compared: 0,
            events_differing: 0,
            faults: 0,
            reason: None,
            differences: tally.shown,
        });
        self.count(tally.events, tally.differing);
        notes
    }

    /// Takes down what a batch on trial came to.
    fn note(&self, passed: &Passed) {
        let component = &self.own.origin.component;
        if let Some(why) = &passed.fault {
            tracing::warn!(target: "plugin", %component, generation = self.own.number(), why,
                "the new version broke on a batch that the old one gets through");
        }
        let Passed { tally, events, .. } = passed;
        self.count(tally.events, tally.differing);
        let mut fresh = Vec::new();
        if let Some(status) = &mut *self.status.lock() {
            status.batches += 1;
            status.events += events;
            status.events_compared += tally.events;
            status.events_differing += tally.differing;
            status.faults += u64::from(passed.fault.is_some());
            let room = SHOWN_MAX.saturating_sub(status.differences.len());
            fresh = tally.shown.iter().take(room).cloned().collect();
            status.differences.extend(fresh.iter().cloned());
        }
        self.log_differences(&fresh);
    }

    fn count(&self, compared: u64, differing: u64) {
        self.own.template.metrics.events_compared.inc_by(compared);
        self.own.template.metrics.events_differing.inc_by(differing);
    }

    fn log_differences(&self, differences: &[String]) {
        let component = &self.own.origin.component;
        for difference in differences {
            tracing::info!(target: "plugin", %component, "the new version differs: {difference}");
        }
    }

    /// Ends a trial. Whoever calls holds the permits of the version whose results count, and of both where memory is
    /// handed over.
    async fn end(&self, course: &Arc<Course>, trial: &Arc<Trial>, mut verdict: Verdict) {
        if !trial.end() {
            return;
        }
        if verdict == Verdict::Promote && trial.hands_over && trial.settings.mode == swap::Mode::Shadow {
            // The new one has seen the same batches, but what counts is what the old one keeps.
            let handed = match trial.old.save().await {
                Some(Ok(snapshot)) => trial.new.take_in(snapshot, true).await,
                Some(Err(why)) => Err(why),
                None => Ok(()),
            };
            if let Err(why) = handed {
                verdict =
                    Verdict::RollBack(format!("it does not take over what the old version keeps: {why}"));
            }
        }
        let _alone = self.switching.lock();
        let (winner, loser) = match &verdict {
            Verdict::Promote => (&trial.new, &trial.old),
            Verdict::RollBack(_) => (&trial.old, &trial.new),
        };
        if self.is_on(course) {
            self.course.store(Arc::new(Course::Plain(Arc::clone(winner))));
            self.end_status(winner.number(), &verdict);
        }
        close_later(Arc::clone(loser));
    }

    fn end_status(&self, running: u64, verdict: &Verdict) {
        let (component, metrics) = (&self.own.origin.component, &self.own.template.metrics);
        let (state, reason) = match verdict {
            Verdict::Promote => {
                metrics.swaps_promoted.inc();
                tracing::info!(target: "plugin", %component, generation = running, "the new version has passed its trial");
                (SwapState::Promoted, None)
            }
            Verdict::RollBack(reason) => {
                metrics.swaps_rolled_back.inc();
                tracing::error!(target: "plugin", %component, generation = running, reason,
                    "the new version failed its trial; the one before is in force again");
                (SwapState::RolledBack, Some(reason.clone()))
            }
        };
        if let Some(status) = &mut *self.status.lock() {
            status.state = state;
            status.ended_unix_millis = Some(self.clock.unix_millis());
            status.running_generation = running;
            status.reason = reason;
        }
    }
}

/// A batch on trial: on this thread where one of the versions may wait, otherwise where it holds up nobody.
async fn run_trial(trial: &Arc<Trial>, batch: Batch, state: State) -> Passed {
    if trial.old.waits() || trial.new.waits() {
        return trial.pass(batch, state).await;
    }
    off_worker::run(trial, Expected::Long, move |trial| at_once(trial.pass(batch, state))).await
}

/// Ends a trial when its time is over, even if no batch comes.
async fn end_in_time(node: std::sync::Weak<Node>, course: Arc<Course>, time: Duration) {
    tokio::time::sleep(time).await;
    let Some(node) = node.upgrade() else { return };
    let Course::Trial(trial) = &*course else { return };
    let permits = course.acquire().await;
    if permits.is_some() && node.is_on(&course) && trial.is_over() {
        node.end(&course, trial, Verdict::Promote).await;
    }
}

fn close_later(generation: Arc<Generation>) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(generation.close())),
        // Dropped with the last batch that uses it.
        Err(_) => drop(generation),
    }
}
