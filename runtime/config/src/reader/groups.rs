//! The `sink-groups` block: a sink processor and its members.

use super::{Reader, sinks::TAKEN};
use crate::{
    check::Arguments,
    diagnostic::Diagnostic,
    node::{Node, Spanned},
    option::{OptionKind, OptionSpec},
    sink_options::SINK_OPTIONS,
    spec::{GroupMember, GroupSpec},
};

/// The options of `sink "name"` in a group.
const MEMBER: &[OptionSpec] = &[
    OptionSpec::optional(
        "priority",
        OptionKind::Integer { min: i64::MIN, max: i64::MAX },
        "Larger is preferred by `failover`",
    ),
    OptionSpec::optional(
        "weight",
        OptionKind::Integer { min: 1, max: 1000 },
        "Share of the load under `load-balance`",
    ),
];

impl Reader<'_> {
    pub(super) fn group(&mut self, node: &Node) -> GroupSpec {
        let component =
            self.component(node, "sink group", &["sink", "batch", "retry", "codec", "concurrency"]);
        let members: Vec<GroupMember> =
            node.children_named("sink").filter_map(|member| self.member(member)).collect();
        for (at, member) in members.iter().enumerate() {
            if let Some(first) = members.iter().take(at).find(|first| first.name.value == member.name.value) {
                let reason = format!("`{}` is twice in this group", member.name.value);
                self.found.push(
                    Diagnostic::error("config::duplicate-name", member.name.span, reason)
                        .label("named again")
                        .related(first.name.span, "first named here")
                        .help("keep one of them; `weight=2` gives a sink a larger share"),
                );
            }
        }
        if node.children_named("sink").next().is_none() {
            let reason = format!("the sink group `{}` has no members", component.name.value);
            self.found.push(
                Diagnostic::error("config::empty-group", node.name.span, reason)
                    .label("nothing to deliver to")
                    .help("name its sinks: `sink \"first\" priority=10; sink \"second\" priority=5`"),
            );
        }
        let delivery = self.shared(node, SINK_OPTIONS);
        let component = self.without_channel(node, component);
        GroupSpec { component, members, delivery }
    }

    /// A group takes from the channel of its members; naming it again could only contradict them.
    fn without_channel(&mut self, node: &Node, mut component: crate::ComponentSpec) -> crate::ComponentSpec {
        let property = node.property("channel").map(|property| property.name.span);
        let child = node.children_named("channel").next().map(|child| child.name.span);
        if let Some(span) = property.or(child) {
            self.found.push(
                Diagnostic::error("config::unknown-option", span, "a sink group has no channel of its own")
                    .label("leave it out")
                    .help("it takes from the channel of its members"),
            );
            component.node = component.node.without(TAKEN);
        }
        component
    }

    fn member(&mut self, node: &Node) -> Option<GroupMember> {
        let section = self.section(node, MEMBER, Arguments::Name);
        if node.arguments.is_empty() {
            self.found.push(
                Diagnostic::error("config::missing-name", node.name.span, "a member of a group names a sink")
                    .label("names no sink")
                    .help("write `sink \"name\"`"),
            );
        }
        let name = super::first_text(node)?;
        let number = |option: &str| {
            section.optional_integer(option).map(|value| Spanned::new(value, section.span_of(option)))
        };
        let weight = number("weight")
            .map(|weight| Spanned::new(u32::try_from(weight.value).unwrap_or(u32::MAX), weight.span));
        Some(GroupMember { name, priority: number("priority"), weight })
    }
}
