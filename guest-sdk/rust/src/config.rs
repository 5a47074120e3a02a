//! From the JSON of the agent to the plugin's own options, with mistakes that say where they are.

use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, de};
use serde_path_to_error::{Path, Segment};

use crate::bindings::lifecycle::exports::millrace::plugin::lifecycle;

/// One mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Where: a JSON pointer into the options, such as `/patterns/2`; empty for the whole.
    pub path: String,
    /// What is wrong, and what was expected.
    pub reason: String,
}

impl Issue {
    /// Makes an issue.
    pub fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }
}

impl From<Issue> for lifecycle::Issue {
    fn from(issue: Issue) -> Self {
        Self { path: issue.path, reason: issue.reason }
    }
}

/// The options of a plugin that has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a list that may also be a single value, because `drop 404` and `drop 404 500` look
/// different in JSON. For `#[serde(deserialize_with = "millrace_plugin::one_or_many")]`.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Config {
///     #[serde(default, deserialize_with = "millrace_plugin::one_or_many")]
///     drop: Vec<u16>,
/// }
/// let config: Config = serde_json::from_str(r#"{"drop": 404}"#).unwrap();
/// assert_eq!(config.drop, [404]);
/// ```
pub fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    // By way of a value, because an untagged enum would lose both the place and the reason.
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Array(values) => {
            let parse = |(index, value)| {
                let item = format!("item {}: ", index + 1);
                T::deserialize(value)
                    .map_err(|error: serde_json::Error| de::Error::custom(format!("{item}{error}")))
            };
            values.into_iter().enumerate().map(parse).collect()
        }
        value => T::deserialize(value).map(|value| vec![value]).map_err(de::Error::custom),
    }
}

/// Parses the options.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, Vec<Issue>> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = pointer(error.path());
        vec![Issue::new(path, reason(&error.into_inner()))]
    })
}

/// Says what serde_json says without the place in a text that the user has never seen.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").filter(|_| error.line() > 0);
    end.map_or(text.as_str(), |end| &text[..end]).to_owned()
}

fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            // A variant is no member of its own, and behind an unknown place nothing can be said.
            Segment::Enum { .. } => {}
            Segment::Unknown => break,
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Config {
        #[serde(default)]
        rules: Vec<Rule>,
        #[serde(default, deserialize_with = "one_or_many")]
        drop_status: Vec<u16>,
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        #[serde(rename = "a/b~c")]
        limit: u32,
    }

    fn issues(json: &str) -> Vec<(String, String)> {
        let issues = parse::<Config>(json).unwrap_err();
        issues.into_iter().map(|issue| (issue.path, issue.reason)).collect()
    }

    #[test]
    fn a_good_configuration_is_read() {
        let config: Config =
            parse(r#"{"rules": [{"a/b~c": 1}], "drop-status": [404, 500], "name": "x"}"#).unwrap();
        assert_eq!(config.rules[0].limit, 1);
        assert_eq!(config.drop_status, [404, 500]);
        assert_eq!(config.name, "x");
    }

    #[test]
    fn a_wrong_type_is_found_where_it_stands() {
        assert_eq!(
            issues(r#"{"name": "x", "rules": [{"a/b~c": 1}, {"a/b~c": "two"}]}"#),
            [("/rules/1/a~1b~0c".into(), r#"invalid type: string "two", expected u32"#.into())]
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        let [(path, reason)] = &issues(r#"{"name": "x", "nmae": 1}"#)[..] else { unreachable!() };
        assert!(path == "/nmae" || path.is_empty(), "{path}");
        assert!(reason.starts_with("unknown field `nmae`, expected one of"), "{reason}");
    }

    #[test]
    fn a_missing_option_is_reported_for_the_whole() {
        assert_eq!(issues("{}"), [(String::new(), "missing field `name`".into())]);
    }

    #[test]
    fn a_single_value_counts_as_a_list_of_one() {
        let config: Config = parse(r#"{"name": "x", "drop-status": 404}"#).unwrap();
        assert_eq!(config.drop_status, [404]);
        let [(path, reason)] = &issues(r#"{"name": "x", "drop-status": [1, -1]}"#)[..] else {
            unreachable!()
        };
        assert_eq!(path, "/drop-status");
        assert_eq!(reason, "item 2: invalid value: integer `-1`, expected u16");
    }

    #[test]
    fn text_that_is_no_json_is_an_issue_of_the_whole() {
        let issues = issues("{");
        assert_eq!(issues.len(), 1);
        assert_eq!(issues[0].1, "EOF while parsing an object");
    }
}
