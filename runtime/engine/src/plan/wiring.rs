//! A plan as rules of components see it.

use millrace_config::Section;
use millrace_core::{WiredChannel, WiredSink, WiredSource, Wiring};

use super::{AgentPlan, SinkTree};

/// What is connected to what.
pub(super) fn wiring(plan: &AgentPlan) -> Wiring<'_> {
    let mut sinks = Vec::new();
    for delivery in &plan.deliveries {
        let group = delivery.tree.members.is_some().then_some(delivery.name.as_str());
        add_sinks(&mut sinks, &delivery.tree, (&delivery.channel, &delivery.delivery, group));
    }
    Wiring {
        channels: plan
            .channels
            .iter()
            .map(|channel| WiredChannel { name: &channel.name, kind: &channel.component.kind.value })
            .collect(),
        sources: plan
            .sources
            .iter()
            .map(|source| WiredSource {
                name: &source.name,
                kind: &source.component.kind.value,
                section: &source.section,
                ways: &source.ways,
            })
            .collect(),
        sinks,
        dead_letter: plan.settings.dead_letter_channel.as_ref().map(|channel| channel.value.as_str()),
    }
}

/// The sinks of a tree, which all have the channel and the group of its root.
fn add_sinks<'a>(
    sinks: &mut Vec<WiredSink<'a>>,
    tree: &'a SinkTree,
    root: (&'a str, &'a Section, Option<&'a str>),
) {
    let Some(members) = &tree.members else {
        let (channel, delivery, group) = root;
        let (name, kind, section) = (&tree.name, &tree.component.kind.value, &tree.section);
        return sinks.push(WiredSink { name, kind, section, channel, delivery, group });
    };
    members.iter().for_each(|member| add_sinks(sinks, member, root));
}
