//! From nodes to an [`AgentSpec`]: the blocks of a configuration and what all components share.
//!
//! First every block is read on its own, then names are looked up across blocks. A component with a mistake
//! stays in the spec, so that what refers to it is not reported as well.

mod agent;
mod component;
mod grants;
mod groups;
mod plugins;
mod references;
mod sinks;
mod sources;

use std::collections::BTreeMap;

use crate::{
    check::{Arguments, Checker},
    diagnostic::{Diagnostic, Diagnostics, Files},
    node::{Node, Scalar, Spanned},
    option::OptionSpec,
    section::Section,
    spec::AgentSpec,
    suggest,
};

pub use agent::AGENT_OPTIONS;
pub use grants::GRANT_OPTIONS;
pub use plugins::{LIMIT_OPTIONS, PLUGIN_OPTIONS, read_plugin};

const BLOCKS: &[&str] = &["agent", "plugins", "channels", "sources", "sinks", "sink-groups", "include"];

/// Fills a spec from the nodes of all files.
pub(crate) fn read(nodes: &[Node], spec: &mut AgentSpec, found: &mut Diagnostics) {
    let files = std::mem::take(&mut spec.files);
    let mut reader = Reader { files: &files, found, names: BTreeMap::new() };
    let mut agents = Vec::new();
    for node in nodes {
        match node.name.value.as_str() {
            "agent" => agents.push(node),
            "plugins" => reader.block(node, |reader, child| reader.plugin(child, spec)),
            "channels" => reader.block(node, |reader, child| {
                let channel = reader.component(child, "channel", &[]);
                spec.channels.push(channel);
            }),
            "sources" => reader.block(node, |reader, child| {
                let source = reader.source(child);
                spec.sources.push(source);
            }),
            "sinks" => reader.block(node, |reader, child| {
                let sink = reader.sink(child);
                spec.sinks.push(sink);
            }),
            "sink-groups" => reader.block(node, |reader, child| {
                let group = reader.group(child);
                spec.groups.push(group);
            }),
            name => reader.unknown_block(node, name),
        }
    }
    spec.agent = reader.agent(&agents);
    references::check(spec, &files, reader.found);
    spec.files = files;
}

struct Reader<'a> {
    files: &'a Files,
    found: &'a mut Diagnostics,
    /// Names given so far, by what they name.
    names: BTreeMap<(&'static str, String), Spanned<String>>,
}

impl Reader<'_> {
    /// Reads each child of a top-level block, which has nothing but children.
    fn block(&mut self, node: &Node, mut child: impl FnMut(&mut Self, &Node)) {
        let spans = node.arguments.iter().map(|argument| argument.span);
        let stray = spans.chain(node.properties.iter().map(|property| property.name.span)).min();
        if let Some(span) = stray {
            let reason = format!("`{}` holds blocks and nothing else", node.name.value);
            self.found.push(
                Diagnostic::error("config::stray-argument", span, reason)
                    .label("not expected here")
                    .help(format!("write `{} {{ … }}`", node.name.value)),
            );
        }
        node.children.iter().for_each(|node| child(self, node));
    }

    fn unknown_block(&mut self, node: &Node, name: &str) {
        let mut finding =
            Diagnostic::error("config::unknown-block", node.name.span, format!("unknown block `{name}`"))
                .label("not a part of a configuration");
        finding.help = suggest::help(name, BLOCKS);
        self.found.push(finding);
    }

    /// Checks the options of a node that are in this table; the rest is somebody else's.
    fn shared(&mut self, node: &Node, options: &'static [OptionSpec]) -> Section {
        let names: Vec<&str> = options.iter().map(|option| option.name).collect();
        self.section(&node.only(&names), options, Arguments::Any)
    }

    fn section(&mut self, node: &Node, options: &'static [OptionSpec], arguments: Arguments) -> Section {
        let mut checker = Checker { files: self.files, found: Diagnostics::default() };
        let section = checker.section(node, options, false, arguments);
        self.found.extend(checker.found);
        section
    }

    /// Takes a name for a kind of thing; a second owner is reported with the first.
    fn claim(&mut self, what: &'static str, scope: &'static str, name: &Spanned<String>) {
        let key = (scope, name.value.clone());
        if let Some(first) = self.names.get(&key) {
            let shown = crate::expand::shown_text(self.files, &name.value, name.span);
            self.found.push(
                Diagnostic::error(
                    "config::duplicate-name",
                    name.span,
                    format!("the {what} `{shown}` exists already"),
                )
                .label("the same name again")
                .related(first.span, "first given here")
                .help("give one of them another name"),
            );
            return;
        }
        self.names.insert(key, name.clone());
    }
}

/// The first argument as text.
fn first_text(node: &Node) -> Option<Spanned<String>> {
    match &node.arguments.first()?.value {
        Scalar::Text(text) => Some(Spanned::new(text.clone(), node.arguments.first()?.span)),
        _ => None,
    }
}
