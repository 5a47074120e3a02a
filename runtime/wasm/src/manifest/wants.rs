//! What a manifest asks for, against what the operator granted.

use millrace_config::{Diagnostic, Diagnostics, PluginSpec};

use super::Manifest;
use crate::grants::{Grants, Wants};

impl Manifest {
    /// Compares what the plugin asks for with what it was granted.
    ///
    /// # Errors
    /// Something is missing: with the lines to paste.
    pub(crate) fn check_wants(&self, plugin: &PluginSpec, grants: &Grants) -> Result<(), Diagnostics> {
        let missing = grants.missing(&self.grant_wants());
        if missing.is_empty() {
            return Ok(());
        }
        let what: Vec<&str> = missing.iter().map(|one| one.what.as_str()).collect();
        let lines: String = missing.iter().map(|one| format!("    {}\n", one.line)).collect();
        let name = &plugin.name.value;
        let reason = format!("plugin {name} wants what it is not granted: {}", what.join(", "));
        let span = plugin.grant.as_ref().map_or(plugin.name.span, millrace_config::Section::span);
        let label = if plugin.grant.is_some() { "not in here" } else { "nothing is granted here" };
        let help = format!("if you agree, put this into the plugin's block:\ngrant {{\n{lines}}}");
        Err(Diagnostic::error("plugin::missing-grant", span, reason).label(label).help(help).into())
    }

    fn grant_wants(&self) -> Wants {
        let of = |kind: &str| -> Vec<String> {
            self.wants.iter().filter(|want| want.kind == kind).flat_map(|want| want.values.clone()).collect()
        };
        let has = |kind: &str| self.wants.iter().any(|want| want.kind == kind);
        Wants {
            http: of("http"),
            secrets: of("secret"),
            directories: of("directory"),
            variables: of("env"),
            clocks: has("clocks"),
            random: has("random"),
            sockets: of("socket"),
            channels: of("channel"),
        }
    }
}
