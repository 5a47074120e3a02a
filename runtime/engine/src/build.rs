//! Instances out of a plan. Blocking: a plugin may be compiled.

use std::{path::PathBuf, sync::Arc};

use millrace_config::{Diagnostic, Diagnostics, Node, Scalar, Span, Spanned};
use millrace_core::{
    BuildContext, Channel, Clock, Codec, Interceptor, Member, Metrics, PipelineInterceptor, PluginHost,
    Registry, Selector, SelectorContext, Sink, Source,
};

use crate::plan::{AgentPlan, ChannelPlan, DeliveryPlan, InterceptorPlan, SinkTree, SourcePlan, empty_node};

/// The name of the channel that takes rejected events when the configuration names none.
pub(crate) const DEAD_LETTER: &str = "dead-letter";

/// What building needs besides the plan.
#[derive(Clone)]
pub(crate) struct Builder {
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) plugin_host: Arc<dyn PluginHost>,
}

impl Builder {
    /// The context of one component; its folder is `<data-dir>/<kind of component>/<name>`.
    fn context(&self, plan: &AgentPlan, folder: &str, component: &str, generation: u64) -> BuildContext {
        BuildContext {
            agent: plan.settings.name.as_str().into(),
            component: component.into(),
            data_dir: self.data_dir(plan, folder, component),
            generation,
            lane: 0,
            lanes: 1,
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            plugins: Arc::clone(&plan.plugins),
            plugin_host: Arc::clone(&self.plugin_host),
        }
    }

    pub(crate) fn data_dir(&self, plan: &AgentPlan, folder: &str, component: &str) -> PathBuf {
        plan.settings.data_dir.join(folder).join(component)
    }

    pub(crate) fn channel(
        &self,
        plan: &AgentPlan,
        channel: &ChannelPlan,
    ) -> Result<Arc<dyn Channel>, Diagnostics> {
        let Some(factory) = self.registry.channel(&channel.component.kind.value) else { return Err(gone()) };
        (factory.build)(&channel.section, &self.context(plan, "channels", &channel.name, 1))
    }

    /// The channel for rejected events that nobody configured. None: this registry has no file channel.
    pub(crate) fn dead_letter(&self, plan: &AgentPlan) -> Result<Option<Arc<dyn Channel>>, Diagnostics> {
        let Some(factory) = self.registry.channel("file") else { return Ok(None) };
        let mut node = empty_node("file", Span::default());
        node.arguments.push(Spanned::new(Scalar::Text(DEAD_LETTER.into()), Span::default()));
        let (section, findings) = millrace_config::check(&node, factory.options, false, &plan.files);
        if findings.has_errors() {
            return Err(findings);
        }
        (factory.build)(&section, &self.context(plan, "channels", DEAD_LETTER, 1)).map(Some)
    }

    pub(crate) fn source(
        &self,
        plan: &AgentPlan,
        source: &SourcePlan,
    ) -> Result<Box<dyn Source>, Diagnostics> {
        let Some(factory) = self.registry.source(&source.component.kind.value) else { return Err(gone()) };
        (factory.build)(&source.section, &self.context(plan, "sources", &source.name, 1))
    }

    pub(crate) fn interceptor(
        &self,
        plan: &AgentPlan,
        source: &SourcePlan,
        interceptor: &InterceptorPlan,
        generation: u64,
    ) -> Result<PipelineInterceptor, Diagnostics> {
        let Some(factory) = self.registry.interceptor(&interceptor.component.kind.value) else {
            return Err(gone());
        };
        let name = format!("{}/{}", source.name, interceptor.name);
        let cx = self.context(plan, "interceptors", &name, generation);
        let metrics = self.metrics.interceptor(&name);
        let built: Box<dyn Interceptor> = (factory.build)(&interceptor.section, &cx)?;
        Ok(PipelineInterceptor { name: name.into(), interceptor: built.into(), metrics })
    }

    pub(crate) fn selector(
        &self,
        plan: &AgentPlan,
        source: &SourcePlan,
    ) -> Result<Arc<dyn Selector>, Diagnostics> {
        let section = &source.selector.section;
        let kind = source.selector.component.as_ref().map_or("replicating", |spec| spec.kind.value.as_str());
        let Some(factory) = self.registry.selector(kind) else { return Err(gone()) };
        let channels = SelectorContext {
            channels: plan.channels.iter().map(|channel| channel.name.clone()).collect(),
            default: source.channels.iter().filter_map(|name| plan.channel_place(name)).collect(),
        };
        (factory.build)(section, &channels, &self.context(plan, "selectors", &source.name, 1)).map(Arc::from)
    }

    /// The sinks of a delivery and its codec.
    pub(crate) fn delivery(
        &self,
        plan: &AgentPlan,
        delivery: &DeliveryPlan,
    ) -> Result<BuiltDelivery, Diagnostics> {
        let copies = delivery.delivery.count("concurrency").max(1);
        let sinks = (0..copies)
            .map(|lane| self.sink(plan, &delivery.tree, (count_of(lane), count_of(copies))))
            .collect::<Result<_, _>>()?;
        let codec = delivery.delivery.block("codec").map(|_| {
            let cx = self.context(plan, "sinks", &format!("{}/codec", delivery.name), 1);
            cx.codec(&delivery.delivery)
        });
        Ok(BuiltDelivery { sinks, codec: codec.transpose()? })
    }

    fn sink(
        &self,
        plan: &AgentPlan,
        tree: &SinkTree,
        (lane, lanes): (u32, u32),
    ) -> Result<Box<dyn Sink>, Diagnostics> {
        let cx = BuildContext { lane, lanes, ..self.context(plan, "sinks", &tree.name, 1) };
        let kind = &tree.component.kind.value;
        let Some(members) = &tree.members else {
            let Some(factory) = self.registry.sink(kind) else { return Err(gone()) };
            return (factory.build)(&tree.section, &cx);
        };
        let Some(factory) = self.registry.sink_processor(kind) else { return Err(gone()) };
        let mut built = Vec::with_capacity(members.len());
        for (place, member) in members.iter().enumerate() {
            built.push(Member {
                name: member.name.as_str().into(),
                priority: member.priority.unwrap_or(-i64::try_from(place).unwrap_or(i64::MAX)),
                weight: member.weight.max(1),
                sink: self.sink(plan, member, (lane, lanes))?,
            });
        }
        (factory.build)(&tree.section, built, &cx)
    }
}

/// There are at most 256 workers.
fn count_of(workers: usize) -> u32 {
    u32::try_from(workers).unwrap_or(u32::MAX)
}

/// What a delivery consists of besides its channel.
pub(crate) struct BuiltDelivery {
    /// As many as work at the same time.
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    /// Shared by all of them.
    pub(crate) codec: Option<Arc<dyn Codec>>,
}

/// A plan names only types of its registry, so this is said when an agent gets another registry's plan.
fn gone() -> Diagnostics {
    millrace_config::Diagnostic::general("config::unknown-type", "the plan was made for another registry")
        .into()
}

/// A builder whose components are thrown away; their metrics are nobody's.
fn on_trial(registry: &Arc<Registry>, clock: &Arc<dyn Clock>, plugin_host: &Arc<dyn PluginHost>) -> Builder {
    Builder {
        registry: Arc::clone(registry),
        clock: Arc::clone(clock),
        metrics: Metrics::default(),
        plugin_host: Arc::clone(plugin_host),
    }
}

/// Builds every component once and throws it away: finds what only the components themselves can know.
pub fn validate(
    plan: &AgentPlan,
    registry: &Arc<Registry>,
    clock: &Arc<dyn Clock>,
    plugin_host: &Arc<dyn PluginHost>,
) -> Diagnostics {
    let builder = on_trial(registry, clock, plugin_host);
    let mut findings = Diagnostics::default();
    let mut note = |result: Result<(), Diagnostics>| {
        if let Err(found) = result {
            findings.extend(found);
        }
    };
    for channel in &plan.channels {
        note(builder.channel(plan, channel).map(drop));
    }
    for source in &plan.sources {
        note(builder.source(plan, source).map(drop));
        note(builder.selector(plan, source).map(drop));
        for interceptor in &source.interceptors {
            note(builder.interceptor(plan, source, interceptor, 1).map(drop));
        }
    }
    for delivery in &plan.deliveries {
        note(builder.delivery(plan, delivery).map(drop));
    }
    findings
}

/// An error for each source that never ends, so that whoever waits for the end of an agent would wait for ever.
pub fn endless(
    plan: &AgentPlan,
    registry: &Arc<Registry>,
    clock: &Arc<dyn Clock>,
    plugin_host: &Arc<dyn PluginHost>,
) -> Diagnostics {
    let builder = on_trial(registry, clock, plugin_host);
    let mut findings = Diagnostics::default();
    for source in &plan.sources {
        // What cannot be built is told by whoever builds it to run it.
        if !builder.source(plan, source).is_ok_and(|built| !built.may_end()) {
            continue;
        }
        let kind = &source.component.kind;
        let reason = format!("the source `{}` ({}) never ends", source.name, kind.value);
        findings.push(
            Diagnostic::error("run::never-done", kind.span, reason).label("there is always more to come"),
        );
    }
    findings
}

/// Whether two nodes, either of which may be missing, say the same.
pub(crate) fn same_node(mine: Option<&Node>, theirs: Option<&Node>) -> bool {
    match (mine, theirs) {
        (Some(mine), Some(theirs)) => mine.same_meaning(theirs),
        (None, None) => true,
        _ => false,
    }
}
