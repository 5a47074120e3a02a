//! How a kind of component is declared: name, summary, options and the function that builds one.
//!
//! `build` is cheap and offline. It may read and compile a plugin, but connecting, opening and binding belong
//! to running.

use std::{path::PathBuf, sync::Arc};

use bytestring::ByteString;
use millrace_config::{Diagnostic, Diagnostics, OptionSpec, PluginSpec, Section, Span};

use crate::{
    channel::Channel,
    clock::Clock,
    codec::Codec,
    interceptor::Interceptor,
    metrics::Metrics,
    plugin::PluginHost,
    selector::{Selector, Way},
    sink::Sink,
    source::Source,
};

/// What a factory may use besides the options.
#[derive(Clone)]
pub struct BuildContext {
    /// The agent's name.
    pub agent: ByteString,
    /// The component's name.
    pub component: ByteString,
    /// A folder of the component's own under the agent's data directory. It may not exist yet.
    pub data_dir: PathBuf,
    /// Goes up with every reload that changes this component. Starts at 1.
    pub generation: u64,
    /// Which of the workers of a sink this is, from 0. Other components have one.
    pub lane: u32,
    /// How many workers there are.
    pub lanes: u32,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where counters come from.
    pub metrics: Metrics,
    /// The `plugins` block.
    pub plugins: Arc<[PluginSpec]>,
    /// What runs plugins.
    pub plugin_host: Arc<dyn PluginHost>,
}

impl BuildContext {
    /// A plugin by the name that `at` in a section gives it.
    ///
    /// # Errors
    /// There is no plugin of that name, with the way to add one.
    pub fn plugin(&self, name: &str, at: Span) -> Result<&PluginSpec, Diagnostics> {
        if let Some(plugin) = self.plugins.iter().find(|plugin| plugin.name.value == name) {
            return Ok(plugin);
        }
        let known: Vec<_> = self.plugins.iter().map(|plugin| plugin.name.value.as_str()).collect();
        let help = if known.is_empty() {
            format!("plugins {{\n    {name} path=\"plugins/{name}.wasm\"\n}}")
        } else {
            format!("known plugins: {}", known.join(", "))
        };
        Err(Diagnostic::error("plugin::unknown", at, format!("there is no plugin {name}")).help(help).into())
    }

    /// The codec that the option `codec` of a section names, an [`millrace_config::OptionKind::Plugin`].
    ///
    /// # Errors
    /// Everything that keeps the codec from working.
    pub fn codec(&self, section: &Section) -> Result<Arc<dyn Codec>, Diagnostics> {
        let Some(codec) = section.block("codec") else {
            return Err(
                Diagnostic::error("config::missing-option", section.span(), "no codec is named").into()
            );
        };
        let plugin = self.plugin(codec.name().unwrap_or_default(), codec.span())?;
        self.plugin_host.codec(plugin, codec, self)
    }
}

/// Declares a type of source.
pub struct SourceFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// Whether options that are not listed are let through: a plugin has its own.
    pub open: bool,
    /// A `sources` entry that could be pasted.
    pub example: &'static str,
    /// Builds one.
    pub build: fn(&Section, &BuildContext) -> Result<Box<dyn Source>, Diagnostics>,
}

/// Declares a type of interceptor.
pub struct InterceptorFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// Whether it has further options of its own making, which only it can check (plugins).
    pub open: bool,
    /// An `interceptors` entry that could be pasted.
    pub example: &'static str,
    /// Builds one.
    pub build: fn(&Section, &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics>,
}

/// What a selector knows about its source.
pub struct SelectorContext {
    /// The names of all channels of the agent, by which options refer to them; a route uses places in this list.
    pub channels: Vec<String>,
    /// The places of the channels named by the source's own `channel` option.
    pub default: Vec<usize>,
}

/// Declares a type of selector.
pub struct SelectorFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// A `selector` node that could be pasted.
    pub example: &'static str,
    /// The channels that it may choose, where the source names these itself.
    pub ways: fn(&Section, &[String]) -> Vec<Way>,
    /// Builds one. An unknown channel is a diagnostic.
    pub build: fn(&Section, &SelectorContext, &BuildContext) -> Result<Box<dyn Selector>, Diagnostics>,
}

/// Declares a type of channel.
pub struct ChannelFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options.
    pub options: &'static [OptionSpec],
    /// A `channels` entry that could be pasted.
    pub example: &'static str,
    /// Builds one.
    pub build: fn(&Section, &BuildContext) -> Result<Arc<dyn Channel>, Diagnostics>,
}

/// Declares a type of sink.
pub struct SinkFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options, without [`millrace_config::SINK_OPTIONS`].
    pub options: &'static [OptionSpec],
    /// Whether options that are not listed are let through: a plugin has its own.
    pub open: bool,
    /// A `sinks` entry that could be pasted.
    pub example: &'static str,
    /// Builds one.
    pub build: fn(&Section, &BuildContext) -> Result<Box<dyn Sink>, Diagnostics>,
}

/// A sink inside a group.
pub struct Member {
    /// The name of the sink or inner group.
    pub name: ByteString,
    /// Larger is preferred. Without one given: 0, −1, −2 … in order of writing.
    pub priority: i64,
    /// Share of the load, at least 1.
    pub weight: u32,
    /// The sink.
    pub sink: Box<dyn Sink>,
}

/// Declares a type of sink processor.
pub struct SinkProcessorFactory {
    /// Its name in the configuration.
    pub name: &'static str,
    /// One line: third person, present tense.
    pub summary: &'static str,
    /// Its options, without the members and [`millrace_config::SINK_OPTIONS`].
    pub options: &'static [OptionSpec],
    /// A `sink-groups` entry that could be pasted.
    pub example: &'static str,
    /// Builds one over its members.
    pub build: fn(&Section, Vec<Member>, &BuildContext) -> Result<Box<dyn Sink>, Diagnostics>,
}
