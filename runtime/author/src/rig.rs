//! A plugin on the real host, outside of an agent: what `test`, `bench` and `run` work with.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_config::{
    Diagnostics, FileId, Files, Node, PluginSpec, Property, Report, Scalar, Section, Span, Spanned,
    SystemEnvironment, check, read_plugin,
};
use millrace_core::{BuildContext, Clock, Interceptor, Metrics, PluginHost, Sink, Source};
use millrace_wasm::WasmHost;

use crate::error::BuildError;

/// The name that plugin and component have here.
pub const NAME: &str = "plugin";

/// The interceptor types that run plugins and scripts.
const COMPONENT: &str = "wasm";
const SCRIPT: &str = "script";

/// Largest script.
const SCRIPT_BYTES_MAX: u64 = 8 << 20;

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

impl Around {
    /// Reads the plugin file where it is a script, which is a part of the configuration; of any other file there is nothing to read.
    ///
    /// # Errors
    /// There is no such file, it is too large, or it is no text.
    pub fn with_script(mut self, path: &Path) -> Result<Self, BuildError> {
        if !is_script(path) {
            return Ok(self);
        }
        let length = std::fs::metadata(path).map_err(BuildError::at(path))?.len();
        if length > SCRIPT_BYTES_MAX {
            return Err(BuildError::Project(format!(
                "{} has {length} bytes; at most {SCRIPT_BYTES_MAX} are allowed",
                path.display()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(BuildError::at(path))?;
        self.files.add(path.to_owned(), text.into());
        Ok(self)
    }
}

/// Whether a plugin file is a script, which runs as it is.
pub fn is_script(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "js" || extension == "mjs")
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
        let cache = folder.path().join("plugins");
        Ok(Self::with(folder, &cache, SystemEnvironment::new(|name| std::env::var(name).ok())))
    }

    /// As [`Rig::new`], with a value for every variable: cases do not depend on secrets. What is compiled for one case is
    /// in `cache` for the next one.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn for_cases(cache: &Path) -> Result<Self, BuildError> {
        let folder = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
        Ok(Self::with(folder, cache, SystemEnvironment::new(|_| Some("test".to_owned()))))
    }

    fn with(folder: tempfile::TempDir, cache: &Path, environment: SystemEnvironment) -> Self {
        let host = WasmHost::new(cache.to_owned()).with_environment(Arc::new(environment));
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
        let cache = self.folder.path().join("plugins");
        Ok(Self::with(folder, &cache, SystemEnvironment::new(|name| std::env::var(name).ok())))
    }

    /// The counters of the plugin and of its host.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The plugin, or the script that was read with [`Around::with_script`], as an interceptor.
    ///
    /// # Errors
    /// What `millrace check` would say.
    pub fn interceptor(&self, path: &Path, around: &Around) -> Result<Box<dyn Interceptor>, Diagnostics> {
        let kind = if is_script(path) { SCRIPT } else { COMPONENT };
        let factories = millrace_wasm::interceptors();
        let factory =
            factories.iter().find(|factory| factory.name == kind).ok_or_else(Diagnostics::default)?;
        let ready = match kind {
            SCRIPT => self.ready_script(path, around, factory.options)?,
            _ => self.ready(path, around, factory.options)?,
        };
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
        declared.properties.push(property("path", &path));
        declared.children.extend([&around.limits, &around.grant].into_iter().flatten().cloned());
        let (plugin, found) = read_plugin(&declared, &around.files);
        let Some(plugin) = plugin.filter(|_| !found.has_errors()) else { return Err(found) };
        let mut component = component(around.config.as_ref());
        component.children.extend(around.component.iter().cloned());
        self.checked(&component, around, options, Arc::new([plugin]))
    }

    /// A script is no plugin that is declared: its limits and grants stand in its own section.
    fn ready_script(
        &self,
        path: &Path,
        around: &Around,
        options: &'static [millrace_config::OptionSpec],
    ) -> Result<Ready, Diagnostics> {
        let mut component = component(around.config.as_ref());
        component.name.value = SCRIPT.into();
        component.properties.push(property("file", path));
        component
            .children
            .extend([&around.limits, &around.grant, &around.component].into_iter().flatten().cloned());
        self.checked(&component, around, options, Arc::new([]))
    }

    fn checked(
        &self,
        component: &Node,
        around: &Around,
        options: &'static [millrace_config::OptionSpec],
        plugins: Arc<[PluginSpec]>,
    ) -> Result<Ready, Diagnostics> {
        let (section, found) = check(component, options, true, &around.files);
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
            plugins,
            plugin_host: Arc::clone(&self.host) as Arc<dyn PluginHost>,
        };
        Ok(Ready { section, cx })
    }
}

/// The options as they stand in the configuration of an agent: `wasm "plugin" { … }`.
pub fn component(config: Option<&Node>) -> Node {
    let mut component = config.cloned().unwrap_or_else(|| node(COMPONENT));
    component.name.value = COMPONENT.into();
    component.arguments = vec![Spanned::new(Scalar::Text(NAME.into()), component.name.span)];
    component
}

/// Findings as `millrace check` shows them. There is one plugin here: its name would say nothing.
pub fn report(found: &Diagnostics, files: &Files, is_coloured: bool, width: usize) -> String {
    let text = Report::new(found, files).render_text(is_coloured, width);
    text.replace(&format!("plugin {NAME}: "), "").replace(&format!("script {NAME}: "), "")
}

/// A property that holds a path. It stands in no file, so the path is taken as it is.
fn property(name: &str, path: &Path) -> Property {
    let nowhere = Span { file: FileId(u32::MAX), ..Span::default() };
    let value = Scalar::Text(path.display().to_string());
    Property { name: Spanned::new(name.into(), nowhere), value: Spanned::new(value, nowhere) }
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
