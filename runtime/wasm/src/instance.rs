//! One running guest: a store of its own, its deadline, its limits.
//!
//! After any error of a call the store is locked for good, so the instance must be thrown away; a fresh one takes
//! microseconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use millrace_core::Batch;
use wasmtime::{
    Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace,
    component::{Resource, TypedFunc},
};

use crate::{
    bindings::{
        ConfigureParams, ConfigureResults, Edit, Failure, Identity, InterceptParams, InterceptResults, Issue,
        StopParams,
    },
    component::LoadedPlugin,
    engine::ticks,
    error::{Fault, FaultKind},
    host::{GuestLog, GuestMetrics, LogSource, escaped},
    metrics::PluginMetrics,
    off_worker,
    state::{GuestState, Limits},
};

/// Time that `configure` has at least: it runs once, and cold.
const CONFIGURE_TIME_MAX: Duration = Duration::from_secs(1);

/// What is lifted out of a guest per call, in the sizes of the host: no less than this, no more than twice the memory.
const LIFT_BYTES_MAX: usize = 128 << 20;

/// Handles that a guest may hold; it is only ever lent one batch.
const HANDLES_MAX: usize = 10_000;

/// Longest list of functions in a dead letter.
const BACKTRACE_BYTES_MAX: usize = 4096;

/// Everything that instances of one component have in common.
pub(crate) struct Template {
    pub(crate) plugin: Arc<LoadedPlugin>,
    pub(crate) agent: String,
    pub(crate) component: String,
    pub(crate) generation: u64,
    /// The options as JSON.
    pub(crate) config: String,
    pub(crate) lanes: u32,
    pub(crate) memory_bytes_max: u64,
    pub(crate) call_time_max: Duration,
    pub(crate) log: Arc<LogSource>,
    pub(crate) guest_metrics: Arc<GuestMetrics>,
    pub(crate) metrics: PluginMetrics,
}

/// Why there is no instance.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It broke on the way.
    Fault(Fault),
    /// It found mistakes in its configuration.
    Issues(Vec<Issue>),
}

/// A running guest.
pub(crate) struct Instance {
    store: Store<GuestState>,
    intercept: TypedFunc<InterceptParams, InterceptResults>,
    stop: TypedFunc<StopParams, ()>,
    template: Arc<Template>,
    deadline_ticks: u64,
    calls: u64,
    last_call_nanos: u64,
    born: Instant,
}

/// What a call came to, besides the batch.
pub(crate) type Answer = Result<Result<Vec<Edit>, Failure>, Fault>;

impl Instance {
    /// Instantiates and configures.
    pub(crate) fn start(template: &Arc<Template>, lane: u32) -> Result<Self, StartError> {
        let state = GuestState {
            batch: None,
            limits: Limits::new(template.memory_bytes_max),
            log: GuestLog::new(Arc::clone(&template.log), lane),
            metrics: Arc::clone(&template.guest_metrics),
            ticks_left: 0,
        };
        let plugin = &template.plugin;
        let mut store = Store::new(plugin.engine.wasmtime(), state);
        store.limiter(|state| &mut state.limits);
        store.epoch_deadline_callback(deadline);
        let memory = usize::try_from(template.memory_bytes_max).unwrap_or(usize::MAX);
        store.set_hostcall_fuel(memory.saturating_mul(2).clamp(1 << 20, LIFT_BYTES_MAX));
        store.set_max_component_handles(HANDLES_MAX);
        let time = template.call_time_max.max(CONFIGURE_TIME_MAX);
        set_deadline(&mut store, ticks(time));
        let running = plugin.engine.begin();
        let identity = Identity {
            agent: template.agent.clone(),
            component: template.component.clone(),
            lane,
            lanes: template.lanes,
            generation: template.generation,
        };
        let started = (|| {
            let instance = plugin.pre.instantiate(&mut store)?;
            let exports = &plugin.exports;
            let configure = instance
                .get_typed_func::<ConfigureParams, ConfigureResults>(&mut store, exports.configure)?;
            let stop = instance.get_typed_func(&mut store, exports.stop)?;
            let intercept = instance.get_typed_func(&mut store, exports.intercept)?;
            let (answer,) = configure.call(&mut store, (template.config.clone(), identity))?;
            Ok::<_, wasmtime::Error>((answer, stop, intercept))
        })();
        drop(running);
        let (answer, stop, intercept) =
            started.map_err(|error| StartError::Fault(fault(&store, &error, time)))?;
        answer.map_err(StartError::Issues)?;
        template.metrics.instances.inc();
        template.metrics.instances_started.inc();
        let deadline_ticks = ticks(template.call_time_max);
        let template = Arc::clone(template);
        Ok(Self {
            store,
            intercept,
            stop,
            template,
            deadline_ticks,
            calls: 0,
            last_call_nanos: 0,
            born: Instant::now(),
        })
    }

    /// Lends a batch for one call and takes it back. After an `Err` the instance must be dropped.
    pub(crate) fn intercept(&mut self, batch: Batch) -> (Batch, Answer) {
        let template = &self.template;
        let events = batch.len() as u64;
        self.calls += 1;
        let state = self.store.data_mut();
        state.batch = Some(batch);
        state.log.last_error = None;
        set_deadline(&mut self.store, self.deadline_ticks);
        let begun = Instant::now();
        let running = template.plugin.engine.begin();
        let answer = self.intercept.call(&mut self.store, (Resource::new_borrow(0),));
        drop(running);
        let metrics = &template.metrics;
        self.last_call_nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        metrics.nanos.inc_by(self.last_call_nanos);
        metrics.calls.inc();
        metrics.events_in.inc_by(events);
        let state = self.store.data_mut();
        metrics.memory_bytes.set(i64::try_from(state.limits.memory_bytes).unwrap_or(i64::MAX));
        // The batch is only ever taken here.
        let batch = state.batch.take().unwrap_or_default();
        let answer = match answer {
            Ok((answer,)) => Ok(answer),
            Err(error) => Err(fault(&self.store, &error, template.call_time_max)),
        };
        (batch, answer)
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

    /// Its linear memory, which never shrinks.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes
    }

    /// Ends it in an orderly way. What it does with the call, and whether it breaks, does not matter any more.
    pub(crate) fn stop(mut self) {
        let time = self.template.call_time_max;
        set_deadline(&mut self.store, self.deadline_ticks);
        let running = self.template.plugin.engine.begin();
        let deadline_ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        if let Err(error) = self.stop.call(&mut self.store, (deadline_ms,)) {
            let fault = fault(&self.store, &error, time);
            tracing::warn!(target: "plugin", component = self.template.component, %fault, "plugin broke while it stopped");
        }
        drop(running);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.template.metrics.instances.dec();
    }
}

/// Gives a call so much time: one step first, after which it leaves the worker thread, then the rest.
fn set_deadline(store: &mut Store<GuestState>, ticks: u64) {
    store.set_epoch_deadline(1);
    store.data_mut().ticks_left = ticks.saturating_sub(1);
}

/// Called in the guest when the epoch has reached what was set.
fn deadline(mut cx: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    let ticks = std::mem::take(&mut cx.data_mut().ticks_left);
    if ticks == 0 {
        return Err(Trap::Interrupt.into());
    }
    off_worker::leave();
    Ok(UpdateDeadline::Continue(ticks))
}

/// Says what an error of a call means. What the guest logged last as an error is added: it is the text of a panic.
fn fault(store: &Store<GuestState>, error: &wasmtime::Error, time: Duration) -> Fault {
    let state = store.data();
    let (kind, mut reason) = match error.downcast_ref::<Trap>() {
        _ if state.limits.memory_refused => (FaultKind::Memory, error.root_cause().to_string()),
        Some(Trap::Interrupt) => (FaultKind::Deadline, format!("the call took longer than {time:?}")),
        Some(Trap::StackOverflow) => (FaultKind::Stack, "the stack is used up".to_owned()),
        // wasmtime begins with "wasm trap: " what is called a trap here already.
        _ => (FaultKind::Trap, error.root_cause().to_string().replacen("wasm trap: ", "", 1)),
    };
    if let (FaultKind::Trap, Some(said)) = (kind, &state.log.last_error) {
        reason = format!("{reason}; the plugin said: {said}");
    }
    Fault { kind, reason: escaped(&reason, 1024), backtrace: backtrace(error) }
}

/// The guest's functions, innermost first.
fn backtrace(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for frame in error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default() {
        let name = match frame.func_name() {
            Some(name) => escaped(&format!("{:#}", rustc_demangle::demangle(name)), 256),
            None => format!("function {}", frame.func_index()),
        };
        if text.len() + name.len() > BACKTRACE_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&name);
        if let Some(offset) = frame.module_offset() {
            text.push_str(&format!(" @ {offset:#x}"));
        }
    }
    text
}
