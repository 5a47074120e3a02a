//! New versions of interceptors take over from those that run: the last step of a reload that can fail.

use millrace_config::{Diagnostic, Diagnostics, Span};
use millrace_core::{PipelineInterceptor, Takeover};

use crate::agent::Running;

use super::build::Built;

/// Prepares all of them. Dropped, they leave everything as it was.
///
/// # Errors
/// A version cannot take over what the one in force keeps.
pub(super) async fn prepare(pairs: Vec<Pair>) -> Result<Vec<Box<dyn Takeover>>, Diagnostics> {
    let mut ready = Vec::new();
    for Pair { before, after, span } in pairs {
        match after.interceptor.take_over(&*before.interceptor).await {
            Ok(takeover) => ready.extend(takeover),
            Err(error) => {
                let reason = format!("interceptor {} cannot be replaced: {error}", after.name);
                return Err(Diagnostic::error("reload::handover", span, reason)
                    .label("its version in force goes on")
                    .into());
            }
        }
    }
    Ok(ready)
}

/// A version that runs, and the one that is to follow it.
pub(super) struct Pair {
    before: PipelineInterceptor,
    after: PipelineInterceptor,
    /// Where the new one is configured.
    span: Span,
}

/// All new versions of interceptors that run.
pub(super) fn pairs(running: &Running, built: &Built) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (source, pipeline) in &built.pipelines {
        let Some(runs) = running.sources.get(source) else { continue };
        for kept in &pipeline.interceptors {
            let before = runs.interceptors.iter().find(|before| before.plan.name == kept.plan.name);
            let Some(before) = before.filter(|before| before.generation != kept.generation) else { continue };
            pairs.push(Pair {
                before: before.built.clone(),
                after: kept.built.clone(),
                span: kept.plan.component.name.span,
            });
        }
    }
    pairs
}
