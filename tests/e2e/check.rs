//! `millrace check` names ten different mistakes at once, each with line, column and help, and nothing else.

use std::{fs, process::Command};

use millrace_tests::{binary, guest, temporary_folder};
use serde_json::Value;

const TEN_MISTAKES: &str = r##"agent "edge" {
    data-dir "data"
    admin listen="127.0.0.1:0"
    shutdwn deadline="30s"
}

plugins {
    drop-rule path="PLUGIN"
}

channels {
    file "durable" { capacity "lots"; segment-size "64MiB" }
    memmory "fast"
}

sources {
    netcat "in" channel="durable" {
        max-line-length 512
    }
    taildir "web" channel="durabel" {
        path "/var/log/*.log"
        poll 250
        interceptors {
            regex-filter { regex "([a-z" }
            wasm "drop-rule" { contain "x" }
        }
    }
    http "api" channel="durable" {
        listen "127.0.0.1"
    }
}

sinks {
    file-roll "out" channel="durable" { directory "/tmp/${env:MILLRACE_NOT_SET}" }
    null "out" channel="durable"
}
"##;

/// Where each mistake is (line, column) and a word its reason or help must have.
const EXPECTED: [(u64, u64, &str); 10] = [
    (4, 5, "shutdown"),
    (12, 31, "capacity"),
    (13, 5, "memory"),
    (17, 5, "listen"),
    (20, 27, "durable"),
    (22, 14, "a time span needs a unit"),
    (24, 36, "regular expression"),
    (29, 16, "with the port"),
    (34, 51, "MILLRACE_NOT_SET"),
    (35, 10, "out"),
];

#[test]
fn ten_different_mistakes_are_named_at_once() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    fs::write(&path, TEN_MISTAKES.replace("PLUGIN", &guest("drop-rule").display().to_string())).unwrap();
    let run = |format: &str| {
        let output =
            Command::new(binary()).arg("check").arg(&path).args(["--format", format]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run("text");
    println!("{text}");
    let findings: Vec<Value> = serde_json::from_str(&run("json")).unwrap();
    let errors: Vec<&Value> = findings.iter().filter(|finding| finding["severity"] == "error").collect();
    let places: Vec<(u64, u64)> = errors
        .iter()
        .map(|error| (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap()))
        .collect();
    assert_eq!(places, EXPECTED.map(|(line, column, _)| (line, column)), "{text}");
    for (error, (line, column, word)) in errors.iter().zip(EXPECTED) {
        let said = format!("{} {}", error["reason"], error["help"]);
        assert!(said.contains(word), "line {line}: {said}");
        assert!(
            error["help"].as_str().is_some_and(|help| !help.is_empty()),
            "line {line} has no help: {error}"
        );
        assert!(
            text.contains(&format!("agent.kdl:{line}:{column}")),
            "line {line} is not in the text:\n{text}"
        );
    }
    assert!(!text.contains("warning"), "nothing else is reported:\n{text}");
}

#[test]
fn a_mistake_in_a_plugins_own_options_is_shown_in_the_configuration() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    let kdl = format!(
        "agent \"a\" {{ data-dir \"data\" }}\nplugins {{ drop-rule path=\"{}\" }}\nchannels {{ memory \"m\" }}\nsources {{\n    \
         seq \"s\" channel=\"m\" {{\n        interceptors {{ wasm \"drop-rule\" {{ contain \"x\" }} }}\n    }}\n}}\n\
         sinks {{ null \"n\" channel=\"m\" }}\n",
        guest("drop-rule").display()
    );
    fs::write(&path, kdl).unwrap();
    let output = Command::new(binary()).arg("check").arg(&path).args(["--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(findings[0]["line"], 6);
    assert!(findings[0]["reason"].as_str().unwrap().contains("contain"), "{findings:#?}");
}

#[test]
fn every_missing_grant_is_named_beside_all_other_mistakes() {
    let folder = temporary_folder();
    let path = folder.path().join("agent.kdl");
    let kdl = format!(
        r#"
plugins {{
    sends-http path={:?}
    dials path={:?}
    enrich path={:?} {{ grant {{ http "https://elsewhere.example" }} }}
}}
channels {{ memory "m" }}
sources {{ seq "s" channel="m" {{ interceptors {{ wasm "sends-http"; wasm "dials"; wasm "enrich" }} }} }}
sinks {{ null "n" channel="m" colour="red" }}
"#,
        guest("sends-http"),
        guest("imports-wasi-socket"),
        guest("javascript-enrich"),
    );
    fs::write(&path, kdl).unwrap();
    let output = Command::new(binary()).arg("check").arg(&path).args(["--format", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<(&str, &str, &str)> = findings
        .iter()
        .map(|one| (&one["severity"], &one["code"], &one["reason"]))
        .map(|(severity, code, reason)| {
            (severity.as_str().unwrap(), code.as_str().unwrap(), reason.as_str().unwrap())
        })
        .collect();
    let missing = "plugin::missing-grant";
    assert_eq!(
        told,
        [
            (
                "error",
                missing,
                "plugin sends-http asks for http (it imports millrace:plugin/http@0.1.0), which is not granted"
            ),
            (
                "error",
                missing,
                "plugin dials asks for socket (it imports wasi:sockets/network@0.2.0), which is not granted"
            ),
            ("error", missing, "plugin enrich asks for http \"http://127.0.0.1:5071\", which is not granted"),
            ("error", "config::unknown-option", "unknown option `colour` of `null`"),
        ]
    );
    assert!(
        findings[1]["help"].as_str().unwrap().contains("grant { socket \"tcp://host.example:5432\" }"),
        "{findings:#?}"
    );
}
