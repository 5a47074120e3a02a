//! Counts in `names` different metrics with ever new label values per call; none is declared.

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue, metrics};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    #[serde(default = "default_names")]
    names: u32,
}

struct MetricFlood {
    names: u32,
    calls: u64,
}

impl Interceptor for MetricFlood {
    type Config = Config;

    fn configure(config: Config, _: &Instance) -> Result<Self, Vec<Issue>> {
        Ok(Self { names: config.names, calls: 0 })
    }

    fn intercept(&mut self, _: &Batch, _: &mut Edits) -> Result<(), Failure> {
        for name in 0..self.names {
            self.calls += 1;
            let label = self.calls.to_string();
            metrics::counter_add(&format!("undeclared_{name}"), &[&label], 1);
            metrics::gauge_set("undeclared", &[], f64::NAN);
            metrics::histogram_record("undeclared", &[], f64::INFINITY);
        }
        Ok(())
    }
}

millrace_plugin::export!(MetricFlood);

fn default_names() -> u32 {
    1_000
}
