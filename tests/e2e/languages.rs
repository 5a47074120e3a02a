//! The loop of a plugin's author in every language: what the templates give is built, passes its cases, is measured, and
//! does exactly the same whatever it is written in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use millrace_tests::{binary, guest, root, temporary_folder};
use serde_json::Value;

const LANGUAGES: [&str; 6] = ["rust", "go", "javascript", "python", "c", "script"];
const EVENTS: usize = 100_000;
/// Digits of a run that is masked, and how many of them stay: the defaults of the filter are told here once more.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
const KEEP: usize = 4;

/// One of the author's commands, with the tool-chains that building the guests has fetched.
fn millrace(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(binary())
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", root().join("target/guest-build/cache"))
        .output()
        .unwrap();
    let Output { status, stdout, stderr } = output;
    assert!(
        status.success(),
        "millrace {}: {}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).unwrap()
}

/// `plugin new`, `build` and `test`: the folder of the project, and the file that runs.
fn made(parent: &Path, language: &str, kind: &str) -> PathBuf {
    let name = format!("{language}-{kind}");
    let said = millrace(parent, &["plugin", "new", language, kind, &name]);
    assert!(!said.contains("install"), "{said}");
    let file = match language {
        "script" => parent.join(&name).join(format!("{name}.js")),
        _ => {
            let said = millrace(parent, &["plugin", "build", &name]);
            assert!(said.contains("digest   sha256:"), "{said}");
            parent.join(&name).join(format!("{name}.wasm"))
        }
    };
    let said = millrace(parent, &["plugin", "test", &name]);
    assert!(said.ends_with(" cases, 0 failed\n") && !said.ends_with("\n0 cases, 0 failed\n"), "{said}");
    file
}

/// Lines of a log, with runs of digits of every length in every place, and bytes that are no text.
fn lines() -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let words: [&[u8]; 6] =
        [b"GET /checkout?card=", b" user 0815 paid ", b"\xff\xfe", b" -> ", b"\t", "größe=".as_bytes()];
    let line = |_| {
        let mut line = Vec::new();
        for _ in 0..random(8) {
            line.extend_from_slice(words[random(words.len())]);
            let digits = if random(3) == 0 { random(24) } else { 0 };
            line.extend((0..digits).map(|_| b'0' + random(10) as u8));
        }
        line
    };
    (0..EVENTS).map(line).collect()
}

/// What `plugin run --show-headers` prints for a line, by the rule itself.
fn expected(line: &[u8]) -> Vec<u8> {
    let mut body = line.to_vec();
    let (mut runs, mut at) = (0, 0);
    while at < body.len() {
        let end = (at..body.len()).find(|at| !body[*at].is_ascii_digit()).unwrap_or(body.len());
        if DIGITS.contains(&(end - at)) {
            body[at..end - KEEP].fill(b'#');
            runs += 1;
        }
        at = end + 1;
    }
    let header = if runs > 0 { format!("redacted={runs} ") } else { String::new() };
    [header.into_bytes(), body, b"\n".to_vec()].concat()
}

#[test]
fn the_redaction_filter_is_the_same_in_every_language_on_100_000_events() {
    guest("script-engine");
    let folder = temporary_folder();
    let folder = folder.path();
    let lines = lines();
    fs::write(folder.join("lines"), [lines.join(&b'\n'), b"\n".to_vec()].concat()).unwrap();
    let expected: Vec<Vec<u8>> = lines.iter().map(|line| expected(line)).collect();
    let masked = expected.iter().filter(|line| line.starts_with(b"redacted=")).count();
    assert!((EVENTS / 10..EVENTS / 2).contains(&masked), "{masked}");
    println!(
        "{:<11} {:>9} {:>9} {:>11} {:>10} {:>10} {:>10}",
        "language", "ns/event", "ns/call", "compiled ms", "cached ms", "memory KiB", "size KiB"
    );
    for language in LANGUAGES {
        let file = made(folder, language, "interceptor");
        let file = file.to_str().unwrap();
        let run = ["plugin", "run", file, "--input", "lines", "--batch", "1000", "--show-headers"];
        let output = Command::new(binary()).args(run).current_dir(folder).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{language}: {output:?}");
        let mut found = output.stdout.split_inclusive(|byte| *byte == b'\n');
        for (number, expected) in expected.iter().enumerate() {
            let line = found.next().unwrap_or_default();
            assert!(
                line == expected.as_slice(),
                "{language}, line {number}: {:?} where {:?} is right",
                String::from_utf8_lossy(line),
                String::from_utf8_lossy(expected)
            );
        }
        assert_eq!(found.count(), 0, "{language}");
        let bench = millrace(
            folder,
            &["plugin", "bench", file, "--input", "lines", "--seconds", "2", "--format", "json"],
        );
        println!("{}", row(language, &serde_json::from_str(&bench).unwrap()));
    }
}

/// One line of the table: events of the lines, in batches of 1,000.
fn row(language: &str, bench: &Value) -> String {
    let rows = bench["rows"].as_array().unwrap();
    let large = rows.iter().find(|row| row["events"] == 1000).unwrap();
    let number = |value: &Value| value.as_f64().filter(|number| *number > 0.0).unwrap();
    let alone = rows.iter().find(|row| row["events"] == 1).unwrap();
    format!(
        "{language:<11} {:>9.0} {:>9.0} {:>11.0} {:>10.2} {:>10.0} {:>10.0}",
        number(&large["plugin_ns_per_event"]),
        number(&alone["plugin_ns_per_event"]),
        number(&bench["compile_us"]) / 1e3,
        number(&bench["cached_us"]) / 1e3,
        number(&bench["memory_bytes"]) / 1024.0,
        number(&bench["file_bytes"]) / 1024.0,
    )
}

/// Sources and sinks of one language; interceptors are above.
fn sources_and_sinks(language: &str) {
    let folder = temporary_folder();
    for kind in ["source", "sink"] {
        let file = made(folder.path(), language, kind);
        let inspected =
            millrace(folder.path(), &["plugin", "inspect", file.to_str().unwrap(), "--format", "json"]);
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        assert_eq!(inspected["role"], kind, "{inspected:#}");
        assert_eq!(inspected["manifest"]["name"], format!("{language}-{kind}"));
    }
}

#[test]
fn a_new_source_and_a_new_sink_in_rust_are_built_and_pass_their_cases() {
    sources_and_sinks("rust");
}

#[test]
fn a_new_source_and_a_new_sink_in_go_are_built_and_pass_their_cases() {
    sources_and_sinks("go");
}

#[test]
fn a_new_source_and_a_new_sink_in_javascript_are_built_and_pass_their_cases() {
    sources_and_sinks("javascript");
}

#[test]
fn a_new_source_and_a_new_sink_in_python_are_built_and_pass_their_cases() {
    sources_and_sinks("python");
}

#[test]
fn a_new_source_and_a_new_sink_in_c_are_built_and_pass_their_cases() {
    sources_and_sinks("c");
}
