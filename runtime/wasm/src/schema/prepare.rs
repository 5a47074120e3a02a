//! From what KDL can say to what the schema means: lists of one, sizes, durations, defaults; and names that nobody knows.
//!
//! Follows `properties`, `items`, `$ref` and `allOf`. Where a schema leaves a choice (`anyOf`, `oneOf`) nothing is changed:
//! the value is validated as it was written.

use millrace_config::{closest, parse_duration, parse_size};
use serde_json::{Map, Value};

use super::{Mistake, in_place, message, pointer_part};

/// Deeper than any configuration.
const DEPTH_MAX: usize = 40;

/// Changes the options in place.
pub(super) fn prepare(root: &Value, options: &mut Value) -> Vec<Mistake> {
    let mut preparing = Preparing { root, mistakes: Vec::new() };
    preparing.value(root, options, "", 0);
    preparing.mistakes
}

/// The pointers of options that misspelt ones were probably meant to be.
pub(super) fn meant(mistakes: &[Mistake]) -> Vec<String> {
    mistakes
        .iter()
        .filter(|mistake| mistake.code == message::UNKNOWN)
        .filter_map(|mistake| {
            let name = mistake.help.as_ref()?.strip_prefix("did you mean `")?.split('`').next()?;
            let (group, _) = mistake.pointer.rsplit_once('/')?;
            Some(format!("{group}/{}", pointer_part(name)))
        })
        .collect()
}

struct Preparing<'a> {
    root: &'a Value,
    mistakes: Vec<Mistake>,
}

impl<'a> Preparing<'a> {
    fn value(&mut self, schema: &'a Value, value: &mut Value, pointer: &str, depth: usize) {
        if depth > DEPTH_MAX {
            return;
        }
        let parts = in_place(self.root, schema);
        let kinds = kinds(&parts);
        if kinds.as_slice() == ["array"] && !value.is_array() {
            *value = Value::Array(vec![value.take()]);
        }
        self.quantity(&parts, &kinds, value, pointer);
        match value {
            Value::Array(items) => {
                let inner = parts.iter().find_map(|part| part.get("items"));
                for (at, item) in items.iter_mut().enumerate() {
                    if let Some(inner) = inner {
                        self.value(inner, item, &format!("{pointer}/{at}"), depth + 1);
                    }
                }
            }
            Value::Object(members) => self.object(&parts, members, pointer, depth),
            _ => {}
        }
    }

    fn object(&mut self, parts: &[&'a Value], members: &mut Map<String, Value>, pointer: &str, depth: usize) {
        let known: Vec<(&'a String, &'a Value)> = parts
            .iter()
            .filter_map(|part| part.get("properties").and_then(Value::as_object))
            .flatten()
            .collect();
        for (name, schema) in &known {
            let place = format!("{pointer}/{}", pointer_part(name));
            let value = match members.get_mut(*name) {
                Some(value) => value,
                None => match default(self.root, schema) {
                    Some(default) => members.entry((*name).clone()).or_insert(default),
                    None => continue,
                },
            };
            self.value(schema, value, &place, depth + 1);
        }
        if !is_closed(parts) || known.is_empty() && depth > 0 {
            return;
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        for name in members.keys().filter(|name| !names.contains(&name.as_str())) {
            self.unknown(name, &names, &format!("{pointer}/{}", pointer_part(name)));
        }
    }

    fn unknown(&mut self, name: &str, known: &[&str], pointer: &str) {
        let help = match closest(name, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`? known: {}", known.join(", ")),
            None if known.is_empty() => "the plugin has no options".to_owned(),
            None => format!("known: {}", known.join(", ")),
        };
        self.mistakes.push(Mistake {
            code: message::UNKNOWN,
            pointer: pointer.to_owned(),
            is_name: true,
            reason: format!("unknown option `{name}`"),
            label: "not known here".into(),
            help: Some(help),
        });
    }

    /// `"64MiB"` and `"30s"` become numbers where the schema wants numbers.
    fn quantity(&mut self, parts: &[&Value], kinds: &[&str], value: &mut Value, pointer: &str) {
        let format = parts.iter().find_map(|part| part.get("format")).and_then(Value::as_str);
        if !kinds.iter().any(|kind| ["integer", "number"].contains(kind)) {
            return;
        }
        let is_size = match format {
            Some("size") => true,
            Some("duration") => false,
            _ => return,
        };
        let parsed = match (&*value, is_size) {
            (Value::String(text), true) => parse_size(text),
            (Value::String(text), false) => {
                parse_duration(text).map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
            }
            (Value::Number(number), false) => {
                let reason = format!("{number} is no duration: the unit is missing");
                let help = format!("write \"{number}s\" for seconds, or use ms, m, h or d");
                self.wrong(pointer, reason, help);
                return;
            }
            _ => return,
        };
        match parsed {
            Ok(number) => *value = number.into(),
            Err(error) => {
                let what = if is_size { "size" } else { "duration" };
                self.wrong(pointer, format!("{value} is no {what}: {}", error.label), error.help);
            }
        }
    }

    fn wrong(&mut self, pointer: &str, reason: String, help: String) {
        self.mistakes.push(Mistake {
            code: message::INVALID,
            pointer: pointer.to_owned(),
            is_name: false,
            reason,
            label: "expected another value".into(),
            help: Some(help),
        });
    }
}

/// The types that a value may have; empty: any.
pub(super) fn kinds<'a>(parts: &[&'a Value]) -> Vec<&'a str> {
    let Some(kind) = parts.iter().find_map(|part| part.get("type")) else { return Vec::new() };
    match kind {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The default of an option. Groups of options have one if any option inside has.
fn default(root: &Value, schema: &Value) -> Option<Value> {
    let parts = in_place(root, schema);
    if let Some(default) = parts.iter().find_map(|part| part.get("default")) {
        return Some(default.clone());
    }
    None
}

/// Whether options that are not listed are unknown: nothing says otherwise.
fn is_closed(parts: &[&Value]) -> bool {
    const OPENING: &[&str] = &[
        "additionalProperties",
        "patternProperties",
        "unevaluatedProperties",
        "propertyNames",
        "anyOf",
        "oneOf",
        "if",
        "dependentSchemas",
    ];
    let opens = |part: &&Value| {
        OPENING.iter().any(|keyword| part.get(keyword).is_some_and(|value| *value != Value::Bool(false)))
    };
    !parts.iter().any(opens)
}
