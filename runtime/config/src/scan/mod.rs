//! A first pass over KDL text: finds the usual slips, says how to mend them, and keeps the parser safe.
//!
//! kdl's parser recurses on nested blocks, nested comments and stray `}` (200,000 of the latter end the
//! process), and it reports one mistake as several. So this pass runs first. It knows just enough of KDL's
//! lexical rules to balance braces and to recognise a value that needs quotes, `true` for `#true`, and the
//! like. Each slip carries an edit that mends it; where the meaning is certain the mended text is read on, and
//! the mistakes behind the slip are found in the same run.
//!
//! Invariants: valid KDL gives no slips (with the exceptions listed in `words`, which KDL reads as something
//! nobody means); the mended text has balanced braces and comments, nested less than [`DEPTH_MAX`].

mod braces;
mod strings;
mod words;

use std::ops::Range;

use crate::diagnostic::{Diagnostic, FileId, Span};
use braces::Open;

/// Blocks within blocks; configurations need about six.
pub(crate) const DEPTH_MAX: usize = 32;
/// Values and properties of one node; the parser's time grows with their square.
const WORDS_MAX: usize = 10_000;
/// Slips after which a text is taken for something other than KDL.
pub(crate) const SLIPS_MAX: usize = 40;

/// A change to the text that mends a slip.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) text: String,
}

/// What the pass found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) findings: Vec<Diagnostic>,
    pub(crate) edits: Vec<Edit>,
    /// Whether some edit is a guess: the mended text may not say what was meant.
    pub(crate) guessed: bool,
    /// Whether the rest of the text makes no sense; it must not reach the parser.
    pub(crate) hopeless: bool,
}

/// What stands before the current place on the same node.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    /// Nothing yet: a node's name comes next.
    Start,
    /// The node's name.
    Name,
    /// A value, or the name of a property.
    Value,
    /// A property with its value.
    Property,
    /// An equals sign, at this offset.
    Equals(usize),
    /// The end of a block.
    Block,
}

struct Scanner<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    /// Where the current line starts, as far as the pass has seen lines.
    line_start: usize,
    before: Before,
    blocks: Vec<Open>,
    /// Values and properties of the current node so far.
    words: usize,
    /// A `/-` whose victim has not come yet.
    slashdash: Option<usize>,
    /// Open `[`, which KDL does not have.
    lists: usize,
    scan: Scan,
}

/// Looks through a text.
pub(crate) fn scan(file: FileId, text: &str) -> Scan {
    let mut scanner = Scanner {
        file,
        text,
        at: if text.starts_with('\u{FEFF}') { 3 } else { 0 },
        line_start: 0,
        before: Before::Start,
        blocks: Vec::new(),
        words: 0,
        slashdash: None,
        lists: 0,
        scan: Scan::default(),
    };
    while let Some(next) = scanner.peek() {
        scanner.step(next);
        if scanner.scan.findings.len() >= SLIPS_MAX {
            scanner.scan.hopeless = true;
        }
        if scanner.scan.hopeless {
            return scanner.scan;
        }
    }
    scanner.end_slashdash();
    scanner.end_node();
    scanner.close_all();
    scanner.scan
}

pub(crate) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{0B}' | '\u{0C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(c: char) -> bool {
    !is_newline(c) && (c == '\u{FEFF}' || c.is_whitespace())
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self, next: char) {
        match next {
            c if is_newline(c) => {
                self.end_node();
                self.at += c.len_utf8();
                self.line_start = self.at;
            }
            c if is_blank(c) && c != '\u{FEFF}' => self.at += c.len_utf8(),
            ';' => {
                self.end_slashdash();
                self.end_node();
                self.at += 1;
            }
            '{' => self.open_block(),
            '}' => self.close_block(),
            '(' | ')' => self.parenthesis(),
            '[' | ']' => self.list(next),
            ',' => self.comma(),
            '=' => self.equals(),
            '/' if self.rest().starts_with("//") => self.skip_line(),
            '/' if self.rest().starts_with("/*") => self.skip_comment(),
            '/' if self.rest().starts_with("/-") => self.slashdash(),
            '\\' if self.continues_line() => {}
            '"' => self.quoted(),
            '#' => self.hash(),
            c if is_disallowed(c) => self.disallowed(c),
            _ => self.word(),
        }
    }

    /// A value or name that takes this range was read.
    fn read_word(&mut self, end: usize) {
        self.slashdash = None;
        self.separate();
        self.words = if self.before == Before::Start { 0 } else { self.words + 1 };
        if self.words > WORDS_MAX {
            let reason = format!("more than {WORDS_MAX} values on one node");
            let finding = self.finding("config::too-many", self.at..end, reason).label("one too many");
            self.give_up(finding);
        }
        self.before = match self.before {
            Before::Start | Before::Block => Before::Name,
            Before::Name | Before::Value | Before::Property => Before::Value,
            Before::Equals(_) => Before::Property,
        };
        self.at = end;
    }

    /// `a { … } b`: a new node needs a new line.
    fn separate(&mut self) {
        if self.before == Before::Block {
            let here = self.at..self.at;
            let finding = self
                .finding(
                    "config::separator",
                    here.start..here.start + 1,
                    "a node follows another on the same line",
                )
                .label("needs a new line")
                .help("put it on a line of its own, or write `;` before it");
            self.mend(finding, here, "; ");
            self.before = Before::Start;
        }
    }

    /// `/-` comments out what follows; it may follow on a later line, but something must.
    fn slashdash(&mut self) {
        self.end_slashdash();
        self.slashdash = Some(self.at);
        self.at += 2;
    }

    fn end_slashdash(&mut self) {
        let Some(at) = self.slashdash.take() else { return };
        let finding = self
            .finding("config::syntax", at..at + 2, "`/-` comments out nothing")
            .label("nothing follows")
            .help("`/-` stands directly before a node, a value or a block; `//` comments out a line");
        self.guess(finding, at..at + 2, "  ");
    }

    fn end_node(&mut self) {
        if let Before::Equals(at) = self.before {
            let finding = self
                .finding("config::equals", at..at + 1, "a value is missing after `=`")
                .label("nothing follows")
                .help("write `name=value`, the value in quotes unless it is a number or a single word");
            self.guess(finding, at..at + 1, " ");
        }
        self.before = Before::Start;
    }

    fn equals(&mut self) {
        let at = self.at;
        self.end_slashdash();
        self.at += 1;
        if self.before == Before::Name {
            let finding = self
                .finding("config::equals", at..at + 1, "an option between braces is written without `=`")
                .label("leave it out")
                .help("write `name value`; `name=value` is for what follows a node's name");
            self.mend(finding, at..at + 1, " ");
            return;
        }
        if self.before != Before::Value {
            let finding = self
                .finding("config::equals", at..at + 1, "`=` without a name before it")
                .label("not expected here")
                .help("write `name=value`");
            self.guess(finding, at..at + 1, " ");
            return;
        }
        self.before = Before::Equals(at);
    }

    fn comma(&mut self) {
        let at = self.at;
        self.at += 1;
        let finding = self
            .finding("config::separator", at..at + 1, "values are separated by blanks, not by commas")
            .label("leave it out");
        self.mend(finding, at..at + 1, " ");
    }

    fn list(&mut self, bracket: char) {
        let at = self.at;
        self.at += 1;
        if bracket == ']' && self.lists > 0 {
            self.lists -= 1;
            self.scan.edits.push(Edit { range: at..at + 1, text: " ".into() });
            return;
        }
        self.lists += usize::from(bracket == '[');
        let finding = self
            .finding("config::separator", at..at + 1, "a list is written without brackets")
            .label("leave it out")
            .help("write the values one after the other: `name \"a\" \"b\"`");
        self.mend(finding, at..at + 1, " ");
    }

    /// `(type)` is KDL, though without a meaning here; a parenthesis by itself is not.
    fn parenthesis(&mut self) {
        let at = self.at;
        let annotation = self.rest().find(')').and_then(|end| self.rest().get(1..end)).filter(|inner| {
            !inner.is_empty() && inner.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        });
        if let Some(inner) = annotation.filter(|_| self.rest().starts_with('(')) {
            self.at += inner.len() + 2;
            return;
        }
        self.at += 1;
        let finding = self
            .finding("config::needs-quotes", at..at + 1, "a text with parentheses needs quotes")
            .label("cannot stand here");
        self.guess(finding, at..at + 1, " ");
    }

    fn disallowed(&mut self, c: char) {
        let range = self.at..self.at + c.len_utf8();
        self.at = range.end;
        let finding = self
            .finding(
                "config::character",
                range.clone(),
                format!("character U+{:04X} is not allowed", u32::from(c)),
            )
            .label("invisible character")
            .help("delete it; in a quoted string write it as an escape such as \\u{1b}");
        self.guess(finding, range, " ");
    }

    fn skip_line(&mut self) {
        let length = self.rest().find(is_newline).unwrap_or(self.rest().len());
        self.at += length;
    }

    fn skip_comment(&mut self) {
        let start = self.at;
        let mut depth = 0;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
                if depth > DEPTH_MAX {
                    return self.too_deep(self.at - 2, "comments");
                }
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                let finding = self
                    .finding("config::unterminated", start..start + 2, "the comment is never closed")
                    .label("opened here")
                    .help("close it with `*/`; comments nest, each `/*` needs its own");
                return self.give_up(finding);
            }
        }
    }

    fn too_deep(&mut self, at: usize, what: &str) {
        let reason = format!("{what} are nested more than {DEPTH_MAX} levels deep");
        let finding = self.finding("config::too-deep", at..at + 1, reason).label("one level too many");
        self.give_up(finding);
    }

    /// `\` at the end of a line continues it.
    fn continues_line(&mut self) -> bool {
        let after = self.rest().get(1..).unwrap_or_default();
        let blanks = after.len() - after.trim_start_matches(is_blank).len();
        let rest = after.get(blanks..).unwrap_or_default();
        let Some(next) = rest.chars().next() else {
            self.at = self.text.len();
            return true;
        };
        if rest.starts_with("//") {
            self.at += 1 + blanks;
            self.skip_line();
        } else if is_newline(next) {
            self.at += 1 + blanks;
        } else {
            return false;
        }
        self.at += if self.rest().starts_with("\r\n") { 2 } else { self.peek().map_or(0, char::len_utf8) };
        true
    }

    fn finding(&self, code: &'static str, range: Range<usize>, reason: impl Into<String>) -> Diagnostic {
        let span = Span { file: self.file, offset: range.start, length: range.len() };
        Diagnostic::error(code, span, reason)
    }

    /// A slip whose meaning is certain.
    fn mend(&mut self, finding: Diagnostic, range: Range<usize>, text: impl Into<String>) {
        self.scan.findings.push(finding);
        self.scan.edits.push(Edit { range, text: text.into() });
    }

    /// A slip that is taken out of the way without knowing what was meant.
    fn guess(&mut self, finding: Diagnostic, range: Range<usize>, text: impl Into<String>) {
        self.mend(finding, range, text);
        self.scan.guessed = true;
    }

    fn give_up(&mut self, finding: Diagnostic) {
        self.scan.findings.push(finding);
        self.scan.hopeless = true;
    }
}

/// The code points that KDL allows nowhere but in escapes.
fn is_disallowed(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}
