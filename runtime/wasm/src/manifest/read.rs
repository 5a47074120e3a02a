//! From the text of a manifest to a [`Manifest`], with every mistake at its place.

use millrace_config::{
    Diagnostic, Diagnostics, Files, MapEnvironment, Node, OptionKind, OptionSpec, Report, Scalar, Section,
    check, parse_nodes,
};

use super::{MANIFEST_BYTES_MAX, Manifest, MetricDeclaration, StateForm, Want, WantedLimits};
use crate::schema::ConfigSchema;

const FILE: &str = "plugin.kdl";

const LIMITS: &[OptionSpec] = &[
    OptionSpec::optional("memory", OptionKind::Size, "Linear memory that one instance needs"),
    OptionSpec::optional("time", OptionKind::Duration, "Time that one call needs"),
];

const STATE: &[OptionSpec] = &[
    OptionSpec::required("schema", OptionKind::Text, "The name of the form"),
    OptionSpec::with_default(
        "version",
        OptionKind::Integer { min: 0, max: u32::MAX as i64 },
        "1",
        "Its version",
    ),
];

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::optional("version", OptionKind::Text, "The version of the plugin"),
    OptionSpec::optional("licence", OptionKind::Text, "The licence, as an SPDX expression"),
    OptionSpec::optional("summary", OptionKind::Text, "What the plugin does, in one line"),
    OptionSpec::optional("limits", OptionKind::Block(LIMITS), "What the plugin needs"),
    OptionSpec::optional("state", OptionKind::Block(STATE), "The form of what it keeps"),
    OptionSpec::with_default(
        "lanes",
        OptionKind::Choice(&["shared", "independent"]),
        "shared",
        "Whether instances share their keys in `state`",
    ),
    OptionSpec::optional("config", OptionKind::Text, "The JSON Schema of the options"),
];

/// Blocks whose children have a form of their own.
const FREE: &[&str] = &["wants", "metrics"];

/// Kinds of grants that can be asked for, and whether each names something.
const WANTS: &[(&str, bool)] = &[
    ("http", true),
    ("secret", true),
    ("directory", true),
    ("env", true),
    ("clocks", false),
    ("random", false),
    ("socket", true),
    ("channel", true),
];

/// Entries of `wants` and of `metrics`.
const ENTRIES_MAX: usize = 200;
/// Labels of one metric.
const LABELS_MAX: usize = 8;
/// Longest name or summary.
const TEXT_BYTES_MAX: usize = 1024;

/// Why a text is no manifest.
#[derive(Debug, Clone)]
pub struct ManifestError {
    /// All mistakes.
    pub found: Diagnostics,
    /// The text they point into.
    pub files: Files,
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut found = self.found.iter();
        let Some(first) = found.next() else { return f.write_str("the manifest is wrong") };
        f.write_str(&first.reason)?;
        if let Some(span) = first.span {
            let (line, column) = self.files.line_column(span);
            write!(f, " (line {line}, column {column})")?;
        }
        match found.count() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl ManifestError {
    /// The mistakes as `millrace check` shows those of a configuration.
    pub fn render(&self, colour: bool, width: usize) -> String {
        Report::new(&self.found, &self.files).render_text(colour, width)
    }
}

pub(super) fn read(text: &str, strict: bool) -> Result<Manifest, ManifestError> {
    if text.len() > MANIFEST_BYTES_MAX {
        let reason =
            format!("the manifest has {} bytes, at most {MANIFEST_BYTES_MAX} are allowed", text.len());
        return Err(ManifestError {
            found: Diagnostic::general("manifest::size", reason).into(),
            files: Files::default(),
        });
    }
    // No environment: `${…}` in a manifest stays an error, since nobody's variables belong into a plugin.
    let (nodes, files, found) = parse_nodes(FILE, text, &MapEnvironment::default());
    let mut reader = Reader { files: &files, found, strict };
    let manifest = reader.document(&nodes);
    let found = reader.found;
    match manifest {
        Some(manifest) if !found.has_errors() => Ok(manifest),
        _ => Err(ManifestError { found, files }),
    }
}

struct Reader<'a> {
    files: &'a Files,
    found: Diagnostics,
    strict: bool,
}

impl Reader<'_> {
    fn document(&mut self, nodes: &[Node]) -> Option<Manifest> {
        if self.found.has_errors() {
            return None;
        }
        let Some(plugin) = nodes.iter().find(|node| node.name.value == "plugin") else {
            let reason = "a manifest begins with `plugin \"name\"`";
            self.found.push(Diagnostic::general("manifest::plugin", reason));
            return None;
        };
        if let Some(other) = nodes.iter().find(|node| node.span != plugin.span).filter(|_| self.strict) {
            let reason = "a manifest is one node `plugin` and nothing else";
            self.found.push(
                Diagnostic::error("manifest::plugin", other.name.span, reason).label("does not belong here"),
            );
        }
        Some(self.plugin(plugin))
    }

    fn plugin(&mut self, node: &Node) -> Manifest {
        // An open check would not look at what stands behind the node's name either.
        let known: Vec<&str> = OPTIONS.iter().map(|option| option.name).collect();
        let own = if self.strict { node.without(FREE) } else { node.only(&known) };
        let (section, found) = check(&own, OPTIONS, false, self.files);
        self.found.extend(found);
        let name = section.name().unwrap_or_default().to_owned();
        if !is_name(&name) {
            let span = node.arguments.first().map_or(node.name.span, |argument| argument.span);
            let reason = "the plugin's name is missing, or is more than letters, digits, `-`, `_` and `.`";
            self.found.push(
                Diagnostic::error("manifest::name", span, reason)
                    .help("plugin \"my-plugin\" version=\"0.1.0\""),
            );
        }
        let text =
            |option| section.optional_text(option).map(|text| text.chars().take(TEXT_BYTES_MAX).collect());
        let limits = section.has("limits").then(|| section.block("limits")).flatten();
        let state = section.has("state").then(|| section.block("state")).flatten();
        Manifest {
            name,
            version: text("version"),
            licence: text("licence"),
            summary: text("summary"),
            wants: node
                .children_named("wants")
                .flat_map(|wants| self.wants(wants))
                .take(ENTRIES_MAX)
                .collect(),
            metrics: node
                .children_named("metrics")
                .flat_map(|block| self.metrics(block))
                .take(ENTRIES_MAX)
                .collect(),
            limits: limits.map_or_else(WantedLimits::default, |limits| WantedLimits {
                memory_bytes: limits.optional_size("memory"),
                time: limits.optional_duration("time"),
            }),
            state: state.map(|state| StateForm {
                schema: state.text("schema").to_owned(),
                version: u32::try_from(state.integer("version")).unwrap_or(0),
            }),
            lanes_are_independent: section.text("lanes") == "independent",
            config: self.config(&section),
        }
    }

    fn config(&mut self, section: &Section) -> Option<ConfigSchema> {
        let text = section.optional_text("config")?;
        match ConfigSchema::parse(text) {
            Ok(schema) => Some(schema),
            Err(reason) => {
                let reason = format!("`config` cannot be used: {reason}");
                self.found.push(
                    Diagnostic::error("manifest::config", section.span_of("config"), reason)
                        .label("this schema"),
                );
                None
            }
        }
    }

    fn wants(&mut self, block: &Node) -> Vec<Want> {
        let mut wants = Vec::new();
        for node in &block.children {
            let kind = node.name.value.as_str();
            let values = self.texts(node);
            match WANTS.iter().find(|(known, _)| *known == kind) {
                Some((_, true)) if values.is_empty() => {
                    let reason = format!("`wants` asks for `{kind}`, but not for which");
                    self.found.push(
                        Diagnostic::error("manifest::wants", node.span, reason).help(format!("{kind} \"…\"")),
                    );
                }
                Some(_) => wants.push(Want { kind: kind.to_owned(), values }),
                None if self.strict => {
                    let known: Vec<&str> = WANTS.iter().map(|(known, _)| *known).collect();
                    let reason = format!("nobody can grant `{kind}`");
                    let help = format!("possible: {}", known.join(", "));
                    self.found.push(Diagnostic::error("manifest::wants", node.name.span, reason).help(help));
                }
                None => {}
            }
        }
        wants
    }

    fn metrics(&mut self, block: &Node) -> Vec<MetricDeclaration> {
        let mut metrics: Vec<MetricDeclaration> = Vec::new();
        for node in &block.children {
            let kind = node.name.value.as_str();
            if !["counter", "gauge", "histogram"].contains(&kind) {
                if self.strict {
                    let reason = format!("there is no metric of the kind `{kind}`");
                    let help = "possible: counter, gauge, histogram";
                    self.found
                        .push(Diagnostic::error("manifest::metrics", node.name.span, reason).help(help));
                }
                continue;
            }
            let names = self.texts(node);
            let labels: Vec<String> = node
                .properties
                .iter()
                .filter(|property| property.name.value == "label")
                .filter_map(|property| match &property.value.value {
                    Scalar::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .chain(node.children_named("label").flat_map(|node| self.texts(node)))
                .collect();
            let bad = names.iter().chain(&labels).find(|name| !is_metric_name(name));
            if let Some(bad) = bad {
                let reason = format!(
                    "`{bad}` is no name for a metric or a label: letters, digits and `_`, not first a digit"
                );
                self.found.push(Diagnostic::error("manifest::metrics", node.span, reason));
                continue;
            }
            let twice = names.iter().find(|name| metrics.iter().any(|metric| metric.name == **name));
            if names.is_empty() || labels.len() > LABELS_MAX || twice.is_some() {
                let reason = match twice {
                    Some(name) => format!("the metric `{name}` is declared twice"),
                    None if names.is_empty() => format!("a {kind} without a name"),
                    None => format!("more than {LABELS_MAX} labels"),
                };
                self.found.push(
                    Diagnostic::error("manifest::metrics", node.span, reason)
                        .help("counter \"sent\" label=\"status\""),
                );
                continue;
            }
            let declared = names.into_iter().map(|name| MetricDeclaration {
                kind: kind.to_owned(),
                name,
                labels: labels.clone(),
            });
            metrics.extend(declared);
        }
        metrics
    }

    /// The arguments of a node, which must be texts.
    fn texts(&mut self, node: &Node) -> Vec<String> {
        let mut texts = Vec::new();
        for argument in &node.arguments {
            match &argument.value {
                Scalar::Text(text) if text.len() <= TEXT_BYTES_MAX => texts.push(text.clone()),
                _ => {
                    let reason =
                        format!("`{}` takes texts of at most {TEXT_BYTES_MAX} bytes", node.name.value);
                    self.found.push(Diagnostic::error("manifest::value", argument.span, reason));
                }
            }
        }
        texts
    }
}

/// Names end up in file names, log lines and artifact references.
pub(crate) fn is_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty()
        && name.len() <= 100
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_plain)
}

fn is_metric_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
