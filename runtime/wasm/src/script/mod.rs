//! Scripts: a JavaScript file as an interceptor, without a build step.
//!
//! The engine that runs it is a component like any plugin (`guest-sdk/javascript/engine`), so a script has the same
//! sandbox, limits, log and metrics. What is special is only how it is configured: the text goes to the engine as a
//! part of its options, and what it says about lines of that text is told in the script's file.

mod engine;
mod factory;
mod place;

use millrace_config::PluginSpec;
use serde_json::{Value, json};

pub(crate) use engine::embedded as embedded_engine;
pub(crate) use factory::{FACTORY, OWN_OPTIONS};
pub(crate) use place::start_diagnostics;

use crate::component;

/// What `configure` gets: the options of a plugin as they are; those of a script beside the script.
pub(crate) fn config(plugin: &PluginSpec, options: Value) -> Value {
    match &plugin.script {
        None => options,
        Some(script) => json!({
            "script": {
                "name": script.name,
                "source": &*script.text,
                "memory-bytes": plugin.memory_bytes_max,
                "state": may_keep_state(plugin),
            },
            "options": options,
        }),
    }
}

/// The module that a script imports to keep state.
const STATE_MODULE: &str = "millrace:state";

/// Whether a plugin may keep state: the engine always asks for it, a script only where its text names the module. The
/// engine refuses the module to a script that hides the name.
pub(crate) fn may_keep_state(plugin: &PluginSpec) -> bool {
    plugin.script.as_ref().is_none_or(|script| script.text.contains(STATE_MODULE))
}

/// What tells versions of a script apart in dead letters: the digest of its text, not that of the engine.
pub(crate) fn digest(plugin: &PluginSpec) -> Option<String> {
    plugin.script.as_ref().map(|script| component::digest_of(script.text.as_bytes()))
}
