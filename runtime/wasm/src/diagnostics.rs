//! What keeps a plugin from running, told at the place in the configuration that it is about.

use millrace_config::{Diagnostic, Diagnostics, PluginSpec, Section, Span, pointer_span};

use crate::{
    bindings::{
        Issue,
        interface::{self, Version},
    },
    error::HostError,
    host::escaped,
    instance::StartError,
    minisig,
    role::Role,
    script,
};

/// Mistakes that one guest may report about its configuration.
pub(crate) const ISSUES_MAX: usize = 50;

/// Where and how an error of the file is told.
pub(crate) fn diagnostic(error: &HostError, plugin: &PluginSpec, role: Role) -> Diagnostic {
    let name = &plugin.name.value;
    let at = |code, span: Span| Diagnostic::error(code, span, format!("plugin {name}: {error}"));
    let path = plugin.path.span;
    match error {
        HostError::Engine(_) => at("plugin::engine", plugin.name.span),
        HostError::Unreadable { .. } => at("plugin::unreadable", path).label("this file"),
        HostError::TooLarge { .. } => at("plugin::too-large", path).label("this file"),
        HostError::Digest { found, .. } => {
            let span = plugin.digest.as_ref().map_or(path, |digest| digest.span);
            at("plugin::digest", span)
                .label("another content than this")
                .help(format!("if the new content is meant: digest=\"{found}\""))
        }
        HostError::Signature(_) => {
            let span = plugin.key().map_or(path, |key| key.span);
            at("plugin::signature", span).label("this key must have signed the file").help(format!(
                "`millrace plugin sign {}` with its secret key, or bring the signature along: {}",
                plugin.path.value.display(),
                minisig::signature_path(&plugin.path.value).display()
            ))
        }
        HostError::Manifest(_) => at("plugin::manifest", path)
            .label("this file")
            .help("the plugin was built with a manifest that is wrong: ask its author"),
        HostError::CoreModule => at("plugin::core-module", path)
            .label("this file")
            .help("make a component of it: `millrace plugin build`, or `wasm-tools component new`"),
        HostError::Invalid(_) => at("plugin::invalid", path).label("this file"),
        HostError::Export { .. } => at("plugin::world", path)
            .label(format!("does not fit the role of {} {}", role.article(), role.name()))
            .help(format!(
                "{} {} exports {} and {}",
                role.article(),
                role.name(),
                Version::V0_1.of(interface::LIFECYCLE),
                Version::V0_1.of(role.interface())
            )),
        HostError::Import { grant, .. } => {
            let diagnostic = at("plugin::import", path);
            match grant {
                Some(grant) => {
                    let help = format!("grant it in the plugin's node: {grant}");
                    diagnostic.label("asks for more than is granted").help(help)
                }
                None => diagnostic.label("asks for more than is offered"),
            }
        }
    }
}

/// What `configure` came to, told at the options it is about.
pub(crate) fn start_diagnostics(
    error: StartError,
    plugin: &PluginSpec,
    section: &Section,
    node: &millrace_config::Node,
) -> Diagnostics {
    if let Some(script) = &plugin.script {
        return script::start_diagnostics(error, script, &plugin.name.value, node);
    }
    let name = &plugin.name.value;
    let mut all = Diagnostics::default();
    match error {
        StartError::Fault(fault) => {
            let reason = format!("plugin {name} broke in `configure`: {fault}");
            let diagnostic = Diagnostic::error("plugin::configure-fault", section.span_of("plugin"), reason);
            all.push(if fault.backtrace.is_empty() {
                diagnostic
            } else {
                diagnostic.help(format!("where it was, innermost first:\n{}", fault.backtrace))
            });
        }
        StartError::Issues(issues) if issues.is_empty() => {
            let reason = format!("plugin {name} refuses its configuration without saying why");
            all.push(Diagnostic::error("plugin::configure", section.span_of("plugin"), reason));
        }
        StartError::Issues(issues) => {
            for Issue { path, reason } in issues.into_iter().take(ISSUES_MAX) {
                let reason = format!("plugin {name}: {}", escaped(&reason, 1024));
                all.push(Diagnostic::error("plugin::configure", pointer_span(node, &path), reason));
            }
        }
    }
    all
}
