//! Counts in `names` different metrics per call, none of which is declared, and in one that is, with `values` ever new label
//! values.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, metrics};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "default_names")]
    names: u32,
    #[serde(default)]
    values: u32,
}

struct MetricFlood {
    names: u32,
    values: u32,
    calls: u64,
}

impl Interceptor for MetricFlood {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { names: config.names, values: config.values, calls: 0 })
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        for name in 0..self.names {
            self.calls += 1;
            let label = self.calls.to_string();
            metrics::counter_add(&format!("undeclared_{name}"), &[&label], 1);
            metrics::gauge_set("undeclared", &[], f64::NAN);
            metrics::histogram_record("undeclared", &[], f64::INFINITY);
        }
        for _ in 0..self.values {
            self.calls += 1;
            metrics::counter_add("declared", &[&self.calls.to_string()], 1);
        }
        Ok(())
    }
}

millrace_plugin::export!(MetricFlood);

fn default_names() -> u32 {
    1_000
}
