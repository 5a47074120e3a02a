//! Metrics of the plugin's own. Calls, events, faults and times are counted by the agent already.
//!
//! Names and label keys are declared in the plugin's manifest; `labels` are the values in that order.
//! Without an agent, as in tests, nothing is recorded.

#[cfg(target_arch = "wasm32")]
use crate::bindings::millrace::plugin::metrics as host;

#[cfg(target_arch = "wasm32")]
fn owned(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// Adds to a counter.
#[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables, reason = "there is no agent"))]
pub fn counter_add(name: &str, labels: &[&str], amount: u64) {
    #[cfg(target_arch = "wasm32")]
    host::counter_add(name, &owned(labels), amount);
}

/// Sets a gauge.
#[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables, reason = "there is no agent"))]
pub fn gauge_set(name: &str, labels: &[&str], value: f64) {
    #[cfg(target_arch = "wasm32")]
    host::gauge_set(name, &owned(labels), value);
}

/// Records one observation of a histogram.
#[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables, reason = "there is no agent"))]
pub fn histogram_record(name: &str, labels: &[&str], value: f64) {
    #[cfg(target_arch = "wasm32")]
    host::histogram_record(name, &owned(labels), value);
}
