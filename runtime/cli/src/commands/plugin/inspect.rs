//! `millrace plugin inspect`: what a plugin is and wants, without running it.

use anyhow::Context;
use millrace_author::{Difference, difference, grants, is_two_phase, look, manifest, read, world};
use millrace_wasm::{ConfigSchema, Inspection};
use serde_json::json;

use crate::{args::OutputFormat, exit::Answer, plugin_args::InspectOptions};

pub(crate) fn inspect(options: &InspectOptions) -> anyhow::Result<Answer> {
    let wasm = read(&options.file).context("cannot inspect it")?;
    let inspection = match look(&wasm) {
        Ok(inspection) => inspection,
        Err(error) => return super::no(&format!("{}: {error}", options.file.display())),
    };
    let mut changes = None;
    if let Some(other) = &options.against {
        let wasm = read(other).context("cannot compare with it")?;
        match look(&wasm) {
            Ok(old) => changes = Some(difference(&old, &inspection)),
            Err(error) => return super::no(&format!("{}: {error}", other.display())),
        }
    }
    match options.format {
        OutputFormat::Text => print!("{}", text(&inspection, changes.as_ref())),
        OutputFormat::Json => {
            println!("{}", serde_json::to_string_pretty(&json(&inspection, changes.as_ref()))?)
        }
    }
    Ok(if inspection.problem.is_none() { Answer::Good } else { Answer::No })
}

fn text(inspection: &Inspection, changes: Option<&Difference>) -> String {
    let mut lines = vec![
        format!("digest   {}", inspection.digest),
        format!("size     {:.1} KiB", inspection.bytes as f64 / 1024.0),
        format!("role     {}", inspection.role.unwrap_or("none that this agent knows")),
    ];
    if let Some((world, beyond)) = world(inspection) {
        let beyond = if beyond.is_empty() { String::new() } else { format!(", and {}", beyond.join(", ")) };
        lines.push(format!("world    {world}{beyond}"));
    }
    if is_two_phase(inspection) {
        lines.push("phases   two: readers of its destination see each event once".into());
    }
    for import in &inspection.imports {
        let refused =
            import.refused.as_ref().map_or_else(String::new, |reason| format!("  REFUSED: {reason}"));
        lines.push(format!("imports  {}{refused}", import.name));
        if let Some(grant) = &import.grant {
            lines.push(format!("         grant it with: {grant}"));
        }
    }
    lines.extend(inspection.exports.iter().map(|export| format!("exports  {export}")));
    match manifest(inspection) {
        Some(manifest) => {
            let fact = |what: &str, text: &Option<String>| {
                text.as_ref().map(|text| format!("{what:<9}{}", text.escape_debug()))
            };
            lines.push(format!("name     {}", manifest.name));
            lines.extend(fact("version", &manifest.version));
            lines.extend(fact("licence", &manifest.licence));
            lines.extend(fact("summary", &manifest.summary));
            let metric = |metric: &millrace_wasm::MetricDeclaration| {
                format!("metric   {} {} {}", metric.kind, metric.name, metric.labels.join(" "))
                    .trim_end()
                    .to_owned()
            };
            lines.extend(manifest.metrics.iter().map(metric));
            let options = manifest.config.as_ref().map(ConfigSchema::explained).unwrap_or_default();
            lines.extend(options.iter().map(|option| format!("option   {}  {}", option.name, option.facts)));
        }
        None => lines.push("manifest none".into()),
    }
    if let Some(grants) = grants(inspection) {
        lines.push(format!("to grant what it asks for, after a look at it:\n{grants}"));
    }
    if let Some(changes) = changes {
        lines.push("changes".into());
        lines.extend(changes.lines.iter().map(|(about, sign, what)| format!("{sign} {about:<9}{what}")));
        lines.push(format!("  size     {:+} bytes", changes.bytes));
        if changes.asks_for_more() {
            lines.push("  it asks for more than before".into());
        }
    }
    match &inspection.problem {
        None => lines.push("loads    yes".into()),
        Some(problem) => lines.push(format!("loads    NO: {problem}")),
    }
    lines.join("\n") + "\n"
}

fn json(inspection: &Inspection, changes: Option<&Difference>) -> serde_json::Value {
    let import = |import: &millrace_wasm::InspectedImport| json!({ "name": import.name, "refused": import.refused, "grant": import.grant });
    let nearest = world(inspection);
    json!({
        "digest": inspection.digest,
        "bytes": inspection.bytes,
        "role": inspection.role,
        "two_phase": is_two_phase(inspection),
        "world": nearest.as_ref().map(|(world, _)| world),
        "beyond_world": nearest.map(|(_, beyond)| beyond).unwrap_or_default(),
        "imports": inspection.imports.iter().map(import).collect::<Vec<_>>(),
        "exports": inspection.exports,
        "manifest": manifest(inspection).map(|manifest| manifest.to_json()),
        "grant": grants(inspection),
        "changes": changes.map(Difference::to_json),
        "problem": inspection.problem,
    })
}
