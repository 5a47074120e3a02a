//! What factories need, made of test parts.

use std::{path::Path, sync::Arc};

use millrace_config::{MapEnvironment, OptionSpec, Section};
use millrace_core::{BuildContext, Clock, Metrics, NoPlugins};

/// A context for a component named `test` whose data lives in `data_dir`.
pub fn build_context(data_dir: &Path, clock: Arc<dyn Clock>) -> BuildContext {
    BuildContext {
        agent: "test-agent".into(),
        component: "test".into(),
        data_dir: data_dir.to_owned(),
        generation: 1,
        lane: 0,
        lanes: 1,
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
    checked(options, kdl, false)
}

/// As [`section`], for components with options of their own making.
///
/// # Panics
/// The text has a mistake: the finding is in the panic.
pub fn open_section(options: &[OptionSpec], kdl: &str) -> Section {
    checked(options, kdl, true)
}

fn checked(options: &[OptionSpec], kdl: &str, open: bool) -> Section {
    let (nodes, files, findings) = millrace_config::parse_nodes("test.kdl", kdl, &MapEnvironment::default());
    assert!(!findings.has_errors(), "{kdl}: {findings:?}");
    assert!(nodes.len() == 1, "{kdl}: expected one node");
    let (section, findings) = millrace_config::check(&nodes[0], options, open, &files);
    assert!(!findings.has_errors(), "{kdl}: {findings:?}");
    section
}
