//! Option tables as text for a terminal and as Markdown: `millrace explain` and the reference pages.

use std::fmt::Write;

use crate::{
    option::{OptionKind, OptionSpec},
    report::wrapped,
};

/// What is explained: a component, or a block such as `agent`.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    /// How it is written: `taildir`, `agent`.
    pub name: &'a str,
    /// One line, as in its factory.
    pub summary: &'a str,
    /// Its options.
    pub options: &'a [OptionSpec],
    /// KDL that can be pasted, if there is some.
    pub example: Option<&'a str>,
}

/// An option in words: one out of a table of ours, or one that a plugin declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedOption {
    /// How it is written.
    pub name: String,
    /// What it holds, its default, and whether it is required, in one line.
    pub facts: String,
    /// What it does, in one line.
    pub summary: String,
    /// The options inside of it.
    pub inner: Vec<ExplainedOption>,
}

impl From<&OptionSpec> for ExplainedOption {
    fn from(option: &OptionSpec) -> Self {
        let inner = inner(option.kind).unwrap_or_default();
        Self {
            name: option.name.to_owned(),
            facts: facts(option),
            summary: option.summary.to_owned(),
            inner: inner.iter().map(Self::from).collect(),
        }
    }
}

/// For a terminal of this width.
pub fn explain_text(what: &Explained<'_>, colour: bool, width: usize) -> String {
    let options: Vec<ExplainedOption> = what.options.iter().map(ExplainedOption::from).collect();
    explain_options(what.name, what.summary, &options, what.example, colour, width)
}

/// As [`explain_text`], for options that are in no table.
pub fn explain_options(
    name: &str,
    summary: &str,
    options: &[ExplainedOption],
    example: Option<&str>,
    colour: bool,
    width: usize,
) -> String {
    let mut text = String::new();
    let bold = |text: &str| if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
    line(&mut text, 0, &format!("{}: {summary}", bold(name)), width);
    if !options.is_empty() {
        text.push_str(&format!("\n{}\n", bold("Options")));
        options_text(&mut text, options, 1, width, &bold);
    }
    if let Some(example) = example {
        text.push_str(&format!("\n{}\n", bold("Example")));
        for row in example.trim_end().lines() {
            text.push_str(format!("  {row}").trim_end());
            text.push('\n');
        }
    }
    text
}

fn options_text(
    text: &mut String,
    options: &[ExplainedOption],
    depth: usize,
    width: usize,
    bold: &dyn Fn(&str) -> String,
) {
    for option in options {
        let head = format!("{}  {}", bold(&option.name), option.facts);
        line(text, depth * 2, &head, width);
        if !option.summary.is_empty() {
            line(text, depth * 2 + 4, &option.summary, width);
        }
        options_text(text, &option.inner, depth + 2, width, bold);
    }
}

fn line(text: &mut String, indent: usize, content: &str, width: usize) {
    for row in wrapped(content, width.saturating_sub(indent).max(30)) {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{:indent$}{row}", "");
    }
}

/// For the reference pages: a heading, the options as a table, the example.
pub fn explain_markdown(what: &Explained<'_>, heading: usize) -> String {
    let mut text = format!("{} `{}`\n\n{}.\n", "#".repeat(heading.max(1)), what.name, what.summary);
    if !what.options.is_empty() {
        text.push_str("\n| option | value | default | what it does |\n|---|---|---|---|\n");
        rows(&mut text, what.options, "");
    }
    if let Some(example) = what.example {
        let _ = write!(text, "\n```kdl\n{}\n```\n", example.trim_end());
    }
    text
}

fn rows(text: &mut String, options: &[OptionSpec], outer: &str) {
    for option in options {
        let path = if outer.is_empty() { option.name.to_owned() } else { format!("{outer} {}", option.name) };
        let default = match (option.default, option.required) {
            (_, true) => "required".to_owned(),
            (Some(""), _) | (None, _) => String::new(),
            (Some(default), _) => format!("`{default}`"),
        };
        let kind = cell(&kind_text(option.kind));
        let _ = writeln!(text, "| `{path}` | {kind} | {default} | {} |", cell(option.summary));
        if let Some(inner) = inner(option.kind) {
            rows(text, inner, &path);
        }
    }
}

/// A bar would end the cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// Value and default of an option in one line.
fn facts(option: &OptionSpec) -> String {
    let kind = kind_text(option.kind);
    match option.default {
        _ if option.required => format!("{kind}, required"),
        Some("") | None => kind,
        Some(default) => format!("{kind}, default {default}"),
    }
}

fn inner(kind: OptionKind) -> Option<&'static [OptionSpec]> {
    match kind {
        OptionKind::Block(inner) | OptionKind::Blocks(inner) | OptionKind::Cases(inner) => Some(inner),
        _ => None,
    }
}

/// What an option holds, for people.
fn kind_text(kind: OptionKind) -> String {
    match kind {
        OptionKind::Text => "text".into(),
        OptionKind::Integer { min, max } => format!("whole number{}", integer_range(min, max)),
        OptionKind::Float { min, max } => match (min.is_finite(), max.is_finite() && max < f64::MAX) {
            (true, true) => format!("number from {min} to {max}"),
            (true, false) => format!("number, at least {min}"),
            (false, true) => format!("number, at most {max}"),
            (false, false) => "number".into(),
        },
        OptionKind::Boolean => "`#true` or `#false`".into(),
        OptionKind::Size => "size, such as \"64MiB\"".into(),
        OptionKind::Duration => "time span, such as \"30s\"".into(),
        OptionKind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("one of {}", words.join(", "))
        }
        OptionKind::Path => "path".into(),
        OptionKind::TextFile => "path of a text file".into(),
        OptionKind::Regex => "regular expression".into(),
        OptionKind::Address => "\"host:port\"".into(),
        OptionKind::Texts => "one or more texts".into(),
        OptionKind::Paths => "one or more paths".into(),
        OptionKind::Addresses => "one or more \"host:port\"".into(),
        OptionKind::Map => "names with texts".into(),
        OptionKind::Plugin => "name of a plugin, with its options".into(),
        OptionKind::Block(_) => "group of options".into(),
        OptionKind::Blocks(_) => "group of options, repeatable, with an optional name".into(),
        OptionKind::Cases(_) => "group of options, repeatable, with one or more names".into(),
    }
}

fn integer_range(min: i64, max: i64) -> String {
    match (min, max) {
        (i64::MIN, i64::MAX) => String::new(),
        (i64::MIN, max) => format!(", at most {max}"),
        (min, i64::MAX) => format!(", at least {min}"),
        (min, max) => format!(" from {min} to {max}"),
    }
}
