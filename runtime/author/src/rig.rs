//! A plugin on the real host, outside of an agent: what `test`, `bench` and `run` work with.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_config::{
    Diagnostics, Files, Node, Property, Scalar, Section, Span, Spanned, SystemEnvironment, check, read_plugin,
};
use millrace_core::{BuildContext, Clock, Interceptor, Metrics, PluginHost, Sink, Source};
use millrace_wasm::WasmHost;

use crate::error::BuildError;

/// The name that plugin and component have here.
pub const NAME: &str = "plugin";

/// Stands still at one second after 1970: what a plugin answers does not depend on when it is asked.
pub struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1)
    }
}

/// A host of its own, with its cache and its metrics.
pub struct Rig {
    host: Arc<WasmHost>,
    metrics: Metrics,
    folder: tempfile::TempDir,
}

/// What an operator would write around a plugin.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Its options: a node whose children and properties they are.
    pub config: Option<Node>,
    /// The `grant` node.
    pub grant: Option<Node>,
    /// Options of the component that the host reads itself: `poll events=3`.
    pub component: Option<Node>,
    /// The `limits` node.
    pub limits: Option<Node>,
    /// The texts that these nodes come from.
    pub files: Files,
}

/// A checked component, ready to be built.
struct Ready {
    section: Section,
    cx: BuildContext,
}

impl Rig {
    /// A host with nothing in it.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn new() -> Result<Self, BuildError> {
        let folder = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
        let environment = SystemEnvironment::new(|name| std::env::var(name).ok());
        Ok(Self::with(folder, environment))
    }

    /// As [`Rig::new`], with a value for every variable: cases do not depend on secrets.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn for_cases() -> Result<Self, BuildError> {
        let folder = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
        Ok(Self::with(folder, SystemEnvironment::new(|_| Some("test".to_owned()))))
    }

    fn with(folder: tempfile::TempDir, environment: SystemEnvironment) -> Self {
        let host = WasmHost::new(folder.path().join("plugins")).with_environment(Arc::new(environment));
        Self { host: Arc::new(host), metrics: Metrics::default(), folder }
    }

    /// A folder that goes with the rig.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A second host, with metrics of its own, that shares the native code of this one.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn beside(&self) -> Result<Self, BuildError> {
        let folder = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
        let host = WasmHost::new(self.folder.path().join("plugins"));
        let host = host.with_environment(Arc::new(SystemEnvironment::new(|name| std::env::var(name).ok())));
        Ok(Self { host: Arc::new(host), metrics: Metrics::default(), folder })
    }

    /// The counters of the plugin and of its host.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The plugin as an interceptor.
    ///
    /// # Errors
    /// What `millrace check` would say.
    pub fn interceptor(&self, path: &Path, around: &Around) -> Result<Box<dyn Interceptor>, Diagnostics> {
        let factories = millrace_wasm::interceptors();
        let factory = factories.first().ok_or_else(Diagnostics::default)?;
        let ready = self.ready(path, around, factory.options)?;
        (factory.build)(&ready.section, &ready.cx)
    }

    /// The plugin as a sink.
    ///
    /// # Errors
    /// What `millrace check` would say.
    pub fn sink(&self, path: &Path, around: &Around) -> Result<Box<dyn Sink>, Diagnostics> {
        let factories = millrace_wasm::sinks();
        let factory = factories.first().ok_or_else(Diagnostics::default)?;
        let ready = self.ready(path, around, factory.options)?;
        (factory.build)(&ready.section, &ready.cx)
    }

    /// The plugin as a source.
    ///
    /// # Errors
    /// What `millrace check` would say.
    pub fn source(&self, path: &Path, around: &Around) -> Result<Box<dyn Source>, Diagnostics> {
        let factories = millrace_wasm::sources();
        let factory = factories.first().ok_or_else(Diagnostics::default)?;
        let ready = self.ready(path, around, factory.options)?;
        (factory.build)(&ready.section, &ready.cx)
    }

    fn ready(
        &self,
        path: &Path,
        around: &Around,
        options: &'static [millrace_config::OptionSpec],
    ) -> Result<Ready, Diagnostics> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut declared = node(NAME);
        let file = Scalar::Text(path.display().to_string());
        let place = Span::default();
        declared
            .properties
            .push(Property { name: Spanned::new("path".into(), place), value: Spanned::new(file, place) });
        declared.children.extend([&around.limits, &around.grant].into_iter().flatten().cloned());
        let (plugin, found) = read_plugin(&declared, &around.files);
        let Some(plugin) = plugin.filter(|_| !found.has_errors()) else { return Err(found) };
        let mut component = component(around.config.as_ref());
        component.children.extend(around.component.iter().cloned());
        let (section, found) = check(&component, options, true, &around.files);
        if found.has_errors() {
            return Err(found);
        }
        let cx = BuildContext {
            agent: "author".into(),
            component: NAME.into(),
            data_dir: self.folder.path().join("component"),
            generation: 1,
            lane: 0,
            lanes: 1,
            clock: Arc::new(StillClock),
            metrics: self.metrics.clone(),
            plugins: Arc::new([plugin]),
            plugin_host: Arc::clone(&self.host) as Arc<dyn PluginHost>,
        };
        Ok(Ready { section, cx })
    }
}

/// The options as they stand in the configuration of an agent: `wasm "plugin" { … }`.
pub fn component(config: Option<&Node>) -> Node {
    let mut component = config.cloned().unwrap_or_else(|| node("wasm"));
    component.name.value = "wasm".into();
    component.arguments = vec![Spanned::new(Scalar::Text(NAME.into()), component.name.span)];
    component
}

/// A node without anything.
pub fn node(name: &str) -> Node {
    let span = Span::default();
    Node {
        name: Spanned::new(name.to_owned(), span),
        arguments: Vec::new(),
        properties: Vec::new(),
        children: Vec::new(),
        span,
    }
}
