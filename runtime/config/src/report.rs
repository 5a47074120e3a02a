//! Findings as people and editors read them.
//!
//! The text form shows the lines of the file with the place underlined, like a compiler does. It is written
//! here rather than by a library because it must fit any width, clip endless lines, and never change under
//! the tests that compare it.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Diagnostics, Files, Severity, Span};

/// Findings with the files they point into.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    diagnostics: &'a Diagnostics,
    files: &'a Files,
}

/// One finding for machines. `line`, `column` and `length` count characters, lines and columns from 1.
#[derive(Serialize)]
struct Entry<'a> {
    code: &'a str,
    severity: &'static str,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    length: Option<usize>,
    reason: &'a str,
    label: &'a str,
    help: Option<&'a str>,
}

/// Columns below which the layout no longer shrinks.
const WIDTH_MIN: usize = 40;
/// Characters shown before a place in a clipped line.
const CONTEXT: usize = 12;

impl<'a> Report<'a> {
    /// A report on these findings.
    pub fn new(diagnostics: &'a Diagnostics, files: &'a Files) -> Self {
        Self { diagnostics, files }
    }

    /// Errors and warnings, counted.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
        (errors, self.diagnostics.iter().count() - errors)
    }

    /// `3 errors, 1 warning`; empty when there is nothing.
    pub fn summary(&self) -> String {
        let (errors, warnings) = self.counts();
        let plural = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            count => Some(format!("{count} {word}s")),
        };
        let parts: Vec<String> =
            [plural(errors, "error"), plural(warnings, "warning")].into_iter().flatten().collect();
        parts.join(", ")
    }

    /// All findings for a terminal of this width.
    pub fn render_text(&self, colour: bool, width: usize) -> String {
        let paint = Paint { colour };
        let mut text = String::new();
        for (at, diagnostic) in self.diagnostics.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            let block = Block { files: self.files, diagnostic, paint, width: width.max(WIDTH_MIN) };
            // Writing into a string cannot fail.
            let _ = block.write(&mut text);
        }
        text
    }

    /// All findings as a JSON array.
    pub fn render_json(&self) -> String {
        let entries: Vec<Entry<'_>> =
            self.diagnostics.iter().map(|diagnostic| self.entry(diagnostic)).collect();
        serde_json::to_string_pretty(&entries).unwrap_or_else(|_| "[]".into())
    }

    fn entry(&self, diagnostic: &'a Diagnostic) -> Entry<'a> {
        let place = diagnostic.span.map(|span| self.files.line_column(span));
        Entry {
            code: diagnostic.code,
            severity: word(diagnostic.severity),
            file: diagnostic.span.map(|span| self.files.path(span.file).display().to_string()),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            length: diagnostic.span.map(|span| self.files.source(span).chars().count()),
            reason: &diagnostic.reason,
            label: &diagnostic.label,
            help: diagnostic.help.as_deref(),
        }
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[derive(Debug, Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    const RED: &'static str = "1;31";
    const YELLOW: &'static str = "1;33";
    const BLUE: &'static str = "34";
    const GREEN: &'static str = "32";
    const BOLD: &'static str = "1";

    fn with(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }

    fn severity(severity: Severity) -> &'static str {
        match severity {
            Severity::Error => Self::RED,
            Severity::Warning => Self::YELLOW,
        }
    }
}

/// One finding being written.
struct Block<'a> {
    files: &'a Files,
    diagnostic: &'a Diagnostic,
    paint: Paint,
    width: usize,
}

impl Block<'_> {
    fn write(&self, out: &mut String) -> fmt::Result {
        let Diagnostic { code, severity, reason, span, label, help, related } = self.diagnostic;
        let colour = Paint::severity(*severity);
        let head = self.paint.with(colour, &format!("{}[{code}]", word(*severity)));
        let reason = wrapped(&clean(reason), self.width.saturating_sub(code.len() + 10).max(WIDTH_MIN - 10));
        writeln!(out, "{head}: {}", self.paint.with(Paint::BOLD, &reason.join("\n  ")))?;
        let Some(span) = span else {
            return self.write_help(out, help.as_deref(), 0);
        };
        // What was not written anywhere, such as options from a command line, has no place to show.
        let related = related.iter().filter(|(span, _)| self.files.has(span.file));
        let places = std::iter::once(span).chain(related.clone().map(|(span, _)| span));
        let margin = places.map(|span| self.files.line_column(*span).0.to_string().len()).max().unwrap_or(1);
        self.write_place(out, *span, label, margin, '^', colour)?;
        for (span, label) in related {
            self.write_place(out, *span, label, margin, '-', Paint::BLUE)?;
        }
        self.write_help(out, help.as_deref(), margin)
    }

    fn write_place(
        &self,
        out: &mut String,
        span: Span,
        label: &str,
        margin: usize,
        mark: char,
        colour: &str,
    ) -> fmt::Result {
        let (line, column) = self.files.line_column(span);
        let path = self.files.path(span.file).display();
        let blue = |text: &str| self.paint.with(Paint::BLUE, text);
        writeln!(out, "{:margin$}{} {path}:{line}:{column}", "", blue("-->"))?;
        let label = clean(label);
        let room = self.width.saturating_sub(margin + 3);
        let Line { text, before, marked } = self.line(span, room, label.chars().count() + 1);
        let gap = if text.is_empty() { "" } else { " " };
        writeln!(out, "{}{gap}{text}", blue(&format!("{line:margin$} |")))?;
        let marks = mark.to_string().repeat(marked.max(1));
        let gap = if label.is_empty() { "" } else { " " };
        let under = self.paint.with(colour, &format!("{marks}{gap}{label}"));
        writeln!(out, "{:margin$} {} {:before$}{under}", "", blue("|"), "")
    }

    fn write_help(&self, out: &mut String, help: Option<&str>, margin: usize) -> fmt::Result {
        let Some(help) = help else { return Ok(()) };
        let lines = wrapped(&clean(help), self.width.saturating_sub(margin + 9));
        let head = self.paint.with(Paint::GREEN, "help");
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                writeln!(out, "{:margin$} = {head}: {line}", "")?;
            } else {
                writeln!(out, "{:margin$}         {line}", "")?;
            }
        }
        Ok(())
    }

    /// The line of a place, clipped around it, with control characters made visible.
    fn line(&self, span: Span, room: usize, label: usize) -> Line {
        let text = self.files.text(span.file);
        let start =
            text.get(..span.offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let line = text.get(start..).unwrap_or_default().split(['\n', '\r']).next().unwrap_or_default();
        let offset = span.offset.saturating_sub(start).min(line.len());
        let end = (offset + span.length).min(line.len());
        let head: Vec<char> = expanded(line.get(..offset).unwrap_or_default());
        let body: Vec<char> = expanded(line.get(offset..end).unwrap_or_default());
        let tail: Vec<char> = expanded(line.get(end..).unwrap_or_default());
        // Enough of the start is left out for the place and its label, but some text before it stays.
        let wanted = (head.len() + body.len() + label).saturating_sub(room);
        let skip = wanted.min(head.len().saturating_sub(CONTEXT));
        let marked = body.len().min(room.saturating_sub(head.len() - skip));
        let all: Vec<char> = head.iter().chain(&body).chain(&tail).skip(skip).copied().collect();
        let mut shown: String = all.iter().take(room).collect();
        if all.len() > room {
            shown.pop();
            shown.push('…');
        }
        if skip > 0 {
            shown = std::iter::once('…').chain(shown.chars().skip(1)).collect();
        }
        Line { text: shown.trim_end().to_owned(), before: head.len() - skip, marked }
    }
}

struct Line {
    text: String,
    /// Characters in front of the place.
    before: usize,
    /// Characters of the place.
    marked: usize,
}

/// Tabs as four blanks, other control characters as `·`: what arrives on the terminal is one cell each.
fn expanded(text: &str) -> Vec<char> {
    let mut cells = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => cells.extend([' '; 4]),
            c if c.is_control() || ('\u{202A}'..='\u{202E}').contains(&c) || c == '\u{FEFF}' => {
                cells.push('·')
            }
            c => cells.push(c),
        }
    }
    cells
}

/// A sentence without line breaks or control characters: values from a file may hold anything.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Words on lines of at most this width.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
