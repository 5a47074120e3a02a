//! What differs between two plans. Pure.

use std::collections::BTreeMap;

use crate::{
    build::same_node,
    plan::{AgentPlan, DeliveryPlan, InterceptorPlan, PluginVersion, SinkTree, SourcePlan},
};

use super::{Action, Change};

/// What becomes of each component, by name. Components that stay as they are are not listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) channels: BTreeMap<String, Action>,
    pub(super) sources: BTreeMap<String, Action>,
    pub(super) deliveries: BTreeMap<String, Action>,
    /// Interceptors and selectors of sources that stay: `source/interceptor`.
    pub(super) pipelines: Vec<Change>,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.channels.is_empty()
            && self.sources.is_empty()
            && self.deliveries.is_empty()
            && self.pipelines.is_empty()
    }

    /// All changes, in the order of the flow.
    pub(super) fn changes(&self, old: &AgentPlan, new: &AgentPlan) -> Vec<Change> {
        let is_group = |name: &str| {
            let of = |plan: &AgentPlan| {
                plan.deliveries
                    .iter()
                    .find(|delivery| delivery.name == name)
                    .map(|delivery| delivery.tree.members.is_some())
            };
            of(new).or_else(|| of(old)).unwrap_or(false)
        };
        let named = |kind| {
            move |(name, action): (&String, &Action)| Change { kind, name: name.clone(), action: *action }
        };
        let mut changes: Vec<Change> = self.sources.iter().map(named("source")).collect();
        changes.extend(self.pipelines.iter().cloned());
        changes.extend(self.channels.iter().map(named("channel")));
        changes.extend(self.deliveries.iter().map(|(name, action)| {
            let kind = if is_group(name) { "sink-group" } else { "sink" };
            Change { kind, name: name.clone(), action: *action }
        }));
        changes
    }
}

/// Compares two plans.
pub(super) fn difference(old: &AgentPlan, new: &AgentPlan) -> Difference {
    let dead_letter_moved = dead_letter_name(old) != dead_letter_name(new);
    let mut difference = Difference {
        channels: compare(
            old.channels.iter().map(|channel| (&channel.name, channel)),
            new.channels.iter().map(|channel| (&channel.name, channel)),
            |mine, theirs| mine.component.same_meaning(&theirs.component),
            |mine, theirs| {
                if mine.component.kind.value == theirs.component.kind.value {
                    Action::Reconfigure
                } else {
                    Action::Swap
                }
            },
        ),
        sources: compare(
            old.sources.iter().map(|source| (&source.name, source)),
            new.sources.iter().map(|source| (&source.name, source)),
            |mine, theirs| {
                mine.component.same_meaning(&theirs.component)
                    && PluginVersion::same(mine.plugin.as_ref(), theirs.plugin.as_ref())
            },
            |_, _| Action::Swap,
        ),
        deliveries: compare(
            old.deliveries.iter().map(|delivery| (&delivery.name, delivery)),
            new.deliveries.iter().map(|delivery| (&delivery.name, delivery)),
            |mine, theirs| !dead_letter_moved && same_delivery(mine, theirs),
            |_, _| Action::Swap,
        ),
        pipelines: Vec::new(),
    };
    for source in &new.sources {
        let Some(before) = old.sources.iter().find(|before| before.name == source.name) else { continue };
        if !difference.sources.contains_key(&source.name) {
            pipeline_changes(before, source, &mut difference.pipelines);
        }
    }
    difference
}

fn dead_letter_name(plan: &AgentPlan) -> Option<&str> {
    plan.settings.dead_letter_channel.as_ref().map(|channel| channel.value.as_str())
}

fn compare<'a, T: 'a>(
    old: impl Iterator<Item = (&'a String, &'a T)>,
    new: impl Iterator<Item = (&'a String, &'a T)>,
    same: impl Fn(&T, &T) -> bool,
    changed: impl Fn(&T, &T) -> Action,
) -> BTreeMap<String, Action> {
    let mut old: BTreeMap<&String, &T> = old.collect();
    let mut actions = BTreeMap::new();
    for (name, component) in new {
        match old.remove(name) {
            Some(before) if same(before, component) => None,
            Some(before) => actions.insert(name.clone(), changed(before, component)),
            None => actions.insert(name.clone(), Action::Add),
        };
    }
    actions.extend(old.into_keys().map(|name| (name.clone(), Action::Remove)));
    actions
}

fn pipeline_changes(old: &SourcePlan, new: &SourcePlan, changes: &mut Vec<Change>) {
    let steps = compare(
        old.interceptors.iter().map(|step| (&step.name, step)),
        new.interceptors.iter().map(|step| (&step.name, step)),
        same_interceptor,
        |_, _| Action::Swap,
    );
    let qualified = |name: &str| format!("{}/{name}", new.name);
    changes.extend(steps.iter().map(|(name, action)| Change {
        kind: "interceptor",
        name: qualified(name),
        action: *action,
    }));
    let order =
        |plan: &SourcePlan| plan.interceptors.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
    let (before, after) = (&old.selector.component, &new.selector.component);
    let selector_same =
        same_node(before.as_ref().map(|spec| &spec.node), after.as_ref().map(|spec| &spec.node));
    if !selector_same || old.channels != new.channels || (steps.is_empty() && order(old) != order(new)) {
        changes.push(Change { kind: "selector", name: new.name.clone(), action: Action::Swap });
    }
}

/// Whether an interceptor may go on as it is.
pub(super) fn same_interceptor(old: &InterceptorPlan, new: &InterceptorPlan) -> bool {
    PluginVersion::same(old.plugin.as_ref(), new.plugin.as_ref())
        && old.component.same_meaning(&new.component)
}

fn same_delivery(old: &DeliveryPlan, new: &DeliveryPlan) -> bool {
    old.channel == new.channel
        && old.delivery.node().same_meaning(new.delivery.node())
        && PluginVersion::same(old.codec.as_ref(), new.codec.as_ref())
        && same_tree(&old.tree, &new.tree)
}

fn same_tree(old: &SinkTree, new: &SinkTree) -> bool {
    let same_members = match (&old.members, &new.members) {
        (Some(mine), Some(theirs)) => {
            mine.len() == theirs.len()
                && mine.iter().zip(theirs).all(|(mine, theirs)| same_tree(mine, theirs))
        }
        (None, None) => true,
        _ => false,
    };
    same_members
        && PluginVersion::same(old.plugin.as_ref(), new.plugin.as_ref())
        && old.component.same_meaning(&new.component)
        && old.priority == new.priority
        && old.weight == new.weight
}
