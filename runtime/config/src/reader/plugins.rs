//! The `plugins` block: node name = plugin name.

use super::{
    Reader,
    grants::{GRANT_OPTIONS, join_directories},
};
use crate::{
    check::Arguments,
    diagnostic::{Diagnostic, Diagnostics, Files},
    expand::is_missing,
    node::{Node, Spanned},
    option::{OptionKind, OptionSpec},
    spec::{AgentSpec, PluginSpec},
};

/// What bounds a plugin: the options of `limits`.
pub const LIMIT_OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("memory", OptionKind::Size, "64MiB", "Largest linear memory of one instance"),
    OptionSpec::optional(
        "time",
        OptionKind::Duration,
        "Longest time of one call, waiting included; without it 100ms, and 30s for a plugin that may wait (for HTTP)",
    ),
    OptionSpec::with_default(
        "instances",
        OptionKind::Integer { min: 1, max: 1024 },
        "2",
        "Instances that may run at the same time",
    ),
    OptionSpec::with_default(
        "log-lines",
        OptionKind::Integer { min: 0, max: 1_000_000 },
        "100",
        "Lines of log per second; more are counted and dropped",
    ),
    OptionSpec::with_default(
        "state",
        OptionKind::Size,
        "16MiB",
        "Largest state of one component: keys, values, and 64 bytes for each key",
    ),
];

/// The options of one plugin.
pub const PLUGIN_OPTIONS: &[OptionSpec] = &[
    OptionSpec::required("path", OptionKind::Path, "The `.wasm` file"),
    OptionSpec::optional(
        "digest",
        OptionKind::Text,
        "The digest the file must have: `sha256:` and 64 hexadecimal digits",
    ),
    OptionSpec::optional(
        "key",
        OptionKind::Text,
        "The public key (minisign, `RWQ…`) that must have signed the file; the signature is the file `PATH.minisig`",
    ),
    OptionSpec::with_default(
        "limits",
        OptionKind::Block(LIMIT_OPTIONS),
        "",
        "What the plugin may use; memory and time that are not given here are those that its manifest asks for, if it does",
    ),
    OptionSpec::with_default(
        "grant",
        OptionKind::Block(GRANT_OPTIONS),
        "",
        "What the plugin may do beyond looking at its events; nothing unless given",
    ),
];

/// Reads one plugin's node by itself, for whoever runs a plugin outside of an agent.
pub fn read_plugin(node: &Node, files: &Files) -> (Option<PluginSpec>, Diagnostics) {
    let mut found = Diagnostics::default();
    let mut spec = AgentSpec::default();
    let mut reader = Reader { files, found: &mut found, names: Default::default() };
    reader.plugin(node, &mut spec);
    (spec.plugins.pop(), found)
}

impl Reader<'_> {
    pub(super) fn plugin(&mut self, node: &Node, spec: &mut AgentSpec) {
        if self.name_is_good(&node.name, "plugin") {
            self.claim("plugin", "plugin", &node.name);
        }
        let mut own = node.clone();
        for grant in own.children.iter_mut().filter(|child| child.name.value == "grant") {
            join_directories(grant, self.files);
        }
        let section = self.section(&own, PLUGIN_OPTIONS, Arguments::None);
        let digest = section.optional_text("digest").map(str::to_owned);
        let digest = digest.map(|digest| Spanned::new(digest, section.span_of("digest")));
        if let Some(digest) = &digest {
            self.digest(digest);
        }
        self.key(node, &section);
        let (memory_bytes_max, call_time_max, instances, log_lines, state_bytes_max) =
            section.block("limits").map_or((64 << 20, None, 2, 100, 16 << 20), |limits| {
                (
                    limits.size("memory"),
                    limits.optional_duration("time"),
                    limits.integer("instances"),
                    limits.integer("log-lines"),
                    limits.size("state"),
                )
            });
        spec.plugins.push(PluginSpec {
            name: node.name.clone(),
            path: Spanned::new(section.path("path").to_path_buf(), section.span_of("path")),
            digest,
            memory_bytes_max,
            call_time_max,
            instances_max: u32::try_from(instances).unwrap_or(u32::MAX),
            log_lines_max: u32::try_from(log_lines).unwrap_or(u32::MAX),
            state_bytes_max,
            grant: node.children_named("grant").next().and_then(|_| section.block("grant")).cloned(),
            node: node.clone(),
            script: None,
        });
    }

    /// The shape of the key; whether it fits the file is found when that is loaded.
    fn key(&mut self, node: &Node, section: &crate::section::Section) {
        let Some(key) = section.optional_text("key").filter(|key| !is_missing(key)) else { return };
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        if key.len() == 56 && key.starts_with("RW") && key.chars().all(is_base64) {
            return;
        }
        let span = section.span_of("key");
        let reason = format!("`key` of `{}` is not a public key of minisign", node.name.value);
        self.found.push(
            Diagnostic::error("config::invalid-value", span, reason)
                .label(format!("has {} characters", key.chars().count()))
                .help("it begins with RW and has 56 characters; `millrace plugin keygen` makes a pair"),
        );
    }

    fn digest(&mut self, digest: &Spanned<String>) {
        if is_missing(&digest.value) {
            return;
        }
        let hex = digest.value.strip_prefix("sha256:");
        let label = match hex {
            None => "does not start with `sha256:`".to_owned(),
            Some(hex) if !hex.chars().all(|c| c.is_ascii_hexdigit()) => {
                "holds other than hexadecimal digits".into()
            }
            Some(hex) if hex.len() != 64 => format!("has {} digits", hex.len()),
            Some(_) => return,
        };
        self.found.push(
            Diagnostic::error("config::invalid-value", digest.span, "`digest` is not a SHA-256 digest")
                .label(label)
                .help("`sha256:` and 64 hexadecimal digits; `millrace plugin inspect FILE` prints them"),
        );
    }
}
