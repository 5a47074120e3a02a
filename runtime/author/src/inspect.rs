//! What a component is and wants: its world, what to grant, and what changed since another version.

use std::path::Path;

use millrace_config::ExplainedOption;
use millrace_wasm::{Inspection, Manifest, Want, WasmHost};
use serde_json::{Value, json};

use crate::error::BuildError;

const PACKAGE: &str = "millrace:plugin/";

/// The worlds of the package: name, role, further imports, further exports.
const WORLDS: &[(&str, &str, &[&str], &[&str])] = &[
    ("pure-interceptor", "interceptor", &[], &[]),
    ("stateful-interceptor", "interceptor", &["clock", "state"], &["handover"]),
    ("enriching-interceptor", "interceptor", &["clock", "state", "http"], &[]),
    ("polling-source", "source", &["clock", "state", "http"], &[]),
    ("http-sink", "sink", &["clock", "state", "http"], &[]),
    ("transactional-http-sink", "sink", &["clock", "state", "http"], &["two-phase"]),
    ("frame-codec", "codec", &[], &[]),
];

/// Capabilities that make a difference between worlds.
const CAPABILITIES: &[&str] = &["clock", "state", "http", "handover", "two-phase"];

/// Looks into a component without running it. Nothing is kept.
///
/// # Errors
/// It is no component at all.
pub fn look(bytes: &[u8]) -> Result<Inspection, BuildError> {
    let cache = tempfile::tempdir().map_err(BuildError::at("the folder for temporary files"))?;
    let host = WasmHost::new(cache.path().join("plugins"));
    host.inspect(bytes).map_err(|error| BuildError::Component(error.to_string()))
}

/// Reads a plugin file within the limit of the host.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    let length = std::fs::metadata(path).map_err(BuildError::at(path))?.len();
    if length > millrace_wasm::FILE_BYTES_MAX {
        let most = millrace_wasm::FILE_BYTES_MAX;
        return Err(BuildError::Component(format!(
            "{} has {length} bytes, at most {most} are allowed",
            path.display()
        )));
    }
    std::fs::read(path).map_err(BuildError::at(path))
}

/// Text out of a plugin file on one line, without anything that moves a cursor.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The manifest of a component, if it has one that can be read.
pub fn manifest(inspection: &Inspection) -> Option<Manifest> {
    Manifest::parse(inspection.manifest.as_deref()?, false).ok()
}

/// Whether it is a sink that delivers in two phases.
pub fn is_two_phase(inspection: &Inspection) -> bool {
    let exports_it = |name: &String| name.starts_with("millrace:plugin/two-phase@");
    inspection.role == Some("sink") && inspection.exports.iter().any(exports_it)
}

/// The world of the package that fits best, and what the component has beyond it.
pub fn world(inspection: &Inspection) -> Option<(&'static str, Vec<&'static str>)> {
    let names = inspection.imports.iter().map(|import| &import.name).chain(&inspection.exports);
    let own: Vec<&str> = names.filter_map(|name| name.strip_prefix(PACKAGE)?.split('@').next()).collect();
    let has: Vec<&'static str> = CAPABILITIES.iter().copied().filter(|name| own.contains(name)).collect();
    WORLDS
        .iter()
        .filter(|(_, role, _, _)| Some(*role) == inspection.role)
        .map(|(name, _, imports, exports)| {
            let world: Vec<&str> = imports.iter().chain(*exports).copied().collect();
            let beyond: Vec<&'static str> =
                has.iter().copied().filter(|name| !world.contains(name)).collect();
            let unused = world.iter().filter(|name| !has.contains(name)).count();
            // The network weighs most: it is what an operator has to think about.
            let weight: usize = beyond.iter().map(|name| if *name == "http" { 20 } else { 10 }).sum();
            (weight + unused, *name, beyond)
        })
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, name, beyond)| (name, beyond))
}

/// The block that grants what a component asks for, ready to be pasted; None: it asks for nothing.
pub fn grants(inspection: &Inspection) -> Option<String> {
    let manifest = manifest(inspection);
    let wants = manifest.as_ref().map(|manifest| manifest.wants.as_slice()).unwrap_or_default();
    let origin = wants.iter().find(|want| want.kind == "http").and_then(|want| want.values.first());
    let mut lines: Vec<String> = wants.iter().flat_map(|want| grant_lines(want, origin)).collect();
    let imports_http =
        inspection.imports.iter().any(|import| import.name.starts_with("millrace:plugin/http@"));
    if imports_http && origin.is_none() {
        lines.push("http \"https://host.example\"".into());
    }
    (!lines.is_empty()).then(|| {
        format!("grant {{\n{}}}", lines.iter().map(|line| format!("    {line}\n")).collect::<String>())
    })
}

fn grant_lines(want: &Want, origin: Option<&String>) -> Vec<String> {
    let origin = origin.map_or("https://host.example", String::as_str);
    if want.values.is_empty() {
        return vec![want.kind.clone()];
    }
    let line = |value: &String| match want.kind.as_str() {
        "secret" => {
            let variable: String = value
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect();
            format!(
                "secret {value:?} env={variable:?} origin={origin:?} header=\"authorization\" prefix=\"Bearer \""
            )
        }
        "directory" => format!("directory \"/path\" at={value:?}"),
        kind => format!("{kind} {value:?}"),
    };
    want.values.iter().map(line).collect()
}

/// What differs between two versions of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Lines such as `imports  + millrace:plugin/http@0.1.0`, by what they are about.
    pub lines: Vec<(&'static str, char, String)>,
    /// Bytes that the newer one is larger; negative: smaller.
    pub bytes: i64,
}

impl Difference {
    /// Whether the newer version asks for something that the older one did not ask for.
    pub fn asks_for_more(&self) -> bool {
        self.lines.iter().any(|(about, sign, _)| ["imports", "wants"].contains(about) && *sign == '+')
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let line = |(about, sign, what): &(&'static str, char, String)| json!({ "about": about, "change": if *sign == '+' { "added" } else { "removed" }, "what": what });
        json!({
            "changes": self.lines.iter().map(line).collect::<Vec<_>>(),
            "bytes": self.bytes,
            "asks_for_more": self.asks_for_more(),
        })
    }
}

/// What `new` has that `old` has not, and the other way round.
pub fn difference(old: &Inspection, new: &Inspection) -> Difference {
    let (before, after) = (facts(old), facts(new));
    let mut lines = Vec::new();
    for (about, what) in before.iter().filter(|fact| !after.contains(fact)) {
        lines.push((*about, '-', what.clone()));
    }
    for (about, what) in after.iter().filter(|fact| !before.contains(fact)) {
        lines.push((*about, '+', what.clone()));
    }
    const ORDER: [&str; 7] = ["role", "imports", "exports", "wants", "config", "metrics", "manifest"];
    lines.sort_by_key(|(about, _, _)| ORDER.iter().position(|known| known == about));
    Difference { lines, bytes: i64::try_from(new.bytes).unwrap_or(0) - i64::try_from(old.bytes).unwrap_or(0) }
}

/// Everything about a component that can be compared, one line each.
fn facts(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let mut facts = vec![("role", inspection.role.unwrap_or("none").to_owned())];
    facts.extend(inspection.imports.iter().map(|import| ("imports", import.name.clone())));
    facts.extend(inspection.exports.iter().map(|export| ("exports", export.clone())));
    let Some(manifest) = manifest(inspection) else { return facts };
    let texts = [
        ("name", Some(&manifest.name)),
        ("version", manifest.version.as_ref()),
        ("licence", manifest.licence.as_ref()),
    ];
    facts
        .extend(texts.into_iter().filter_map(|(what, text)| Some(("manifest", format!("{what} {}", text?)))));
    let limits = &manifest.limits;
    facts.extend(limits.memory_bytes.map(|bytes| ("manifest", format!("limits memory={bytes}"))));
    facts.extend(limits.time.map(|time| ("manifest", format!("limits time={time:?}"))));
    let state = manifest.state.as_ref();
    facts
        .extend(state.map(|state| ("manifest", format!("state {} version {}", state.schema, state.version))));
    for want in &manifest.wants {
        if want.values.is_empty() {
            facts.push(("wants", want.kind.clone()));
        }
        facts.extend(want.values.iter().map(|value| ("wants", format!("{} {value:?}", want.kind))));
    }
    let metric = |metric: &millrace_wasm::MetricDeclaration| {
        ("metrics", format!("{} {} [{}]", metric.kind, metric.name, metric.labels.join(", ")))
    };
    facts.extend(manifest.metrics.iter().map(metric));
    let options = manifest.config.as_ref().map(millrace_wasm::ConfigSchema::explained).unwrap_or_default();
    option_facts(&options, "", &mut facts);
    facts
}

fn option_facts(options: &[ExplainedOption], outer: &str, facts: &mut Vec<(&'static str, String)>) {
    let mut options: Vec<&ExplainedOption> = options.iter().collect();
    options.sort_by(|one, other| one.name.cmp(&other.name));
    for option in options {
        let name = format!("{outer}{}", option.name);
        facts.push(("config", format!("{name}: {}", option.facts)));
        option_facts(&option.inner, &format!("{name} "), facts);
    }
}

#[cfg(test)]
mod tests {
    use millrace_wasm::{InspectedImport, Inspection};

    use super::{difference, grants, is_two_phase, world};

    fn inspection(
        role: &'static str,
        imports: &[&str],
        exports: &[&str],
        manifest: Option<&str>,
    ) -> Inspection {
        let name = |name: &&str| format!("millrace:plugin/{name}@0.1.0");
        let import = |import: &&str| InspectedImport { name: name(import), refused: None, grant: None };
        Inspection {
            digest: String::new(),
            bytes: 100,
            imports: imports.iter().map(import).collect(),
            exports: exports.iter().map(name).collect(),
            role: Some(role),
            manifest: manifest.map(str::to_owned),
            problem: None,
        }
    }

    #[test]
    fn the_nearest_world_is_named_with_what_is_beyond_it() {
        let nearest = |role, imports: &[&str], exports: &[&str]| {
            world(&inspection(role, imports, exports, None)).unwrap()
        };
        assert_eq!(
            nearest("interceptor", &["types", "log"], &["lifecycle", "interceptor"]),
            ("pure-interceptor", vec![])
        );
        assert_eq!(nearest("interceptor", &["state"], &["interceptor"]), ("stateful-interceptor", vec![]));
        assert_eq!(nearest("interceptor", &["http"], &["interceptor"]), ("enriching-interceptor", vec![]));
        assert_eq!(
            nearest("interceptor", &["http"], &["interceptor", "handover"]),
            ("enriching-interceptor", vec!["handover"])
        );
        assert_eq!(nearest("sink", &["http"], &["sink"]), ("http-sink", vec![]));
        assert_eq!(nearest("sink", &["http"], &["sink", "two-phase"]), ("transactional-http-sink", vec![]));
        assert!(is_two_phase(&inspection("sink", &["http"], &["sink", "two-phase"], None)));
        assert!(!is_two_phase(&inspection("sink", &["http"], &["sink"], None)));
        assert!(!is_two_phase(&inspection("codec", &[], &["codec", "two-phase"], None)));
        assert_eq!(nearest("codec", &[], &["codec"]), ("frame-codec", vec![]));
    }

    #[test]
    fn what_is_wanted_can_be_pasted_as_grants() {
        let text = "plugin \"a\" { wants { http \"https://crm.example.com\"; secret \"crm-token\"; clocks; directory \"/geo\" } }";
        assert_eq!(
            grants(&inspection("sink", &["http"], &["sink"], Some(text))).unwrap(),
            "grant {\n    http \"https://crm.example.com\"\n    secret \"crm-token\" env=\"CRM_TOKEN\" \
             origin=\"https://crm.example.com\" header=\"authorization\" prefix=\"Bearer \"\n    clocks\n    \
             directory \"/path\" at=\"/geo\"\n}"
        );
        assert_eq!(grants(&inspection("interceptor", &["log"], &["interceptor"], None)), None);
        assert_eq!(
            grants(&inspection("sink", &["http"], &["sink"], None)).unwrap(),
            "grant {\n    http \"https://host.example\"\n}"
        );
    }

    #[test]
    fn a_version_that_asks_for_more_says_so() {
        let schema = |options: &str| {
            format!("plugin \"a\" version=\"1\" {{ config #\"{{\"properties\":{{{options}}}}}\"# }}")
        };
        let old = inspection("sink", &["log"], &["sink"], Some(&schema("\"mask\":{\"type\":\"string\"}")));
        let new_manifest =
            schema("\"mask\":{\"type\":\"integer\"},\"keep\":{\"type\":\"integer\",\"default\":4}");
        let new = inspection("sink", &["log", "http"], &["sink"], Some(&new_manifest));
        let difference = difference(&old, &new);
        assert!(difference.asks_for_more());
        let lines: Vec<String> =
            difference.lines.iter().map(|(about, sign, what)| format!("{about} {sign} {what}")).collect();
        assert_eq!(
            lines,
            [
                "imports + millrace:plugin/http@0.1.0",
                "config - mask: text",
                "config + keep: whole number, default 4",
                "config + mask: whole number",
            ]
        );
        assert!(!super::difference(&new, &old).asks_for_more());
    }
}
