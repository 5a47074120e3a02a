//! The `metrics` interface: a plugin's own counters, gauges and histograms beside the agent's.
//!
//! Names and labels are declared in the plugin's manifest; what is not declared is counted and not recorded. A guest chooses
//! label values, so their number is bounded per component, and what is over the bound is counted, too. In the agent's metrics
//! a plugin's metric is `millrace_plugin_counter_total{component="…",name="sent",status="200"}` for `counter "sent"
//! label="status"`, likewise `plugin_gauge` and `plugin_histogram`.

use std::{collections::HashMap, sync::Arc, sync::atomic::AtomicU64};

use millrace_core::Metrics;
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use wasmtime::{StoreContextMut, component::Linker};

use super::log::escaped;
use crate::{
    bindings::interface::{self, Version},
    manifest::MetricDeclaration,
    metrics::PluginMetrics,
    state::GuestState,
};

/// Series (names with label values) that one component may have.
const SERIES_MAX: usize = 200;

/// Longest label value.
const TEXT_BYTES_MAX: usize = 128;

/// Kind, name and label values.
type SeriesKey = (&'static str, String, Vec<String>);

type LabelSet = Vec<(String, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// The families that all plugins share.
#[derive(Clone)]
pub(crate) struct GuestFamilies {
    counters: Family<LabelSet, Counter>,
    gauges: Family<LabelSet, FloatGauge>,
    histograms: Family<LabelSet, Histogram, fn() -> Histogram>,
}

impl GuestFamilies {
    /// Registers the families; once per agent.
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let families = Self {
            counters: Family::default(),
            gauges: Family::default(),
            histograms: Family::new_with_constructor(histogram),
        };
        metrics.register(
            "plugin_counter",
            "Counters that plugins keep themselves",
            families.counters.clone(),
        );
        metrics.register("plugin_gauge", "Gauges that plugins keep themselves", families.gauges.clone());
        metrics.register("plugin_histogram", "Histograms that plugins keep", families.histograms.clone());
        families
    }
}

fn histogram() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(0.001, 4.0, 16))
}

/// The metrics of one component.
pub(crate) struct GuestMetrics {
    component: String,
    families: GuestFamilies,
    counts: PluginMetrics,
    declared: Vec<MetricDeclaration>,
    series: Mutex<HashMap<SeriesKey, Series>>,
}

#[derive(Clone)]
enum Series {
    Counter(Counter),
    Gauge(FloatGauge),
    Histogram(Histogram),
}

impl GuestMetrics {
    pub(crate) fn new(
        component: &str,
        families: GuestFamilies,
        counts: PluginMetrics,
        declared: Vec<MetricDeclaration>,
    ) -> Arc<Self> {
        let component = component.to_owned();
        Arc::new(Self { component, families, counts, declared, series: Mutex::default() })
    }

    /// Finds or makes a series and lets `record` use it, unless it is not declared or over the bound.
    fn with(&self, kind: &'static str, name: String, labels: Vec<String>, record: impl FnOnce(&Series)) {
        let key = (kind, name, labels);
        let mut series = self.series.lock();
        if let Some(found) = series.get(&key) {
            return record(found);
        }
        let (_, name, labels) = &key;
        let Some(declaration) = self.declared.iter().find(|declared| {
            declared.name == *name && declared.kind == kind && declared.labels.len() == labels.len()
        }) else {
            self.counts.metrics_undeclared.inc();
            return;
        };
        if series.len() >= SERIES_MAX || labels.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
            self.counts.metrics_refused.inc();
            return;
        }
        let made = self.make(declaration, labels);
        record(&made);
        series.insert(key, made);
    }

    /// A write to the state was refused because the share of the component is used up.
    pub(crate) fn state_refused(&self) {
        self.counts.state_refused.inc();
    }

    fn make(&self, declaration: &MetricDeclaration, labels: &[String]) -> Series {
        let mut set: LabelSet = vec![
            ("component".to_owned(), self.component.clone()),
            ("name".to_owned(), declaration.name.clone()),
        ];
        set.extend(labels.iter().zip(&declaration.labels).map(|(value, key)| {
            // The agent's own labels keep their meaning.
            let key = if ["component", "name", "le"].contains(&key.as_str()) {
                format!("{key}_")
            } else {
                key.clone()
            };
            (key, escaped(value, TEXT_BYTES_MAX * 8))
        }));
        match declaration.kind.as_str() {
            "counter" => Series::Counter(self.families.counters.get_or_create_owned(&set)),
            "gauge" => Series::Gauge(self.families.gauges.get_or_create_owned(&set)),
            _ => Series::Histogram(self.families.histograms.get_or_create_owned(&set)),
        }
    }
}

type Cx<'a> = StoreContextMut<'a, GuestState>;

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut metrics = linker.instance(&version.of(interface::METRICS))?;
    metrics.func_wrap("counter-add", |cx: Cx<'_>, (name, labels, amount): (String, Vec<String>, u64)| {
        cx.data().metrics.with("counter", name, labels, |series| {
            if let Series::Counter(counter) = series {
                counter.inc_by(amount);
            }
        });
        Ok(())
    })?;
    metrics.func_wrap("gauge-set", |cx: Cx<'_>, (name, labels, value): (String, Vec<String>, f64)| {
        cx.data().metrics.with("gauge", name, labels, |series| {
            if let Series::Gauge(gauge) = series {
                gauge.set(value);
            }
        });
        Ok(())
    })?;
    metrics.func_wrap("histogram-record", |cx: Cx<'_>, (name, labels, value): (String, Vec<String>, f64)| {
        cx.data().metrics.with("histogram", name, labels, |series| {
            if let Series::Histogram(histogram) = series {
                histogram.observe(value);
            }
        });
        Ok(())
    })
}
