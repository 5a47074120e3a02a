//! The `agent` block.

use super::{Reader, first_text};
use crate::{
    check::Arguments,
    diagnostic::Diagnostic,
    node::{Node, Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    section::Section,
    spec::AgentSettings,
};

const ADMIN: &[OptionSpec] = &[OptionSpec::with_default(
    "listen",
    OptionKind::Address,
    "127.0.0.1:9600",
    "Where the admin HTTP server listens",
)];

const DEAD_LETTER: &[OptionSpec] = &[OptionSpec::optional(
    "channel",
    OptionKind::Text,
    "The channel that takes rejected events; without it a file channel of its own under the data directory",
)];

const SHUTDOWN: &[OptionSpec] = &[OptionSpec::with_default(
    "deadline",
    OptionKind::Duration,
    "30s",
    "How long a graceful shutdown may drain",
)];

/// The options of the `agent` block.
pub const AGENT_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default(
        "data-dir",
        OptionKind::Path,
        "millrace-data",
        "Where channels, positions and caches live",
    ),
    OptionSpec::with_default(
        "admin",
        OptionKind::Block(ADMIN),
        "",
        "The admin HTTP server; `admin #false` switches it off",
    ),
    OptionSpec::with_default("dead-letter", OptionKind::Block(DEAD_LETTER), "", "Where rejected events go"),
    OptionSpec::with_default("shutdown", OptionKind::Block(SHUTDOWN), "", "How the agent stops"),
    OptionSpec::with_default(
        "watch",
        OptionKind::Boolean,
        "#true",
        "Whether the configuration and the plugins are watched and reloaded when they change",
    ),
];

impl Reader<'_> {
    /// All `agent` blocks of all files as one.
    pub(super) fn agent(&mut self, blocks: &[&Node]) -> AgentSettings {
        let Some(first) = blocks.first() else { return self.default_agent() };
        let mut merged = (*first).clone();
        for block in blocks.iter().skip(1) {
            merged.properties.extend(block.properties.iter().cloned());
            merged.children.extend(block.children.iter().cloned());
        }
        let name = self.agent_name(blocks);
        let switched = take_admin_switch(&mut merged);
        let section = self.section(&merged, AGENT_OPTIONS, Arguments::Any);
        let admin = section.block("admin").filter(|_| switched != Some(false));
        AgentSettings {
            name: name.unwrap_or_else(|| AgentSettings::default().name),
            data_dir: section.path("data-dir").to_path_buf(),
            admin_listen: admin.map(|admin| admin.text("listen").to_owned()),
            dead_letter_channel: section.block("dead-letter").and_then(dead_letter_channel),
            shutdown_deadline: section
                .block("shutdown")
                .map_or(AgentSettings::default().shutdown_deadline, |shutdown| shutdown.duration("deadline")),
            watch: section.boolean("watch"),
        }
    }

    /// Without an `agent` block everything is as by default, next to the configuration.
    fn default_agent(&self) -> AgentSettings {
        let default = AgentSettings::default();
        let folder = self.files.folder(crate::FileId::default());
        AgentSettings { data_dir: folder.join(&default.data_dir), ..default }
    }

    /// The agent has one name, wherever it is given.
    fn agent_name(&mut self, blocks: &[&Node]) -> Option<String> {
        let mut name: Option<Spanned<String>> = None;
        for block in blocks {
            if let Some(stray) = block.arguments.get(1) {
                self.found.push(
                    Diagnostic::error("config::stray-argument", stray.span, "an agent has one name")
                        .label("not expected here"),
                );
            }
            let Some(given) = first_text(block) else {
                if let Some(other) = block.arguments.first() {
                    let reason = "the agent's name is not text";
                    self.found.push(
                        Diagnostic::error("config::wrong-type", other.span, reason)
                            .label("expected text")
                            .help(format!("write \"{}\" in quotes", self.files.source(other.span))),
                    );
                    name = name.or(Some(Spanned::new("agent".into(), other.span)));
                }
                continue;
            };
            match &name {
                Some(first) if first.value != given.value => self.found.push(
                    Diagnostic::error("config::duplicate-name", given.span, "the agent has two names")
                        .label("another name")
                        .related(first.span, "first given here")
                        .help("keep one; other files may write `agent { … }` without a name"),
                ),
                Some(_) => {}
                None => name = Some(given),
            }
        }
        let empty = name.as_ref().is_some_and(|name| name.value.trim().is_empty());
        if name.is_none() || empty {
            let span = name.map(|name| name.span).or(blocks.first().map(|block| block.name.span));
            self.found.push(
                Diagnostic::error("config::missing-name", span.unwrap_or_default(), "the agent has no name")
                    .label("a name is missing")
                    .help("write `agent \"edge-01\" { … }`"),
            );
            return None;
        }
        name.map(|name| name.value)
    }
}

/// Takes `admin #true` or `admin #false` out of the block.
fn take_admin_switch(block: &mut Node) -> Option<bool> {
    let is_switch = |node: &Node| match node.arguments.as_slice() {
        [argument]
            if node.name.value == "admin" && node.properties.is_empty() && node.children.is_empty() =>
        {
            match argument.value {
                Scalar::Boolean(yes) => Some(yes),
                _ => None,
            }
        }
        _ => None,
    };
    let switched = block.children.iter().rev().find_map(is_switch);
    block.children.retain(|child| is_switch(child).is_none());
    switched
}

fn dead_letter_channel(section: &Section) -> Option<Spanned<String>> {
    let name = section.optional_text("channel")?;
    Some(Spanned::new(name.to_owned(), section.span_of("channel")))
}
