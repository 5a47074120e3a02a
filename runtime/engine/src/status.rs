//! The answer to "how is it doing": a snapshot that needs no lock and waits for nothing.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use millrace_core::{ChannelStats, Health, HealthState, Interceptor, PipelineChannel, SwapStatus};

use crate::{
    agent::Running,
    plan::AgentPlan,
    reload::{Change, Outcome, ReloadReport},
};

/// An agent at a moment.
#[derive(Debug, Clone, serde::Serialize)]
pub struct AgentStatus {
    /// The agent's name.
    pub agent: String,
    /// The version of the program.
    pub version: &'static str,
    /// Number of the running plan.
    pub generation: u64,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Whether every component runs.
    pub healthy: bool,
    /// Sources.
    pub sources: Vec<ComponentStatus>,
    /// Channels.
    pub channels: Vec<ChannelStatus>,
    /// Sinks and sink groups.
    pub sinks: Vec<ComponentStatus>,
    /// The last reload, if there was one.
    pub last_reload: Option<ReloadStatus>,
}

/// A source, sink or sink group.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is doing.
    pub state: HealthState,
    /// The channels it is attached to; of a source, those that its selector may choose.
    pub channels: Vec<String>,
    /// Where it listens.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Its interceptors in order, with their generations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interceptors: Vec<InterceptorStatus>,
    /// The last thing that went wrong.
    pub last_error: Option<LastError>,
}

/// An interceptor of a source.
#[derive(Debug, Clone, serde::Serialize)]
pub struct InterceptorStatus {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Goes up with every reload that changes it.
    pub generation: u64,
    /// The digest of the plugin's file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How it replaced the version before, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<SwapStatus>,
}

/// An error and when it happened.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LastError {
    /// Milliseconds since 1970.
    pub unix_millis: u64,
    /// What it said.
    pub reason: String,
}

/// A channel.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Whether it survives the process.
    pub durable: bool,
    /// What it holds.
    #[serde(flatten)]
    pub stats: ChannelStats,
}

/// How the last reload ended.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ReloadStatus {
    /// Applied, unchanged or refused.
    pub outcome: Outcome,
    /// What changed.
    pub changes: Vec<Change>,
    /// What there is to know about new versions of plugins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it was refused, and warnings: each with its place, `agent.kdl:4:9: …`.
    pub reasons: Vec<String>,
    /// When it ended, in milliseconds since 1970.
    pub unix_millis: u64,
}

/// What status needs, taken when a plan comes into force.
pub(crate) struct Shown {
    pub(crate) plan: Option<Arc<AgentPlan>>,
    pub(crate) generation: u64,
    pub(crate) last_reload: Option<Arc<ReloadReport>>,
    when: SystemTime,
    channels: Vec<PipelineChannel>,
    components: Vec<(Part, ComponentStatus, Health)>,
    /// By source: trials go on between two plans, so they are asked each time.
    interceptors: BTreeMap<String, Vec<Arc<dyn Interceptor>>>,
}

#[derive(PartialEq, Eq, Clone, Copy)]
enum Part {
    Source,
    Sink,
}

impl Shown {
    pub(crate) fn new(running: &Running, when: SystemTime, last_reload: Option<Arc<ReloadReport>>) -> Self {
        let plan = running.plan.clone();
        let mut components = Vec::new();
        let mut interceptors = BTreeMap::new();
        for source in plan.iter().flat_map(|plan| &plan.sources) {
            let Some(runs) = running.sources.get(&source.name) else { continue };
            let channels = source.ways.iter().map(|way| way.channel.clone()).collect();
            let mut status = component(&source.name, &source.component.kind.value, channels);
            status.addresses =
                running.sockets.lock().addresses(&source.name).iter().map(ToString::to_string).collect();
            status.interceptors = runs.interceptors.iter().map(interceptor).collect();
            let running = runs.interceptors.iter().map(|kept| Arc::clone(&kept.built.interceptor));
            interceptors.insert(source.name.clone(), running.collect());
            components.push((Part::Source, status, runs.health.clone()));
        }
        for delivery in plan.iter().flat_map(|plan| &plan.deliveries) {
            let Some(runs) = running.deliveries.get(&delivery.name) else { continue };
            let kind = &delivery.tree.component.kind.value;
            let status = component(&delivery.name, kind, vec![delivery.channel.clone()]);
            components.push((Part::Sink, status, runs.health.clone()));
        }
        let mut channels = running.channels.clone();
        let letter =
            running.dead_letter.iter().filter(|letter| !channels.iter().any(|one| one.name == letter.name));
        let letter: Vec<_> = letter.cloned().collect();
        channels.extend(letter);
        Self { plan, generation: running.generation, last_reload, when, channels, components, interceptors }
    }

    pub(crate) fn status(&self, _now: SystemTime, uptime: Duration) -> AgentStatus {
        let of = |part| {
            let mine = self.components.iter().filter(move |(kind, _, _)| *kind == part);
            mine.map(|(_, status, health)| with_health(self.with_swaps(status.clone()), health))
                .collect::<Vec<_>>()
        };
        let channel = |channel: &PipelineChannel| ChannelStatus {
            name: channel.name.to_string(),
            durable: channel.channel.is_durable(),
            stats: channel.channel.stats(),
        };
        AgentStatus {
            agent: self.plan.as_ref().map(|plan| plan.settings.name.clone()).unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION"),
            generation: self.generation,
            uptime_seconds: uptime.as_secs(),
            healthy: self.components.iter().all(|(_, _, health)| health.state() != HealthState::Retrying),
            sources: of(Part::Source),
            channels: self.channels.iter().map(channel).collect(),
            sinks: of(Part::Sink),
            last_reload: self.last_reload.as_deref().map(|report| ReloadStatus {
                outcome: report.outcome,
                changes: report.changes.clone(),
                notes: report.notes.clone(),
                reasons: report.findings.iter().map(|finding| finding.line(&report.files)).collect(),
                unix_millis: unix_millis(self.when),
            }),
        }
    }

    fn with_swaps(&self, mut status: ComponentStatus) -> ComponentStatus {
        let running = self.interceptors.get(&status.name).map(Vec::as_slice).unwrap_or_default();
        for (status, interceptor) in status.interceptors.iter_mut().zip(running) {
            status.swap = interceptor.swap_status();
        }
        status
    }

    /// Whether every source has ended, or has read all there is, and every channel with a sink is empty.
    pub(crate) fn is_done(&self) -> bool {
        let ended = |part: &Part, health: &Health| {
            *part != Part::Source || matches!(health.state(), HealthState::Stopped | HealthState::Idle)
        };
        let has_sink = |channel: &PipelineChannel| {
            let sinks = self.components.iter().filter(|(part, _, _)| *part == Part::Sink);
            sinks.into_iter().any(|(_, status, _)| status.channels.iter().any(|name| **name == *channel.name))
        };
        self.components.iter().all(|(part, _, health)| ended(part, health))
            && self
                .channels
                .iter()
                .filter(|channel| has_sink(channel))
                .all(|channel| channel.channel.stats().events == 0)
    }
}

fn component(name: &str, kind: &str, channels: Vec<String>) -> ComponentStatus {
    ComponentStatus {
        name: name.to_owned(),
        kind: kind.to_owned(),
        state: HealthState::Starting,
        channels,
        addresses: Vec::new(),
        interceptors: Vec::new(),
        last_error: None,
    }
}

fn interceptor(kept: &crate::agent::KeptInterceptor) -> InterceptorStatus {
    InterceptorStatus {
        name: kept.plan.name.clone(),
        kind: kept.plan.component.kind.value.clone(),
        generation: kept.generation,
        digest: kept.plan.plugin.as_ref().and_then(|plugin| plugin.digest.clone()),
        swap: None,
    }
}

fn with_health(mut status: ComponentStatus, health: &Health) -> ComponentStatus {
    status.state = health.state();
    status.last_error = health
        .last_error()
        .map(|(when, reason)| LastError { unix_millis: unix_millis(when), reason: reason.to_string() });
    status
}

fn unix_millis(when: SystemTime) -> u64 {
    when.duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}
