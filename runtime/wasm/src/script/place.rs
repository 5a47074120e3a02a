//! What is wrong with a script, told at the line it is about.

use millrace_config::{Diagnostic, Diagnostics, Node, ScriptSpec, Span, pointer_span};

use crate::{bindings::Issue, diagnostics::ISSUES_MAX, host::escaped, instance::StartError};

/// Where the engine puts what concerns the text: `/script/source/LINE/COLUMN`.
const SOURCE: &str = "/script/source";

/// Where it puts what concerns the options: the pointer follows.
const OPTIONS: &str = "/options";

/// What loading a script and its `configure` came to.
pub(crate) fn start_diagnostics(
    error: StartError,
    script: &ScriptSpec,
    name: &str,
    options: &Node,
) -> Diagnostics {
    let mut all = Diagnostics::default();
    match error {
        StartError::Fault(fault) => {
            let reason = format!("script {name} broke while it was loaded: {fault}");
            let diagnostic = in_script(script, "script::fault", None, reason);
            all.push(if fault.backtrace.is_empty() {
                diagnostic
            } else {
                diagnostic.help(format!("where it was, innermost first:\n{}", fault.backtrace))
            });
        }
        StartError::Issues(issues) => {
            for Issue { path, reason } in issues.into_iter().take(ISSUES_MAX) {
                all.push(issue(script, name, options, &path, &reason));
            }
        }
    }
    all
}

fn issue(script: &ScriptSpec, name: &str, options: &Node, path: &str, reason: &str) -> Diagnostic {
    let reason = format!("script {name}: {}", escaped(reason, 1024));
    if let Some(pointer) = path.strip_prefix(OPTIONS) {
        return Diagnostic::error("script::configure", pointer_span(options, pointer), reason);
    }
    let place = path.strip_prefix(SOURCE).and_then(|place| {
        let (line, column) = place.strip_prefix('/')?.split_once('/')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    in_script(script, "script::error", place, reason)
}

/// A finding in the file of the script, or, where it stands in the configuration, at the script as a whole.
fn in_script(
    script: &ScriptSpec,
    code: &'static str,
    place: Option<(usize, usize)>,
    reason: String,
) -> Diagnostic {
    match (script.file, place) {
        (Some(file), Some((line, column))) => {
            let (offset, length) = word_at(&script.text, line, column);
            Diagnostic::error(code, Span { file, offset, length }, reason)
                .label("here")
                .related(script.span, "the script is named here")
        }
        (Some(_), None) => Diagnostic::error(code, script.span, reason).label("in this file"),
        (None, Some((line, column))) => {
            Diagnostic::error(code, script.span, format!("{reason}, in line {line}, column {column} of it"))
                .label("in this script")
        }
        (None, None) => Diagnostic::error(code, script.span, reason).label("in this script"),
    }
}

/// The bytes of the word at a line and a column, both from 1; a place behind the end of a line is its end.
fn word_at(text: &str, line: usize, column: usize) -> (usize, usize) {
    let mut start = 0;
    let lines = text.split_inclusive('\n');
    for skipped in lines.take(line.saturating_sub(1)) {
        start += skipped.len();
    }
    let rest = text.get(start..).unwrap_or_default();
    let here = rest.lines().next().unwrap_or_default();
    let before: usize = here.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    let rest = here.get(before..).unwrap_or_default();
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '#');
    let word: usize = rest.chars().take_while(|c| is_word(*c)).map(char::len_utf8).sum();
    let length = if word > 0 { word } else { rest.chars().next().map_or(0, char::len_utf8) };
    (start + before, length)
}

#[cfg(test)]
mod tests {
    use super::word_at;

    #[test]
    fn a_place_becomes_the_word_that_stands_there() {
        let text = "let a;\nconst größe = 1;\n\nx ?";
        let word = |line, column| {
            let (offset, length) = word_at(text, line, column);
            &text[offset..offset + length]
        };
        assert_eq!(word(1, 1), "let");
        assert_eq!(word(2, 7), "größe");
        assert_eq!(word(2, 13), "=");
        assert_eq!(word(4, 3), "?");
    }

    #[test]
    fn a_place_that_is_not_there_is_the_nearest_end() {
        assert_eq!(word_at("ab\ncd", 1, 99), (2, 0));
        assert_eq!(word_at("ab\ncd", 9, 1), (5, 0));
        assert_eq!(word_at("", 1, 1), (0, 0));
    }
}
