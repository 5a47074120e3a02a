//! What factories need, made of test parts.

use std::{path::Path, sync::Arc};

use millrace_config::{OptionSpec, Section};
use millrace_core::{BuildContext, Clock, Metrics, NoPlugins};

/// A context for a component named `test` whose data lives in `data_dir`.
pub fn build_context(data_dir: &Path, clock: Arc<dyn Clock>) -> BuildContext {
    BuildContext {
        agent: "test-agent".into(),
        component: "test".into(),
        data_dir: data_dir.to_owned(),
        generation: 1,
        clock,
        metrics: Metrics::default(),
        plugins: Arc::new([]),
        plugin_host: Arc::new(NoPlugins),
    }
}

/// The checked options of one component written as KDL: `taildir "web" { path "/var/log/*.log" }`.
///
/// # Panics
/// The text has a mistake: the finding is in the panic.
pub fn section(options: &[OptionSpec], kdl: &str) -> Section {
    unreachable!("the parser is not merged yet: {kdl} {options:?}")
}
