//! `millrace plugin new`: from a template to a project.

use anyhow::bail;
use millrace_author::{templates, toolchain};

use crate::{exit::Answer, plugin_args::NewOptions};

pub(crate) fn new(options: &NewOptions) -> anyhow::Result<Answer> {
    let (Some(language), Some(kind), Some(name)) = (&options.language, &options.kind, &options.name) else {
        println!("templates (millrace plugin new LANGUAGE KIND NAME):");
        for (language, kind) in templates::all() {
            println!("  {language:<12}{kind}");
        }
        return Ok(Answer::Good);
    };
    let folder = match templates::create(language, kind, name, &options.parent) {
        Ok(folder) => folder,
        Err(error) => bail!("{error}"),
    };
    println!("{}: a new {kind} in {language}", folder.display());
    let missing = toolchain::of_language(language)
        .map(|toolchain| toolchain.missing(&super::cache()))
        .unwrap_or_default();
    if !missing.is_empty() {
        println!("\nbefore it can be built, install:");
        for one in &missing {
            println!("  {} ({})\n    {}", one.what, one.why, one.install);
        }
    }
    let shown = folder.strip_prefix("./").unwrap_or(&folder).display().to_string();
    println!("\nnext:");
    if toolchain::of_language(language).is_some() {
        println!("  millrace plugin build {shown}");
    }
    println!("  millrace plugin test {shown}");
    Ok(Answer::Good)
}
