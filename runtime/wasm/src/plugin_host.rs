//! Plugins as the engine sees them: a file, a section of the configuration, and out comes an interceptor or the
//! list of everything that is wrong, each with its place.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::SystemTime,
};

use bytestring::ByteString;
use millrace_config::{Diagnostic, Diagnostics, Node, PluginSpec, Section, Span, pointer_span, to_json};
use millrace_core::{BuildContext, Interceptor, PluginHost};
use parking_lot::Mutex;

use crate::{
    bindings::Issue,
    cache::CodeCache,
    component::{self, LoadedPlugin},
    engine::PluginEngine,
    error::HostError,
    factory::{self, OWN_OPTIONS},
    grants::Grants,
    host::{GuestMetrics, LogSource, escaped},
    inspect::{Inspection, inspect},
    instance::{Instance, StartError, Template},
    interceptor::{Inner, Origin, WasmInterceptor},
    lanes::{Lanes, Recycling},
    manifest::{Manifest, with_limits},
    metrics::PluginFamilies,
    minisig,
};

/// Mistakes that one guest may report about its configuration.
const ISSUES_MAX: usize = 50;

/// Runs plugins with wasmtime. The engine is made when the first plugin is loaded, so an agent without plugins
/// does not pay for one.
pub struct WasmHost {
    engine: OnceLock<Arc<PluginEngine>>,
    cache: CodeCache,
    /// Made with the metrics of the agent when its first plugin is built.
    families: OnceLock<PluginFamilies>,
    /// Components in use, by digest: several interceptors share the code of one plugin.
    loaded: Mutex<HashMap<String, Weak<LoadedPlugin>>>,
    /// Digests of files, so that a reload does not read what has not changed.
    digests: Mutex<HashMap<PathBuf, (SystemTime, u64, String)>>,
}

impl WasmHost {
    /// A host that keeps native code in this folder, which it makes when it needs it. One per agent: it registers
    /// metrics once.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            engine: OnceLock::new(),
            cache: CodeCache::new(cache.into()),
            families: OnceLock::new(),
            loaded: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    /// What a plugin file holds and asks for. Runs nothing of it.
    ///
    /// # Errors
    /// The file is no component at all.
    pub fn inspect(&self, wasm: &[u8]) -> Result<Inspection, HostError> {
        inspect(&self.engine()?, &self.cache, wasm)
    }

    fn engine(&self) -> Result<Arc<PluginEngine>, HostError> {
        if let Some(engine) = self.engine.get() {
            return Ok(Arc::clone(engine));
        }
        let engine = Arc::new(PluginEngine::new()?);
        Ok(Arc::clone(self.engine.get_or_init(|| engine)))
    }

    /// Reads, checks and compiles; code that is in use already is shared.
    fn load(&self, plugin: &PluginSpec) -> Result<Arc<LoadedPlugin>, HostError> {
        let wasm = component::read(&plugin.path.value)?;
        if let Some(key) = plugin.key() {
            let signature = minisig::read_beside(&plugin.path.value).map_err(HostError::Signature)?;
            minisig::verify_signature(&wasm, &signature, &key.value).map_err(HostError::Signature)?;
        }
        let found = component::digest_of(&wasm);
        let shared = self.loaded.lock().get(&found).and_then(Weak::upgrade);
        let pinned = plugin.digest.as_ref().map(|digest| digest.value.as_str());
        if let Some(shared) = shared.filter(|shared| pinned.is_none_or(|pinned| pinned == shared.digest)) {
            return Ok(shared);
        }
        let loaded = Arc::new(component::load(&self.engine()?, &self.cache, &wasm, pinned)?);
        let mut all = self.loaded.lock();
        all.retain(|_, plugin| plugin.strong_count() > 0);
        all.insert(found, Arc::downgrade(&loaded));
        tracing::info!(plugin = plugin.name.value, digest = loaded.digest, origin = ?loaded.origin, "plugin loaded");
        Ok(loaded)
    }

    fn build(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<WasmInterceptor, Diagnostics> {
        let grants = Grants::read(plugin.grant.as_ref())?;
        let loaded = self.load(plugin).map_err(|error| diagnostic(&error, plugin))?;
        let manifest = loaded.manifest.as_ref();
        let plugin = &with_limits(plugin, manifest)?;
        let node = section.node().without(OWN_OPTIONS);
        let config = options(plugin, manifest, &node)?;
        let families = self.families.get_or_init(|| PluginFamilies::register(&cx.metrics));
        let metrics = families.of(&cx.component, &plugin.name.value);
        let template = Arc::new(Template {
            agent: cx.agent.to_string(),
            component: cx.component.to_string(),
            generation: cx.generation,
            config,
            lanes: plugin.instances_max.max(1),
            memory_bytes_max: plugin.memory_bytes_max,
            call_time_max: plugin.call_time_max,
            log: Arc::new(LogSource {
                plugin: plugin.name.value.clone(),
                component: cx.component.to_string(),
                generation: cx.generation,
                lines_max: plugin.log_lines_max,
                metrics: metrics.clone(),
                window: Mutex::default(),
            }),
            guest_metrics: GuestMetrics::new(
                &cx.component,
                families.guests.clone(),
                metrics.clone(),
                manifest.map(|manifest| manifest.metrics.clone()).unwrap_or_default(),
            ),
            metrics,
            plugin: Arc::clone(&loaded),
        });
        let first = Instance::start(&template, 0)
            .map_err(|error| start_diagnostics(error, plugin, section, &node))?;
        let recycling = Recycling::new(plugin.memory_bytes_max);
        let origin = Origin {
            component: cx.component.clone(),
            plugin: ByteString::from(plugin.name.value.as_str()),
            digest: ByteString::from(loaded.digest.as_str()),
            generation: cx.generation.to_string().into(),
        };
        Ok(WasmInterceptor::new(Inner {
            lanes: Lanes::new(Arc::clone(&template), first, recycling),
            template,
            origin,
            channels: grants.channels,
            on_fault: factory::on_fault(section),
            clock: Arc::clone(&cx.clock),
            bad_in_a_row: 0.into(),
            usual_nanos: 0.into(),
        }))
    }
}

impl PluginHost for WasmHost {
    fn interceptor(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Interceptor>, Diagnostics> {
        // A thread of its own: the caller may be a worker of the runtime, and a compiler that panics on a hostile
        // file must not take the agent with it.
        let built = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("plugin-load".into());
            match thread.spawn_scoped(scope, || self.build(plugin, section, cx)) {
                Ok(handle) => handle.join().unwrap_or_else(|_| {
                    let reason = "the plugin's code cannot be compiled: the compiler gave up";
                    Err(Diagnostic::error("plugin::invalid", plugin.path.span, reason).into())
                }),
                Err(error) => {
                    let reason = format!("no thread to load the plugin: {error}");
                    Err(Diagnostic::error("plugin::engine", plugin.name.span, reason).into())
                }
            }
        });
        built.map(|interceptor| Box::new(interceptor) as Box<dyn Interceptor>)
    }

    fn watched(&self, plugin: &PluginSpec) -> Vec<PathBuf> {
        let path = &plugin.path.value;
        let signature = plugin.key().map(|_| minisig::signature_path(path));
        std::iter::once(path.clone()).chain(signature).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "how old a file is that the user names")]
    fn digest(&self, plugin: &PluginSpec) -> Option<String> {
        let path = &plugin.path.value;
        let metadata = std::fs::metadata(path).ok()?;
        let (modified, length) = (metadata.modified().ok()?, metadata.len());
        let known = self.digests.lock().get(path).cloned();
        if let Some((_, _, digest)) = known.filter(|(at, bytes, _)| (*at, *bytes) == (modified, length)) {
            // A file changed twice within the resolution of its time stamp would be missed: only old files are trusted.
            let age = SystemTime::now().duration_since(modified).unwrap_or_default();
            if age.as_secs() >= 2 {
                return Some(digest);
            }
        }
        let digest = component::digest_of(&component::read(path).ok()?);
        self.digests.lock().insert(path.clone(), (modified, length, digest.clone()));
        Some(digest)
    }
}

/// What the guest gets to `configure`: checked against its schema, where its manifest has one.
fn options(plugin: &PluginSpec, manifest: Option<&Manifest>, node: &Node) -> Result<String, Diagnostics> {
    match manifest.and_then(|manifest| manifest.config.as_ref()) {
        Some(schema) => Ok(schema.options(&plugin.name.value, node)?.to_string()),
        None => Ok(to_json(node).to_string()),
    }
}

/// Where and how an error of the file is told.
fn diagnostic(error: &HostError, plugin: &PluginSpec) -> Diagnostic {
    let name = &plugin.name.value;
    let at = |code, span: Span| Diagnostic::error(code, span, format!("plugin {name}: {error}"));
    let path = plugin.path.span;
    match error {
        HostError::Engine(_) => at("plugin::engine", plugin.name.span),
        HostError::Unreadable { .. } => at("plugin::unreadable", path).label("this file"),
        HostError::TooLarge { .. } => at("plugin::too-large", path).label("this file"),
        HostError::Digest { found, .. } => {
            let span = plugin.digest.as_ref().map_or(path, |digest| digest.span);
            at("plugin::digest", span)
                .label("another content than this")
                .help(format!("if the new content is meant: digest=\"{found}\""))
        }
        HostError::Signature(_) => {
            let span = plugin.key().map_or(path, |key| key.span);
            at("plugin::signature", span).label("this key must have signed the file").help(format!(
                "`millrace plugin sign {}` with its secret key, or bring the signature along: {}",
                plugin.path.value.display(),
                minisig::signature_path(&plugin.path.value).display()
            ))
        }
        HostError::Manifest(_) => at("plugin::manifest", path)
            .label("this file")
            .help("the plugin was built with a manifest that is wrong: ask its author"),
        HostError::CoreModule => at("plugin::core-module", path)
            .label("this file")
            .help("make a component of it: `millrace plugin build`, or `wasm-tools component new`"),
        HostError::Invalid(_) => at("plugin::invalid", path).label("this file"),
        HostError::Export { .. } => at("plugin::world", path)
            .label("does not fit the role of an interceptor")
            .help("an interceptor exports millrace:plugin/lifecycle@0.1.0 and millrace:plugin/interceptor@0.1.0"),
        HostError::Import { grant, .. } => {
            let diagnostic = at("plugin::import", path).label("asks for more than is offered");
            match grant {
                Some(grant) => diagnostic.help(format!("what could be granted in its place: {grant}")),
                None => diagnostic,
            }
        }
    }
}

/// What `configure` came to, told at the options it is about.
fn start_diagnostics(error: StartError, plugin: &PluginSpec, section: &Section, node: &Node) -> Diagnostics {
    let name = &plugin.name.value;
    let mut all = Diagnostics::default();
    match error {
        StartError::Fault(fault) => {
            let reason = format!("plugin {name} broke in `configure`: {fault}");
            let diagnostic = Diagnostic::error("plugin::configure-fault", section.span_of("plugin"), reason);
            all.push(if fault.backtrace.is_empty() {
                diagnostic
            } else {
                diagnostic.help(format!("where it was, innermost first:\n{}", fault.backtrace))
            });
        }
        StartError::Issues(issues) if issues.is_empty() => {
            let reason = format!("plugin {name} refuses its configuration without saying why");
            all.push(Diagnostic::error("plugin::configure", section.span_of("plugin"), reason));
        }
        StartError::Issues(issues) => {
            for Issue { path, reason } in issues.into_iter().take(ISSUES_MAX) {
                let reason = format!("plugin {name}: {}", escaped(&reason, 1024));
                all.push(Diagnostic::error("plugin::configure", pointer_span(node, &path), reason));
            }
        }
    }
    all
}
