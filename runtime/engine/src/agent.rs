//! What runs: channels, sources with their pipelines, sinks; started, reloaded and shut down as one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use millrace_config::{AgentSpec, Diagnostics};
use millrace_core::{
    ChannelProcessor, Clock, Health, Metrics, PipelineChannel, PipelineInterceptor, PluginHost,
    PositionStore, Registry,
};
use parking_lot::Mutex;
use tokio::{sync::Mutex as AsyncMutex, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    build::Builder,
    channels::{ChannelCollector, ChannelList},
    plan::{AgentPlan, InterceptorPlan},
    reload::{self, Applied, Change, Outcome, ReloadReport},
    sockets::Sockets,
    status::{AgentStatus, Shown},
};

/// How often positions in front of channels that lose events are written.
const POSITIONS_EVERY: Duration = Duration::from_secs(1);

/// Reads the configuration again.
pub type Loader = Arc<dyn Fn() -> (AgentSpec, Diagnostics) + Send + Sync>;

/// Why an agent did not start: the findings, with the texts they point into.
pub type StartError = Box<(Diagnostics, millrace_config::Files)>;

/// What an agent is made with.
#[derive(Clone)]
pub struct Services {
    /// The component types.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The counters.
    pub metrics: Metrics,
    /// What runs plugins.
    pub plugin_host: Arc<dyn PluginHost>,
    /// Positions of sources in front of channels that keep none.
    pub positions: Arc<dyn PositionStore>,
}

impl Services {
    pub(crate) fn builder(&self) -> Builder {
        Builder {
            registry: Arc::clone(&self.registry),
            clock: Arc::clone(&self.clock),
            metrics: self.metrics.clone(),
            plugin_host: Arc::clone(&self.plugin_host),
        }
    }
}

/// An interceptor that runs, with what it was built from.
#[derive(Clone)]
pub(crate) struct KeptInterceptor {
    pub(crate) plan: InterceptorPlan,
    pub(crate) generation: u64,
    pub(crate) built: PipelineInterceptor,
}

pub(crate) struct RunningSource {
    pub(crate) processor: ChannelProcessor,
    pub(crate) interceptors: Vec<KeptInterceptor>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) health: Health,
}

pub(crate) struct RunningDelivery {
    pub(crate) channel: String,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    pub(crate) health: Health,
}

/// Everything that runs. Only a reload and a shutdown touch it, one at a time.
#[derive(Default)]
pub(crate) struct Running {
    pub(crate) plan: Option<Arc<AgentPlan>>,
    pub(crate) generation: u64,
    pub(crate) channels: Vec<PipelineChannel>,
    pub(crate) dead_letter: Option<PipelineChannel>,
    pub(crate) sources: BTreeMap<String, RunningSource>,
    pub(crate) deliveries: BTreeMap<String, RunningDelivery>,
    pub(crate) sockets: Arc<Mutex<Sockets>>,
    pub(crate) stopped: bool,
}

/// Starts agents.
pub struct Agent;

impl Agent {
    /// Starts everything a plan says. Returns when channels are open, sinks run and sources listen.
    ///
    /// # Errors
    /// What keeps the plan from running; nothing runs then.
    pub async fn start(
        services: Services,
        loader: Loader,
        plan: AgentPlan,
    ) -> Result<AgentHandle, StartError> {
        let files = plan.files.clone();
        let mut running = Running::default();
        if let Err(findings) = reload::apply(&services, &mut running, plan).await {
            return Err(Box::new((findings, files)));
        }
        let channels: ChannelList = Arc::new(ArcSwap::from_pointee(Vec::new()));
        services.metrics.register_collector(Box::new(ChannelCollector { channels: Arc::clone(&channels) }));
        let shown = ArcSwap::from_pointee(Shown::new(&running, services.clock.now(), None));
        let inner = Inner {
            services,
            loader,
            running: AsyncMutex::new(running),
            shown,
            channels,
            started: Instant::now(),
            ended: CancellationToken::new(),
        };
        let handle = AgentHandle { inner: Arc::new(inner) };
        handle.show(&*handle.inner.running.lock().await, None);
        tokio::spawn(write_positions(
            Arc::clone(&handle.inner.services.positions),
            handle.inner.ended.clone(),
        ));
        Ok(handle)
    }
}

struct Inner {
    services: Services,
    loader: Loader,
    running: AsyncMutex<Running>,
    shown: ArcSwap<Shown>,
    channels: ChannelList,
    started: Instant,
    ended: CancellationToken,
}

/// A running agent. Clones are the same agent.
#[derive(Clone)]
pub struct AgentHandle {
    inner: Arc<Inner>,
}

impl AgentHandle {
    /// How everything is doing. Never waits for a reload.
    pub fn status(&self) -> AgentStatus {
        self.inner.shown.load().status(self.inner.services.clock.now(), self.inner.started.elapsed())
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.services.metrics
    }

    /// The plan that runs.
    pub fn plan(&self) -> Option<Arc<AgentPlan>> {
        self.inner.shown.load().plan.clone()
    }

    /// Reads the configuration again and applies what changed. Reloads happen one after the other.
    ///
    /// # Cancel safety
    /// The reload runs in a task of its own and finishes even if the caller goes away.
    pub async fn reload(&self) -> ReloadReport {
        let handle = self.clone();
        let task = tokio::spawn(async move { handle.reload_now().await });
        match task.await {
            Ok(report) => report,
            Err(error) => self.report_refused(
                millrace_config::Diagnostic::general(
                    "reload::failed",
                    format!("the reload broke off: {error}"),
                )
                .into(),
            ),
        }
    }

    async fn reload_now(&self) -> ReloadReport {
        let begun = Instant::now();
        let mut running = self.inner.running.lock().await;
        let (loader, services) = (Arc::clone(&self.inner.loader), self.inner.services.clone());
        let planned = tokio::task::spawn_blocking(move || {
            let (spec, mut findings) = loader();
            let files = spec.files.clone();
            let (plan, found) = AgentPlan::new(spec, &services.registry, &*services.plugin_host);
            findings.extend(found);
            (plan, findings, files)
        });
        let Ok((plan, mut findings, files)) = planned.await else {
            let broken =
                millrace_config::Diagnostic::general("reload::failed", "reading the configuration broke off");
            return self.report_refused(broken.into());
        };
        let applied = if running.stopped {
            Err(millrace_config::Diagnostic::general("reload::stopped", "the agent is shutting down").into())
        } else if findings.has_errors() {
            Err(std::mem::take(&mut findings))
        } else {
            reload::apply(&self.inner.services, &mut running, plan).await
        };
        let (outcome, Applied { changes, notes }) = match applied {
            Ok(applied) if applied.changes.is_empty() => (Outcome::Unchanged, applied),
            Ok(applied) => (Outcome::Applied, applied),
            Err(found) => {
                findings.extend(found);
                (Outcome::Refused, Applied::default())
            }
        };
        findings.sort();
        let took_millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let generation = running.generation;
        let report = ReloadReport { outcome, generation, changes, notes, findings, files, took_millis };
        self.log(&report);
        self.show(&running, Some(report.clone()));
        report
    }

    fn report_refused(&self, findings: Diagnostics) -> ReloadReport {
        let generation = self.inner.shown.load().generation;
        let files = millrace_config::Files::default();
        ReloadReport {
            outcome: Outcome::Refused,
            generation,
            changes: Vec::new(),
            notes: Vec::new(),
            findings,
            files,
            took_millis: 0,
        }
    }

    fn log(&self, report: &ReloadReport) {
        let metrics = &self.inner.services.metrics;
        match report.outcome {
            Outcome::Applied => {
                metrics.reloads().inc();
                let changes: Vec<String> = report.changes.iter().map(Change::to_string).collect();
                tracing::info!(
                    generation = report.generation,
                    took_ms = report.took_millis,
                    changes = changes.join(", "),
                    "reloaded"
                );
            }
            Outcome::Unchanged => tracing::debug!(generation = report.generation, "reload: nothing changed"),
            Outcome::Refused => {
                metrics.reloads_refused().inc();
                let first = report
                    .findings
                    .iter()
                    .find(|finding| finding.severity == millrace_config::Severity::Error);
                let reason = first.map(|finding| finding.line(&report.files)).unwrap_or_default();
                tracing::error!(
                    generation = report.generation,
                    reason,
                    "reload refused; the old plan runs on"
                );
            }
        }
    }

    fn show(&self, running: &Running, report: Option<ReloadReport>) {
        let generation = i64::try_from(running.generation).unwrap_or(i64::MAX);
        self.inner.services.metrics.generation().set(generation);
        let mut channels = running.channels.clone();
        channels.extend(
            running
                .dead_letter
                .iter()
                .filter(|letter| !running.channels.iter().any(|one| one.name == letter.name))
                .cloned(),
        );
        self.inner.channels.store(Arc::new(channels));
        let report = report.map(Arc::new).or_else(|| self.inner.shown.load().last_reload.clone());
        self.inner.shown.store(Arc::new(Shown::new(running, self.inner.services.clock.now(), report)));
    }

    /// Waits until every source has ended by itself, or has read all there is, and every channel with a sink is
    /// empty. See [`crate::endless`].
    pub async fn done(&self) {
        while !self.inner.shown.load().is_done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops gracefully: sources first, then sinks once they have emptied the channels that would lose their
    /// events, then channels. What is not done at the deadline is rolled back. Returns the events left in channels
    /// that lose them.
    pub async fn shutdown(&self, deadline: Duration) -> u64 {
        let until = Instant::now() + deadline;
        let mut running = self.inner.running.lock().await;
        running.stopped = true;
        let left = running.stop(until).await;
        self.inner.ended.cancel();
        if let Err(error) = self.inner.services.positions.flush() {
            tracing::error!(%error, "cannot write the positions of sources");
        }
        self.show(&running, None);
        left
    }
}

async fn write_positions(positions: Arc<dyn PositionStore>, ended: CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = ended.cancelled() => return,
            () = tokio::time::sleep(POSITIONS_EVERY) => {}
        }
        let store = Arc::clone(&positions);
        let written = tokio::task::spawn_blocking(move || store.flush()).await;
        match written {
            Ok(Ok(())) | Err(_) => failing = false,
            Ok(Err(error)) => {
                if !failing {
                    tracing::error!(%error, "cannot write the positions of sources, trying again");
                }
                failing = true;
            }
        }
    }
}

impl Running {
    async fn stop(&mut self, until: Instant) -> u64 {
        for source in self.sources.values() {
            source.stop.cancel();
        }
        for (name, source) in std::mem::take(&mut self.sources) {
            finish(&name, vec![source.task], until).await;
        }
        // Half a moment of the deadline is kept for closing what is open.
        let losing = || self.channels.iter().filter(|channel| !channel.channel.is_durable());
        let drained = |channel: &PipelineChannel| channel.channel.stats().events == 0;
        while Instant::now() < until && !losing().filter(|channel| self.has_sink(channel)).all(drained) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for delivery in self.deliveries.values() {
            delivery.stop.cancel();
        }
        let closing = until.max(Instant::now() + Duration::from_secs(2));
        for (name, delivery) in std::mem::take(&mut self.deliveries) {
            finish(&name, delivery.tasks, closing).await;
        }
        let left = losing().map(|channel| channel.channel.stats().events).sum();
        for channel in self.channels.iter().chain(&self.dead_letter) {
            if let Err(error) = channel.channel.close().await {
                tracing::error!(channel = %channel.name, %error, "closing failed");
            }
        }
        left
    }

    fn has_sink(&self, channel: &PipelineChannel) -> bool {
        self.deliveries.values().any(|delivery| *delivery.channel == *channel.name)
    }
}

/// Waits for tasks that were asked to stop; at the deadline they are ended where they stand.
pub(crate) async fn finish(name: &str, tasks: Vec<JoinHandle<()>>, until: Instant) {
    for mut task in tasks {
        if tokio::time::timeout_at(until, &mut task).await.is_err() {
            tracing::warn!(component = name, "did not stop in time; its batch is rolled back");
            task.abort();
            drop(task.await);
        }
    }
}
