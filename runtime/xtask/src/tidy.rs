//! House rules that no compiler knows, checked on every tracked source file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::guests;

/// Lines of a source file, tests left out.
const FILE_LINES_MAX: usize = 800;
/// Lines above which the header must say why.
const FILE_LINES_EXPLAINED: usize = 500;
/// Lines of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// File names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["util", "utils", "common", "misc", "helpers"];

/// Checks everything and reports all findings.
pub fn tidy() -> Result<()> {
    let root = guests::root();
    let files = tracked(&root)?;
    let mut findings = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text =
            fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {}", path.display()))?;
        source_file(path, &text, &mut findings);
    }
    tests_are_declared(&root, &files, &mut findings);
    guests_have_tests(&root, &files, &mut findings)?;
    examples_are_complete(&root, &mut findings)?;
    if findings.is_empty() {
        eprintln!("tidy: {} files, nothing to say", files.len());
        return Ok(());
    }
    bail!("tidy: {} findings\n  {}", findings.len(), findings.join("\n  "));
}

fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let output =
        Command::new("git").args(["ls-files", "-z"]).current_dir(root).output().context("cannot run git")?;
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(names
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .filter(|path| root.join(path).exists())
        .collect())
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "e2e")
        || path.file_stem().is_some_and(|name| name == "tests" || name.to_string_lossy().ends_with("_tests"))
}

fn source_file(path: &Path, text: &str, findings: &mut Vec<String>) {
    let shown = path.display();
    if path.file_stem().is_some_and(|name| EMPTY_NAMES.iter().any(|empty| name == *empty)) {
        findings.push(format!("{shown}: a file name that says nothing"));
    }
    if is_test(path) {
        return;
    }
    if !text.trim_start().starts_with("//!") {
        findings.push(format!("{shown}: no module header"));
    }
    let production = without_tests(text);
    let lines = production.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{shown}: {lines} lines, more than {FILE_LINES_MAX}"));
    } else if lines > FILE_LINES_EXPLAINED {
        let header: String = production.lines().take_while(|line| line.starts_with("//!")).collect();
        if !header.contains("One file") {
            findings.push(format!(
                "{shown}: {lines} lines; split it, or say in the header why not (\"One file because …\")"
            ));
        }
    }
    long_functions(&shown.to_string(), production, findings);
}

/// The text up to the first module of tests that is written out in it. A mere `mod tests;` may stand anywhere.
fn without_tests(text: &str) -> &str {
    let opens = |rest: &str| {
        let item = rest.lines().skip(1).find(|line| !line.starts_with("#["));
        item.is_some_and(|item| item.contains("mod ") && item.ends_with('{'))
    };
    let mut marks = text.match_indices("\n#[cfg(test)]").map(|(at, _)| at);
    let end = marks.find(|at| opens(text.get(at + 1..).unwrap_or_default()));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// A function starts at a line with `fn` and ends at the closing brace of the same indentation.
fn long_functions(shown: &str, text: &str, findings: &mut Vec<String>) {
    let mut open: Option<(usize, usize, &str)> = None;
    for (number, line) in text.lines().enumerate() {
        let indentation = line.len() - line.trim_start().len();
        let code = line.trim_start();
        let starts = code.starts_with("fn ")
            || code.contains(" fn ") && !code.starts_with("//") && !code.contains('"');
        if starts && open.is_none() && !code.ends_with(';') && !code.ends_with('}') {
            open = Some((number, indentation, code));
        } else if let Some((start, depth, head)) = open
            && indentation == depth
            && code.starts_with('}')
        {
            let length = number - start + 1;
            if length > FUNCTION_LINES_MAX {
                let head = head.split('(').next().unwrap_or(head);
                findings.push(format!(
                    "{shown}:{}: `{head}` has {length} lines, more than {FUNCTION_LINES_MAX}",
                    start + 1
                ));
            }
            open = None;
        }
    }
}

/// A test file that no module names is a test that never runs.
fn tests_are_declared(root: &Path, files: &[PathBuf], findings: &mut Vec<String>) {
    let main = fs::read_to_string(root.join("tests/e2e/main.rs")).unwrap_or_default();
    for path in files.iter().filter(|path| path.parent() == Some(Path::new("tests/e2e"))) {
        let Some(name) = path.file_stem().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if path.extension().is_some_and(|extension| extension == "rs")
            && name != "main"
            && !main.contains(&format!("mod {name};"))
        {
            findings.push(format!("{}: not declared in tests/e2e/main.rs", path.display()));
        }
    }
}

/// Every guest of `tests/guests` is named by some test.
fn guests_have_tests(root: &Path, files: &[PathBuf], findings: &mut Vec<String>) -> Result<()> {
    let mut tests = String::new();
    for path in files.iter().filter(|path| {
        let inside = ["runtime", "tests/e2e", "tests/src"].iter().any(|folder| path.starts_with(folder));
        inside && path.extension().is_some_and(|extension| extension == "rs")
    }) {
        tests.push_str(&fs::read_to_string(root.join(path))?);
    }
    for entry in fs::read_dir(root.join("tests/guests"))? {
        let path = entry?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if path.join("Cargo.toml").exists() && !tests.contains(&format!("\"{name}\"")) {
            findings.push(format!("tests/guests/{name}: no test uses it"));
        }
    }
    Ok(())
}

/// An example is a page, a configuration that `check` accepts and, where it has one, a plugin.
fn examples_are_complete(root: &Path, findings: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(root.join("examples"))? {
        let path = entry?.path();
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        for file in ["README.md", "agent.kdl"] {
            if path.is_dir() && !path.join(file).exists() {
                findings.push(format!("{shown}: no {file}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_module_of_tests_that_is_written_out_ends_production_code() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\nb\n"), "a\n#[cfg(test)]\nmod tests;\nb\n");
        assert_eq!(
            without_tests("a\n#[cfg(test)]\nmod x;\nb\n#[cfg(test)]\nmod tests {\n}\n"),
            "a\n#[cfg(test)]\nmod x;\nb"
        );
    }
}
