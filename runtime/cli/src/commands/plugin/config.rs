//! The options of a plugin from the command line or from a file.

use std::path::Path;

use anyhow::{Context, bail};
use millrace_author::rig::{self, Around};
use millrace_config::{Files, MapEnvironment, parse_nodes};

use crate::{place, plugin_args::PluginConfig};

/// What an operator would have written around this plugin or script.
pub(super) fn around(options: &PluginConfig, file: &Path) -> anyhow::Result<Around> {
    let mut text = String::from("config {\n");
    let mut name = "command line".to_owned();
    if let Some(path) = &options.config_file {
        text.push_str(&read(path)?);
        name = path.display().to_string();
    }
    for option in &options.config {
        let Some((name, value)) = option.split_once('=') else {
            bail!("--config {option}: write NAME=VALUE")
        };
        text.push_str(&format!("{} {}\n", quoted(name), literal(value)));
    }
    text.push_str("\n}\n");
    if let Some(grant) = &options.grant {
        text.push_str(&format!("grant {{\n{grant}\n}}\n"));
    }
    let (nodes, files, found) = parse_nodes(&name, &text, &MapEnvironment::default());
    if found.has_errors() {
        bail!("{}", report(&found, &files));
    }
    let find = |name: &str| nodes.iter().find(|node| node.name.value == name).cloned();
    let around = Around { config: find("config"), grant: find("grant"), files, ..Around::default() };
    Ok(around.with_script(file)?)
}

/// Findings as `millrace check` shows them.
pub(super) fn report(found: &millrace_config::Diagnostics, files: &Files) -> String {
    rig::report(found, files, place::colour_errors(), place::width())
}

#[expect(clippy::disallowed_methods, reason = "the user names the file")]
fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Numbers and words of KDL stay, everything else is text.
fn literal(value: &str) -> String {
    let is_number =
        value.parse::<i64>().is_ok() || value.parse::<f64>().is_ok_and(f64::is_finite) && value.contains('.');
    if is_number || ["#true", "#false", "#null"].contains(&value) { value.to_owned() } else { quoted(value) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // `${…}` is for configurations; here the shell has expanded already.
            c if c.is_control() => quoted.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
