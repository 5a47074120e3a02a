//! The options of a plugin as its manifest describes them: a JSON Schema that drives checks, defaults and the reference page
//! without running the guest.
//!
//! The options come from KDL, which says less than JSON: one value and a list of one look the same, sizes and durations are
//! text. The schema says what is meant, so the options are first prepared (`prepare`) and then validated. A group of options
//! with `properties` knows no others unless it says so with `additionalProperties`: a misspelt option must not be silent.
//!
//! The schema comes out of a file that somebody else made: it is bounded, holds references to itself only, and may not
//! refer to itself without end (`bounds`).

mod bounds;
mod describe;
mod message;
mod prepare;

use jsonschema::{Draft, PatternOptions, Validator};
use millrace_config::{
    Diagnostic, Diagnostics, ExplainedOption, Node, PluginSpec, pointer_name_span, pointer_span, to_json,
};
use serde_json::Value;

use crate::manifest::Manifest;

/// Largest schema, as text.
pub(crate) const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// Mistakes that are told of one component.
const MISTAKES_MAX: usize = 50;

/// One mistake in the options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: &'static str,
    /// A JSON pointer to the value, or to the group in which something is missing.
    pub(crate) pointer: String,
    /// Whether the name is wrong, not the value.
    pub(crate) is_name: bool,
    pub(crate) reason: String,
    pub(crate) label: String,
    pub(crate) help: Option<String>,
}

/// A schema that is ready to check options.
pub struct ConfigSchema {
    root: Value,
    validator: Validator,
}

impl std::fmt::Debug for ConfigSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigSchema").finish_non_exhaustive()
    }
}

impl ConfigSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// It is too large, no JSON, no schema for a group of options, or one that nobody could check against.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("it has {} bytes, at most {SCHEMA_BYTES_MAX} are allowed", text.len()));
        }
        let root: Value = serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if !root.is_object() {
            return Err("it is not a JSON object".into());
        }
        if root.get("type").is_some_and(|kind| kind != "object") {
            return Err("its type must be `object`: options have names".into());
        }
        bounds::check(&root)?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            // Linear in time, whatever the pattern and the text.
            .with_pattern_options(PatternOptions::regex())
            .should_validate_formats(false)
            .build(&root)
            .map_err(|error| {
                let place = error.instance_path().to_string();
                format!("it is no JSON Schema: {error} (at `{place}`)")
            })?;
        let schema = Self { root, validator };
        schema.defaults_fit()?;
        Ok(schema)
    }

    /// The options of a node as the guest gets them: checked, defaults filled in.
    ///
    /// # Errors
    /// Every mistake, at its place.
    pub fn options(&self, plugin: &str, node: &Node) -> Result<Value, Diagnostics> {
        let mut options = to_json(node);
        let mistakes = self.check(&mut options);
        if mistakes.is_empty() {
            return Ok(options);
        }
        let mut found = Diagnostics::default();
        for mistake in mistakes.into_iter().take(MISTAKES_MAX) {
            let span = if mistake.is_name { pointer_name_span } else { pointer_span }(node, &mistake.pointer);
            let reason = format!("plugin {plugin}: {}", mistake.reason);
            let mut diagnostic = Diagnostic::error(mistake.code, span, reason).label(mistake.label);
            diagnostic.help = mistake.help;
            found.push(diagnostic);
        }
        Err(found)
    }

    /// Prepares options in place and lists what is wrong with them.
    pub(crate) fn check(&self, options: &mut Value) -> Vec<Mistake> {
        let mut mistakes = prepare::prepare(&self.root, options);
        let known: Vec<String> = mistakes.iter().map(|mistake| mistake.pointer.clone()).collect();
        let further =
            self.validator.iter_errors(options).flat_map(|error| message::mistakes(&self.root, &error));
        // What could not be prepared is told once, and what a required option was misspelt as, too.
        let excused = prepare::meant(&mistakes);
        mistakes.extend(further.filter(|mistake| {
            let is_told = known.contains(&mistake.pointer) && !mistake.pointer.is_empty();
            let is_meant = mistake.code == message::MISSING && excused.contains(&mistake.pointer);
            !is_told && !is_meant
        }));
        for mistake in &mut mistakes {
            if mistake.code == message::MISSING {
                // The place is the group in which it is missing.
                let end = mistake.pointer.rfind('/').unwrap_or(0);
                mistake.pointer.truncate(end);
            }
        }
        mistakes
    }

    /// The options for a reference page.
    pub fn explained(&self) -> Vec<ExplainedOption> {
        describe::options(&self.root)
    }

    /// The schema itself.
    pub fn json(&self) -> &Value {
        &self.root
    }

    /// A default that the schema itself refuses would be the operator's problem: it is the author's.
    fn defaults_fit(&self) -> Result<(), String> {
        let mut options = Value::Object(serde_json::Map::new());
        let mistakes = self.check(&mut options);
        let wrong = mistakes.iter().find(|mistake| mistake.code != message::MISSING);
        wrong.map_or(Ok(()), |mistake| {
            Err(format!("its own default at `{}` does not fit: {}", mistake.pointer, mistake.reason))
        })
    }
}

/// What the guest gets to `configure`: checked against its schema, where its manifest has one.
///
/// # Errors
/// Every mistake, at its place.
pub(crate) fn options(
    plugin: &PluginSpec,
    manifest: Option<&Manifest>,
    node: &Node,
) -> Result<String, Diagnostics> {
    let schema = manifest.and_then(|manifest| manifest.config.as_ref());
    let options = schema.map_or_else(|| Ok(to_json(node)), |schema| schema.options(&plugin.name.value, node));
    options.map(|options| options.to_string())
}

/// A name as a part of a JSON pointer.
fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a local reference (`#/$defs/rule`) means; None: it leads nowhere.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}

/// The schemas that apply to the same value as this one: itself, what it refers to, what it is made of.
fn in_place<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let mut all = vec![schema];
    let mut next = 0;
    while let Some(schema) = all.get(next).copied() {
        next += 1;
        let reference =
            schema.get("$ref").and_then(Value::as_str).and_then(|reference| resolve(root, reference));
        let parts = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        all.extend(reference.into_iter().chain(parts));
        if all.len() > 1000 {
            break;
        }
    }
    all
}

#[cfg(test)]
mod tests;
