//! `millrace plugin build`: from sources to a checked component.

use std::time::Instant;

use anyhow::bail;
use millrace_author::{BuildError, Built, Project, build as build_project, toolchain::Speed};
use serde_json::json;

use crate::{args::OutputFormat, exit::Answer, plugin_args::BuildOptions};

pub(crate) fn build(options: &BuildOptions) -> anyhow::Result<Answer> {
    let begun = Instant::now();
    let project = match Project::open(&options.folder) {
        Ok(project) => project,
        Err(error) => bail!("{error}"),
    };
    let speed = if options.dev { Speed::Soon } else { Speed::Fast };
    let cache = super::cache();
    let progress = |step: &str| eprintln!("{step}");
    let how = millrace_author::BuildOptions {
        output: options.output.clone(),
        speed,
        cache: &cache,
        progress: &progress,
    };
    let built = match build_project(&project, &how) {
        Ok(built) => built,
        Err(error @ (BuildError::File { .. } | BuildError::NotRun { .. })) => bail!("{error}"),
        Err(error) => return super::no(&error),
    };
    match options.format {
        OutputFormat::Json => println!("{}", serde_json::to_string_pretty(&json(&built))?),
        OutputFormat::Text => {
            eprintln!("built in {:.1} s", begun.elapsed().as_secs_f64());
            print!("{}", text(&built));
        }
    }
    match &built.inspection.problem {
        None => Ok(Answer::Good),
        Some(problem) => super::no(&format!("it would not load: {problem}")),
    }
}

fn text(built: &Built) -> String {
    let inspection = &built.inspection;
    let mut text = format!(
        "plugin   {}{}\nsize     {:.1} KiB\ndigest   {}\nrole     {}\n",
        built.path.display(),
        if built.is_changed { "" } else { " (unchanged)" },
        inspection.bytes as f64 / 1024.0,
        inspection.digest,
        inspection.role.unwrap_or("none that this agent knows"),
    );
    for import in &inspection.imports {
        text.push_str(&format!("imports  {}\n", import.name));
    }
    text
}

fn json(built: &Built) -> serde_json::Value {
    let inspection = &built.inspection;
    let imports: Vec<&str> = inspection.imports.iter().map(|import| import.name.as_str()).collect();
    json!({
        "path": built.path,
        "changed": built.is_changed,
        "language": built.language,
        "bytes": inspection.bytes,
        "digest": inspection.digest,
        "role": inspection.role,
        "imports": imports,
        "problem": inspection.problem,
    })
}
