//! Everything a new plan needs that does not run yet, built before anything old is touched. Blocking.

use std::{collections::BTreeMap, sync::Arc};

use millrace_config::Diagnostics;
use millrace_core::{Channel, PipelineInterceptor, Selector, Source};

use crate::{
    agent::KeptInterceptor,
    build::{Builder, BuiltDelivery},
    plan::{AgentPlan, SourcePlan},
};

use super::{
    Action,
    diff::{Difference, same_interceptor},
};

/// New instances, by name.
#[derive(Default)]
pub(super) struct Built {
    pub(super) channels: BTreeMap<String, Arc<dyn Channel>>,
    pub(super) dead_letter: Option<Arc<dyn Channel>>,
    pub(super) sources: BTreeMap<String, Box<dyn Source>>,
    pub(super) pipelines: BTreeMap<String, BuiltPipeline>,
    pub(super) deliveries: BTreeMap<String, BuiltDelivery>,
}

/// What a source's pipeline consists of besides channels.
pub(super) struct BuiltPipeline {
    pub(super) interceptors: Vec<KeptInterceptor>,
    pub(super) selector: Arc<dyn Selector>,
}

/// Builds what the difference asks for. `kept` holds the interceptors that run now, by source.
pub(super) fn build(
    builder: &Builder,
    plan: &AgentPlan,
    difference: &Difference,
    kept: &BTreeMap<String, Vec<KeptInterceptor>>,
    needs_dead_letter: bool,
) -> Result<Built, Diagnostics> {
    let mut built = Built::default();
    let mut findings = Diagnostics::default();
    let is_new = |action: Option<&Action>| matches!(action, Some(Action::Add | Action::Swap));
    for channel in plan.channels.iter().filter(|channel| is_new(difference.channels.get(&channel.name))) {
        if let Some(instance) = noted(builder.channel(plan, channel), &mut findings) {
            built.channels.insert(channel.name.clone(), instance);
        }
    }
    if needs_dead_letter {
        built.dead_letter = noted(builder.dead_letter(plan), &mut findings).flatten();
    }
    for source in &plan.sources {
        if is_new(difference.sources.get(&source.name))
            && let Some(instance) = noted(builder.source(plan, source), &mut findings)
        {
            built.sources.insert(source.name.clone(), instance);
        }
        let running = kept.get(&source.name).map(Vec::as_slice).unwrap_or_default();
        if let Some(pipeline) = build_pipeline(builder, plan, source, running, &mut findings) {
            built.pipelines.insert(source.name.clone(), pipeline);
        }
    }
    for delivery in
        plan.deliveries.iter().filter(|delivery| is_new(difference.deliveries.get(&delivery.name)))
    {
        if let Some(parts) = noted(builder.delivery(plan, delivery), &mut findings) {
            built.deliveries.insert(delivery.name.clone(), parts);
        }
    }
    if findings.has_errors() { Err(findings) } else { Ok(built) }
}

fn noted<T>(result: Result<T, Diagnostics>, findings: &mut Diagnostics) -> Option<T> {
    result.map_err(|found| findings.extend(found)).ok()
}

fn build_pipeline(
    builder: &Builder,
    plan: &AgentPlan,
    source: &SourcePlan,
    running: &[KeptInterceptor],
    findings: &mut Diagnostics,
) -> Option<BuiltPipeline> {
    let mut interceptors = Vec::with_capacity(source.interceptors.len());
    for step in &source.interceptors {
        let before = running.iter().find(|kept| kept.plan.name == step.name);
        let (generation, step_built) = match before {
            Some(kept) if same_interceptor(&kept.plan, step) => (kept.generation, kept.built.clone()),
            _ => {
                let generation = before.map_or(1, |kept| kept.generation + 1);
                let built: Option<PipelineInterceptor> =
                    noted(builder.interceptor(plan, source, step, generation), findings);
                let Some(built) = built else { continue };
                (generation, built)
            }
        };
        interceptors.push(KeptInterceptor { plan: step.clone(), generation, built: step_built });
    }
    let selector = noted(builder.selector(plan, source), findings)?;
    Some(BuiltPipeline { interceptors, selector })
}
