//! `millrace run`: an agent from start to shutdown.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context;
use millrace_admin::AdminServer;
use millrace_config::{Diagnostics, Files, Report};
use millrace_core::{Clock, Metrics};
use millrace_engine::{Agent, AgentHandle, AgentPlan, Loader, Services};
use millrace_storage::{FilePositionStore, SystemClock, SystemDisk, replace_file};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    agent_address::ADDRESS_FILE,
    args::RunOptions,
    exit::Answer,
    logging::{self, LogFilter},
    place, registry,
};

#[expect(clippy::disallowed_methods, reason = "the data directory must be there before anything uses it")]
pub(crate) fn run(options: &RunOptions) -> anyhow::Result<Answer> {
    let read_at = SystemClock.now();
    let (spec, mut findings) = registry::load(&options.config);
    let files = spec.files.clone();
    let types = registry::registry();
    let host = registry::plugin_host(&spec.agent.data_dir);
    let (plan, found) = registry::plan(spec, &types, &*host);
    findings.extend(found);
    findings.sort();
    show(&findings, &files);
    if findings.has_errors() {
        return Ok(Answer::No);
    }
    if options.exit_when_done {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let endless = millrace_engine::endless(&plan, &types, &clock, &host);
        if !endless.is_empty() {
            show(&endless, &files);
            eprintln!("millrace: --exit-when-done would wait for ever");
            return Ok(Answer::No);
        }
    }
    let log = logging::start(&options.log, options.log_format)?;
    raise_file_limit();
    let data_dir = plan.settings.data_dir.clone();
    std::fs::create_dir_all(&data_dir)
        .with_context(|| format!("cannot create data-dir {}", data_dir.display()))?;
    let positions = FilePositionStore::open(Arc::new(SystemDisk), &data_dir.join("positions"))
        .with_context(|| format!("cannot open the positions under {}", data_dir.display()))?;
    let services = Services {
        registry: types,
        clock: Arc::new(SystemClock),
        metrics: Metrics::default(),
        plugin_host: host,
        positions: Arc::new(positions),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("millrace").build()?;
    let answer = runtime.block_on(live(options, plan, read_at, services, log));
    // Blocking reads of a source that stands at a terminal or pipe never end by themselves.
    runtime.shutdown_timeout(Duration::from_millis(200));
    answer
}

fn show(findings: &Diagnostics, files: &Files) {
    if !findings.is_empty() {
        eprint!("{}", Report::new(findings, files).render_text(place::colour_errors(), place::width()));
    }
}

/// Many files and connections may be open: the soft limit is only a habit of shells.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

async fn live(
    options: &RunOptions,
    plan: AgentPlan,
    read_at: SystemTime,
    services: Services,
    log: LogFilter,
) -> anyhow::Result<Answer> {
    let settings = plan.settings.clone();
    let admin = match &settings.admin_listen {
        Some(listen) => {
            let bound = millrace_admin::bind(listen).await;
            Some(bound.with_context(|| {
                format!("admin server cannot listen on {listen}; choose another `admin listen`")
            })?)
        }
        None => None,
    };
    let path = options.config.clone();
    let loader: Loader = Arc::new(move || registry::load(&path));
    let (host, clock) = (Arc::clone(&services.plugin_host), Arc::clone(&services.clock));
    let agent = match Agent::start(services, loader, plan).await {
        Ok(agent) => agent,
        Err(error) => {
            show(&error.0, &error.1);
            return Ok(Answer::No);
        }
    };
    let stop = CancellationToken::new();
    if let Some(listener) = admin {
        let address = listener.local_addr()?;
        replace_file(&SystemDisk, &settings.data_dir.join(ADDRESS_FILE), address.to_string().as_bytes())
            .context("cannot write the admin address")?;
        tracing::info!(%address, "admin server listens");
        tokio::spawn(AdminServer::new(agent.clone(), Arc::new(log)).serve(listener, stop.clone()));
    }
    if settings.watch && !options.no_watch {
        let files = move |agent: &AgentHandle| watched(agent, &*host);
        tokio::spawn(millrace_engine::watch(agent.clone(), files, clock, read_at, stop.clone()));
    }
    tracing::info!(agent = settings.name, pid = std::process::id(), "agent runs");
    until_asked_to_stop(&agent, options.exit_when_done).await?;
    let left = drain(&agent, settings.shutdown_deadline).await?;
    stop.cancel();
    if left > 0 {
        tracing::error!(events = left, "stopped before memory channels were empty; these events are lost");
        return Ok(Answer::No);
    }
    tracing::info!("stopped");
    Ok(Answer::Good)
}

/// The configuration with its includes, and the plugins.
fn watched(agent: &AgentHandle, host: &dyn millrace_core::PluginHost) -> Vec<PathBuf> {
    let Some(plan) = agent.plan() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = plan.files.paths().map(PathBuf::from).collect();
    paths.extend(plan.plugins.iter().flat_map(|plugin| host.watched(plugin)));
    paths
}

async fn until_asked_to_stop(agent: &AgentHandle, exit_when_done: bool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => drop(agent.reload().await),
            () = agent.done(), if exit_when_done => return Ok(()),
        }
    }
}

/// Supervisors that signal a process and then its group send the same signal twice; a person takes longer.
const SAME_SIGNAL: Duration = Duration::from_millis(250);

/// Drains within the deadline; a second signal stops at once.
async fn drain(agent: &AgentHandle, deadline: Duration) -> anyhow::Result<u64> {
    tracing::info!(
        deadline_s = deadline.as_secs(),
        "stopping: sources end, channels drain; a second signal stops at once"
    );
    tokio::select! {
        left = agent.shutdown(deadline) => Ok(left),
        second = second_signal() => {
            second?;
            tracing::warn!("a second signal: stopped at once; the next start recovers what is open");
            Ok(abandon(agent))
        }
    }
}

async fn second_signal() -> anyhow::Result<()> {
    tokio::time::sleep(SAME_SIGNAL).await;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// What is left in memory when nobody waits any longer.
fn abandon(agent: &AgentHandle) -> u64 {
    let losing = agent.status().channels.into_iter().filter(|channel| !channel.durable);
    losing.map(|channel| channel.stats.events).sum()
}
