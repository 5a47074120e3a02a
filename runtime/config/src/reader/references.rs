//! Names across blocks: who refers to whom, what is missing, what nobody uses.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Files, Span},
    expand::{is_missing, shown_text},
    node::{Node, Scalar, Spanned},
    section::Section,
    spec::{AgentSpec, ComponentSpec, GroupMember, GroupSpec},
    suggest,
};

/// Channels that other agents put into or take from; it is no mistake when one side is not here.
const SHARED_CHANNEL_KINDS: &[&str] = &["kafka"];

pub(super) fn check(spec: &AgentSpec, files: &Files, found: &mut Diagnostics) {
    let channels: Vec<&str> = spec.channels.iter().map(|channel| channel.name.value.as_str()).collect();
    let named = spec
        .sources
        .iter()
        .flat_map(|source| &source.channels)
        .chain(spec.sinks.iter().map(|sink| &sink.channel).filter(|channel| !channel.value.is_empty()))
        .chain(&spec.agent.dead_letter_channel);
    for name in named {
        if let Some(finding) = unknown("channel", name, &channels, files) {
            found.push(finding);
        }
    }
    check_plugins(spec, files, found);
    Groups::new(spec, files).check(found);
    // Behind a misspelt name everything looks unused.
    if !found.has_errors() {
        unused_plugins(spec, found);
        unused_channels(spec, found);
    }
}

/// An error if the name is not one of the known ones.
pub(crate) fn unknown(
    what: &str,
    name: &Spanned<String>,
    known: &[&str],
    files: &Files,
) -> Option<Diagnostic> {
    if known.contains(&name.value.as_str()) || is_missing(&name.value) {
        return None;
    }
    let shown = shown_text(files, &name.value, name.span);
    let code = match what {
        "channel" => "config::unknown-channel",
        "plugin" => "config::unknown-plugin",
        _ => "config::unknown-sink",
    };
    let mut finding =
        Diagnostic::error(code, name.span, format!("there is no {what} `{shown}`")).label("not defined");
    finding.help = Some(suggest::help(&name.value, known).unwrap_or_else(|| match what {
        "channel" => "define it: `channels { memory \"…\" }`".into(),
        "plugin" => "name its file: `plugins { name path=\"….wasm\" }`".into(),
        _ => "define it in `sinks { … }`".into(),
    }));
    Some(finding)
}

fn check_plugins(spec: &AgentSpec, files: &Files, found: &mut Diagnostics) {
    let plugins: Vec<&str> = spec.plugins.iter().map(|plugin| plugin.name.value.as_str()).collect();
    for plugin in spec.components().filter_map(ComponentSpec::plugin) {
        if let Some(finding) = unknown("plugin", &plugin, &plugins, files) {
            found.push(finding);
        }
    }
}

fn unused_plugins(spec: &AgentSpec, found: &mut Diagnostics) {
    let own = spec.components().filter_map(ComponentSpec::plugin).map(|plugin| plugin.value);
    let sources = spec.sources.iter().filter_map(|source| source.component.codec());
    let sinks = spec.sinks.iter().map(|sink| &sink.delivery);
    let deliveries = sinks.chain(spec.groups.iter().map(|group| &group.delivery));
    let codecs = sources.chain(deliveries.filter_map(|delivery| delivery.block("codec")?.name()));
    let used: BTreeSet<String> = own.chain(codecs.map(str::to_owned)).collect();
    for plugin in &spec.plugins {
        if !used.contains(&plugin.name.value) {
            let reason = format!("the plugin `{}` is not used", plugin.name.value);
            found.push(
                Diagnostic::warning("config::unused-plugin", plugin.name.span, reason)
                    .label("nothing refers to it"),
            );
        }
    }
}

/// A channel that nothing puts into, or that nothing takes from, is probably a mistake.
fn unused_channels(spec: &AgentSpec, found: &mut Diagnostics) {
    let mut filled: BTreeSet<&str> = BTreeSet::new();
    let mut emptied: BTreeSet<&str> = BTreeSet::new();
    for source in &spec.sources {
        filled.extend(source.channels.iter().map(|name| name.value.as_str()));
        // What a selector, an interceptor or another channel does with names is known to their tables only.
        source
            .selector
            .iter()
            .chain(&source.interceptors)
            .for_each(|component| texts(&component.node, &mut filled));
    }
    for channel in &spec.channels {
        channel.node.children.iter().for_each(|child| texts(child, &mut filled));
        channel.node.children.iter().for_each(|child| texts(child, &mut emptied));
    }
    // A plugin may route to a channel that no source names.
    let grants = spec.plugins.iter().filter_map(|plugin| plugin.grant.as_ref());
    for grant in grants {
        grant.node().children_named("channel").for_each(|channel| texts(channel, &mut filled));
    }
    emptied.extend(spec.sinks.iter().map(|sink| sink.channel.value.as_str()));
    if let Some(name) = &spec.agent.dead_letter_channel {
        filled.insert(&name.value);
        emptied.insert(&name.value);
    }
    for channel in &spec.channels {
        let name = channel.name.value.as_str();
        if SHARED_CHANNEL_KINDS.contains(&channel.kind.value.as_str()) {
            continue;
        }
        let label = match (filled.contains(name), emptied.contains(name)) {
            (true, true) => continue,
            (false, false) => "no source fills it and no sink empties it",
            (false, true) => "no source fills it",
            (true, false) => "no sink empties it: it will fill up",
        };
        let reason = format!("the channel `{name}` is not connected");
        found.push(Diagnostic::warning("config::unused-channel", channel.name.span, reason).label(label));
    }
}

/// All texts of a node and what is in it.
fn texts<'a>(node: &'a Node, into: &mut BTreeSet<&'a str>) {
    let values = node.arguments.iter().chain(node.properties.iter().map(|property| &property.value));
    into.extend(values.filter_map(|value| match &value.value {
        Scalar::Text(text) => Some(text.as_str()),
        _ => None,
    }));
    node.children.iter().for_each(|child| texts(child, into));
}

/// The sink groups as a graph.
struct Groups<'a> {
    spec: &'a AgentSpec,
    files: &'a Files,
    by_name: BTreeMap<&'a str, &'a GroupSpec>,
}

impl<'a> Groups<'a> {
    fn new(spec: &'a AgentSpec, files: &'a Files) -> Self {
        let by_name = spec.groups.iter().map(|group| (group.component.name.value.as_str(), group)).collect();
        Self { spec, files, by_name }
    }

    fn check(&self, found: &mut Diagnostics) {
        let sinks = self.spec.sinks.iter().map(|sink| sink.component.name.value.as_str());
        let known: Vec<&str> = sinks.chain(self.by_name.keys().copied()).collect();
        let mut owners: BTreeMap<&str, (&GroupSpec, Span)> = BTreeMap::new();
        for group in &self.spec.groups {
            for member in &group.members {
                if let Some(finding) = unknown("sink", &member.name, &known, self.files) {
                    found.push(finding);
                    continue;
                }
                match owners.get(member.name.value.as_str()) {
                    Some((other, first)) if !std::ptr::eq(*other, group) => {
                        let reason = format!("`{}` is in two groups", member.name.value);
                        found.push(
                            Diagnostic::error("config::two-groups", member.name.span, reason)
                                .label(format!("and in `{}`", group.component.name.value))
                                .related(*first, format!("in `{}`", other.component.name.value))
                                .help("a sink takes from its channel for one group; define a second sink"),
                        );
                    }
                    Some(_) => {}
                    None => {
                        owners.insert(&member.name.value, (group, member.name.span));
                        self.own_delivery(group, member, found);
                    }
                }
            }
        }
        let cyclic = self.cycles(found);
        for group in
            self.spec.groups.iter().filter(|group| !cyclic.contains(group.component.name.value.as_str()))
        {
            self.one_channel(group, &cyclic, found);
        }
    }

    /// A member is handed what its group takes: what it says about transactions of its own would have no effect.
    fn own_delivery(&self, group: &GroupSpec, member: &GroupMember, found: &mut Diagnostics) {
        let name = &member.name.value;
        let sink = self.spec.sinks.iter().find(|sink| sink.component.name.value == *name);
        let inner = self.by_name.get(name.as_str()).map(|inner| &inner.delivery);
        let Some(written) = sink.map(|sink| &sink.delivery).or(inner).map(Section::node) else { return };
        let properties = written.properties.iter().map(|property| &property.name);
        for option in properties.chain(written.children.iter().map(|child| &child.name)) {
            let owner = &group.component.name.value;
            let reason = format!("`{}` has no effect on `{name}`, a member of `{owner}`", option.value);
            found.push(
                Diagnostic::error("config::group-delivery", option.span, reason)
                    .label("the group takes and delivers")
                    .related(member.name.span, "made a member here")
                    .help(format!("write it into `{} \"{owner}\"`", group.component.kind.value)),
            );
        }
    }

    /// Reports each cycle once and returns the groups that are in one.
    fn cycles(&self, found: &mut Diagnostics) -> BTreeSet<&'a str> {
        let mut cyclic = BTreeSet::new();
        for group in &self.spec.groups {
            let start = group.component.name.value.as_str();
            if cyclic.contains(start) {
                continue;
            }
            let mut path = vec![start];
            if let Some(span) = self.way_back(group, start, &mut path, &mut BTreeSet::new()) {
                let way = path.join("` -> `");
                found.push(
                    Diagnostic::error("config::group-cycle", span, "sink groups contain each other")
                        .label("closes the circle")
                        .help(format!("the way round: `{way}` -> `{start}`")),
                );
                cyclic.extend(path);
            }
        }
        cyclic
    }

    /// Looks for a way from `group` back to `start`; `path` is that way in the end.
    fn way_back(
        &self,
        group: &'a GroupSpec,
        start: &str,
        path: &mut Vec<&'a str>,
        seen: &mut BTreeSet<&'a str>,
    ) -> Option<Span> {
        for member in &group.members {
            let name = member.name.value.as_str();
            if name == start {
                return Some(member.name.span);
            }
            let Some(next) = self.by_name.get(name).filter(|_| seen.insert(name)) else { continue };
            path.push(name);
            if let Some(span) = self.way_back(next, start, path, seen) {
                return Some(span);
            }
            path.pop();
        }
        None
    }

    /// All sinks of a group take from the same channel.
    fn one_channel(&self, group: &GroupSpec, cyclic: &BTreeSet<&str>, found: &mut Diagnostics) {
        let mut first: Option<(&str, Span)> = None;
        for member in &group.members {
            let Some(channel) = self.channel_of(&member.name.value, cyclic, 0) else { continue };
            match first {
                None => first = Some((channel, member.name.span)),
                Some((known, _)) if known == channel => {}
                Some((known, span)) => {
                    let reason = format!(
                        "the members of `{}` take from different channels",
                        group.component.name.value
                    );
                    found.push(
                        Diagnostic::error("config::group-channels", member.name.span, reason)
                            .label(format!("takes from `{channel}`"))
                            .related(span, format!("takes from `{known}`"))
                            .help("a group empties one channel; give its sinks the same one"),
                    );
                    return;
                }
            }
        }
    }

    /// The channel of a sink, or of the first member of a group.
    fn channel_of(&self, name: &str, cyclic: &BTreeSet<&str>, depth: usize) -> Option<&'a str> {
        let sink = self.spec.sinks.iter().find(|sink| sink.component.name.value == name);
        if let Some(sink) = sink {
            return Some(sink.channel.value.as_str()).filter(|channel| !channel.is_empty());
        }
        if cyclic.contains(name) || depth > self.by_name.len() {
            return None;
        }
        let group = self.by_name.get(name)?;
        group.members.iter().find_map(|member| self.channel_of(&member.name.value, cyclic, depth + 1))
    }
}

impl AgentSpec {
    /// An error if a selector or another component names a channel that does not exist.
    pub fn unknown_channel(&self, name: &Spanned<String>) -> Option<Diagnostic> {
        let channels: Vec<&str> = self.channels.iter().map(|channel| channel.name.value.as_str()).collect();
        unknown("channel", name, &channels, &self.files)
    }

    /// All components, in the order channels, sources with what belongs to them, sinks, groups.
    pub fn components(&self) -> impl Iterator<Item = &ComponentSpec> {
        let sources = self.sources.iter().flat_map(|source| {
            std::iter::once(&source.component).chain(&source.interceptors).chain(&source.selector)
        });
        self.channels
            .iter()
            .chain(sources)
            .chain(self.sinks.iter().map(|sink| &sink.component))
            .chain(self.groups.iter().map(|group| &group.component))
    }
}

impl ComponentSpec {
    /// The plugin behind a `wasm` component: `plugin="…"`, otherwise the component's own name. None for
    /// components of other types.
    pub fn plugin(&self) -> Option<Spanned<String>> {
        if self.kind.value != "wasm" {
            return None;
        }
        match self.named_by("plugin").map(|value| (&value.value, value.span)) {
            Some((Scalar::Text(name), span)) => Some(Spanned::new(name.clone(), span)),
            // Neither a name nor text: left to the check of the component's options.
            Some(_) => None,
            None => Some(self.name.clone()),
        }
    }

    /// The plugin that its option `codec` names, where it has one.
    pub fn codec(&self) -> Option<&str> {
        match &self.named_by("codec")?.value {
            Scalar::Text(name) => Some(name),
            _ => None,
        }
    }

    /// What `option="…"` or `option "…"` says.
    fn named_by<'a>(&'a self, option: &'a str) -> Option<&'a Spanned<Scalar>> {
        let property = self.node.property(option).map(|property| &property.value);
        property.or_else(|| self.node.children_named(option).next()?.arguments.first())
    }
}
