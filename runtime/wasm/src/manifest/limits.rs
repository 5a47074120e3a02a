//! Limits: the operator's, otherwise those that the manifest asks for, otherwise the defaults.

use millrace_config::{Diagnostic, Diagnostics, Node, PluginSpec};

use super::Manifest;

/// Memory that a plugin gets for the asking; more takes a word of the operator.
const MEMORY_BYTES_MAX: u64 = 1 << 30;
/// Time of a call that a plugin gets for the asking.
const TIME_SECONDS_MAX: u64 = 60;

/// The plugin's declaration with the limits that are in force.
///
/// # Errors
/// The plugin asks for so much that somebody has to agree.
pub(crate) fn with_limits(
    plugin: &PluginSpec,
    manifest: Option<&Manifest>,
) -> Result<PluginSpec, Diagnostics> {
    let mut plugin = plugin.clone();
    let Some(limits) = manifest.map(|manifest| &manifest.limits) else { return Ok(plugin) };
    if let Some(bytes) = limits.memory_bytes.filter(|_| !is_given(&plugin.node, "memory")) {
        if bytes > MEMORY_BYTES_MAX {
            return Err(too_much(&plugin, &format!("{bytes} bytes of memory"), "memory=\"…GiB\""));
        }
        plugin.memory_bytes_max = bytes;
    }
    if let Some(time) = limits.time.filter(|_| plugin.call_time_max.is_none()) {
        if time.as_secs() > TIME_SECONDS_MAX {
            return Err(too_much(&plugin, &format!("{time:?} for one call"), "time=\"…s\""));
        }
        plugin.call_time_max = Some(time);
    }
    Ok(plugin)
}

fn too_much(plugin: &PluginSpec, what: &str, limit: &str) -> Diagnostics {
    let reason =
        format!("plugin {}: its manifest asks for {what}, which takes your consent", plugin.name.value);
    Diagnostic::error("plugin::limits", plugin.name.span, reason)
        .label("no limit is set here")
        .help(format!("write what you allow: limits {limit}"))
        .into()
}

/// Whether the operator wrote this limit.
fn is_given(node: &Node, limit: &str) -> bool {
    node.children_named("limits")
        .any(|limits| limits.property(limit).is_some() || limits.children_named(limit).next().is_some())
}
