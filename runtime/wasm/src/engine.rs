//! The wasmtime engine: one for the whole agent, made when the first plugin is loaded.
//!
//! Instances come from a pool of reserved address space, because taking one from it costs microseconds. Where the
//! system does not give that much address space (small containers, `ulimit -v`), instances are made on demand.

use std::{num::NonZeroUsize, time::Duration};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::{
    error::HostError,
    ticker::{Running, TICK, Ticker},
};

/// Instances that may exist at the same time in the whole agent. Each reserves 4 GiB of addresses, not of memory.
const INSTANCES_MAX: u32 = 512;

/// Core instances: a component consists of several (the module itself, adapters, shims).
const CORE_INSTANCES_MAX: u32 = 4 * INSTANCES_MAX;

/// Core instances of one component. An interpreter whose libraries are linked at run time has many: the one for Python
/// has 38.
const CORE_INSTANCES_PER_COMPONENT_MAX: u32 = 64;

/// Memory that a free place in the pool keeps for its next user, instead of asking the system again.
const KEEP_RESIDENT_BYTES: usize = 256 << 10;

/// Frames of a guest's stack in a dead letter.
const BACKTRACE_FRAMES_MAX: usize = 16;

/// Native stack that a guest may use: half of what threads and fibers have. Less, and the script engine, which counts
/// only the stack in its memory, would run out of this one first.
const STACK_BYTES_MAX: usize = 1 << 20;

/// An engine with its clock.
pub(crate) struct PluginEngine {
    engine: Engine,
    ticker: Ticker,
    pooled: bool,
}

impl PluginEngine {
    /// Makes the engine: with a pool, or without one where that cannot be had.
    pub(crate) fn new() -> Result<Self, HostError> {
        let (engine, pooled) = match Engine::new(&config(true)) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::info!(%error, "no address space for a pool of plugin instances, making them on demand");
                let engine =
                    Engine::new(&config(false)).map_err(|error| HostError::Engine(format!("{error:#}")))?;
                (engine, false)
            }
        };
        let ticker = Ticker::start(&engine).map_err(|error| HostError::Engine(error.to_string()))?;
        Ok(Self { engine, ticker, pooled })
    }

    pub(crate) fn wasmtime(&self) -> &Engine {
        &self.engine
    }

    /// Whether instances come from a pool.
    #[cfg(test)]
    pub(crate) fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Says that a guest call begins.
    pub(crate) fn begin(&self) -> Running {
        self.ticker.begin()
    }

    /// What native code depends on besides its source: a name for the cache.
    pub(crate) fn compatibility(&self) -> String {
        use std::hash::{Hash, Hasher};
        let mut hasher = Fnv::default();
        self.engine.precompile_compatibility_hash().hash(&mut hasher);
        self.pooled.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// The steps of the epoch that make up a time, with one for the step already begun.
pub(crate) fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX / 4).min(u64::MAX / 4) + 1
}

fn config(pooled: bool) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES_MAX);
    // Function names come from the name section; files and lines would need debug information kept in memory.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config.wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX));
    if pooled {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    }
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX);
    pool.total_core_instances(CORE_INSTANCES_MAX);
    pool.total_memories(INSTANCES_MAX);
    pool.total_tables(CORE_INSTANCES_MAX);
    pool.max_memories_per_component(4);
    pool.max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX);
    pool.max_tables_per_component(CORE_INSTANCES_PER_COMPONENT_MAX);
    pool.table_elements(100_000);
    pool.linear_memory_keep_resident(KEEP_RESIDENT_BYTES);
    pool.max_unused_warm_slots(16);
    pool
}

/// FNV-1a: a hash that is the same in every run, which the standard library does not promise of its own.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PluginEngine, ticks};

    #[test]
    fn a_deadline_is_rounded_up_to_whole_ticks_and_one_more() {
        assert_eq!(ticks(Duration::from_millis(50)), 11);
        assert_eq!(ticks(Duration::from_millis(1)), 2);
        assert_eq!(ticks(Duration::MAX), u64::MAX / 4 + 1);
    }

    #[test]
    fn the_same_settings_have_the_same_name_in_the_cache() {
        let (first, second) = (PluginEngine::new().unwrap(), PluginEngine::new().unwrap());
        assert!(first.is_pooled());
        assert_eq!(first.compatibility(), second.compatibility());
    }
}
