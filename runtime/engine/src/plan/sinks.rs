//! Sinks and groups as trees: each outermost one empties a channel.

use std::collections::BTreeSet;

use millrace_config::{AgentSpec, Diagnostics, GroupMember, GroupSpec, Section, SinkSpec};
use millrace_core::{PluginHost, Registry};

use super::{DeliveryPlan, PluginVersion, SinkTree, checked, unknown, version, version_of};

/// The sinks and groups that belong to no other group.
pub(super) fn plan_deliveries(
    spec: &AgentSpec,
    registry: &Registry,
    host: &dyn PluginHost,
    findings: &mut Diagnostics,
) -> Vec<DeliveryPlan> {
    let inner: BTreeSet<&str> = spec
        .groups
        .iter()
        .flat_map(|group| &group.members)
        .map(|member| member.name.value.as_str())
        .collect();
    let mut planner = Planner { spec, registry, host, findings, depth: 0 };
    let mut deliveries = Vec::new();
    for sink in spec.sinks.iter().filter(|sink| !inner.contains(sink.component.name.value.as_str())) {
        deliveries.extend(planner.sink(sink, None).map(|tree| DeliveryPlan {
            name: tree.name.clone(),
            channel: sink.channel.value.clone(),
            delivery: sink.delivery.clone(),
            codec: codec_of(&sink.delivery, spec, host),
            tree,
        }));
    }
    for group in spec.groups.iter().filter(|group| !inner.contains(group.component.name.value.as_str())) {
        let Some(tree) = planner.group(group, None) else { continue };
        let Some(channel) = first_channel(spec, group, 0) else { continue };
        deliveries.push(DeliveryPlan {
            name: tree.name.clone(),
            channel,
            delivery: group.delivery.clone(),
            codec: codec_of(&group.delivery, spec, host),
            tree,
        });
    }
    deliveries
}

/// The deepest nesting of groups; more is a cycle, which the specification reports.
const DEPTH_MAX: usize = 16;

struct Planner<'a> {
    spec: &'a AgentSpec,
    registry: &'a Registry,
    host: &'a dyn PluginHost,
    findings: &'a mut Diagnostics,
    depth: usize,
}

impl Planner<'_> {
    fn sink(&mut self, sink: &SinkSpec, member: Option<&GroupMember>) -> Option<SinkTree> {
        let component = &sink.component;
        let Some(factory) = self.registry.sink(&component.kind.value) else {
            let known = self.registry.sinks.iter().map(|factory| factory.name);
            self.findings.push(unknown("sink", &component.kind, known));
            return None;
        };
        let section =
            checked(&component.node, factory.options, factory.open, &self.spec.files, self.findings);
        let plugin = version_of(component, factory.open, &self.spec.plugins, self.host);
        Some(SinkTree { plugin, ..tree(component, section, member, None) })
    }

    fn group(&mut self, group: &GroupSpec, member: Option<&GroupMember>) -> Option<SinkTree> {
        let component = &group.component;
        let Some(factory) = self.registry.sink_processor(&component.kind.value) else {
            let known = self.registry.sink_processors.iter().map(|factory| factory.name);
            self.findings.push(unknown("sink processor", &component.kind, known));
            return None;
        };
        let section = checked(&component.node, factory.options, false, &self.spec.files, self.findings);
        if self.depth == DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let members = group.members.iter().filter_map(|member| self.member(member)).collect();
        self.depth -= 1;
        Some(tree(component, section, member, Some(members)))
    }

    fn member(&mut self, member: &GroupMember) -> Option<SinkTree> {
        let spec = self.spec;
        if let Some(sink) = spec.sinks.iter().find(|sink| sink.component.name.value == member.name.value) {
            return self.sink(sink, Some(member));
        }
        let group = spec.groups.iter().find(|group| group.component.name.value == member.name.value)?;
        self.group(group, Some(member))
    }
}

fn codec_of(delivery: &Section, spec: &AgentSpec, host: &dyn PluginHost) -> Option<PluginVersion> {
    version(delivery.block("codec")?.name()?, &spec.plugins, host)
}

fn tree(
    component: &millrace_config::ComponentSpec,
    section: millrace_config::Section,
    member: Option<&GroupMember>,
    members: Option<Vec<SinkTree>>,
) -> SinkTree {
    SinkTree {
        name: component.name.value.clone(),
        component: component.clone(),
        section,
        priority: member.and_then(|member| member.priority.as_ref()).map(|priority| priority.value),
        weight: member.and_then(|member| member.weight.as_ref()).map_or(1, |weight| weight.value),
        plugin: None,
        members,
    }
}

/// The channel of a group: that of its sinks, which the specification has checked to be one.
fn first_channel(spec: &AgentSpec, group: &GroupSpec, depth: usize) -> Option<String> {
    group.members.iter().find_map(|member| {
        let sink = spec.sinks.iter().find(|sink| sink.component.name.value == member.name.value);
        let inner = spec.groups.iter().find(|inner| inner.component.name.value == member.name.value);
        match (sink, inner) {
            (Some(sink), _) => Some(sink.channel.value.clone()),
            (None, Some(inner)) if depth < DEPTH_MAX => first_channel(spec, inner, depth + 1),
            _ => None,
        }
    })
}
