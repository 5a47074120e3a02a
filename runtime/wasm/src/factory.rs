//! The source, interceptor and sink type `wasm`, for the registry.

use millrace_config::{Diagnostics, OptionKind, OptionSpec, PluginSpec, Section};
use millrace_core::{BuildContext, InterceptorFactory, SinkFactory, SourceFactory};

use crate::{generation::OnFault, role::Role, script, source::PollLimits, swap};

/// Options that the host reads itself; the plugin does not get them.
pub(crate) fn own_options(role: Role) -> &'static [&'static str] {
    match role {
        Role::Interceptor => &["plugin", "on-fault", "swap", "roll-back", "replay"],
        Role::Sink => &["plugin", "on-fault"],
        Role::Source => &["plugin", "poll"],
        Role::Codec => &[],
    }
}

const PLUGIN: OptionSpec = OptionSpec::optional(
    "plugin",
    OptionKind::Text,
    "The plugin to run, by its name in the plugins block; without it the component's own name counts",
);

const SOURCE_OPTIONS: &[OptionSpec] = &[
    PLUGIN,
    OptionSpec::with_default("poll", OptionKind::Block(POLL), "", "What one call of the plugin may bring"),
];

const POLL: &[OptionSpec] = &[
    OptionSpec::with_default(
        "events",
        OptionKind::Integer { min: 1, max: 100_000 },
        "1000",
        "Most events of one answer; more is a fault of the plugin",
    ),
    OptionSpec::with_default(
        "bytes",
        OptionKind::Size,
        "1MiB",
        "Most bytes of bodies that the plugin is asked for",
    ),
];

const OPTIONS: &[OptionSpec] = &[PLUGIN, ON_FAULT];

const INTERCEPTOR_OPTIONS: &[OptionSpec] = &[PLUGIN, ON_FAULT, swap::SWAP, swap::ROLL_BACK, swap::REPLAY];

pub(crate) const ON_FAULT: OptionSpec = OptionSpec::with_default(
    "on-fault",
    OptionKind::Choice(&["dead-letter", "dead-letter-always", "hold"]),
    "dead-letter",
    "What happens to events that break the plugin: dead-letter sets them aside one by one but holds the batch when \
     every event breaks it, dead-letter-always sets aside even then, hold keeps the batch until the plugin is replaced",
);

const INTERCEPTOR: InterceptorFactory = InterceptorFactory {
    name: "wasm",
    summary: "Runs a plugin on every batch; all further options are the plugin's own",
    options: INTERCEPTOR_OPTIONS,
    open: true,
    example: "wasm \"redact\" {\n    pattern #\"\\b\\d{16}\\b\"#\n    mask \"#\"\n}",
    build: |section, cx| cx.plugin_host.interceptor(plugin_of(section, cx)?, section, cx),
};

const SOURCE: SourceFactory = SourceFactory {
    name: "wasm",
    summary: "Asks a plugin for events; all further options are the plugin's own",
    options: SOURCE_OPTIONS,
    open: true,
    example: "wasm \"orders\" plugin=\"http-poll\" channel=\"durable\" {\n    url \"https://orders.example.com/events\"\n}",
    build: |section, cx| cx.plugin_host.source(plugin_of(section, cx)?, section, cx),
};

const SINK: SinkFactory = SinkFactory {
    name: "wasm",
    summary: "Hands events to a plugin that delivers them; all further options are the plugin's own",
    options: OPTIONS,
    open: true,
    example: "wasm \"crm\" plugin=\"crm-sink\" channel=\"durable\" {\n    batch events=500 wait=\"200ms\"\n    account \"4711\"\n}",
    build: |section, cx| cx.plugin_host.sink(plugin_of(section, cx)?, section, cx),
};

/// The interceptor types of this crate.
pub fn interceptors() -> Vec<InterceptorFactory> {
    vec![INTERCEPTOR, script::FACTORY]
}

/// The source types of this crate.
pub fn sources() -> Vec<SourceFactory> {
    vec![SOURCE]
}

/// The sink types of this crate.
pub fn sinks() -> Vec<SinkFactory> {
    vec![SINK]
}

/// The plugin that a component names.
fn plugin_of<'a>(section: &Section, cx: &'a BuildContext) -> Result<&'a PluginSpec, Diagnostics> {
    let own_name = section.name().unwrap_or_default();
    cx.plugin(section.optional_text("plugin").unwrap_or(own_name), section.span_of("plugin"))
}

/// What one poll of a source may bring.
pub(crate) fn poll_limits(section: &Section) -> PollLimits {
    let poll = section.block("poll");
    PollLimits {
        events_max: poll.map_or(1000, |poll| u32::try_from(poll.integer("events")).unwrap_or(u32::MAX)),
        bytes_max: poll.map_or(1 << 20, |poll| u32::try_from(poll.size("bytes")).unwrap_or(u32::MAX)),
    }
}

/// What the section says about faults.
pub(crate) fn on_fault(section: &Section) -> OnFault {
    match section.text("on-fault") {
        "hold" => OnFault::Hold,
        "dead-letter-always" => OnFault::DeadLetterAlways,
        _ => OnFault::DeadLetter,
    }
}
