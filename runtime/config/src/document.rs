//! KDL text as a tree of [`Node`]s: the only module that names `kdl`.
//!
//! The text first goes through [`crate::scan`], which keeps deep nesting from the recursive parser and mends
//! what is certain. What the parser then still reports is cut down to one finding per line: it recovers and
//! goes on, so most of what follows a first report is an echo.

use std::{ops::Range, thread};

use kdl::{KdlDiagnostic, KdlDocument, KdlEntry, KdlNode, KdlValue};

use crate::{
    diagnostic::{Diagnostic, Diagnostics, FileId, Span},
    expand::Expander,
    node::{Node, Property, Scalar, Spanned},
    repair::Repaired,
    scan::{self, Scan},
};

/// Largest configuration file.
pub(crate) const FILE_BYTES_MAX: u64 = 16 << 20;
/// Release builds of the parser overflow 2 MiB between 300 and 400 levels; the scan allows 32.
const STACK_BYTES: usize = 64 << 20;
/// Findings shown of a text that is not KDL.
const FINDINGS_MAX: usize = 10;
/// Reports of the parser that are looked at; it can give one for every byte.
const REPORTS_MAX: usize = 100;
/// Findings taken over from the parser, one per line.
const PARSER_FINDINGS_MAX: usize = 5;

/// What could be made of a text.
#[derive(Debug, Default)]
pub(crate) struct Document {
    pub(crate) nodes: Vec<Node>,
    pub(crate) found: Diagnostics,
    /// Whether the nodes are what the text says. If not, checking them further would report echoes.
    pub(crate) is_whole: bool,
}

/// Reads a text, mending and reporting what is wrong with it.
pub(crate) fn parse(file: FileId, text: &str, expander: &Expander<'_>) -> Document {
    parse_on(STACK_BYTES, file, text, expander)
}

fn parse_on(stack_bytes: usize, file: FileId, text: &str, expander: &Expander<'_>) -> Document {
    let Scan { mut findings, edits, guessed, hopeless } = scan::scan(file, text);
    if hopeless {
        let more = findings.len().saturating_sub(FINDINGS_MAX);
        findings.truncate(FINDINGS_MAX);
        if more > 0 {
            findings
                .push(Diagnostic::general("config::syntax", "there is more; this does not look like KDL"));
        }
        let mut document = Document::default();
        findings.into_iter().for_each(|finding| document.found.push(finding));
        return document;
    }
    let repaired = Repaired::new(text, edits);
    let mut document = Document::default();
    let mut converter = Converter { file, repaired: &repaired, expander, found: Diagnostics::default() };
    match parse_aside(&repaired.text, stack_bytes) {
        Ok(parsed) => {
            document.nodes = converter.nodes(&parsed);
            document.is_whole = !guessed;
        }
        Err(reports) => {
            let echoes = converter.parser_findings(text, reports, &findings);
            findings.extend(echoes);
        }
    }
    findings.into_iter().for_each(|finding| document.found.push(finding));
    document.found.extend(converter.found);
    document
}

/// Runs the parser on a stack of its own.
fn parse_aside(text: &str, stack_bytes: usize) -> Result<KdlDocument, Vec<KdlDiagnostic>> {
    thread::scope(|scope| {
        let work = || KdlDocument::parse_v2(text).map_err(|error| error.diagnostics);
        let spawned =
            thread::Builder::new().name("kdl".into()).stack_size(stack_bytes).spawn_scoped(scope, work);
        match spawned.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            // Neither a panic of the parser nor a lack of threads has a place in the text.
            Ok(Err(_)) | Err(_) => Err(Vec::new()),
        }
    })
}

struct Converter<'a> {
    file: FileId,
    repaired: &'a Repaired<'a>,
    expander: &'a Expander<'a>,
    found: Diagnostics,
}

impl Converter<'_> {
    fn span(&self, range: Range<usize>) -> Span {
        let range = self.repaired.original(range);
        Span { file: self.file, offset: range.start, length: range.len() }
    }

    fn nodes(&mut self, document: &KdlDocument) -> Vec<Node> {
        document.nodes().iter().map(|node| self.node(node)).collect()
    }

    fn node(&mut self, node: &KdlNode) -> Node {
        let name_start = node.name().span().offset();
        let name_span = self.span(name_start..name_start + node.name().span().len());
        let start = node.span().offset();
        if node.ty().is_some() {
            self.annotation(Span { offset: self.span(start..start).offset, length: 1, file: self.file });
        }
        let mut arguments = Vec::new();
        let mut properties = Vec::new();
        for entry in node.entries() {
            let value = self.value(entry);
            match entry.name() {
                None => arguments.push(value),
                Some(name) => {
                    let at = name.span().offset();
                    let span = self.span(at..at + name.span().len());
                    properties.push(Property { name: Spanned::new(name.value().into(), span), value });
                }
            }
        }
        Node {
            name: Spanned::new(node.name().value().into(), name_span),
            arguments,
            properties,
            children: node.children().map(|children| self.nodes(children)).unwrap_or_default(),
            span: self.span(start..start + node.span().len()),
        }
    }

    /// kdl has no span for a property's value: it is the end of the entry.
    fn value(&mut self, entry: &KdlEntry) -> Spanned<Scalar> {
        let end = entry.span().offset() + entry.span().len();
        let length = entry.format().map_or(entry.span().len(), |format| format.value_repr.len());
        let span = self.span(end.saturating_sub(length)..end);
        if entry.ty().is_some() {
            self.annotation(span);
        }
        let value = match entry.value() {
            KdlValue::String(text) => Scalar::Text(self.expander.expand(text, span, &mut self.found)),
            KdlValue::Integer(number) => Scalar::Integer(*number),
            KdlValue::Float(number) => Scalar::Float(*number),
            KdlValue::Bool(yes) => Scalar::Boolean(*yes),
            KdlValue::Null => Scalar::Null,
        };
        Spanned::new(value, span)
    }

    fn annotation(&mut self, span: Span) {
        self.found.push(
            Diagnostic::error("config::annotation", span, "type annotations have no meaning here")
                .label("leave out the word in parentheses"),
        );
    }

    /// The parser's reports: the earliest, one per line, none on a line that is already reported.
    fn parser_findings(
        &self,
        text: &str,
        mut reports: Vec<KdlDiagnostic>,
        known: &[Diagnostic],
    ) -> Vec<Diagnostic> {
        let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count();
        let mut lines: Vec<usize> =
            known.iter().filter_map(|known| known.span).map(|span| line(span.offset)).collect();
        let mut findings = Vec::new();
        reports.sort_by_key(|report| report.span.offset() + report.span.len());
        reports.truncate(REPORTS_MAX);
        for report in &reports {
            let span = self.last_line(report);
            let at = line(span.offset);
            if findings.len() >= PARSER_FINDINGS_MAX || lines.contains(&at) {
                continue;
            }
            lines.push(at);
            findings.push(finding(report, span));
        }
        if findings.is_empty() && known.is_empty() {
            findings.push(Diagnostic::general("config::syntax", "the file cannot be read as KDL"));
        }
        findings
    }

    /// A report may span the document up to the mistake; its last line is where the mistake is.
    fn last_line(&self, report: &KdlDiagnostic) -> Span {
        let start = report.span.offset();
        let mended = &self.repaired.text;
        let slice = mended.get(start..start + report.span.len()).unwrap_or_default().trim_end();
        let cut = slice.rfind('\n').map_or(0, |newline| newline + 1);
        let line = slice.get(cut..).unwrap_or_default();
        let blank = line.len() - line.trim_start().len();
        self.span(start + cut + blank..start + slice.len())
    }
}

fn finding(report: &KdlDiagnostic, span: Span) -> Diagnostic {
    let message = report.message.as_deref().unwrap_or("unexpected text");
    let mut finding = Diagnostic::error("config::syntax", span, plain_sentence(message)).label("here");
    if let Some(help) = &report.help {
        finding = finding.help(plain_sentence(help));
    }
    finding
}

/// Our style of messages: one line, no capital, no full stop.
fn plain_sentence(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut letters = line.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::MapEnvironment;

    const PIECES: &[&str] = &[
        "a", "{", "}", " ", "\n", ";", "\"m\"", "=", "#true", "30s", "/a/b", "//", "/*", "*/", "/-",
        "r#\"x\"#", "#\"", "\"", "\\", "(", ")", "(a)", "[", "]", ",", "'", "1", ".5", "\u{2028}", "\"\"\"",
        "{}", "a b=1", "a=", "\u{c}", "-", "/", "*",
    ];

    /// The parser calls itself for some kinds of junk. Whatever gets past the scan must not make it do so once
    /// per repetition: 2,700 calls do not fit this stack, and an overflow ends the test process.
    #[test]
    fn repeated_junk_does_not_make_the_parser_recurse() {
        let environment = MapEnvironment::default();
        let expander = Expander { environment: &environment, folder: Path::new("") };
        for first in PIECES {
            for second in PIECES {
                for third in ["", " ", "\n"] {
                    let pattern = format!("{first}{second}{third}");
                    let text = pattern.repeat(8000 / pattern.len());
                    let document = parse_on(2 << 20, FileId::default(), &text, &expander);
                    assert!(document.is_whole || document.found.has_errors(), "{pattern:?}");
                }
            }
        }
    }
}
