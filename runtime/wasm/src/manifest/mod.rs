//! The manifest: what a plugin says about itself, as KDL text in the custom section `millrace:manifest` of its component.
//!
//! It is read without running anything of the plugin, and it is a claim of whoever built the file: it can ask (`wants`, `limits`) and
//! describe (`config`, `metrics`), but it grants nothing, and what the operator says wins.
//!
//! ```kdl
//! plugin "crm-sink" version="1.3.0" licence="Apache-2.0" {
//!     summary "Sends events to the CRM"
//!     wants { http "https://crm.example.com"; secret "crm-token" }
//!     metrics { counter "sent" label="status" }
//!     state schema="crm" version=2
//!     limits memory="32MiB" time="50ms"
//!     lanes "independent"
//!     config #"{"type":"object","required":["account"],"properties":{"account":{"type":"string"}}}"#
//! }
//! ```

mod limits;
mod read;
mod wants;

use std::time::Duration;

use serde_json::{Value, json};

pub use read::ManifestError;

use crate::schema::ConfigSchema;

pub(crate) use limits::with_limits;

/// The custom section of the component that holds the text.
pub const MANIFEST_SECTION: &str = "millrace:manifest";

/// Largest manifest, as text.
pub const MANIFEST_BYTES_MAX: usize = 512 << 10;

/// What a plugin says about itself.
#[derive(Debug, Default)]
pub struct Manifest {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// Its licence, as an SPDX expression.
    pub licence: Option<String>,
    /// What it does, in one line.
    pub summary: Option<String>,
    /// What it asks the operator for.
    pub wants: Vec<Want>,
    /// The metrics it keeps.
    pub metrics: Vec<MetricDeclaration>,
    /// The limits it would like to have.
    pub limits: WantedLimits,
    /// The form of what it keeps in `state` or hands over.
    pub state: Option<StateForm>,
    /// Whether its instances share nothing, not even the keys in `state`.
    pub lanes_are_independent: bool,
    /// What its options are; None: only the plugin itself knows.
    pub config: Option<ConfigSchema>,
}

/// Something that the operator has to grant: `http "https://crm.example.com"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The kind of grant: `http`, `secret`, `directory`, `env`, `clocks`, `random`, `socket`, `channel`.
    pub kind: String,
    /// What of that kind; empty where the kind says it all.
    pub values: Vec<String>,
}

/// A metric that the plugin keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricDeclaration {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The keys of its labels, in the order in which the plugin gives their values.
    pub labels: Vec<String>,
}

/// Limits that a plugin would like to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedLimits {
    /// Linear memory of one instance.
    pub memory_bytes: Option<u64>,
    /// Time of one call.
    pub time: Option<Duration>,
}

/// The form of what a plugin keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateForm {
    /// Its name.
    pub schema: String,
    /// Its version.
    pub version: u32,
}

impl Manifest {
    /// Reads a manifest. `strict`, for whoever writes one: unknown entries are mistakes. Otherwise they are passed over, since
    /// a later version of Millrace may know them.
    ///
    /// # Errors
    /// The first mistakes, each with line and column.
    pub fn parse(text: &str, strict: bool) -> Result<Self, ManifestError> {
        read::read(text, strict)
    }

    /// The manifest for machines.
    pub fn to_json(&self) -> Value {
        let wants: Vec<Value> =
            self.wants.iter().map(|want| json!({ "kind": want.kind, "values": want.values })).collect();
        let metric = |metric: &MetricDeclaration| json!({ "kind": metric.kind, "name": metric.name, "labels": metric.labels });
        json!({
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "summary": self.summary,
            "wants": wants,
            "metrics": self.metrics.iter().map(metric).collect::<Vec<_>>(),
            "limits": {
                "memory_bytes": self.limits.memory_bytes,
                "time_ms": self.limits.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            },
            "state": self.state.as_ref().map(|state| json!({ "schema": state.schema, "version": state.version })),
            "lanes": if self.lanes_are_independent { "independent" } else { "shared" },
            "config": self.config.as_ref().map(ConfigSchema::json),
        })
    }
}

#[cfg(test)]
mod tests;
