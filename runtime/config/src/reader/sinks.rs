//! The `sinks` block: the channel of a sink and how it is emptied.

use super::Reader;
use crate::{
    diagnostic::Diagnostic,
    node::{Node, Spanned},
    option::{OptionKind, OptionSpec},
    sink_options::SINK_OPTIONS,
    spec::SinkSpec,
    suggest,
};

const CHANNEL: &[OptionSpec] =
    &[OptionSpec::optional("channel", OptionKind::Text, "The channel that the sink takes from")];

/// The options that the spec reads for sinks and groups.
pub(super) const TAKEN: &[&str] = &["channel", "batch", "retry", "codec", "concurrency"];

impl Reader<'_> {
    pub(super) fn sink(&mut self, node: &Node) -> SinkSpec {
        let mut component = self.component(node, "sink", TAKEN);
        let section = self.shared(node, CHANNEL);
        let named = node.property("channel").is_some() || node.children_named("channel").next().is_some();
        if !named && !self.misspelt_channel(&mut component) {
            let reason = format!("the sink `{}` has no channel", component.name.value);
            self.found.push(
                Diagnostic::error("config::missing-channel", node.name.span, reason)
                    .label("it has nothing to take from")
                    .help(format!(
                        "write `{} \"{}\" channel=\"…\"`",
                        component.kind.value, component.name.value
                    )),
            );
        }
        // An empty name stands for one that is reported already.
        let channel = section.optional_text("channel").unwrap_or_default().to_owned();
        let channel = Spanned::new(channel, section.span_of("channel"));
        let delivery = self.shared(node, SINK_OPTIONS);
        SinkSpec { component, channel, delivery }
    }

    /// `channels="…"` or `chanel="…"`: reported as what it is, and taken out, in place of a missing channel.
    pub(super) fn misspelt_channel(&mut self, component: &mut crate::ComponentSpec) -> bool {
        let node = &component.node;
        let names = node.properties.iter().map(|property| &property.name);
        let mut names = names.chain(node.children.iter().map(|child| &child.name));
        let similar = |name: &&Spanned<String>| suggest::closest(&name.value, ["channel"]).is_some();
        let Some(name) = names.find(similar).cloned() else { return false };
        let reason = format!("unknown option `{}` of `{}`", name.value, component.kind.value);
        self.found.push(
            Diagnostic::error("config::unknown-option", name.span, reason)
                .label("not known here")
                .help("did you mean `channel`?"),
        );
        component.node = node.without(&[&name.value]);
        true
    }
}
