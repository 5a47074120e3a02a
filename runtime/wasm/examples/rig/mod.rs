//! One plugin as an interceptor, as an agent would build it: what the measurements share.
#![allow(clippy::disallowed_methods, reason = "a measurement runs on the real clock")]

use std::{path::Path, sync::Arc, time::Duration, time::SystemTime};

use millrace_config::{MapEnvironment, PluginSpec, Span, Spanned, check, parse_nodes};
use millrace_core::{BuildContext, Clock, Interceptor, Metrics, PluginHost};
use millrace_wasm::WasmHost;

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Builds one generation of a plugin without options. A plugin that does not start ends the measurement.
pub fn build(
    host: &Arc<WasmHost>,
    metrics: &Metrics,
    name: &str,
    path: &Path,
    generation: u64,
) -> Arc<dyn Interceptor> {
    let text = format!("wasm \"{name}\"");
    let (nodes, files, _) = parse_nodes("bench.kdl", &text, &MapEnvironment::default());
    let factories = millrace_wasm::interceptors();
    let (Some(factory), Some(node)) = (factories.first(), nodes.first()) else { std::process::exit(2) };
    let (section, _) = check(node, factory.options, true, &files);
    let plugin = PluginSpec {
        name: Spanned::new(name.to_owned(), Span::default()),
        path: Spanned::new(path.to_owned(), Span::default()),
        digest: None,
        memory_bytes_max: 64 << 20,
        call_time_max: Some(Duration::from_millis(100)),
        instances_max: 2,
        log_lines_max: 100,
        state_bytes_max: 16 << 20,
        grant: None,
        node: node.clone(),
        script: None,
    };
    let cx = BuildContext {
        agent: "bench".into(),
        component: name.into(),
        data_dir: std::env::temp_dir(),
        generation,
        lane: 0,
        lanes: 1,
        clock: Arc::new(WallClock),
        metrics: metrics.clone(),
        plugins: Arc::new([plugin]),
        plugin_host: Arc::clone(host) as Arc<dyn PluginHost>,
    };
    match (factory.build)(&section, &cx) {
        Ok(interceptor) => Arc::from(interceptor),
        Err(found) => {
            found.iter().for_each(|diagnostic| eprintln!("{}: {}", diagnostic.code, diagnostic.reason));
            eprintln!("are the guests built? cargo xtask guests");
            std::process::exit(2)
        }
    }
}
