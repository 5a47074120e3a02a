//! `millrace check`: every mistake at once, with the place and the way out.

use std::sync::Arc;

use millrace_config::Report;
use millrace_core::Clock;
use millrace_storage::SystemClock;

use crate::{
    args::{CheckOptions, OutputFormat},
    exit::Answer,
    place, registry,
};

#[expect(clippy::disallowed_methods, reason = "the folder that checking made goes with it")]
pub(crate) fn check(options: &CheckOptions) -> anyhow::Result<Answer> {
    let (spec, mut findings) = registry::load(&options.config);
    let files = spec.files.clone();
    let types = registry::registry();
    // Checking leaves no trace where no agent has run yet: native code then goes to a folder of its own.
    let scratch = std::env::temp_dir().join(format!("millrace-check-{}", std::process::id()));
    let is_fresh = !spec.agent.data_dir.exists();
    let host = registry::plugin_host(if is_fresh { &scratch } else { &spec.agent.data_dir });
    let (plan, found) = registry::plan(spec, &types, &*host);
    findings.extend(found);
    if !findings.has_errors() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        findings.extend(millrace_engine::validate(&plan, &types, &clock, &host));
    }
    if is_fresh {
        drop(std::fs::remove_dir_all(&scratch));
    }
    findings.sort();
    let report = Report::new(&findings, &files);
    match options.format {
        OutputFormat::Json => println!("{}", report.render_json()),
        OutputFormat::Text if findings.is_empty() => {
            let count =
                |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
            println!(
                "{}: good ({}, {}, {})",
                options.config.display(),
                count(plan.sources.len(), "source"),
                count(plan.channels.len(), "channel"),
                count(plan.deliveries.len(), "sink or group"),
            );
        }
        OutputFormat::Text => {
            print!("{}", report.render_text(place::colour(), place::width()));
            println!("{}", report.summary());
        }
    }
    Ok(if findings.has_errors() { Answer::No } else { Answer::Good })
}
