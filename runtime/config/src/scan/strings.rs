//! Quoted and raw strings: where they end, and what is wrong inside.

use super::{Before, Scanner, is_blank, is_newline};

impl Scanner<'_> {
    /// At `"`: a quoted string, on one line or between `"""`.
    pub(super) fn quoted(&mut self) {
        let start = self.at;
        let Some(end) =
            (if self.rest().starts_with("\"\"\"") { self.multi_line_end() } else { self.line_end() })
        else {
            return;
        };
        self.read_word(end);
        self.glued(start);
    }

    fn multi_line_end(&mut self) -> Option<usize> {
        let start = self.at;
        let mut at = start + 3;
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            if rest.starts_with("\"\"\"") {
                return Some(at + 3);
            }
            let mut letters = rest.chars();
            match letters.next() {
                Some('\\') => at += 1 + letters.next().map_or(0, char::len_utf8),
                Some(c) => at += c.len_utf8(),
                None => break,
            }
        }
        let finding = self
            .finding("config::unterminated", start..start + 3, "the multi-line string is never closed")
            .label("opened here")
            .help("close it with `\"\"\"` on a line of its own");
        self.give_up(finding);
        None
    }

    fn line_end(&mut self) -> Option<usize> {
        let start = self.at;
        let mut at = start + 1;
        let mut bad_escape = None;
        let mut edits = Vec::new();
        loop {
            let rest = self.text.get(at..).unwrap_or_default();
            let mut letters = rest.chars();
            match letters.next() {
                Some('"') => break,
                Some('\\') => {
                    let length = escape_length(rest);
                    if length == 0 {
                        bad_escape.get_or_insert((at, letters.next()));
                        edits.push(super::Edit { range: at..at, text: "\\".into() });
                    }
                    at += length.max(1);
                }
                Some(c) if !is_newline(c) => at += c.len_utf8(),
                _ => return self.unclosed_line(start, at),
            }
        }
        if let Some((at_escape, letter)) = bad_escape {
            let shown = letter.map(String::from).unwrap_or_default();
            let content = self.text.get(start + 1..at).unwrap_or_default();
            let length = 1 + shown.len();
            let finding = self
                .finding(
                    "config::escape",
                    at_escape..at_escape + length,
                    format!("`\\{shown}` is not an escape"),
                )
                .label("unknown escape")
                .help(format!("a raw string needs no escapes: {}", super::words::raw(content)));
            self.scan.findings.push(finding);
            self.scan.edits.extend(edits);
        }
        Some(at + 1)
    }

    /// Braces at the end of the line were hardly meant as text: the string ends before them.
    fn unclosed_line(&mut self, start: usize, end: usize) -> Option<usize> {
        let line = self.text.get(start..end).unwrap_or_default();
        let end = start + line.trim_end_matches([' ', '\t', '{', '}', ';']).len().max(1);
        let finding = self
            .finding("config::unterminated", start..end, "the string is not closed on its line")
            .label("no closing `\"`")
            .help("add the closing `\"`; a string over several lines starts and ends with `\"\"\"`");
        self.guess(finding, end..end, "\"");
        Some(end)
    }

    /// At `#`: a keyword, a raw string, or a comment in the way of the shell.
    pub(super) fn hash(&mut self) {
        let start = self.at;
        let hashes = self.rest().len() - self.rest().trim_start_matches('#').len();
        let after = self.rest().get(hashes..).unwrap_or_default();
        if after.starts_with('"') {
            if let Some(end) = self.raw_end(start, hashes) {
                self.read_word(end);
                self.glued(start);
            }
        } else if self.before == Before::Start
            || after.is_empty()
            || after.starts_with([' ', '\t', '\n', '\r'])
        {
            let finding = self
                .finding("config::comment", start..start + hashes, "comments start with `//`")
                .label("not a comment in KDL");
            self.mend(finding, start..start + hashes, "//");
            self.skip_line();
        } else {
            self.word();
        }
    }

    /// The end of a raw string whose first `#` is at `start`; `hashes` of them.
    pub(super) fn raw_end(&mut self, start: usize, hashes: usize) -> Option<usize> {
        let quote = start + hashes;
        let multi_line = self.text.get(quote..).unwrap_or_default().starts_with("\"\"\"");
        let quotes = if multi_line { "\"\"\"" } else { "\"" };
        let fence = format!("{quotes}{}", "#".repeat(hashes));
        let body = quote + quotes.len();
        let rest = self.text.get(body..).unwrap_or_default();
        let found = rest.find(&fence);
        let one_line = |at: usize| !rest.get(..at).unwrap_or_default().contains(is_newline);
        match found {
            Some(at) if multi_line || one_line(at) => Some(body + at + fence.len()),
            _ => {
                let line = rest.find(is_newline).unwrap_or(rest.len());
                let range = start..if multi_line { body } else { body + line };
                let finding = self
                    .finding("config::unterminated", range, "the raw string is not closed")
                    .label("opened here")
                    .help(format!("close it with `{fence}`"));
                self.give_up(finding);
                None
            }
        }
    }

    /// After a string: something without a blank in between.
    fn glued(&mut self, start: usize) {
        let at = self.at;
        let Some(next) = self.peek() else { return };
        if is_newline(next)
            || is_blank(next)
            || matches!(next, ';' | '{' | '}' | '=' | ')' | '/' | '\\' | ']' | ',')
        {
            return;
        }
        let length = next.len_utf8();
        let finding = self
            .finding("config::separator", at..at + length, "a blank is missing after the string")
            .label("stands directly after it")
            .help("write a blank between two values; a quote inside of a string is written `\\\"`");
        self.guess(finding, at..at, " ");
        debug_assert!(start < at);
    }
}

/// Length of a valid escape at the start of `text`; 0: not one.
fn escape_length(text: &str) -> usize {
    let mut letters = text.chars().skip(1);
    match letters.next() {
        Some('n' | 'r' | 't' | '\\' | '"' | 'b' | 'f' | 's') => 2,
        Some('u') => {
            let Some(inner) = text.get(2..).and_then(|rest| rest.strip_prefix('{')) else { return 0 };
            let digits = inner.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(inner.len());
            let closed = inner.get(digits..).is_some_and(|rest| rest.starts_with('}'));
            if closed && (1..=6).contains(&digits) { digits + 4 } else { 0 }
        }
        Some(c) if is_blank(c) || is_newline(c) => {
            let rest = text.get(1..).unwrap_or_default();
            1 + rest.len() - rest.trim_start_matches(|c| is_blank(c) || is_newline(c)).len()
        }
        _ => 0,
    }
}
