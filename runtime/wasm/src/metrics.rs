//! What the agent counts about every plugin, whatever the plugin itself says.

use millrace_core::Metrics;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

use crate::{error::FaultKind, host::GuestFamilies, refusals::RefusedFamily};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    component: String,
    plugin: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    component: String,
    plugin: String,
    kind: &'static str,
}

type Counters = Family<PluginLabels, Counter>;

/// The counters of one component that is a plugin. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct PluginMetrics {
    pub(crate) calls: Counter,
    pub(crate) events_in: Counter,
    pub(crate) events_out: Counter,
    /// Time that guest calls took.
    pub(crate) nanos: Counter,
    /// Memory of the instance that made the last call.
    pub(crate) memory_bytes: Gauge,
    pub(crate) instances: Gauge,
    pub(crate) instances_started: Counter,
    pub(crate) dead_letters: Counter,
    pub(crate) log_lines_suppressed: Counter,
    pub(crate) metrics_refused: Counter,
    pub(crate) metrics_undeclared: Counter,
    pub(crate) state_refused: Counter,
    /// What the component keeps, after the last batch.
    pub(crate) state_bytes: Gauge,
    pub(crate) state_keys: Gauge,
    /// Versions that came into force, in the end.
    pub(crate) swaps_promoted: Counter,
    /// Versions that went again by themselves.
    pub(crate) swaps_rolled_back: Counter,
    pub(crate) events_compared: Counter,
    pub(crate) events_differing: Counter,
    faults: [Counter; FaultKind::ALL.len()],
}

impl PluginMetrics {
    pub(crate) fn fault(&self, kind: FaultKind) -> &Counter {
        &self.faults[kind as usize]
    }
}

/// The families of all plugins; made once per agent.
#[derive(Clone)]
pub(crate) struct PluginFamilies {
    calls: Counters,
    events_in: Counters,
    events_out: Counters,
    nanos: Counters,
    memory_bytes: Family<PluginLabels, Gauge>,
    instances: Family<PluginLabels, Gauge>,
    instances_started: Counters,
    dead_letters: Counters,
    log_lines_suppressed: Counters,
    metrics_refused: Counters,
    metrics_undeclared: Counters,
    state_refused: Counters,
    state_bytes: Family<PluginLabels, Gauge>,
    state_keys: Family<PluginLabels, Gauge>,
    swaps_promoted: Counters,
    swaps_rolled_back: Counters,
    events_compared: Counters,
    events_differing: Counters,
    faults: Family<FaultLabels, Counter>,
    /// Uses of what was not granted.
    pub(crate) refused: RefusedFamily,
    pub(crate) guests: GuestFamilies,
}

impl PluginFamilies {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let counters = |name: &str, help: &str| {
            let family = Counters::default();
            metrics.register(name, help, family.clone());
            family
        };
        let gauges = |name: &str, help: &str| {
            let family = Family::<PluginLabels, Gauge>::default();
            metrics.register(name, help, family.clone());
            family
        };
        let faults = Family::default();
        metrics.register("plugin_faults", "Calls that a plugin broke, by kind", faults.clone());
        let refused = RefusedFamily::default();
        let help = "What a plugin tried without being granted it, by kind";
        metrics.register("plugin_refused", help, refused.clone());
        Self {
            refused,
            calls: counters("plugin_calls", "Calls into a plugin"),
            events_in: counters("plugin_events_in", "Events lent to a plugin, repeated attempts included"),
            events_out: counters("plugin_events_out", "Events that came out of a plugin's calls"),
            nanos: counters("plugin_nanos", "Nanoseconds spent in calls into a plugin"),
            memory_bytes: gauges("plugin_memory_bytes", "Linear memory of the instance that was called last"),
            instances: gauges("plugin_instances", "Instances of a plugin that exist"),
            instances_started: counters("plugin_instances_started", "Instances of a plugin ever started"),
            dead_letters: counters(
                "plugin_dead_letters",
                "Events that broke a plugin alone and were set aside",
            ),
            log_lines_suppressed: counters("plugin_log_lines_suppressed", "Log lines over a plugin's quota"),
            metrics_refused: counters("plugin_metrics_refused", "Metric updates over a plugin's bounds"),
            metrics_undeclared: counters(
                "plugin_metrics_undeclared",
                "Metric updates that a plugin's manifest does not declare",
            ),
            state_refused: counters("plugin_state_refused", "Writes to a plugin's state over its share"),
            state_bytes: gauges("plugin_state_bytes", "Size of what a plugin keeps in its state"),
            state_keys: gauges("plugin_state_keys", "Keys that a plugin keeps in its state"),
            swaps_promoted: counters("plugin_swaps_promoted", "Versions of a plugin that passed their trial"),
            swaps_rolled_back: counters(
                "plugin_swaps_rolled_back",
                "Versions of a plugin that failed their trial and gave way to the one before",
            ),
            events_compared: counters(
                "plugin_events_compared",
                "Events that two versions of a plugin worked on to be compared",
            ),
            events_differing: counters(
                "plugin_events_differing",
                "Events on which two versions of a plugin differed",
            ),
            faults,
            guests: GuestFamilies::register(metrics),
        }
    }

    pub(crate) fn of(&self, component: &str, plugin: &str) -> PluginMetrics {
        let labels = PluginLabels { component: component.to_owned(), plugin: plugin.to_owned() };
        PluginMetrics {
            calls: self.calls.get_or_create_owned(&labels),
            events_in: self.events_in.get_or_create_owned(&labels),
            events_out: self.events_out.get_or_create_owned(&labels),
            nanos: self.nanos.get_or_create_owned(&labels),
            memory_bytes: self.memory_bytes.get_or_create_owned(&labels),
            instances: self.instances.get_or_create_owned(&labels),
            instances_started: self.instances_started.get_or_create_owned(&labels),
            dead_letters: self.dead_letters.get_or_create_owned(&labels),
            log_lines_suppressed: self.log_lines_suppressed.get_or_create_owned(&labels),
            metrics_refused: self.metrics_refused.get_or_create_owned(&labels),
            metrics_undeclared: self.metrics_undeclared.get_or_create_owned(&labels),
            state_refused: self.state_refused.get_or_create_owned(&labels),
            state_bytes: self.state_bytes.get_or_create_owned(&labels),
            state_keys: self.state_keys.get_or_create_owned(&labels),
            swaps_promoted: self.swaps_promoted.get_or_create_owned(&labels),
            swaps_rolled_back: self.swaps_rolled_back.get_or_create_owned(&labels),
            events_compared: self.events_compared.get_or_create_owned(&labels),
            events_differing: self.events_differing.get_or_create_owned(&labels),
            faults: FaultKind::ALL.map(|kind| {
                self.faults.get_or_create_owned(&FaultLabels {
                    component: labels.component.clone(),
                    plugin: labels.plugin.clone(),
                    kind: kind.name(),
                })
            }),
        }
    }
}
