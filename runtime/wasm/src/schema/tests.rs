use millrace_config::{MapEnvironment, parse_nodes};
use serde_json::json;

use super::ConfigSchema;

const SCHEMA: &str = r##"{
    "type": "object",
    "required": ["account"],
    "properties": {
        "account": { "type": "string", "description": "The account to send to" },
        "words": { "type": "array", "items": { "type": "string" } },
        "buffer": { "type": "integer", "format": "size", "default": "64KiB" },
        "pause": { "type": "integer", "format": "duration", "default": "1m30s" },
        "mode": { "enum": ["fast", "safe"], "default": "safe" },
        "level": { "type": "integer", "minimum": 1, "maximum": 9 },
        "retry": { "$ref": "#/$defs/retry" },
        "labels": { "type": "object", "additionalProperties": { "type": "string" } }
    },
    "$defs": { "retry": { "type": "object", "properties": { "max": { "type": "integer", "default": 3 } } } }
}"##;

fn check(
    schema: &str,
    options: &str,
) -> Result<serde_json::Value, Vec<(String, String, String, Option<String>)>> {
    let text = format!("wasm \"x\" {{\n{options}\n}}");
    let (nodes, files, found) = parse_nodes("agent.kdl", &text, &MapEnvironment::default());
    assert!(found.is_empty(), "{found:?}");
    let schema = ConfigSchema::parse(schema).unwrap();
    schema.options("x", &nodes[0]).map_err(|found| {
        let tell = |one: &millrace_config::Diagnostic| {
            let written = files.source(one.span.unwrap()).to_owned();
            (one.code.to_owned(), written, one.reason.clone(), one.help.clone())
        };
        found.iter().map(tell).collect()
    })
}

#[test]
fn options_get_their_defaults_and_the_types_that_the_schema_means() {
    let options = check(SCHEMA, "account \"a\"\nwords \"one\"\nbuffer \"2MiB\"\nretry\nlabels team=\"web\"");
    // A bare name is #true, which is no group.
    assert_eq!(options.unwrap_err()[0].0, "plugin::wrong-type");
    let options =
        check(SCHEMA, "account \"a\"\nwords \"one\"\nbuffer \"2MiB\"\nretry { max 5 }\nlabels team=\"web\"");
    assert_eq!(
        options.unwrap(),
        json!({
            "account": "a", "words": ["one"], "buffer": 2 << 20, "pause": 90_000, "mode": "safe",
            "retry": { "max": 5 }, "labels": { "team": "web" },
        })
    );
    let options = check(SCHEMA, "account \"a\"\nbuffer 7\nwords \"a\" \"b\"").unwrap();
    assert_eq!((&options["buffer"], &options["words"]), (&json!(7), &json!(["a", "b"])));
}

#[test]
fn mistakes_are_told_at_the_name_or_at_the_value() {
    let found = check(SCHEMA, "acount \"a\"\nlevel 12\nmode \"fats\"\nwords 5\nretry { maxx 1 }\npause 30")
        .unwrap_err();
    let told: Vec<_> = found
        .iter()
        .map(|(code, written, reason, _)| (code.as_str(), written.as_str(), reason.as_str()))
        .collect();
    assert!(
        told.contains(&("plugin::unknown-option", "acount", "plugin x: unknown option `acount`")),
        "{told:#?}"
    );
    assert!(
        told.contains(&("plugin::unknown-option", "maxx", "plugin x: unknown option `maxx`")),
        "{told:#?}"
    );
    assert!(
        told.contains(&("plugin::invalid-value", "12", "plugin x: `level` is 12, at most 9 is allowed")),
        "{told:#?}"
    );
    assert!(
        told.contains(&("plugin::invalid-value", "\"fats\"", "plugin x: `mode` cannot be \"fats\"")),
        "{told:#?}"
    );
    assert!(told.contains(&("plugin::wrong-type", "5", "plugin x: `words` is not text: 5")), "{told:#?}");
    assert!(
        told.contains(&("plugin::invalid-value", "30", "plugin x: 30 is no duration: the unit is missing")),
        "{told:#?}"
    );
    // `account` is not missing: it is misspelt.
    assert_eq!(told.len(), 6, "{told:#?}");
    let help = found.iter().find(|(_, written, _, _)| written == "acount").unwrap().3.clone().unwrap();
    assert!(help.starts_with("did you mean `account`? known: "), "{help}");
}

#[test]
fn a_missing_option_is_told_at_the_group_with_what_it_is() {
    let found = check(SCHEMA, "").unwrap_err();
    assert_eq!(
        found,
        [(
            "plugin::missing-option".to_owned(),
            "wasm".to_owned(),
            "plugin x: option `account` is missing".to_owned(),
            Some("add `account …`: The account to send to".to_owned()),
        )]
    );
}

#[test]
fn a_plugin_without_options_refuses_every_one() {
    let found = check(r#"{"type":"object"}"#, "anything 1").unwrap_err();
    assert_eq!(
        (found[0].0.as_str(), found[0].3.as_deref()),
        ("plugin::unknown-option", Some("the plugin has no options"))
    );
    assert_eq!(
        check(r#"{"type":"object","additionalProperties":true}"#, "anything 1").unwrap(),
        json!({"anything": 1})
    );
}

#[test]
fn hostile_schemas_are_refused() {
    let deep = format!("{}{}", r#"{"not":"#.repeat(500), "}".repeat(500));
    let doubling: String = (0..40)
        .map(|at| {
            format!(
                r##""d{at}": {{"allOf": [{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}},"##,
                at + 1
            )
        })
        .collect();
    let doubling = format!(r##"{{"$defs": {{{doubling} "d40": {{}}}}, "$ref": "#/$defs/d0"}}"##);
    for (schema, reason) in [
        ("", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        (r#"{"type":"string"}"#, "its type must be `object`"),
        (r#"{"type":"object","properties":5}"#, "it is no JSON Schema"),
        (r#"{"type":"object","properties":{"a":{"type":"colour"}}}"#, "it is no JSON Schema"),
        (r#"{"properties":{"a":{"pattern":"("}}}"#, "it is no JSON Schema"),
        (r##"{"$ref":"#"}"##, "it refers to itself without end"),
        (
            r##"{"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"anyOf":[{"$ref":"#/allOf/0"}]}}}"##,
            "it refers to itself",
        ),
        (r#"{"$ref":"http://127.0.0.1:1/x.json"}"#, "`$ref` leads out of the schema"),
        (r#"{"properties":{"a":{"$ref":"file:///etc/passwd"}}}"#, "`$ref` leads out of the schema"),
        (r##"{"$ref":"#/nowhere"}"##, "`$ref` leads nowhere"),
        (r##"{"$id":"http://x/","properties":{}}"##, "`$id` is not supported"),
        (r#"{"properties":{"a":{"type":"integer","default":"x"}}}"#, "its own default at `/a` does not fit"),
        (&deep, "it is not JSON: recursion limit"),
        (&doubling, "its parts multiply"),
        (&" ".repeat(300_000), "it has 300000 bytes"),
    ] {
        let error = ConfigSchema::parse(schema).unwrap_err();
        assert!(error.starts_with(reason), "{error} for {:.80}", schema);
    }
}

#[test]
fn a_schema_may_refer_to_itself_through_a_value() {
    let schema = r##"{"properties":{"rule":{"$ref":"#/$defs/rule"}},
        "$defs":{"rule":{"type":"object","properties":{"name":{"type":"string"},"rule":{"$ref":"#/$defs/rule"}}}}}"##;
    let options = check(schema, "rule { name \"a\"; rule { name \"b\" } }").unwrap();
    assert_eq!(options, json!({"rule": {"name": "a", "rule": {"name": "b"}}}));
    let found = check(schema, "rule { name \"a\"; rule { name 1 } }").unwrap_err();
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("plugin::wrong-type", "1"));
    assert_eq!(ConfigSchema::parse(schema).unwrap().explained()[0].name, "rule");
    // An option may be called as a keyword is.
    assert!(
        ConfigSchema::parse(r#"{"properties":{"$id":{"type":"string"},"properties":{"type":"string"}}}"#)
            .is_ok()
    );
}

#[test]
fn options_are_explained_like_those_of_native_components() {
    let explained = ConfigSchema::parse(SCHEMA).unwrap().explained();
    let line = |name: &str| explained.iter().find(|option| option.name == name).unwrap();
    assert_eq!(explained[0].name, "account");
    assert_eq!(line("account").facts, "text, required");
    assert_eq!(line("buffer").facts, "size, such as \"64MiB\", default \"64KiB\"");
    assert_eq!(line("level").facts, "whole number from 1 to 9");
    assert_eq!(line("mode").facts, "one of \"fast\", \"safe\", default \"safe\"");
    assert_eq!(line("words").facts, "one or more values, each text");
    assert_eq!(line("retry").inner[0].facts, "whole number, default 3");
}
