//! A specification whose types exist, whose options fit and whose names meet.
//!
//! Invariant: a plan without errors can be built; what `build` may still find is only what a component
//! alone can know (a pattern, a plugin file).

use std::sync::Arc;

use millrace_config::{
    AgentSettings, AgentSpec, ComponentSpec, Diagnostic, Diagnostics, Files, Node, OptionSpec, PluginSpec,
    Scalar, Section, SourceSpec, Span, Spanned,
};
use millrace_core::{PluginHost, Registry, Way};

mod sinks;
mod wiring;

/// A checked configuration.
#[derive(Clone)]
pub struct AgentPlan {
    /// The `agent` block.
    pub settings: AgentSettings,
    /// The `plugins` block.
    pub plugins: Arc<[PluginSpec]>,
    /// All channels; places in this list are what routes refer to.
    pub channels: Vec<ChannelPlan>,
    /// All sources.
    pub sources: Vec<SourcePlan>,
    /// What empties the channels: single sinks and outermost groups.
    pub deliveries: Vec<DeliveryPlan>,
    /// The files the plan was made from.
    pub files: Files,
}

/// A channel.
#[derive(Clone)]
pub struct ChannelPlan {
    /// Its name.
    pub name: String,
    /// Type and options as written.
    pub component: ComponentSpec,
    /// Options as checked.
    pub section: Section,
}

/// A source and its pipeline.
#[derive(Clone)]
pub struct SourcePlan {
    /// Its name.
    pub name: String,
    /// Type and options as written.
    pub component: ComponentSpec,
    /// Options as checked.
    pub section: Section,
    /// As for an interceptor, where the source is a plugin.
    pub plugin: Option<PluginVersion>,
    /// The names of its channels.
    pub channels: Vec<String>,
    /// The channels that events may go to, as its selector chooses.
    pub ways: Vec<Way>,
    /// Its interceptors in order.
    pub interceptors: Vec<InterceptorPlan>,
    /// Its selector.
    pub selector: SelectorPlan,
}

/// An interceptor.
#[derive(Clone)]
pub struct InterceptorPlan {
    /// Unique within the source: its name, with a number where a name is repeated.
    pub name: String,
    /// Type and options as written.
    pub component: ComponentSpec,
    /// Options as checked.
    pub section: Section,
    /// Which version, where it is a plugin.
    pub plugin: Option<PluginVersion>,
}

/// What tells versions of a plugin apart.
#[derive(Clone)]
pub struct PluginVersion {
    /// The plugin's node: its limits and grants.
    pub node: Node,
    /// The digest of its file; None: unreadable.
    pub digest: Option<String>,
}

impl PluginVersion {
    /// Whether two components run the same plugin, or both none.
    pub(crate) fn same(mine: Option<&Self>, theirs: Option<&Self>) -> bool {
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => {
                mine.digest == theirs.digest && mine.node.same_meaning(&theirs.node)
            }
            (None, None) => true,
            _ => false,
        }
    }
}

/// A selector.
#[derive(Clone)]
pub struct SelectorPlan {
    /// Type and options as written; None: the default one.
    pub component: Option<ComponentSpec>,
    /// Options as checked.
    pub section: Section,
}

/// What empties one channel.
#[derive(Clone)]
pub struct DeliveryPlan {
    /// The name of the sink or of the outermost group.
    pub name: String,
    /// The channel.
    pub channel: String,
    /// Batch, retry, concurrency.
    pub delivery: Section,
    /// Which version of its codec, where it has one.
    pub codec: Option<PluginVersion>,
    /// The sink, or a group of sinks and groups.
    pub tree: SinkTree,
}

/// A sink or a group.
#[derive(Clone)]
pub struct SinkTree {
    /// Its name.
    pub name: String,
    /// Type and options as written.
    pub component: ComponentSpec,
    /// Options as checked.
    pub section: Section,
    /// Larger is preferred, within its group.
    pub priority: Option<i64>,
    /// Share of the load, within its group.
    pub weight: u32,
    /// Which version, where it is a plugin.
    pub plugin: Option<PluginVersion>,
    /// The members of a group; None: a sink.
    pub members: Option<Vec<SinkTree>>,
}

impl AgentPlan {
    /// Checks a specification against the types that exist.
    pub fn new(spec: AgentSpec, registry: &Registry, plugins: &dyn PluginHost) -> (Self, Diagnostics) {
        let mut planner = Planner { spec: &spec, registry, host: plugins, findings: Diagnostics::default() };
        let channels = spec.channels.iter().filter_map(|channel| planner.channel(channel)).collect();
        let sources = spec.sources.iter().filter_map(|source| planner.source(source)).collect();
        let mut findings = planner.findings;
        let names: Vec<&str> = spec.channels.iter().map(|channel| channel.name.value.as_str()).collect();
        for plugin in &spec.plugins {
            findings.extend(plugins.check_grants(plugin, &names));
        }
        let deliveries = sinks::plan_deliveries(&spec, registry, plugins, &mut findings);
        let plan = Self {
            settings: spec.agent,
            plugins: spec.plugins.into(),
            channels,
            sources,
            deliveries,
            files: spec.files,
        };
        // Between components that are wrong by themselves little can be said.
        if !findings.has_errors() {
            registry.rules.iter().for_each(|rule| findings.extend(rule(&wiring::wiring(&plan))));
        }
        (plan, findings)
    }

    /// The plan of an agent that has nothing yet, with the settings of the plan to come.
    pub(crate) fn empty(next: &Self) -> Self {
        Self {
            settings: next.settings.clone(),
            plugins: Arc::new([]),
            channels: Vec::new(),
            sources: Vec::new(),
            deliveries: Vec::new(),
            files: Files::default(),
        }
    }

    /// The place of a channel.
    pub fn channel_place(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|channel| channel.name == name)
    }
}

struct Planner<'a> {
    spec: &'a AgentSpec,
    registry: &'a Registry,
    host: &'a dyn PluginHost,
    findings: Diagnostics,
}

impl Planner<'_> {
    fn checked(&mut self, node: &Node, options: &[OptionSpec], open: bool) -> Section {
        checked(node, options, open, &self.spec.files, &mut self.findings)
    }

    fn channel(&mut self, spec: &ComponentSpec) -> Option<ChannelPlan> {
        let Some(factory) = self.registry.channel(&spec.kind.value) else {
            let known = self.registry.channels.iter().map(|factory| factory.name);
            self.findings.push(unknown("channel", &spec.kind, known));
            return None;
        };
        let section = self.checked(&spec.node, factory.options, false);
        Some(ChannelPlan { name: spec.name.value.clone(), component: spec.clone(), section })
    }

    fn source(&mut self, spec: &SourceSpec) -> Option<SourcePlan> {
        let component = &spec.component;
        let mut interceptors: Vec<InterceptorPlan> = Vec::new();
        for step in &spec.interceptors {
            let Some(mut planned) = self.interceptor(step) else { continue };
            let same = interceptors.iter().filter(|other| other.component.name.value == planned.name).count();
            if same > 0 {
                planned.name = format!("{}-{}", planned.name, same + 1);
            }
            interceptors.push(planned);
        }
        let channels: Vec<String> = spec.channels.iter().map(|channel| channel.value.clone()).collect();
        let selector = self.selector(spec.selector.as_ref(), component.kind.span, &channels);
        let Some(factory) = self.registry.source(&component.kind.value) else {
            let known = self.registry.sources.iter().map(|factory| factory.name);
            self.findings.push(unknown("source", &component.kind, known));
            return None;
        };
        let section = self.checked(&component.node, factory.options, factory.open);
        let plugin = version_of(component, factory.open, &self.spec.plugins, self.host);
        let (selector, ways) = selector?;
        Some(SourcePlan {
            plugin,
            name: component.name.value.clone(),
            component: component.clone(),
            section,
            channels,
            ways,
            interceptors,
            selector,
        })
    }

    fn interceptor(&mut self, spec: &ComponentSpec) -> Option<InterceptorPlan> {
        let Some(factory) = self.registry.interceptor(&spec.kind.value) else {
            let known = self.registry.interceptors.iter().map(|factory| factory.name);
            self.findings.push(unknown("interceptor", &spec.kind, known));
            return None;
        };
        let section = self.checked(&spec.node, factory.options, factory.open);
        let plugin = version_of(spec, factory.open, &self.spec.plugins, self.host);
        Some(InterceptorPlan { name: spec.name.value.clone(), component: spec.clone(), section, plugin })
    }

    /// The selector and, with the source's own channels, where it may send events.
    fn selector(
        &mut self,
        spec: Option<&ComponentSpec>,
        at: Span,
        own: &[String],
    ) -> Option<(SelectorPlan, Vec<Way>)> {
        let kind = spec.map_or("replicating", |spec| spec.kind.value.as_str());
        let Some(factory) = self.registry.selector(kind) else {
            let kind = spec.map_or_else(|| Spanned::new(kind.to_owned(), at), |spec| spec.kind.clone());
            let known = self.registry.selectors.iter().map(|factory| factory.name);
            self.findings.push(unknown("selector", &kind, known));
            return None;
        };
        let node = spec.map_or_else(|| empty_node("replicating", at), |spec| spec.node.clone());
        let section = self.checked(&node, factory.options, false);
        let ways = (factory.ways)(&section, own);
        Some((SelectorPlan { component: spec.cloned(), section }, ways))
    }
}

/// The plugin of a component, in its version now: its codec, or where it is a plugin itself, the one that its
/// `plugin` names or the one of its own name.
fn version_of(
    spec: &ComponentSpec,
    open: bool,
    plugins: &[PluginSpec],
    host: &dyn PluginHost,
) -> Option<PluginVersion> {
    let own = || open.then(|| named_by(&spec.node, "plugin").unwrap_or(&spec.name.value));
    version(spec.codec().or_else(own)?, plugins, host)
}

/// The plugin of this name, in its version now.
fn version(name: &str, plugins: &[PluginSpec], host: &dyn PluginHost) -> Option<PluginVersion> {
    let plugin = plugins.iter().find(|plugin| plugin.name.value == name)?;
    Some(PluginVersion { node: plugin.node.clone(), digest: host.digest(plugin) })
}

/// What `option "name"` or `option="name"` says.
fn named_by<'a>(node: &'a Node, option: &'a str) -> Option<&'a str> {
    let property = node.property(option).map(|property| &property.value);
    let child = || node.children_named(option).next().and_then(|child| child.arguments.first());
    match &property.or_else(child)?.value {
        Scalar::Text(name) => Some(name.as_str()),
        _ => None,
    }
}

/// A node without anything, for components that the agent adds itself.
pub(crate) fn empty_node(name: &str, span: Span) -> Node {
    Node {
        name: Spanned::new(name.to_owned(), span),
        arguments: Vec::new(),
        properties: Vec::new(),
        children: Vec::new(),
        span,
    }
}

fn checked(
    node: &Node,
    options: &[OptionSpec],
    open: bool,
    files: &Files,
    findings: &mut Diagnostics,
) -> Section {
    let (section, found) = millrace_config::check(node, options, open, files);
    findings.extend(found);
    section
}

/// A component type that does not exist, with the nearest that does.
fn unknown<'a>(what: &str, kind: &Spanned<String>, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let near = millrace_config::closest(&kind.value, known.iter().copied());
    let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
    Diagnostic::error("config::unknown-type", kind.span, format!("there is no {what} type `{}`", kind.value))
        .label("unknown type")
        .help(format!("{near}known: {}", known.join(", ")))
}
