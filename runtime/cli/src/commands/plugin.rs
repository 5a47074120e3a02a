//! `millrace plugin`: looks at plugin files.

use anyhow::Context;
use millrace_wasm::{Inspection, WasmHost};
use serde_json::json;

use crate::{
    args::{InspectOptions, OutputFormat, PluginCommand, PluginOptions},
    exit::Answer,
};

pub(crate) fn plugin(options: &PluginOptions) -> anyhow::Result<Answer> {
    match &options.command {
        PluginCommand::Inspect(options) => inspect(options),
    }
}

#[expect(clippy::disallowed_methods, reason = "the user names the file of the plugin")]
fn inspect(options: &InspectOptions) -> anyhow::Result<Answer> {
    let wasm =
        std::fs::read(&options.file).with_context(|| format!("cannot read {}", options.file.display()))?;
    // Nothing is kept: looking at a plugin leaves no trace.
    let cache = std::env::temp_dir().join(format!("millrace-inspect-{}", std::process::id()));
    let inspection = WasmHost::new(&cache).inspect(&wasm);
    drop(std::fs::remove_dir_all(&cache));
    let inspection = match inspection {
        Ok(inspection) => inspection,
        Err(error) => {
            eprintln!("millrace: {}: {error}", options.file.display());
            return Ok(Answer::No);
        }
    };
    match options.format {
        OutputFormat::Text => print!("{}", text(&inspection)),
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&json(&inspection))?),
    }
    Ok(if inspection.problem.is_none() { Answer::Good } else { Answer::No })
}

fn text(inspection: &Inspection) -> String {
    let mut lines = vec![
        format!("digest   {}", inspection.digest),
        format!("size     {:.1} KiB", inspection.bytes as f64 / 1024.0),
        format!("role     {}", inspection.role.unwrap_or("none that this agent knows")),
    ];
    for import in &inspection.imports {
        let refused =
            import.refused.as_ref().map_or_else(String::new, |reason| format!("  REFUSED: {reason}"));
        lines.push(format!("imports  {}{refused}", import.name));
        if let Some(grant) = &import.grant {
            lines.push(format!("         grant it with: {grant}"));
        }
    }
    lines.extend(inspection.exports.iter().map(|export| format!("exports  {export}")));
    if let Some(manifest) = &inspection.manifest {
        lines.push(format!("manifest\n{manifest}"));
    }
    match &inspection.problem {
        None => lines.push("loads    yes".into()),
        Some(problem) => lines.push(format!("loads    NO: {problem}")),
    }
    lines.join("\n") + "\n"
}

fn json(inspection: &Inspection) -> serde_json::Value {
    let import = |import: &millrace_wasm::InspectedImport| json!({ "name": import.name, "refused": import.refused, "grant": import.grant });
    json!({
        "digest": inspection.digest,
        "bytes": inspection.bytes,
        "role": inspection.role,
        "imports": inspection.imports.iter().map(import).collect::<Vec<_>>(),
        "exports": inspection.exports,
        "manifest": inspection.manifest,
        "problem": inspection.problem,
    })
}
