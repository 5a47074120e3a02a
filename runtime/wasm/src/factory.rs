//! The interceptor type `wasm`, for the registry.

use millrace_config::{Diagnostic, Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{BuildContext, Interceptor, InterceptorFactory};

use crate::interceptor::OnFault;

/// Options that the host reads itself; the plugin does not get them.
pub(crate) const OWN_OPTIONS: &[&str] = &["plugin", "on-fault"];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "plugin",
        OptionKind::Text,
        "The plugin to run, by its name in the plugins block; without it the interceptor's own name counts",
    ),
    OptionSpec::with_default(
        "on-fault",
        OptionKind::Choice(&["dead-letter", "dead-letter-always", "hold"]),
        "dead-letter",
        "What happens to events that break the plugin: dead-letter sets them aside one by one but holds the batch when \
         every event breaks it, dead-letter-always sets aside even then, hold keeps the batch until the plugin is replaced",
    ),
];

const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "wasm",
    summary: "Runs a plugin on every batch; all further options are the plugin's own",
    options: OPTIONS,
    open: true,
    example: "wasm \"redact\" {\n    pattern #\"\\b\\d{16}\\b\"#\n    mask \"#\"\n}",
    build,
};

/// The interceptor types of this crate.
pub fn factories() -> Vec<InterceptorFactory> {
    vec![FACTORY]
}

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let own_name = section.name().unwrap_or_default();
    let name = section.optional_text("plugin").unwrap_or(own_name);
    let Some(plugin) = cx.plugins.iter().find(|plugin| plugin.name.value == name) else {
        let known: Vec<_> = cx.plugins.iter().map(|plugin| plugin.name.value.as_str()).collect();
        let help = if known.is_empty() {
            format!("plugins {{\n    {name} path=\"plugins/{name}.wasm\"\n}}")
        } else {
            format!("known plugins: {}", known.join(", "))
        };
        let reason = format!("there is no plugin {name}");
        return Err(Diagnostic::error("plugin::unknown", section.span_of("plugin"), reason).help(help).into());
    };
    cx.plugin_host.interceptor(plugin, section, cx)
}

/// What the section says about faults.
pub(crate) fn on_fault(section: &Section) -> OnFault {
    match section.text("on-fault") {
        "hold" => OnFault::Hold,
        "dead-letter-always" => OnFault::DeadLetterAlways,
        _ => OnFault::DeadLetter,
    }
}
