//! The seam between components and the plugin host: the engine builds plugin components without knowing what
//! runs them.

use std::{path::PathBuf, sync::Arc};

use millrace_config::{Diagnostic, Diagnostics, PluginSpec, Section};

use crate::{codec::Codec, factory::BuildContext, interceptor::Interceptor, sink::Sink, source::Source};

/// Builds components out of plugins. Blocking: compiles where the cache misses.
pub trait PluginHost: Send + Sync {
    /// An interceptor: loads the plugin, checks its world and grants, and runs its `configure`.
    ///
    /// # Errors
    /// Everything that keeps the plugin from working, with the place in the configuration.
    fn interceptor(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Interceptor>, Diagnostics>;

    /// A source, as above.
    ///
    /// # Errors
    /// As above.
    fn source(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Source>, Diagnostics>;

    /// A sink, as above.
    ///
    /// # Errors
    /// As above.
    fn sink(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Box<dyn Sink>, Diagnostics>;

    /// A codec, as above. `section` is the node that names it, with its options.
    ///
    /// # Errors
    /// As above.
    fn codec(
        &self,
        plugin: &PluginSpec,
        section: &Section,
        cx: &BuildContext,
    ) -> Result<Arc<dyn Codec>, Diagnostics>;

    /// What can be said about what a plugin is granted without building it: grants that cannot work, channels that do
    /// not exist, and, as warnings, grants that the plugin cannot use.
    fn check_grants(&self, _plugin: &PluginSpec, _channels: &[&str]) -> Diagnostics {
        Diagnostics::default()
    }

    /// What tells two versions of a plugin file apart: the digest of its content. None: unreadable.
    fn digest(&self, plugin: &PluginSpec) -> Option<String>;

    /// The files that a plugin depends on: what a reload has to watch.
    fn watched(&self, plugin: &PluginSpec) -> Vec<PathBuf> {
        vec![plugin.path.value.clone()]
    }
}

/// A host that has no plugins, for tests and for builds without one.
pub struct NoPlugins;

impl PluginHost for NoPlugins {
    fn interceptor(
        &self,
        plugin: &PluginSpec,
        _section: &Section,
        _cx: &BuildContext,
    ) -> Result<Box<dyn Interceptor>, Diagnostics> {
        Err(unsupported(plugin))
    }

    fn source(
        &self,
        plugin: &PluginSpec,
        _section: &Section,
        _cx: &BuildContext,
    ) -> Result<Box<dyn Source>, Diagnostics> {
        Err(unsupported(plugin))
    }

    fn sink(
        &self,
        plugin: &PluginSpec,
        _section: &Section,
        _cx: &BuildContext,
    ) -> Result<Box<dyn Sink>, Diagnostics> {
        Err(unsupported(plugin))
    }

    fn codec(
        &self,
        plugin: &PluginSpec,
        _section: &Section,
        _cx: &BuildContext,
    ) -> Result<Arc<dyn Codec>, Diagnostics> {
        Err(unsupported(plugin))
    }

    fn digest(&self, _plugin: &PluginSpec) -> Option<String> {
        None
    }
}

fn unsupported(plugin: &PluginSpec) -> Diagnostics {
    Diagnostic::error("plugin::unsupported", plugin.name.span, "this build has no plugin host").into()
}
