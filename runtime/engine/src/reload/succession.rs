//! New versions of interceptors take over from those that run: the last step of a reload that can fail.

use millrace_config::{Diagnostic, Diagnostics};
use millrace_core::Takeover;

use crate::agent::Running;

use super::build::Built;

/// Prepares all of them. Dropped, they leave everything as it was.
///
/// # Errors
/// A version cannot take over what the one in force keeps.
pub(super) async fn prepare(running: &Running, built: &Built) -> Result<Vec<Box<dyn Takeover>>, Diagnostics> {
    let mut ready = Vec::new();
    for (source, pipeline) in &built.pipelines {
        let Some(runs) = running.sources.get(source) else { continue };
        for kept in &pipeline.interceptors {
            let before = runs.interceptors.iter().find(|before| before.plan.name == kept.plan.name);
            let Some(before) = before.filter(|before| before.generation != kept.generation) else { continue };
            match kept.built.interceptor.take_over(&*before.built.interceptor).await {
                Ok(takeover) => ready.extend(takeover),
                Err(error) => {
                    let reason = format!("interceptor {} cannot be replaced: {error}", kept.built.name);
                    let span = kept.plan.component.name.span;
                    return Err(Diagnostic::error("reload::handover", span, reason)
                        .label("its version in force goes on")
                        .into());
                }
            }
        }
    }
    Ok(ready)
}
