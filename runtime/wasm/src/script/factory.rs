//! The interceptor type `script`, for the registry.

use std::{path::PathBuf, sync::Arc, time::Duration};

use millrace_config::{
    Diagnostic, Diagnostics, GRANT_OPTIONS, LIMIT_OPTIONS, OptionKind, OptionSpec, PluginSpec, ScriptSpec,
    Section, Spanned,
};
use millrace_core::{BuildContext, Interceptor, InterceptorFactory};

use super::engine;
use crate::{factory::ON_FAULT, swap};

/// Options that the host reads itself; the script does not get them.
pub(crate) const OWN_OPTIONS: &[&str] =
    &["file", "source", "engine", "limits", "grant", "on-fault", "swap", "roll-back", "replay"];

/// Time of one call where the operator does not say otherwise: more than a plugin has, because scripts are slower.
const CALL_TIME: Duration = Duration::from_secs(1);

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional(
        "file",
        OptionKind::TextFile,
        "The script, a JavaScript module; it is watched and reloaded",
    ),
    OptionSpec::optional("source", OptionKind::Text, "The script itself, in the place of a file"),
    OptionSpec::with_default(
        "limits",
        OptionKind::Block(LIMIT_OPTIONS),
        "",
        "What the script may use, as for a plugin; without `time` one call may take 1s",
    ),
    OptionSpec::with_default(
        "grant",
        OptionKind::Block(GRANT_OPTIONS),
        "",
        "What the script may do beyond looking at its events: the channels that it may route to",
    ),
    ON_FAULT,
    swap::SWAP,
    swap::ROLL_BACK,
    swap::REPLAY,
    OptionSpec::optional(
        "engine",
        OptionKind::Path,
        "The component that runs scripts, in the place of the one that comes with the agent",
    ),
];

pub(crate) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "script",
    summary: "Runs a JavaScript file on every batch, without a build step; all further options are the script's own",
    options: OPTIONS,
    open: true,
    example: "script \"tag\" source=\"export function event(e) { e.headers.tag = 'x' }\"",
    build,
};

fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let name = section.name().unwrap_or_else(|| section.kind()).to_owned();
    let script = script(section)?;
    let path = engine_path(section)?;
    let limits = section.block("limits");
    let integer = |option, default| {
        limits.map_or(default, |limits| u32::try_from(limits.integer(option)).unwrap_or(u32::MAX))
    };
    let plugin = PluginSpec {
        name: Spanned::new(name, section.span_of("script")),
        path: Spanned::new(path, section.span_of("engine")),
        digest: None,
        memory_bytes_max: limits.map_or(64 << 20, |limits| limits.size("memory")),
        call_time_max: Some(limits.and_then(|limits| limits.optional_duration("time")).unwrap_or(CALL_TIME)),
        instances_max: integer("instances", 2),
        log_lines_max: integer("log-lines", 100),
        state_bytes_max: limits.map_or(16 << 20, |limits| limits.size("state")),
        grant: section.node().children_named("grant").next().and_then(|_| section.block("grant")).cloned(),
        node: section.node().clone(),
        script: Some(script),
    };
    cx.plugin_host.interceptor(&plugin, section, cx)
}

/// The text to run, and where it stands.
fn script(section: &Section) -> Result<ScriptSpec, Diagnostics> {
    match (section.optional_text_file("file"), section.optional_text("source")) {
        (Some(file), None) => Ok(ScriptSpec {
            name: file.path.display().to_string(),
            text: Arc::clone(&file.text),
            file: Some(file.file),
            span: section.span_of("file"),
        }),
        (None, Some(source)) => Ok(ScriptSpec {
            name: section.name().unwrap_or_else(|| section.kind()).to_owned(),
            text: source.into(),
            file: None,
            span: section.span_of("source"),
        }),
        (Some(_), Some(_)) => Err(Diagnostic::error(
            "script::source",
            section.span_of("source"),
            "a script has a file or a source, not both",
        )
        .label("given as well")
        .related(section.span_of("file"), "the file")
        .into()),
        (None, None) => {
            Err(Diagnostic::error("script::source", section.span_of("file"), "the script names no file")
                .label("`file` is missing")
                .help("write `file \"tag.js\"`, or the script itself with `source`")
                .into())
        }
    }
}

/// The engine that the section names, or the one that comes with the agent.
fn engine_path(section: &Section) -> Result<PathBuf, Diagnostics> {
    if let Some(path) = section.optional_path("engine") {
        return Ok(path.to_path_buf());
    }
    engine::locate().map_err(|places| {
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Diagnostic::error("script::engine", section.span_of("script"), "the engine that runs scripts is not there")
            .label("needs script-engine.wasm")
            .help(format!(
                "looked for it as {}; `cargo xtask guests script-engine` builds it, `engine \"…\"` names another place",
                places.join(", ")
            ))
            .into()
    })
}
