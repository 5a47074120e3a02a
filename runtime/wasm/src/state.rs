//! What the host keeps beside a guest: the batch it is lent, its limits, its log and its metrics.

use std::{sync::Arc, time::Instant};

use millrace_core::{Batch, StateTransaction};
use wasmtime::ResourceLimiter;

use crate::{
    capabilities::Capabilities,
    host::{GuestLog, GuestMetrics, RealWasi},
};

/// Elements that all tables of an instance may hold together.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// The data of a store.
pub(crate) struct GuestState {
    /// The batch of the call under way.
    pub(crate) batch: Option<Batch>,
    /// What the component keeps, where the call under way may work with it.
    pub(crate) state: Option<StateTransaction>,
    pub(crate) limits: Limits,
    pub(crate) log: GuestLog,
    pub(crate) metrics: Arc<GuestMetrics>,
    /// Steps of the epoch that the call under way has left after the first one.
    pub(crate) ticks_left: u64,
    /// Whether calls may wait; see `LoadedPlugin::waits`.
    pub(crate) waits: bool,
    /// Until when the host may wait for something in the call under way; set only where calls may wait.
    pub(crate) deadline: Instant,
    /// `configure` is under way: nothing outside of the instance is touched.
    pub(crate) configuring: bool,
    pub(crate) capabilities: Arc<Capabilities>,
    /// Real files, variables and so on, for components that were granted some of it.
    pub(crate) wasi: Option<Box<RealWasi>>,
}

impl GuestState {
    /// From now on the guest may use what it was granted.
    pub(crate) fn configured(&mut self) {
        self.configuring = false;
        if let Some(wasi) = &self.wasi {
            wasi.open();
        }
    }

    /// Forgets what the last call said.
    pub(crate) fn forget_errors(&mut self) {
        self.log.last_error = None;
        self.log.last_backtrace = None;
        if let Some(wasi) = &self.wasi {
            wasi.forget_errors();
        }
    }

    /// The last line of level `error` in this call, or the last one on standard error.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.log.last_error.clone().or_else(|| self.wasi.as_ref()?.last_error())
    }
}

/// Caps memory and tables, and remembers which cap was hit: the trap that follows does not say.
#[derive(Debug)]
pub(crate) struct Limits {
    memory_bytes_max: usize,
    /// All memories of the instance together.
    pub(crate) memory_bytes: usize,
    /// Set when the guest was refused memory.
    pub(crate) memory_refused: bool,
    table_elements: usize,
}

impl Limits {
    pub(crate) fn new(memory_bytes_max: u64) -> Self {
        let memory_bytes_max = usize::try_from(memory_bytes_max).unwrap_or(usize::MAX);
        Self { memory_bytes_max, memory_bytes: 0, memory_refused: false, table_elements: 0 }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        if self.memory_bytes.saturating_add(growth) > self.memory_bytes_max {
            self.memory_refused = true;
            // An error ends the call here; a refusal would only be seen as some panic of the guest's allocator.
            wasmtime::bail!("more than the {} bytes of memory allowed", self.memory_bytes_max);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.memory_bytes += growth;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.table_elements += desired.saturating_sub(current);
        if self.table_elements > TABLE_ELEMENTS_MAX {
            self.memory_refused = true;
            wasmtime::bail!("more than {TABLE_ELEMENTS_MAX} table elements");
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        64
    }

    fn tables(&self) -> usize {
        64
    }

    fn memories(&self) -> usize {
        8
    }
}
