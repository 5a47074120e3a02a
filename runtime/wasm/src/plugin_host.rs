//! Plugins as the engine sees them: a file, a section of the configuration, and out comes an interceptor or the
//! list of everything that is wrong, each with its place.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, OnceLock, Weak},
    time::{Duration, SystemTime},
};

use bytestring::ByteString;
use millrace_config::{Diagnostic, Diagnostics, Environment, MapEnvironment, PluginSpec, Section, to_json};
use millrace_core::{BuildContext, Codec, Interceptor, PluginHost, Sink, Source, StateStore, StateStores};
use parking_lot::Mutex;

use crate::{
    cache::CodeCache,
    capabilities::Capabilities,
    codec::WasmCodec,
    component::{self, LoadedPlugin, Offer},
    diagnostics::{diagnostic, start_diagnostics},
    engine::PluginEngine,
    error::{Fault, HostError},
    factory,
    generation::Generation,
    grants::Grants,
    host::{GuestMetrics, LogSource},
    http::{Resolve, SystemResolver},
    imports,
    inspect::{Inspection, inspect},
    instance::{Instance, StartError, Template, at_once},
    interceptor::WasmInterceptor,
    manifest::with_limits,
    metrics::{PluginFamilies, PluginMetrics},
    minisig,
    origin::Origin,
    refusals::Refusals,
    role::Role,
    schema, script,
    sink::WasmSink,
    source::WasmSource,
    swap,
};

/// Time of one call, where the operator does not say otherwise.
const CALL_TIME: Duration = Duration::from_millis(100);

/// The same for a call that may wait for the world outside.
const WAITING_CALL_TIME: Duration = Duration::from_secs(30);

/// Runs plugins with wasmtime. The engine is made when the first plugin is loaded, so an agent without plugins
/// does not pay for one.
pub struct WasmHost {
    engine: OnceLock<Arc<PluginEngine>>,
    cache: CodeCache,
    /// Made with the metrics of the agent when its first plugin is built.
    families: OnceLock<PluginFamilies>,
    /// What components keep; it outlives them.
    states: OnceLock<StateStores>,
    /// Components in use, by digest and by what is offered: several interceptors share the code of one plugin.
    loaded: Mutex<HashMap<(String, Offer), Weak<LoadedPlugin>>>,
    /// Where the values of secrets and variables come from.
    environment: Arc<dyn Environment + Send + Sync>,
    resolver: Arc<dyn Resolve>,
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
            states: OnceLock::new(),
            loaded: Mutex::default(),
            environment: Arc::new(MapEnvironment::default()),
            resolver: Arc::new(SystemResolver),
            digests: Mutex::default(),
        }
    }

    /// Says where the values of granted secrets and variables come from. Without this there are none.
    #[must_use]
    pub fn with_environment(self, environment: Arc<dyn Environment + Send + Sync>) -> Self {
        Self { environment, ..self }
    }

    /// The grants of a plugin, or everything that is wrong with them.
    fn grants(&self, plugin: &PluginSpec) -> Result<Arc<Grants>, Diagnostics> {
        let (grants, found) = Grants::read(plugin.grant.as_ref(), &*self.environment);
        if found.has_errors() { Err(found) } else { Ok(Arc::new(grants)) }
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
    fn load(&self, plugin: &PluginSpec, role: Role, grants: &Grants) -> Result<Arc<LoadedPlugin>, HostError> {
        let wasm = match script::embedded_engine(plugin) {
            Some(engine) => Cow::Borrowed(engine),
            None => Cow::Owned(component::read(&plugin.path.value)?),
        };
        if let Some(key) = plugin.key() {
            let signature = minisig::read_beside(&plugin.path.value).map_err(HostError::Signature)?;
            minisig::verify_signature(&wasm, &signature, &key.value).map_err(HostError::Signature)?;
        }
        let found = component::digest_of(&wasm);
        let pinned = plugin.digest.as_ref().map(|digest| digest.value.as_str());
        // Code is shared, permission is not.
        let names = imports::names(&wasm)?;
        let offer = Offer::new(&names, Some(grants));
        let fits = |shared: &Arc<LoadedPlugin>| {
            pinned.is_none_or(|pinned| pinned == shared.digest)
                && shared.exports.has(role)
                && imports::check(&names, Some(grants)).is_ok()
        };
        let key = (found, offer);
        let shared = self.loaded.lock().get(&key).and_then(Weak::upgrade).filter(fits);
        if let Some(shared) = shared {
            return Ok(shared);
        }
        let loaded = component::load(&self.engine()?, &self.cache, &wasm, pinned, role, Some(grants))?;
        let loaded = Arc::new(loaded);
        let mut all = self.loaded.lock();
        all.retain(|_, plugin| plugin.strong_count() > 0);
        all.insert(key, Arc::downgrade(&loaded));
        tracing::info!(plugin = plugin.name.value, digest = loaded.digest, origin = ?loaded.origin, "plugin loaded");
        Ok(loaded)
    }

    /// Takes a plugin to its first instance, which has accepted its configuration.
    fn prepare(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
        role: Role,
    ) -> Result<Prepared, Diagnostics> {
        let grants = self.grants(plugin)?;
        let loaded = self.load(plugin, role, &grants).map_err(|error| diagnostic(&error, plugin, role))?;
        let manifest = loaded.manifest.as_ref();
        manifest.map_or(Ok(()), |manifest| manifest.check_wants(plugin, &grants))?;
        let plugin = &with_limits(plugin, manifest)?;
        let node = section.node().without(match &plugin.script {
            Some(_) => script::OWN_OPTIONS,
            None => factory::own_options(role),
        });
        let config = match &plugin.script {
            Some(_) => script::config(plugin, to_json(&node)).to_string(),
            None => schema::options(plugin, manifest, &node)?,
        };
        let families = self.families.get_or_init(|| PluginFamilies::register(&cx.metrics));
        let metrics = families.of(&cx.component, &plugin.name.value);
        let refusals = Refusals::new(&cx.component, &plugin.name.value, families.refused.clone());
        let capabilities = Capabilities::new(
            Arc::clone(&grants),
            Arc::clone(&self.resolver),
            Arc::new(refusals),
            Arc::clone(&cx.clock),
            plugin.memory_bytes_max,
        );
        let keeps_state = loaded.keeps_state && script::may_keep_state(plugin);
        let usual = if loaded.waits { WAITING_CALL_TIME } else { CALL_TIME };
        let template = Arc::new(Template {
            agent: cx.agent.to_string(),
            component: cx.component.to_string(),
            generation: cx.generation,
            config,
            // What is kept in memory, or written batch by batch, can only be in one place.
            lane: cx.lane,
            lanes: if role == Role::Sink {
                cx.lanes
            } else if keeps_state || loaded.exports.handover.is_some() {
                1
            } else {
                plugin.instances_max.max(1)
            },
            memory_bytes_max: plugin.memory_bytes_max,
            call_time_max: plugin.call_time_max.unwrap_or(usual),
            state: keeps_state.then(|| self.state_of(plugin, cx, role)).flatten(),
            log: Arc::new(log_source(plugin, cx, &metrics)),
            guest_metrics: GuestMetrics::new(
                &cx.component,
                families.guests.clone(),
                metrics.clone(),
                manifest.map(|manifest| manifest.metrics.clone()).unwrap_or_default(),
            ),
            metrics,
            capabilities: Arc::new(capabilities),
            plugin: Arc::clone(&loaded),
        });
        let first =
            start_blocking(&template).map_err(|error| start_diagnostics(error, plugin, section, &node))?;
        let origin = Origin {
            component: cx.component.clone(),
            plugin: ByteString::from(plugin.name.value.as_str()),
            digest: script::digest(plugin).unwrap_or_else(|| loaded.digest.clone()).into(),
            generation: cx.generation.to_string().into(),
        };
        Ok(Prepared { template, first, grants, origin, memory_bytes_max: plugin.memory_bytes_max })
    }

    /// What the component keeps. A codec keeps nothing: nothing of it is committed.
    fn state_of(&self, plugin: &PluginSpec, cx: &BuildContext, role: Role) -> Option<Arc<StateStore>> {
        let states = self.states.get_or_init(|| StateStores::new(Arc::clone(&cx.clock)));
        match role {
            Role::Interceptor => Some(states.interceptor(&cx.component, plugin.state_bytes_max)),
            Role::Source => Some(states.source(&cx.component, plugin.state_bytes_max)),
            Role::Sink => Some(states.sink(&cx.component, plugin.state_bytes_max)),
            Role::Codec => None,
        }
    }

    /// Does `work` on a thread of its own: the caller may be a worker of the runtime, and a compiler that panics on a
    /// hostile file must not take the agent with it.
    fn apart<T: Send>(
        plugin: &PluginSpec,
        work: impl FnOnce() -> Result<T, Diagnostics> + Send,
    ) -> Result<T, Diagnostics> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("plugin-load".into());
            match thread.spawn_scoped(scope, work) {
                Ok(handle) => handle.join().unwrap_or_else(|_| {
                    let reason = "the plugin's code cannot be compiled: the compiler gave up";
                    Err(Diagnostic::error("plugin::invalid", plugin.path.span, reason).into())
                }),
                Err(error) => {
                    let reason = format!("no thread to load the plugin: {error}");
                    Err(Diagnostic::error("plugin::engine", plugin.name.span, reason).into())
                }
            }
        })
    }
}

fn log_source(plugin: &PluginSpec, cx: &BuildContext, metrics: &PluginMetrics) -> LogSource {
    LogSource {
        plugin: plugin.name.value.clone(),
        component: cx.component.to_string(),
        generation: cx.generation,
        lines_max: plugin.log_lines_max,
        metrics: metrics.clone(),
        window: Mutex::default(),
    }
}

/// A plugin whose first instance runs.
pub(crate) struct Prepared {
    pub(crate) template: Arc<Template>,
    pub(crate) first: Instance,
    pub(crate) grants: Arc<Grants>,
    pub(crate) origin: Origin,
    pub(crate) memory_bytes_max: u64,
}

/// Starts an instance from a thread that belongs to no runtime. `configure` has nothing to wait for, but a guest that
/// may wait needs a runtime to give its thread back to.
fn start_blocking(template: &Arc<Template>) -> Result<Instance, StartError> {
    if !template.plugin.waits {
        return at_once(Instance::start(template, template.lane));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(Instance::start(template, template.lane)),
        Err(error) => Err(StartError::Fault(Fault::host(format!("no runtime for the plugin: {error}")))),
    }
}

impl PluginHost for WasmHost {
    fn interceptor(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Interceptor>, Diagnostics> {
        let settings = swap::Settings::read(section)?;
        let prepared = Self::apart(plugin, || self.prepare(plugin, section, cx, Role::Interceptor))?;
        let generation = Generation::new(prepared, factory::on_fault(section));
        Ok(Box::new(WasmInterceptor::new(generation, settings, Arc::clone(&cx.clock))))
    }

    fn source(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Source>, Diagnostics> {
        let prepared = Self::apart(plugin, || self.prepare(plugin, section, cx, Role::Source))?;
        Ok(Box::new(WasmSource::new(prepared, factory::poll_limits(section))))
    }

    fn sink(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Sink>, Diagnostics> {
        let prepared = Self::apart(plugin, || self.prepare(plugin, section, cx, Role::Sink))?;
        Ok(Box::new(WasmSink::new(prepared, factory::on_fault(section), Arc::clone(&cx.clock))))
    }

    fn codec(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Arc<dyn Codec>, Diagnostics> {
        let prepared = Self::apart(plugin, || self.prepare(plugin, section, cx, Role::Codec))?;
        let Some(exports) = prepared.template.plugin.exports.codec else {
            let missing = HostError::Export {
                name: Role::Codec.interface().into(),
                expected: "the interface of a codec".into(),
                found: "nothing".into(),
            };
            return Err(diagnostic(&missing, plugin, Role::Codec).into());
        };
        Ok(Arc::new(WasmCodec::new(prepared, exports, Arc::clone(&cx.clock))))
    }

    fn check_grants(&self, plugin: &PluginSpec, channels: &[&str]) -> Diagnostics {
        let (grants, mut found) = Grants::read(plugin.grant.as_ref(), &*self.environment);
        for (name, span) in &grants.channels {
            if !channels.contains(&&**name) {
                let near = millrace_config::closest(name, channels.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                found.push(
                    Diagnostic::error(
                        "config::unknown-channel",
                        *span,
                        format!("there is no channel `{name}`"),
                    )
                    .label("not defined")
                    .help(format!("{near}known: {}", channels.join(", "))),
                );
            }
        }
        // A file that cannot be read or is no component is reported where it is loaded.
        let names = component::read(&plugin.path.value).and_then(|wasm| imports::names(&wasm));
        if let Ok(names) = names {
            found.extend(grants.unused(&plugin.name.value, &names));
            let wanted = imports::manifest(&names).ok().flatten().map(|manifest| manifest.wants);
            found.extend(grants.compared(&plugin.name, &names, &wanted.unwrap_or_default()));
        }
        found
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
