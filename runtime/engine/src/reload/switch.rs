//! The part of a reload that cannot fail: new parts take over from old ones.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::future::join_all;
use millrace_core::{
    Batch, ChannelProcessor, Health, Pipeline, PipelineChannel, PositionUpdate, Positions, Sink,
};
use millrace_storage::{Disk, SystemDisk};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{KeptInterceptor, Running, RunningDelivery, RunningSource, Services, finish},
    build::BuiltDelivery,
    delivery_ledger::Ledger,
    plan::{AgentPlan, DeliveryPlan, SourcePlan},
    sink_runner::{RetryPolicy, SinkRunner, batch_limit},
    source_runner::SourceRunner,
};

use super::{
    Action,
    build::{Built, BuiltPipeline},
    diff::Difference,
};

/// How long a source or sink that is replaced may finish its batch.
const GRACE: Duration = Duration::from_secs(5);

/// Puts a prepared plan in force.
pub(super) async fn switch(
    services: &Services,
    running: &mut Running,
    plan: Arc<AgentPlan>,
    difference: &Difference,
    mut built: Built,
) {
    let leaving = switch_channels(running, &plan, difference, &mut built);
    let channels: Arc<[PipelineChannel]> = running.channels.clone().into();
    running.generation += 1;
    let mut retired = Vec::new();
    for source in &plan.sources {
        let Some(parts) = built.pipelines.remove(&source.name) else { continue };
        match running.sources.get_mut(&source.name) {
            Some(runs) if !difference.sources.contains_key(&source.name) => {
                retired.push(
                    swap_pipeline(services, runs, source, parts, &channels, running.dead_letter.as_ref())
                        .await,
                );
            }
            _ => drop(built.pipelines.insert(source.name.clone(), parts)),
        }
    }
    let until = Instant::now() + GRACE;
    let stopping = stop_sources(take_leaving(running, difference, &built), until);
    let handing_over = hand_over(services, running, &plan, difference, &mut built, &leaving, until);
    let ((), deliveries) = tokio::join!(stopping, handing_over);
    running.deliveries.extend(deliveries);
    for (name, _) in difference.sources.iter().filter(|(_, action)| **action == Action::Remove) {
        running.sockets.lock().release(name);
    }
    for source in &plan.sources {
        let (Some(instance), Some(parts)) =
            (built.sources.remove(&source.name), built.pipelines.remove(&source.name))
        else {
            continue;
        };
        let runs = start_source(services, running, &plan, source, instance, parts, &channels);
        running.sources.insert(source.name.clone(), runs);
    }
    tokio::spawn(retire(retired));
    tokio::spawn(close_left(leaving));
    running.plan = Some(plan);
}

/// The new list of channels; returns those that leave.
fn switch_channels(
    running: &mut Running,
    plan: &AgentPlan,
    difference: &Difference,
    built: &mut Built,
) -> Vec<PipelineChannel> {
    let mut old = std::mem::take(&mut running.channels);
    for channel in &plan.channels {
        let kept = old.iter().position(|one| *one.name == *channel.name).map(|at| old.remove(at));
        let fresh = built.channels.remove(&channel.name);
        let fresh =
            fresh.map(|instance| PipelineChannel { name: channel.name.as_str().into(), channel: instance });
        running.channels.extend(kept.or(fresh));
    }
    let configured = plan
        .settings
        .dead_letter_channel
        .as_ref()
        .and_then(|name| running.channels.iter().find(|channel| *channel.name == *name.value).cloned());
    let own = built
        .dead_letter
        .take()
        .map(|channel| PipelineChannel { name: crate::build::DEAD_LETTER.into(), channel });
    let before = running.dead_letter.take();
    running.dead_letter = configured.or(own).or_else(|| before.clone());
    let own_leaves = before.filter(|before| {
        &*before.name == crate::build::DEAD_LETTER
            && running.dead_letter.as_ref().is_none_or(|now| now.name != before.name)
    });
    debug_assert!(old.iter().all(|one| difference.channels.get(&*one.name) == Some(&Action::Remove)));
    old.extend(own_leaves);
    old
}

/// What a swap leaves behind: the old pipeline, and those of its interceptors that no longer run.
struct Retired {
    pipeline: Arc<Pipeline>,
    interceptors: Vec<KeptInterceptor>,
}

async fn swap_pipeline(
    services: &Services,
    runs: &mut RunningSource,
    source: &SourcePlan,
    parts: BuiltPipeline,
    channels: &Arc<[PipelineChannel]>,
    dead_letter: Option<&PipelineChannel>,
) -> Retired {
    let pipeline = make_pipeline(source, &parts, channels, dead_letter);
    let home = pipeline.position_home;
    let old = runs.processor.swap(pipeline);
    let old_home = old.position_home.and_then(|home| old.channels.get(home)).cloned();
    let new_home = home.and_then(|home| channels.get(home)).cloned();
    let moved =
        old_home.as_ref().map(|channel| &channel.name) != new_home.as_ref().map(|channel| &channel.name);
    move_positions(services, &source.name, old_home, new_home).await;
    if moved {
        let (processor, source) = (runs.processor.clone(), source.name.clone());
        // A batch that waits for its commit may keep the turn of the state for long; a reload does not wait for that.
        tokio::spawn(async move {
            if let Err(error) = processor.settle_states().await {
                tracing::warn!(source, %error, "state did not follow to its new channel yet; the next batch takes it there");
            }
        });
    }
    let interceptors =
        runs.interceptors.iter().filter(|kept| !goes_on(kept, &parts.interceptors)).cloned().collect();
    runs.interceptors = parts.interceptors;
    Retired { pipeline: old, interceptors }
}

/// Positions follow the source to the channel that keeps them from now on; what is newer there stays.
async fn move_positions(
    services: &Services,
    source: &str,
    from: Option<PipelineChannel>,
    to: Option<PipelineChannel>,
) {
    if from.as_ref().map(|channel| &channel.name) == to.as_ref().map(|channel| &channel.name) {
        return;
    }
    let there = match &from {
        Some(channel) => channel.channel.positions(source).unwrap_or_default(),
        None => services.positions.load(source),
    };
    let known = match &to {
        Some(channel) => channel.channel.positions(source).unwrap_or_default(),
        None => services.positions.load(source),
    };
    let changes: Vec<_> = there
        .into_iter()
        .filter(|(key, _)| !known.contains_key(key))
        .map(|(key, value)| (key, Some(value)))
        .collect();
    if changes.is_empty() {
        return;
    }
    let update = PositionUpdate { source: source.into(), changes };
    let Some(to) = to else { return services.positions.update(&update) };
    let put = async {
        let mut transaction = to.channel.begin_put().await?;
        transaction.put(Batch::default().with_position(update)).await?;
        transaction.commit().await
    };
    if let Err(error) = put.await {
        tracing::error!(source, %error, "positions could not follow to their new channel; a restart may repeat events");
    }
}

fn make_pipeline(
    source: &SourcePlan,
    parts: &BuiltPipeline,
    channels: &Arc<[PipelineChannel]>,
    dead_letter: Option<&PipelineChannel>,
) -> Pipeline {
    let keeps = |channel: &PipelineChannel| channel.channel.positions(&source.name).is_some();
    let own = |channel: &PipelineChannel| source.channels.iter().any(|name| **name == *channel.name);
    Pipeline {
        interceptors: parts.interceptors.iter().map(|kept| kept.built.clone()).collect(),
        selector: Arc::clone(&parts.selector),
        channels: Arc::clone(channels),
        dead_letter: dead_letter.cloned(),
        position_home: channels.iter().rposition(|channel| own(channel) && keeps(channel)),
    }
}

/// The sources that stop: those that are gone and those that a new instance follows. Interceptors that go on in
/// the new pipeline are not theirs to close.
fn take_leaving(
    running: &mut Running,
    difference: &Difference,
    built: &Built,
) -> Vec<(String, RunningSource)> {
    let mut leaving: Vec<_> =
        difference.sources.keys().filter_map(|name| running.sources.remove_entry(name)).collect();
    for (name, source) in &mut leaving {
        if let Some(parts) = built.pipelines.get(name) {
            source.interceptors.retain(|kept| !goes_on(kept, &parts.interceptors));
        }
    }
    leaving
}

fn goes_on(kept: &KeptInterceptor, next: &[KeptInterceptor]) -> bool {
    next.iter().any(|new| Arc::ptr_eq(&new.built.interceptor, &kept.built.interceptor))
}

async fn stop_sources(leaving: Vec<(String, RunningSource)>, until: Instant) {
    for (_, source) in &leaving {
        source.stop.cancel();
    }
    for (name, source) in leaving {
        finish(&name, vec![source.task], until).await;
        for kept in source.interceptors {
            kept.built.interceptor.close().await;
        }
    }
}

fn start_source(
    services: &Services,
    running: &Running,
    plan: &Arc<AgentPlan>,
    source: &SourcePlan,
    instance: Box<dyn millrace_core::Source>,
    parts: BuiltPipeline,
    channels: &Arc<[PipelineChannel]>,
) -> RunningSource {
    let pipeline = make_pipeline(source, &parts, channels, running.dead_letter.as_ref());
    let (metrics, health) = (services.metrics.source(&source.name), Health::default());
    let processor = ChannelProcessor::new(
        source.name.as_str().into(),
        pipeline,
        Arc::clone(&services.positions),
        Arc::clone(&services.clock),
        metrics.clone(),
        health.clone(),
    );
    let stop = CancellationToken::new();
    let listens = instance.listens();
    let (builder, sockets) = (services.builder(), Arc::clone(&running.sockets));
    let (name, plan, planned) = (source.name.clone(), Arc::clone(plan), source.clone());
    let (store, of) = (Arc::clone(&services.positions), processor.clone());
    let runner = SourceRunner {
        name: name.as_str().into(),
        processor: processor.clone(),
        shutdown: stop.clone(),
        data_dir: builder.data_dir(&plan, "sources", &name),
        clock: Arc::clone(&services.clock),
        metrics,
        health: health.clone(),
        rebuild: Arc::new(move || {
            builder.source(&plan, &planned).map_err(|findings| {
                findings.iter().map(|finding| finding.reason.clone()).collect::<Vec<_>>().join("; ")
            })
        }),
        sockets: Arc::new({
            let name = name.clone();
            move || sockets.lock().acquire(&name, &listens)
        }),
        positions: Arc::new(move || positions_of(&of.pipeline(), &*store, &name)),
    };
    let task = tokio::spawn(runner.run(instance));
    RunningSource { processor, interceptors: parts.interceptors, stop, task, health }
}

/// Where a source stands: in the channel that keeps its positions, or where an earlier plan left them.
fn positions_of(pipeline: &Pipeline, store: &dyn millrace_core::PositionStore, source: &str) -> Positions {
    let home = pipeline.position_home.and_then(|home| pipeline.channels.get(home));
    let kept = home.and_then(|home| home.channel.positions(source)).unwrap_or_default();
    if !kept.is_empty() {
        return kept;
    }
    let stored = store.load(source);
    if !stored.is_empty() {
        return stored;
    }
    let others = pipeline.channels.iter().filter_map(|channel| channel.channel.positions(source));
    others.into_iter().find(|positions| !positions.is_empty()).unwrap_or_default()
}

/// Stops sinks that leave or change and starts those that come; a sink starts when the one it replaces is closed.
fn hand_over(
    services: &Services,
    running: &mut Running,
    plan: &Arc<AgentPlan>,
    difference: &Difference,
    built: &mut Built,
    leaving: &[PipelineChannel],
    until: Instant,
) -> impl Future<Output = Vec<(String, RunningDelivery)>> + use<> {
    let mut work = Vec::new();
    for name in difference.deliveries.keys() {
        let old = running.deliveries.remove(name);
        let parts = built.deliveries.remove(name);
        let planned = plan.deliveries.iter().find(|delivery| delivery.name == *name).cloned();
        let channel = planned.as_ref().and_then(|planned| {
            running.channels.iter().find(|channel| *channel.name == *planned.channel).cloned()
        });
        let draining = old
            .as_ref()
            .and_then(|old| leaving.iter().find(|channel| *channel.name == *old.channel).cloned());
        let folder = services.builder().data_dir(plan, "sinks", name);
        let (services, dead_letter, name) = (services.clone(), running.dead_letter.clone(), name.clone());
        work.push(async move {
            if let Some(old) = old {
                drain(draining.as_ref(), until).await;
                old.stop.cancel();
                finish(&name, old.tasks, until).await;
            }
            let started = start_delivery(&services, &planned?, parts?, channel?, dead_letter, &folder);
            Some((name, started))
        });
    }
    async move { join_all(work).await.into_iter().flatten().collect() }
}

/// A channel that leaves and would lose its events is emptied by its old sink first.
async fn drain(channel: Option<&PipelineChannel>, until: Instant) {
    let Some(channel) = channel.filter(|channel| !channel.channel.is_durable()) else { return };
    while channel.channel.stats().events > 0 {
        if Instant::now() > until {
            let events = channel.channel.stats().events;
            tracing::error!(channel = %channel.name, events, "a removed channel could not be emptied; its events are lost");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn start_delivery(
    services: &Services,
    plan: &DeliveryPlan,
    parts: BuiltDelivery,
    channel: PipelineChannel,
    dead_letter: Option<PipelineChannel>,
    folder: &Path,
) -> RunningDelivery {
    let BuiltDelivery { sinks, codec } = parts;
    let (stop, health) = (CancellationToken::new(), Health::default());
    let named = sinks.iter().any(|sink| sink.wants_deliveries_named() || sink.is_two_phase());
    let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
    let ledgers = if named { Ledger::open(&disk, folder, sinks.len()) } else { Vec::new() };
    let mut ledgers = ledgers.into_iter();
    let runner = |sink: Box<dyn Sink>| {
        let runner = SinkRunner {
            name: plan.name.as_str().into(),
            channel: channel.clone(),
            dead_letter: dead_letter.clone(),
            limit: batch_limit(&plan.delivery, sink.batch_events()),
            retry: RetryPolicy::new(&plan.delivery),
            clock: Arc::clone(&services.clock),
            metrics: services.metrics.sink(&plan.name),
            health: health.clone(),
            ledger: ledgers.next(),
            codec: codec.clone(),
            stop: stop.clone(),
        };
        tokio::spawn(runner.run(sink))
    };
    let tasks = sinks.into_iter().map(runner).collect();
    RunningDelivery { channel: plan.channel.clone(), stop, tasks, health }
}

/// Closes interceptors once the last batch has left them.
async fn retire(retired: Vec<Retired>) {
    for Retired { pipeline, interceptors } in retired {
        let patience = Instant::now() + Duration::from_secs(60);
        while Arc::strong_count(&pipeline) > 1 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for kept in interceptors {
            kept.built.interceptor.close().await;
        }
    }
}

async fn close_left(channels: Vec<PipelineChannel>) {
    for channel in channels {
        if let Err(error) = channel.channel.close().await {
            tracing::error!(channel = %channel.name, %error, "closing failed");
        }
    }
}
