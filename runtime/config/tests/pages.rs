//! The diagnostics pages: prose for people, KDL, and the exact output of checking it.
//!
//! A page in `pages/` holds sections: a `kdl` block, optionally preceded by ` ```kdl file=name ` blocks that it
//! may include, and a `text` block with what a user reads. `UPDATE_PAGES=1` writes the blocks anew.
#![allow(clippy::disallowed_methods, reason = "tests look at files themselves")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pages/components.rs"]
mod components;

use std::{fmt::Write, fs, path::Path};

use millrace_config::{MapEnvironment, Report, parse_text};

/// Every page must be named here, so that none is forgotten or left over.
const PAGES: &[&str] = &[
    "agent.md",
    "expansion.md",
    "flow.md",
    "groups.md",
    "includes.md",
    "options.md",
    "syntax.md",
    "ten-mistakes.md",
];

/// A page taken apart: text that stays, and the blocks that matter.
enum Part {
    Prose(String),
    Kdl { file: Option<String>, text: String },
    Expected,
}

#[test]
fn every_page_says_what_a_user_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages");
    let mut present: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    present.sort();
    assert_eq!(present, PAGES, "the pages in the folder and the list of pages differ");
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    let mut wrong = String::new();
    for page in PAGES {
        let path = folder.join(page);
        let text = fs::read_to_string(&path).unwrap();
        let fresh = rewritten(page, &text);
        if update {
            fs::write(&path, fresh).unwrap();
        } else if fresh != text {
            let at = text.lines().zip(fresh.lines()).position(|(old, new)| old != new).unwrap_or(0);
            writeln!(wrong, "{page}, line {}: now it reads\n{fresh}", at + 1).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The page with every expected block computed anew.
fn rewritten(page: &str, text: &str) -> String {
    let mut fresh = String::new();
    let mut environment = surroundings();
    let mut current = None;
    let mut cases = 0;
    for part in parts(text) {
        match part {
            Part::Prose(line) => writeln!(fresh, "{line}").unwrap(),
            Part::Kdl { file: Some(file), text } => {
                environment = environment.with_file(Path::new("conf").join(&file), text.clone());
                write!(fresh, "```kdl file={file}\n{text}```\n").unwrap();
            }
            Part::Kdl { file: None, text } => {
                write!(fresh, "```kdl\n{text}```\n").unwrap();
                current = Some(text);
            }
            Part::Expected => {
                let kdl = current.take().unwrap_or_else(|| panic!("{page}: an expected block without KDL"));
                write!(fresh, "```text\n{}```\n", output(&kdl, &environment)).unwrap();
                environment = surroundings();
                cases += 1;
            }
        }
    }
    assert!(current.is_none(), "{page}: KDL without an expected block");
    assert!(cases > 0, "{page}: nothing to run");
    fresh
}

fn surroundings() -> MapEnvironment {
    MapEnvironment::default()
        .with_variable("TOKEN", "s3cr3t-value")
        .with_variable("CAPACITY", "500")
        .with_file("/run/secrets/password", "hunter2\n")
}

fn output(kdl: &str, environment: &MapEnvironment) -> String {
    let (spec, mut found) = parse_text("conf/agent.kdl", kdl, environment);
    found.extend(components::check_components(&spec));
    found.sort();
    let report = Report::new(&found, &spec.files);
    let text = report.render_text(false, 100);
    assert!(!text.contains("s3cr3t") && !text.contains("hunter2"), "a secret is shown: {text}");
    if text.is_empty() { "nothing to report\n".into() } else { format!("{text}\n{}\n", report.summary()) }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            parts.push(Part::Prose(line.into()));
            continue;
        };
        let mut body = String::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            writeln!(body, "{line}").unwrap();
        }
        parts.push(match info {
            "text" => Part::Expected,
            "kdl" => Part::Kdl { file: None, text: body },
            other => {
                let file = other.strip_prefix("kdl file=").expect("blocks are kdl or text");
                Part::Kdl { file: Some(file.into()), text: body }
            }
        });
    }
    parts
}
