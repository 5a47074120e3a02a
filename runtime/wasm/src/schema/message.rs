//! What a validator finds, in the words that `millrace check` has for the options of native components.

use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

use super::{Mistake, in_place, pointer_part, resolve};

pub(super) const UNKNOWN: &str = "plugin::unknown-option";
pub(super) const MISSING: &str = "plugin::missing-option";
pub(super) const WRONG_TYPE: &str = "plugin::wrong-type";
pub(super) const INVALID: &str = "plugin::invalid-value";

/// The longest piece of a value or of a schema in a message.
const SHOWN_BYTES_MAX: usize = 200;

/// The mistakes that one error means.
pub(super) fn mistakes(root: &Value, error: &ValidationError<'_>) -> Vec<Mistake> {
    let pointer = error.instance_path().to_string();
    // Values of a list are called by the name of the list.
    let is_place = |part: &&str| part.parse::<usize>().is_err();
    let name = pointer.rsplit('/').find(is_place).unwrap_or_default().replace("~1", "/").replace("~0", "~");
    let value = shown(error.instance());
    let mistake = |code, reason: String, label: &str, help: Option<String>| Mistake {
        code,
        pointer: pointer.clone(),
        is_name: false,
        reason,
        label: label.to_owned(),
        help,
    };
    let one = match error.kind() {
        // Names are looked at before, with a proposal.
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            return unexpected.iter().map(|name| unknown(&pointer, name)).collect();
        }
        ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            return unexpected.iter().map(|name| unknown(&pointer, name)).collect();
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            return vec![missing(root, &pointer, property)];
        }
        ValidationErrorKind::Type { kind } => {
            let expected = kind_text(kind);
            let help = quotes(kind, error.instance());
            mistake(
                WRONG_TYPE,
                format!("`{name}` is not {expected}: {value}"),
                &format!("expected {expected}"),
                help,
            )
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(shown).collect();
            let help = Some(format!("possible: {}", options.join(", ")));
            mistake(INVALID, format!("`{name}` cannot be {value}"), "not one of the possible values", help)
        }
        ValidationErrorKind::Constant { expected_value } => {
            let help = Some(format!("the only possible value is {}", shown(expected_value)));
            mistake(INVALID, format!("`{name}` cannot be {value}"), "another value is expected", help)
        }
        ValidationErrorKind::Pattern { pattern } => {
            let pattern = cut(pattern);
            let help = Some(format!("it must match the pattern {pattern}"));
            mistake(
                INVALID,
                format!("`{name}` does not have the right form: {value}"),
                "another form is expected",
                help,
            )
        }
        kind => {
            if let Some((reason, label)) = beyond(kind, &name, &value) {
                return vec![mistake(INVALID, reason, label, None)];
            }
            let name = if name.is_empty() { "the options".to_owned() } else { format!("`{name}`") };
            let reason = format!("{name} do not fit: {}", cut(&error.to_string()));
            mistake(INVALID, reason.replacen("` do not", "` does not", 1), "does not fit", None)
        }
    };
    vec![one]
}

/// A number, text or list that is too small or too large; None: it is something else.
fn beyond(kind: &ValidationErrorKind, name: &str, value: &str) -> Option<(String, &'static str)> {
    use ValidationErrorKind as Kind;
    Some(match kind {
        Kind::Minimum { limit } => (format!("`{name}` is {value}, at least {limit} is allowed"), "too small"),
        Kind::ExclusiveMinimum { limit } => {
            (format!("`{name}` is {value}, it must be more than {limit}"), "too small")
        }
        Kind::Maximum { limit } => (format!("`{name}` is {value}, at most {limit} is allowed"), "too large"),
        Kind::ExclusiveMaximum { limit } => {
            (format!("`{name}` is {value}, it must be less than {limit}"), "too large")
        }
        Kind::MinLength { limit } => {
            (format!("`{name}` has fewer than {limit} characters: {value}"), "too short")
        }
        Kind::MaxLength { limit } => {
            (format!("`{name}` has more than {limit} characters: {value}"), "too long")
        }
        Kind::MinItems { limit } => (format!("`{name}` has fewer than {limit} values"), "too few"),
        Kind::MaxItems { limit } => (format!("`{name}` has more than {limit} values"), "too many"),
        _ => return None,
    })
}

fn unknown(pointer: &str, name: &str) -> Mistake {
    Mistake {
        code: UNKNOWN,
        pointer: format!("{pointer}/{}", pointer_part(name)),
        is_name: true,
        reason: format!("unknown option `{name}`"),
        label: "not known here".into(),
        help: None,
    }
}

/// Its pointer is the one that the missing option would have.
fn missing(root: &Value, group: &str, name: &str) -> Mistake {
    let place = format!("{group}/{}", pointer_part(name));
    let summary = find(root, &place).and_then(|schema| {
        in_place(root, schema).iter().find_map(|part| part.get("description")).and_then(Value::as_str)
    });
    let summary = summary.map_or_else(String::new, |summary| format!(": {}", cut(summary)));
    Mistake {
        code: MISSING,
        pointer: place,
        is_name: true,
        reason: format!("option `{name}` is missing"),
        label: "required option not given".into(),
        help: Some(format!("add `{name} …`{summary}")),
    }
}

/// The schema of the option at a pointer into the options.
fn find<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    let mut schema = root;
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        schema = in_place(root, schema).into_iter().find_map(|schema| {
            let member = schema.get("properties").and_then(|members| members.get(&part));
            member.or_else(|| schema.get("items").filter(|_| part.parse::<usize>().is_ok()))
        })?;
    }
    schema.get("$ref").and_then(Value::as_str).and_then(|reference| resolve(root, reference)).or(Some(schema))
}

fn kind_text(kind: &TypeKind) -> String {
    let words: Vec<&str> = match kind {
        TypeKind::Single(kind) => vec![word(&kind.to_string())],
        TypeKind::Multiple(kinds) => kinds.iter().map(|kind| word(&kind.to_string())).collect(),
    };
    words.join(" or ")
}

/// A type of JSON as people who write KDL know it.
pub(super) fn word(kind: &str) -> &'static str {
    match kind {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "#true or #false",
        "array" => "a list of values",
        "object" => "a group of options",
        _ => "#null",
    }
}

/// What to write where only the quotes are wrong.
fn quotes(kind: &TypeKind, value: &Value) -> Option<String> {
    let TypeKind::Single(kind) = kind else { return None };
    match (kind.to_string().as_str(), value) {
        ("string", Value::Number(number)) => Some(format!("text needs quotes: \"{number}\"")),
        ("string", Value::Bool(yes)) => Some(format!("text needs quotes: \"{yes}\"")),
        ("integer" | "number", Value::String(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("write {} without quotes", cut(text)))
        }
        ("boolean", Value::String(_)) => Some("write #true or #false".into()),
        _ => None,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(yes) => format!("#{yes}"),
        Value::Null => "#null".into(),
        Value::Object(_) => "a group of options".into(),
        Value::Array(_) => "a list of values".into(),
        plain => cut(&plain.to_string()),
    }
}

fn cut(text: &str) -> String {
    crate::host::escaped(text, SHOWN_BYTES_MAX)
}
