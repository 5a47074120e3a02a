//! The component types of this build. The only place that knows them all.

use std::{path::Path, sync::Arc};

use millrace_config::{AgentSpec, Diagnostics};
use millrace_core::{PluginHost, Registry};
use millrace_engine::AgentPlan;

/// Every native component, and plugins.
pub(crate) fn registry() -> Arc<Registry> {
    let mut sources = millrace_components::sources::factories();
    sources.extend(millrace_kafka::sources());
    sources.extend(millrace_wasm::sources());
    let mut interceptors = millrace_components::interceptors::factories();
    interceptors.extend(millrace_wasm::interceptors());
    let mut sinks = millrace_components::sinks::factories();
    sinks.extend(millrace_hdfs::factories());
    sinks.extend(millrace_objects::factories());
    sinks.extend(millrace_kafka::sinks());
    sinks.extend(millrace_wasm::sinks());
    let mut channels = millrace_channel::factories();
    channels.extend(millrace_kafka::channels());
    Arc::new(Registry {
        sources,
        interceptors,
        selectors: millrace_components::selectors::factories(),
        channels,
        sinks,
        sink_processors: millrace_components::sink_processors::factories(),
        rules: millrace_kafka::rules(),
    })
}

/// What runs plugins; native code is cached under the agent's data directory.
pub(crate) fn plugin_host(data_dir: &Path) -> Arc<dyn PluginHost> {
    let host = millrace_wasm::WasmHost::new(data_dir.join("plugins"));
    Arc::new(host.with_environment(Arc::new(crate::place::environment())))
}

/// Reads a configuration.
pub(crate) fn load(path: &Path) -> (AgentSpec, Diagnostics) {
    millrace_config::load(path, &crate::place::environment())
}

/// Checks a specification against the types of this build.
pub(crate) fn plan(spec: AgentSpec, registry: &Registry, host: &dyn PluginHost) -> (AgentPlan, Diagnostics) {
    AgentPlan::new(spec, registry, host)
}
