//! `millrace explain FILE.wasm` and `millrace explain plugin NAME`: a plugin's options as those of a native component.

use std::path::Path;

use anyhow::bail;
use millrace_author::{look, manifest, read};
use millrace_config::explain_options;

use crate::{exit::Answer, place, registry};

/// A plugin that a configuration declares.
pub(super) fn by_name(name: &str, config: &Path) -> anyhow::Result<Answer> {
    let (spec, _) = registry::load(config);
    let known: Vec<&str> = spec.plugins.iter().map(|plugin| plugin.name.value.as_str()).collect();
    let Some(plugin) = spec.plugins.iter().find(|plugin| plugin.name.value == name) else {
        let near = millrace_config::closest(name, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        bail!("{} declares no plugin `{name}`{near}", config.display());
    };
    by_file(&plugin.path.value)
}

/// A plugin file.
pub(super) fn by_file(path: &Path) -> anyhow::Result<Answer> {
    let inspection = match look(&read(path)?) {
        Ok(inspection) => inspection,
        Err(error) => {
            eprintln!("millrace: {}: {error}", path.display());
            return Ok(Answer::No);
        }
    };
    let Some(manifest) = manifest(&inspection) else {
        eprintln!("millrace: {} has no manifest: only the plugin itself knows its options", path.display());
        return Ok(Answer::No);
    };
    let role = inspection.role.unwrap_or("plugin");
    let summary = manifest.summary.clone().unwrap_or_else(|| format!("{role} without a summary"));
    let summary = millrace_author::plain(&summary);
    let options = manifest.config.as_ref().map(millrace_wasm::ConfigSchema::explained).unwrap_or_default();
    let lines: String = options
        .iter()
        .filter(|option| option.facts.contains("required"))
        .map(|option| format!("    {} …\n", option.name))
        .collect();
    let block = if lines.is_empty() { String::new() } else { format!(" {{\n{lines}}}") };
    let example = format!("wasm \"{}\"{block}", manifest.name);
    print!(
        "{}",
        explain_options(&manifest.name, &summary, &options, Some(&example), place::colour(), place::width())
    );
    Ok(Answer::Good)
}
