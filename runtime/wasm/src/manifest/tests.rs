use std::time::Duration;

use millrace_config::{MapEnvironment, parse_text};

use super::{Manifest, MetricDeclaration, StateForm, Want, with_limits};
use crate::grants::Grants;

const WHOLE: &str = r##"
plugin "crm-sink" version="1.3.0" licence="Apache-2.0" {
    summary "Sends events"
    wants { http "https://crm.example.com" "https://b.example.com"; secret "crm-token"; clocks }
    metrics { counter "sent" label="status"; histogram "latency" { label "status" "host" } }
    state schema="crm" version=2
    limits memory="32MiB" time="50ms"
    lanes "independent"
    config #"{"type":"object","required":["account"],"properties":{"account":{"type":"string"}}}"#
}
"##;

#[test]
fn a_whole_manifest_is_read() {
    let manifest = Manifest::parse(WHOLE, true).unwrap();
    assert_eq!((manifest.name.as_str(), manifest.version.as_deref()), ("crm-sink", Some("1.3.0")));
    assert_eq!(
        (manifest.licence.as_deref(), manifest.summary.as_deref()),
        (Some("Apache-2.0"), Some("Sends events"))
    );
    let want = |kind: &str, values: &[&str]| Want {
        kind: kind.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    assert_eq!(
        manifest.wants,
        [
            want("http", &["https://crm.example.com", "https://b.example.com"]),
            want("secret", &["crm-token"]),
            want("clocks", &[])
        ]
    );
    let metric = |kind: &str, name: &str, labels: &[&str]| MetricDeclaration {
        kind: kind.into(),
        name: name.into(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    assert_eq!(
        manifest.metrics,
        [metric("counter", "sent", &["status"]), metric("histogram", "latency", &["status", "host"])]
    );
    assert_eq!(manifest.state, Some(StateForm { schema: "crm".into(), version: 2 }));
    assert_eq!(manifest.limits.memory_bytes, Some(32 << 20));
    assert_eq!(manifest.limits.time, Some(Duration::from_millis(50)));
    assert!(manifest.lanes_are_independent && manifest.config.is_some());
    assert_eq!(manifest.to_json()["limits"]["time_ms"], 50);
}

#[test]
fn a_short_manifest_is_enough() {
    let manifest = Manifest::parse("plugin \"a\"", true).unwrap();
    assert!(manifest.config.is_none() && manifest.state.is_none() && !manifest.lanes_are_independent);
    assert_eq!(manifest.limits, super::WantedLimits::default());
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, reason) in [
        ("", "a manifest begins with `plugin \"name\"`"),
        (
            "plugin",
            "the plugin's name is missing, or is more than letters, digits, `-`, `_` and `.` (line 1, column 1)",
        ),
        (
            "plugin \"../x\"",
            "the plugin's name is missing, or is more than letters, digits, `-`, `_` and `.` (line 1, column 8)",
        ),
        ("plugin \"a\" { sumary \"x\" }", "unknown option `sumary` of `plugin` (line 1, column 14)"),
        ("plugin \"a\"\nother", "a manifest is one node `plugin` and nothing else (line 2, column 1)"),
        ("plugin \"a\" { wants { world } }", "nobody can grant `world` (line 1, column 22)"),
        ("plugin \"a\" { wants { http } }", "`wants` asks for `http`, but not for which (line 1, column 22)"),
        (
            "plugin \"a\" { metrics { meter \"x\" } }",
            "there is no metric of the kind `meter` (line 1, column 24)",
        ),
        (
            "plugin \"a\" { metrics { counter \"a\"; gauge \"a\" } }",
            "the metric `a` is declared twice (line 1, column 37)",
        ),
        (
            "plugin \"a\" { config \"{\" }",
            "`config` cannot be used: it is not JSON: EOF while parsing an object at line 1 column 1 (line 1, column 21)",
        ),
        (
            "plugin \"a\" { summary \"${env:HOME}\" }",
            "environment variable HOME is not set (line 1, column 22)",
        ),
    ] {
        assert_eq!(Manifest::parse(text, true).unwrap_err().to_string(), reason, "{text}");
    }
    let error = Manifest::parse("plugin \"a\" { sumary \"x\" }", true).unwrap_err();
    assert!(error.render(false, 80).contains("did you mean `summary`?"), "{}", error.render(false, 80));
}

#[test]
fn what_a_later_version_knows_is_passed_over_at_run_time() {
    let text = "plugin \"a\" colour=\"red\" { when header=\"x\"; wants { moon; http \"https://h\" }; metrics { meter \"x\" } }\nfuture 1";
    let manifest = Manifest::parse(text, false).unwrap();
    assert_eq!(manifest.wants.len(), 1);
    assert!(manifest.metrics.is_empty());
}

#[test]
fn hostile_manifests_are_refused() {
    let deep = format!("plugin \"a\" {}{}", "{ x ".repeat(5000), "}".repeat(5000));
    let large = format!("plugin \"a\" {{ summary \"{}\" }}", "x".repeat(600_000));
    for text in [deep.as_str(), large.as_str(), "\0\0\0", "plugin \"a\" {", "}}}}"] {
        assert!(Manifest::parse(text, false).is_err(), "{text:.40}");
    }
}

#[test]
fn what_is_wanted_and_not_granted_is_an_error_with_the_lines_to_paste() {
    let text = "plugin \"p\" { wants { http \"https://crm.example.com\"; clocks } }";
    let manifest = Manifest::parse(text, true).unwrap();
    let (spec, _) = parse_text("agent.kdl", "plugins { p path=\"p.wasm\" }", &MapEnvironment::default());
    let found = manifest.check_wants(&spec.plugins[0], &Grants::default()).unwrap_err();
    let one = found.iter().next().unwrap();
    assert_eq!(one.code, "plugin::missing-grant");
    assert_eq!(one.reason, "plugin p wants what it is not granted: http \"https://crm.example.com\", clocks");
    assert_eq!(
        one.help.as_deref(),
        Some(
            "if you agree, put this into the plugin's block:\ngrant {\n    \
             http \"https://crm.example.com\"\n    clocks\n}"
        )
    );
}

#[test]
fn the_limits_of_the_operator_win_over_those_of_the_manifest() {
    let limits = |plugin: &str| {
        let (spec, _) = parse_text(
            "agent.kdl",
            &format!("plugins {{ p path=\"p.wasm\" {plugin} }}"),
            &MapEnvironment::default(),
        );
        let manifest = Manifest::parse("plugin \"p\" { limits memory=\"8MiB\" time=\"7ms\" }", true).unwrap();
        let plugin = with_limits(&spec.plugins[0], Some(&manifest)).unwrap();
        (plugin.memory_bytes_max >> 20, plugin.call_time_max.unwrap().as_millis())
    };
    assert_eq!(limits(""), (8, 7));
    assert_eq!(limits("{ limits memory=\"64MiB\" }"), (64, 7));
    assert_eq!(limits("{ limits { time \"1s\"; memory \"1MiB\" } }"), (1, 1000));
    let (spec, _) = parse_text("agent.kdl", "plugins { p path=\"p.wasm\" }", &MapEnvironment::default());
    let greedy = Manifest::parse("plugin \"p\" { limits memory=\"8GiB\" }", true).unwrap();
    let error = with_limits(&spec.plugins[0], Some(&greedy)).unwrap_err();
    assert_eq!(error.iter().next().unwrap().code, "plugin::limits");
    assert_eq!(with_limits(&spec.plugins[0], None).unwrap().memory_bytes_max, 64 << 20);
}
