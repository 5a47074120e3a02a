//! A schema as a reference page: the same lines that native components have.

use millrace_config::ExplainedOption;
use serde_json::Value;

use super::{in_place, message::word, prepare::kinds};
use crate::host::escaped;

/// Groups within groups that are written out.
const DEPTH_MAX: usize = 6;
/// Longest summary.
const SUMMARY_BYTES_MAX: usize = 1000;

/// The options of the root, those that are required first.
pub(super) fn options(root: &Value) -> Vec<ExplainedOption> {
    inside(root, root, 0)
}

fn inside(root: &Value, schema: &Value, depth: usize) -> Vec<ExplainedOption> {
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    let parts = in_place(root, schema);
    let required: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.get("required").and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let members = parts.iter().filter_map(|part| part.get("properties").and_then(Value::as_object)).flatten();
    let mut all: Vec<(bool, ExplainedOption)> = members
        .map(|(name, schema)| {
            let is_required = required.contains(&name.as_str());
            (is_required, option(root, name, schema, is_required, depth))
        })
        .collect();
    all.sort_by_key(|(is_required, _)| !is_required);
    all.into_iter().map(|(_, option)| option).collect()
}

fn option(root: &Value, name: &str, schema: &Value, is_required: bool, depth: usize) -> ExplainedOption {
    let parts = in_place(root, schema);
    let find = |keyword: &str| parts.iter().find_map(|part| part.get(keyword));
    let mut facts = kind(root, &parts);
    if let Some(options) = find("enum").and_then(Value::as_array) {
        let words: Vec<String> = options.iter().map(Value::to_string).collect();
        facts = format!("one of {}", words.join(", "));
    }
    let number = |keyword: &str| find(keyword).filter(|limit| limit.is_number());
    match (number("minimum"), number("maximum")) {
        (Some(min), Some(max)) => facts.push_str(&format!(" from {min} to {max}")),
        (Some(min), None) => facts.push_str(&format!(", at least {min}")),
        (None, Some(max)) => facts.push_str(&format!(", at most {max}")),
        (None, None) => {}
    }
    if is_required {
        facts.push_str(", required");
    } else if let Some(default) = find("default") {
        facts.push_str(&format!(", default {}", kdl(default)));
    }
    let items = find("items").unwrap_or(&Value::Null);
    let inner = inside(root, schema, depth + 1);
    let inner = if inner.is_empty() { inside(root, items, depth + 1) } else { inner };
    let summary = find("description").or_else(|| find("title")).and_then(Value::as_str).unwrap_or_default();
    ExplainedOption {
        name: escaped(name, 128),
        facts: escaped(&facts, SUMMARY_BYTES_MAX),
        summary: escaped(summary, SUMMARY_BYTES_MAX),
        inner,
    }
}

fn kind(root: &Value, parts: &[&Value]) -> String {
    let kinds = kinds(parts);
    let format = parts.iter().find_map(|part| part.get("format")).and_then(Value::as_str);
    let is_number = kinds.iter().any(|kind| ["integer", "number"].contains(kind));
    match (format, kinds.as_slice()) {
        (Some("size"), _) if is_number => "size, such as \"64MiB\"".into(),
        (Some("duration"), _) if is_number => "time span, such as \"30s\"".into(),
        (_, []) => "any value".into(),
        (_, ["array"]) => {
            let items = parts.iter().find_map(|part| part.get("items")).map(|items| in_place(root, items));
            let inner = items.map(|items| kind(root, &items));
            inner.map_or_else(
                || "one or more values".into(),
                |inner| format!("one or more values, each {inner}"),
            )
        }
        (_, kinds) => kinds.iter().map(|kind| short(kind)).collect::<Vec<_>>().join(" or "),
    }
}

fn short(kind: &str) -> &'static str {
    let word = word(kind);
    word.strip_prefix("a ").unwrap_or(word)
}

/// A value as one would write it in KDL.
fn kdl(value: &Value) -> String {
    match value {
        Value::Bool(yes) => format!("#{yes}"),
        Value::Null => "#null".into(),
        Value::Array(items) => items.iter().map(kdl).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
