//! Routes events that are JSON objects by a field, `level` by default.
//!
//! The value becomes a header, and chooses a channel if one is configured for it. What is no JSON object is
//! rejected with the reason.

use std::borrow::Cow;
use std::collections::BTreeMap;

use millrace_plugin::{Batch, Edits, Failure, Instance, Interceptor, Issue};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Config {
    /// The field to look at.
    #[serde(default = "level")]
    field: String,
    /// The header that gets its value.
    #[serde(default = "level")]
    header: String,
    /// Value of the field -> channel. Letter case does not matter.
    #[serde(default)]
    routes: BTreeMap<String, String>,
}

fn level() -> String {
    "level".to_owned()
}

struct RouteLevel {
    field: String,
    header: String,
    routes: Vec<(String, String)>,
}

impl Interceptor for RouteLevel {
    type Config = Config;

    fn configure(config: Config, _instance: &Instance) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        for (option, value) in [("/field", &config.field), ("/header", &config.header)] {
            if value.is_empty() {
                issues.push(Issue::new(option, "must not be empty"));
            }
        }
        for (level, _) in config.routes.iter().filter(|(_, channel)| channel.is_empty()) {
            let path = format!("/routes/{}", level.replace('~', "~0").replace('/', "~1"));
            issues.push(Issue::new(path, "expected the name of a channel"));
        }
        if !issues.is_empty() {
            return Err(issues);
        }
        let Config { field, header, routes } = config;
        Ok(Self { field, header, routes: routes.into_iter().collect() })
    }

    fn intercept(&mut self, batch: &Batch, edits: &mut Edits) -> Result<(), Failure> {
        for (row, body) in batch.bodies().rows() {
            match field(body, &self.field) {
                Ok(Some(value)) => {
                    edits.set_header(row, &self.header, &value);
                    if let Some(channel) = self.channel(&value) {
                        edits.route(row, channel);
                    }
                }
                Ok(None) => {}
                Err(reason) => edits.reject(row, reason),
            }
        }
        Ok(())
    }
}

impl RouteLevel {
    fn channel(&self, value: &str) -> Option<&str> {
        let route = self.routes.iter().find(|(level, _)| level.eq_ignore_ascii_case(value));
        route.map(|(_, channel)| channel.as_str())
    }
}

/// Reads one field of a JSON object, if it is there and a text. The rest is checked and passed over.
fn field<'a>(body: &'a [u8], name: &str) -> Result<Option<Cow<'a, str>>, &'static str> {
    // Reasons are few and fixed, so that rejected events share them.
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = json.deserialize_map(Field(name)).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "not a JSON object",
        _ => "not valid JSON",
    })?;
    json.end().map_err(|_| "not valid JSON: something follows the object")?;
    Ok(value)
}

/// Visits an object and keeps the last value of one field.
struct Field<'n>(&'n str);

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(Text(key)) = map.next_key()? {
            if key == self.0 {
                found = map.next_value::<TextOrOther<'de>>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// A text that is borrowed where it holds no escape.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text, or none for any other value.
struct TextOrOther<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for TextOrOther<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            #[serde(borrow)]
            Text(Text<'a>),
            Other(IgnoredAny),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Text(Text(text)) => Self(Some(text)),
            Either::Other(_) => Self(None),
        })
    }
}

millrace_plugin::export!(RouteLevel);

#[cfg(test)]
mod tests {
    use millrace_plugin::testing::{self, Event};

    use super::*;

    const CONFIG: &str = r#"{"routes": {"error": "alerts", "fatal": "alerts", "debug": "trash"}}"#;

    #[test]
    fn the_level_becomes_a_header_and_chooses_the_channel() {
        let mut plugin = testing::configure::<RouteLevel>(CONFIG).unwrap();
        let bodies = [
            r#"{"level":"info","text":"a"}"#,
            r#"{"text":"b","level":"ERROR"}"#,
            r#"{"level":"debug"}"#,
            r#"{"level":3}"#,
            r#"{"text":"no level"}"#,
        ];
        let outcome = testing::run(&mut plugin, bodies.map(Event::new).to_vec()).unwrap();
        let with = |index: usize, level: &str| Event::new(bodies[index]).with_header("level", level);
        assert_eq!(outcome.kept, [with(0, "info"), Event::new(bodies[3]), Event::new(bodies[4])]);
        let routed = [("alerts".to_owned(), with(1, "ERROR")), ("trash".to_owned(), with(2, "debug"))];
        assert_eq!(outcome.routed, routed);
    }

    #[test]
    fn what_is_no_json_object_is_rejected_with_the_reason() {
        let mut plugin = testing::configure::<RouteLevel>(CONFIG).unwrap();
        let bodies = ["", "text", "[1]", r#"{"level":"a"} x"#, r#"{"level":"#, "{\"level\":\"\u{1}\"}"];
        let outcome = testing::run(&mut plugin, bodies.map(Event::new).to_vec()).unwrap();
        let reasons: Vec<_> = outcome.rejected.iter().map(|(reason, _)| reason.as_str()).collect();
        let extra = "not valid JSON: something follows the object";
        let no = "not valid JSON";
        assert_eq!(reasons, [no, no, "not a JSON object", extra, no, no]);
    }

    #[test]
    fn escapes_in_names_and_values_are_read() {
        let body = br#"{"l\u0065vel":"wa\u0072n","level2":{"level":"no"}}"#;
        assert_eq!(field(body, "level"), Ok(Some(Cow::Borrowed("warn"))));
        assert_eq!(field(br#"{"level":"a","level":"b"}"#, "level"), Ok(Some(Cow::Borrowed("b"))));
        assert_eq!(field(b"{\"level\":\"\xff\"}", "level"), Err("not valid JSON"));
    }

    #[test]
    fn a_route_without_a_channel_is_an_issue() {
        let issues = testing::configure::<RouteLevel>(r#"{"field": "", "routes": {"a/b": ""}}"#);
        let expected = [
            Issue::new("/field", "must not be empty"),
            Issue::new("/routes/a~1b", "expected the name of a channel"),
        ];
        assert_eq!(issues.err().unwrap(), expected);
    }
}
