//! The `sources` block: channels, interceptors and selector of a source.

use super::{Reader, first_text};
use crate::{
    diagnostic::Diagnostic,
    node::Node,
    option::{OptionKind, OptionSpec},
    spec::{ComponentSpec, SourceSpec},
};

const ROUTE: &[OptionSpec] =
    &[OptionSpec::optional("channel", OptionKind::Texts, "The channels that take the events of this source")];

impl Reader<'_> {
    pub(super) fn source(&mut self, node: &Node) -> SourceSpec {
        let mut component = self.component(node, "source", &["channel", "interceptors", "selector"]);
        let route = self.shared(node, ROUTE);
        let channels = route.texts("channel").to_vec();
        for (at, channel) in channels.iter().enumerate() {
            if let Some(first) = channels.iter().take(at).find(|first| first.value == channel.value) {
                let reason = format!("the channel `{}` is named twice", channel.value);
                self.found.push(
                    Diagnostic::error("config::duplicate-name", channel.span, reason)
                        .label("named again")
                        .related(first.span, "first named here")
                        .help("an event goes to each channel once; keep one of them"),
                );
            }
        }
        let selector = self.selector(node);
        let named = node.property("channel").is_some() || node.children_named("channel").next().is_some();
        let selected = node.children_named("selector").next().is_some();
        if !named && !selected && !self.misspelt_channel(&mut component) {
            let reason = format!("the source `{}` has no channel", component.name.value);
            self.found.push(
                Diagnostic::error("config::missing-channel", node.name.span, reason)
                    .label("its events would go nowhere")
                    .help(format!(
                        "write `{} \"{}\" channel=\"…\"`",
                        component.kind.value, component.name.value
                    )),
            );
        }
        SourceSpec { component, channels, interceptors: self.interceptors(node), selector }
    }

    fn interceptors(&mut self, node: &Node) -> Vec<ComponentSpec> {
        let mut interceptors = Vec::new();
        for block in node.children_named("interceptors") {
            self.block(block, |reader, child| {
                let interceptor = reader.interceptor(child);
                interceptors.push(interceptor);
            });
        }
        if let Some(property) = node.property("interceptors") {
            self.found.push(
                Diagnostic::error("config::wrong-type", property.name.span, "`interceptors` is a block")
                    .label("not a property")
                    .help("write `interceptors { timestamp; host }`"),
            );
        }
        interceptors
    }

    /// `selector "multiplexing" header="…" { … }`. Its node is turned into one of the selector's type, so that
    /// it is checked like any component.
    fn selector(&mut self, node: &Node) -> Option<ComponentSpec> {
        if let Some(property) = node.property("selector") {
            let written = self.files.source(property.value.span);
            self.found.push(
                Diagnostic::error(
                    "config::wrong-type",
                    property.name.span,
                    "`selector` is a node of its own",
                )
                .label("not a property")
                .help(format!("write `selector {written}` between the braces of the source")),
            );
        }
        let mut selectors = node.children_named("selector");
        let first = selectors.next()?;
        if let Some(second) = selectors.next() {
            self.found.push(
                Diagnostic::error("config::repeated-option", second.name.span, "a source has one selector")
                    .label("given again")
                    .related(first.name.span, "first given here")
                    .help("keep one of them"),
            );
        }
        let Some(kind) = first_text(first) else {
            let span = first.arguments.first().map_or(first.name.span, |argument| argument.span);
            self.found.push(
                Diagnostic::error("config::missing-name", span, "`selector` needs a type")
                    .label("names no type")
                    .help("write `selector \"replicating\"`, `\"multiplexing\"` or `\"load-balancing\"`"),
            );
            return None;
        };
        let mut own = first.clone();
        own.name = kind.clone();
        own.arguments.clear();
        if let Some(stray) = first.arguments.get(1) {
            self.found.push(
                Diagnostic::error("config::stray-argument", stray.span, "`selector` takes one type")
                    .label("not expected here")
                    .help("options of the selector have names: `selector \"multiplexing\" header=\"…\"`"),
            );
        }
        Some(ComponentSpec { kind: kind.clone(), name: kind, node: own })
    }
}
