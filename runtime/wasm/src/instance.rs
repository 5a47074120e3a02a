//! One running guest: a store of its own, its deadline, its limits.
//!
//! After any error of a call, and after a call that was cancelled, the store is locked for good, so the instance must
//! be thrown away; a fresh one takes microseconds.
//!
//! There are two kinds. Guests that cannot wait are called directly: these futures are done when they are first
//! polled, see [`at_once`]. Guests that may wait (`LoadedPlugin::waits`) run on a stack of their own; they give the
//! thread back at every tick and while the host waits for them, and the whole call has a time limit.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_core::{Batch, StateStore};
use wasmtime::{
    Store, StoreContextMut, Trap, UpdateDeadline,
    component::{ComponentNamedList, Lift, Lower, Resource, TypedFunc},
};

use crate::{
    bindings::{
        ConfigureParams, ConfigureParamsV2, ConfigureResults, Edit, Failure, Identity, InterceptParams,
        InterceptResults, Issue, RestoreParams, RestoreResults, SaveResults, Snapshot, StopParams,
        interface::Version,
    },
    capabilities::Capabilities,
    component::LoadedPlugin,
    edits::REASON_BYTES_MAX,
    engine::ticks,
    error::Fault,
    fault::fault,
    generation::State,
    host::{GuestLog, GuestMetrics, LogSource, RealWasi, escaped},
    metrics::PluginMetrics,
    off_worker::{self, Turn},
    role::ConfigureExport,
    state::{GuestState, Limits},
};

/// Time that `configure` has at least: it runs once, and cold.
const CONFIGURE_TIME_MAX: Duration = Duration::from_secs(1);

/// What is lifted out of a guest per call, in the sizes of the host: no less than this, no more than twice the memory.
const LIFT_BYTES_MAX: usize = 128 << 20;

/// Handles that a guest may hold; it is only ever lent one batch.
const HANDLES_MAX: usize = 10_000;

/// The part of the time of a call, and the longest, that is kept from what the host waits for in it.
const RESERVE: u32 = 10;
const RESERVE_MAX: Duration = Duration::from_secs(1);

/// Everything that instances of one component have in common.
pub(crate) struct Template {
    pub(crate) plugin: Arc<LoadedPlugin>,
    pub(crate) agent: String,
    pub(crate) component: String,
    pub(crate) generation: u64,
    /// The options as JSON.
    pub(crate) config: String,
    /// Of the first instance.
    pub(crate) lane: u32,
    pub(crate) lanes: u32,
    pub(crate) memory_bytes_max: u64,
    pub(crate) call_time_max: Duration,
    /// What it keeps; None: it does not ask for it.
    pub(crate) state: Option<Arc<StateStore>>,
    pub(crate) log: Arc<LogSource>,
    pub(crate) guest_metrics: Arc<GuestMetrics>,
    pub(crate) metrics: PluginMetrics,
    /// What it may do beyond looking at its events.
    pub(crate) capabilities: Arc<Capabilities>,
}

/// Why there is no instance.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It broke on the way.
    Fault(Fault),
    /// It found mistakes in its configuration.
    Issues(Vec<Issue>),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "the plugin does not start: {fault}"),
            Self::Issues(issues) => {
                let reasons = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.reason));
                let reasons = escaped(&reasons.collect::<Vec<_>>().join("; "), REASON_BYTES_MAX);
                write!(f, "the plugin does not start: {reasons}")
            }
        }
    }
}

/// A running guest.
pub(crate) struct Instance {
    store: Store<GuestState>,
    instance: wasmtime::component::Instance,
    /// Called for every batch, so looked up once.
    intercept: Option<TypedFunc<InterceptParams, InterceptResults>>,
    template: Arc<Template>,
    deadline_ticks: u64,
    /// A call is under way, or was given up in the middle.
    in_call: bool,
    calls: u64,
    last_call_nanos: u64,
    born: Instant,
}

/// What a call to an interceptor came to, besides the batch.
pub(crate) type Answer = Result<Result<Vec<Edit>, Failure>, Fault>;

impl Instance {
    /// Instantiates and configures.
    pub(crate) async fn start(template: &Arc<Template>, lane: u32) -> Result<Self, StartError> {
        let plugin = &template.plugin;
        let state = GuestState {
            batch: None,
            state: None,
            limits: Limits::new(template.memory_bytes_max),
            log: GuestLog::new(Arc::clone(&template.log), lane),
            metrics: Arc::clone(&template.guest_metrics),
            ticks_left: 0,
            waits: plugin.waits,
            deadline: Instant::now(),
            configuring: true,
            capabilities: Arc::clone(&template.capabilities),
            wasi: None,
        };
        let mut store = Store::new(plugin.engine.wasmtime(), state);
        if plugin.offer.wasi {
            let log = GuestLog::new(Arc::clone(&template.log), lane);
            let wasi = RealWasi::new(&template.capabilities, log).map_err(StartError::Fault)?;
            store.data_mut().wasi = Some(Box::new(wasi));
        }
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(deadline);
        let memory = usize::try_from(template.memory_bytes_max).unwrap_or(usize::MAX);
        store.set_hostcall_fuel(memory.saturating_mul(2).clamp(1 << 20, LIFT_BYTES_MAX));
        store.set_max_component_handles(HANDLES_MAX);
        let time = template.call_time_max.max(CONFIGURE_TIME_MAX);
        set_deadline(&mut store, ticks(time), time);
        let running = plugin.engine.begin();
        let configured = configure(template, &mut store, lane);
        // The timer belongs to a runtime, which guests that cannot wait do not need.
        let started = if plugin.waits {
            let configured = tokio::time::timeout(time, off_worker::sharing(configured));
            configured.await.unwrap_or_else(|_| Err(Trap::Interrupt.into()))
        } else {
            configured.await
        };
        drop(running);
        store.data_mut().configured();
        let (answer, instance, intercept) = started.map_err(|error| {
            let fault = fault(&store, &error, time);
            template.metrics.fault(fault.kind).inc();
            StartError::Fault(fault)
        })?;
        answer.map_err(StartError::Issues)?;
        template.metrics.instances.inc();
        template.metrics.instances_started.inc();
        Ok(Self {
            store,
            instance,
            intercept,
            deadline_ticks: ticks(template.call_time_max),
            template: Arc::clone(template),
            in_call: false,
            calls: 0,
            last_call_nanos: 0,
            born: Instant::now(),
        })
    }

    /// Lends a batch, and the state, for one call and takes them back. After an `Err` the instance must be dropped.
    pub(crate) async fn intercept(&mut self, batch: Batch, state: &mut State) -> (Batch, Answer) {
        let Some(intercept) = self.intercept else { return (batch, Err(Fault::missing("intercept"))) };
        self.give_state(state);
        let answer = self.lend(intercept, (Resource::new_borrow(0),), batch).await;
        self.take_state(state);
        answer
    }

    /// Opens the state for the calls that follow; without it they are denied.
    pub(crate) fn give_state(&mut self, state: &mut State) {
        self.store.data_mut().state = state.take();
    }

    /// Takes the state back.
    pub(crate) fn take_state(&mut self, state: &mut State) {
        *state = self.store.data_mut().state.take();
    }

    /// What it would leave to the next generation; None: it leaves nothing.
    pub(crate) async fn save(&mut self) -> Option<Result<Result<Snapshot, String>, Fault>> {
        let save = self.template.plugin.exports.handover?.save;
        Some(match self.function::<(), SaveResults>(save) {
            Ok(save) => self.call(save, ()).await,
            Err(fault) => Err(fault),
        })
    }

    /// Takes over what an older generation left; None: it takes nothing over.
    pub(crate) async fn restore(&mut self, snapshot: Snapshot) -> Option<Result<Result<(), String>, Fault>> {
        let restore = self.template.plugin.exports.handover?.restore;
        Some(match self.function::<RestoreParams, RestoreResults>(restore) {
            Ok(restore) => self.call(restore, (snapshot,)).await,
            Err(fault) => Err(fault),
        })
    }

    /// A function by its place.
    pub(crate) fn function<Params, Results>(
        &mut self,
        index: wasmtime::component::ComponentExportIndex,
    ) -> Result<TypedFunc<Params, Results>, Fault>
    where
        Params: ComponentNamedList + Lower,
        Results: ComponentNamedList + Lift,
    {
        let found = self.instance.get_typed_func(&mut self.store, index);
        found.map_err(|error| fault(&self.store, &error, Duration::ZERO))
    }

    /// A call with a batch lent to it.
    pub(crate) async fn lend<Params, R>(
        &mut self,
        function: TypedFunc<Params, (R,)>,
        params: Params,
        batch: Batch,
    ) -> (Batch, Result<R, Fault>)
    where
        Params: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        self.template.metrics.events_in.inc_by(batch.len() as u64);
        self.store.data_mut().batch = Some(batch);
        let answer = self.call(function, params).await;
        // The batch is only ever taken here.
        (self.store.data_mut().batch.take().unwrap_or_default(), answer)
    }

    /// One call within the time limit. After an `Err`, and after this future was dropped before its end, the instance
    /// must be dropped.
    pub(crate) async fn call<Params, R>(
        &mut self,
        function: TypedFunc<Params, (R,)>,
        params: Params,
    ) -> Result<R, Fault>
    where
        Params: ComponentNamedList + Lower + Send + Sync + 'static,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let template = Arc::clone(&self.template);
        self.calls += 1;
        self.in_call = true;
        self.store.data_mut().forget_errors();
        set_deadline(&mut self.store, self.deadline_ticks, template.call_time_max);
        let begun = Instant::now();
        let running = template.plugin.engine.begin();
        let answer = if template.plugin.waits {
            let call = off_worker::sharing(function.call_async(&mut self.store, params));
            match tokio::time::timeout(template.call_time_max, call).await {
                Ok(answer) => answer,
                Err(_) => Err(Trap::Interrupt.into()),
            }
        } else {
            function.call(&mut self.store, params)
        };
        drop(running);
        let metrics = &template.metrics;
        self.last_call_nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        metrics.nanos.inc_by(self.last_call_nanos);
        metrics.calls.inc();
        metrics.memory_bytes.set(i64::try_from(self.memory_bytes()).unwrap_or(i64::MAX));
        match answer {
            Ok((answer,)) => {
                self.in_call = false;
                Ok(answer)
            }
            Err(error) => Err(fault(&self.store, &error, template.call_time_max)),
        }
    }

    /// Counts a fault in a call that belongs to no batch.
    pub(crate) fn note(&self, fault: &Fault) {
        self.template.metrics.fault(fault.kind).inc();
    }

    pub(crate) fn last_call_nanos(&self) -> u64 {
        self.last_call_nanos
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    pub(crate) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Whether its last call came to an end without a fault, so that there can be another one.
    pub(crate) fn is_whole(&self) -> bool {
        !self.in_call
    }

    /// Its linear memory, which never shrinks.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes
    }

    /// Ends it in an orderly way. What it does with the call, and whether it breaks, does not matter any more.
    pub(crate) async fn stop(mut self) {
        if !self.is_whole() {
            return;
        }
        let time = self.template.call_time_max;
        let deadline_ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        set_deadline(&mut self.store, self.deadline_ticks, time);
        let running = self.template.plugin.engine.begin();
        let stop = self
            .instance
            .get_typed_func::<StopParams, ()>(&mut self.store, self.template.plugin.exports.stop);
        let stopped = match stop {
            Ok(stop) if self.template.plugin.waits => {
                let call = off_worker::sharing(stop.call_async(&mut self.store, (deadline_ms,)));
                tokio::time::timeout(time, call).await.unwrap_or_else(|_| Err(Trap::Interrupt.into()))
            }
            Ok(stop) => stop.call(&mut self.store, (deadline_ms,)),
            Err(error) => Err(error),
        };
        if let Err(error) = stopped {
            let fault = fault(&self.store, &error, time);
            self.template.metrics.fault(fault.kind).inc();
            tracing::warn!(target: "plugin", component = self.template.component, %fault, "plugin broke while it stopped");
        }
        drop(running);
    }

    /// Ends it without anybody waiting for that.
    pub(crate) fn retire(self) {
        if !self.template.plugin.waits {
            return at_once(self.stop());
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.stop());
        }
    }
}

/// Runs a future of guests that cannot wait: it is done when it is first polled.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

type Configure<Params> = TypedFunc<Params, ConfigureResults>;

type Configured = (
    Result<(), Vec<Issue>>,
    wasmtime::component::Instance,
    Option<TypedFunc<InterceptParams, InterceptResults>>,
);

async fn configure(
    template: &Template,
    store: &mut Store<GuestState>,
    lane: u32,
) -> wasmtime::Result<Configured> {
    let LoadedPlugin { pre, exports, waits, .. } = &*template.plugin;
    let identity = Identity {
        agent: template.agent.clone(),
        component: template.component.clone(),
        lane,
        lanes: template.lanes,
        generation: template.generation,
    };
    let instance =
        if *waits { pre.instantiate_async(&mut *store).await? } else { pre.instantiate(&mut *store)? };
    let intercept =
        exports.intercept.map(|intercept| instance.get_typed_func(&mut *store, intercept)).transpose()?;
    let ConfigureExport { index, version } = exports.configure;
    let config = template.config.clone();
    let (answer,) = match version {
        Version::V0_1 => {
            let function: Configure<ConfigureParams> = instance.get_typed_func(&mut *store, index)?;
            let params = (config, identity);
            if *waits { function.call_async(store, params).await? } else { function.call(store, params)? }
        }
        Version::V0_2 => {
            let function: Configure<ConfigureParamsV2> = instance.get_typed_func(&mut *store, index)?;
            let params = (config, identity.into());
            if *waits { function.call_async(store, params).await? } else { function.call(store, params)? }
        }
    };
    Ok((answer, instance, intercept))
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.template.metrics.instances.dec();
    }
}

/// Gives a call so much time: one step first, after which it leaves the worker thread, then the rest.
fn set_deadline(store: &mut Store<GuestState>, ticks: u64, time: Duration) {
    store.set_epoch_deadline(1);
    let state = store.data_mut();
    state.ticks_left = ticks.saturating_sub(1);
    if state.waits {
        // A little earlier than the end of the call, so that the guest learns that its request was too slow.
        let reserve = (time / RESERVE).min(RESERVE_MAX);
        state.deadline = Instant::now() + time.saturating_sub(reserve);
    }
}

/// Called in the guest when the epoch has reached what was set.
fn deadline(mut cx: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    let state = cx.data_mut();
    if state.ticks_left == 0 {
        return Err(Trap::Interrupt.into());
    }
    if state.waits {
        return Ok(match off_worker::turn() {
            Turn::GoOn(ticks) => {
                let ticks = ticks.min(state.ticks_left);
                state.ticks_left -= ticks;
                UpdateDeadline::Continue(ticks)
            }
            Turn::GiveWay => {
                state.ticks_left -= 1;
                UpdateDeadline::Yield(1)
            }
        });
    }
    let ticks = std::mem::take(&mut state.ticks_left);
    off_worker::leave();
    Ok(UpdateDeadline::Continue(ticks))
}
