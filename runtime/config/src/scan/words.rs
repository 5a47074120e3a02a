//! Words without quotes: names, numbers, and everything that should have had quotes.
//!
//! One thing that KDL forbids is accepted: `null` as a node's name, because it is the name of a sink.
//!
//! Three things that KDL accepts are slips here, because it reads them as something nobody means: `//` in the
//! middle of a word (`http://host` is the word `http:` and a comment), a word in single or typographic
//! quotes (the quotes would be part of it), and a comma at the end of a value (likewise).

use std::ops::Range;

use super::{Before, Scanner, is_blank, is_newline};
use crate::suggest;

const KEYWORDS: &[&str] = &["#true", "#false", "#null", "#inf", "#-inf", "#nan"];
const QUOTES: &[(char, char)] = &[('\'', '\''), ('“', '”'), ('„', '“'), ('‘', '’'), ('«', '»')];

impl Scanner<'_> {
    pub(super) fn word(&mut self) {
        let start = self.at;
        if self.before == Before::Start {
            self.note_dedent(start);
        }
        if self.old_raw_string(start) || self.foreign_quotes(start) {
            return;
        }
        let end = start + self.run_length();
        let word = self.text.get(start..end).unwrap_or_default();
        let range = start..end;
        let is_name = matches!(self.before, Before::Start | Before::Block);
        let is_key = self.text.get(end..).unwrap_or_default().starts_with('=');
        self.read_word(end);
        if word.len() > 1 && word.ends_with(',') && !is_name && is_plain(word.trim_end_matches(',')) {
            self.at = end - 1;
        } else if word.starts_with('#') {
            self.keyword(word, range);
        } else if matches!(word, "true" | "false" | "null" | "inf" | "-inf" | "nan") {
            self.bare_keyword(word, range, is_name || is_key);
        } else if is_name || is_key {
            if !is_identifier(word) {
                let reason = format!("the name `{}` needs quotes", clipped(word));
                self.needs_quotes(reason, word, range);
            }
        } else if !is_plain(word) {
            let reason = format!("the value `{}` needs quotes", clipped(word));
            self.needs_quotes(reason, word, range);
        }
    }

    /// Bytes up to the end of the word. A word that cannot be bare anyway swallows what obviously belongs to
    /// it: `/var/log/*.log`, `http://host/?a=b`, `logs/%{host}`.
    fn run_length(&self) -> usize {
        let rest = self.rest();
        let mut before = '\0';
        let mut broken = false;
        let mut skip_to = 0;
        for (at, c) in rest.char_indices() {
            if at < skip_to {
                continue;
            }
            match c {
                c if is_blank(c) || is_newline(c) => return at,
                ';' | '"' | '(' | ')' | '}' => return at,
                '=' if !broken => return at,
                '{' => match ahead(rest, at).find('}') {
                    Some(end) if matches!(before, '$' | '%') => {
                        skip_to = at + end + 1;
                        broken = true;
                    }
                    _ => return at,
                },
                '/' if comment_starts(rest, at, broken) => return at,
                ']' if !broken && self.lists > 0 => return at,
                '/' | '\\' | '[' | ']' => broken = true,
                _ => {}
            }
            before = c;
        }
        rest.len()
    }

    fn keyword(&mut self, word: &str, range: Range<usize>) {
        if KEYWORDS.contains(&word) {
            return;
        }
        let finding = self
            .finding("config::keyword", range.clone(), format!("unknown keyword `{}`", clipped(word)))
            .label("not a keyword");
        let same = KEYWORDS.iter().find(|keyword| keyword.eq_ignore_ascii_case(word));
        if let Some(keyword) = same {
            return self.mend(finding.help(format!("write `{keyword}`")), range, *keyword);
        }
        let help = match suggest::closest(word, KEYWORDS.iter().copied()) {
            Some(keyword) => format!("did you mean `{keyword}`? A string that starts with `#` needs quotes"),
            None => {
                "keywords are #true, #false and #null; a string that starts with `#` needs quotes, and a \
                     comment starts with `//`"
                    .to_owned()
            }
        };
        self.guess(finding.help(help), range, "#null");
    }

    fn bare_keyword(&mut self, word: &str, range: Range<usize>, is_name: bool) {
        let finding =
            self.finding("config::keyword", range.clone(), format!("`{word}` is written `#{word}`"));
        if is_name && word == "null" {
            // Flume's name for a sink; as a name it can mean nothing else, so it is read as meant.
            return self.scan.edits.push(super::Edit { range, text: "\"null\"".into() });
        }
        if is_name {
            let finding =
                finding.label("cannot be a name").help(format!("as a name it needs quotes: \"{word}\""));
            return self.mend(finding, range, format!("\"{word}\""));
        }
        let finding = finding
            .label("the `#` is missing")
            .help(format!("write `#{word}`, or \"{word}\" in quotes if it is text"));
        self.mend(finding, range, format!("#{word}"));
    }

    fn needs_quotes(&mut self, reason: String, word: &str, range: Range<usize>) {
        let quoted = quoted(word);
        let finding = self
            .finding("config::needs-quotes", range.clone(), reason)
            .label("neither a number nor a plain word")
            .help(format!("write {quoted}"));
        self.mend(finding, range, quoted);
    }

    /// `r"…"` and `r#"…"#`: raw strings of KDL 1.
    fn old_raw_string(&mut self, start: usize) -> bool {
        let Some(after) = self.rest().strip_prefix('r') else { return false };
        let hashes = after.len() - after.trim_start_matches('#').len();
        if !after.get(hashes..).unwrap_or_default().starts_with('"') {
            return false;
        }
        let Some(end) = self.raw_end(start + 1, hashes) else { return true };
        self.read_word(end);
        let content = self.text.get(start + 2 + hashes..end - 1 - hashes).unwrap_or_default();
        let new = raw(content);
        let finding = self
            .finding("config::raw-string", start..end, "a raw string is written without the `r`")
            .label("the way of KDL 1")
            .help(format!("write {new}"));
        self.mend(finding, start..end, new);
        true
    }

    /// `'word'` and its typographic relatives.
    fn foreign_quotes(&mut self, start: usize) -> bool {
        let rest = self.rest();
        let Some((open, close)) = QUOTES.iter().find(|(open, _)| rest.starts_with(*open)) else {
            return false;
        };
        let line = ahead(rest, 0);
        let body = open.len_utf8();
        let Some(length) = line.get(body..).and_then(|inner| inner.find(*close)) else { return false };
        let content = line.get(body..body + length).unwrap_or_default();
        let end = start + body + length + close.len_utf8();
        let new = quoted(content);
        self.read_word(end);
        let finding = self
            .finding("config::needs-quotes", start..end, format!("strings stand in `\"`, not in `{open}`"))
            .label("would be part of the word")
            .help(format!("write {new}"));
        self.mend(finding, start..end, new);
        true
    }
}

/// Whether the `/` at `at` begins a comment, after the word before it.
fn comment_starts(rest: &str, at: usize, broken: bool) -> bool {
    let here = rest.get(at..).unwrap_or_default();
    let is_comment = here.starts_with("//") || here.starts_with("/*");
    if broken || !is_comment {
        return false;
    }
    let word = rest.get(..at).unwrap_or_default();
    if here.starts_with("//") {
        // `10//comment` and `word// comment` are comments; `http://x` and `srv//x` are not meant as such.
        let glued = here.chars().nth(2).is_some_and(|c| !is_blank(c) && !is_newline(c) && c != '/');
        return !glued || is_number(word);
    }
    is_number(word) || ahead(rest, at).contains("*/")
}

/// What follows on the same line, so far as it is worth looking: the pass must not grow with the square of a
/// line.
fn ahead(rest: &str, at: usize) -> &str {
    const LETTERS_MAX: usize = 1000;
    let here = rest.get(at..).unwrap_or_default();
    let end = here.char_indices().take(LETTERS_MAX).find(|(_, c)| is_newline(*c)).map(|(end, _)| end);
    let end = end.or_else(|| here.char_indices().nth(LETTERS_MAX).map(|(end, _)| end));
    end.map_or(here, |end| here.get(..end).unwrap_or_default())
}

/// A word that KDL takes as a value without quotes.
fn is_plain(word: &str) -> bool {
    is_number(word) || is_identifier(word)
}

fn is_identifier(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let number_like =
        unsigned.strip_prefix('.').unwrap_or(unsigned).starts_with(|c: char| c.is_ascii_digit());
    !word.is_empty()
        && !number_like
        && !matches!(word, "true" | "false" | "null" | "inf" | "-inf" | "nan")
        && !word.contains(['\\', '/', '(', ')', '{', '}', ';', '[', ']', '"', '#', '='])
        && !word.contains(|c| super::is_disallowed(c) || is_blank(c))
}

fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix) {
            return is_digits(digits, radix);
        }
    }
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_good =
        exponent.is_none_or(|exponent| is_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent), 10));
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    exponent_good && is_digits(whole, 10) && fraction.is_none_or(|fraction| is_digits(fraction, 10))
}

fn is_digits(text: &str, radix: u32) -> bool {
    text.starts_with(|c: char| c.is_digit(radix)) && text.chars().all(|c| c.is_digit(radix) || c == '_')
}

/// A text as a KDL string: quoted, or raw where it holds quotes or backslashes.
pub(crate) fn quoted(content: &str) -> String {
    if content.contains(['\\', '"']) { raw(content) } else { format!("\"{content}\"") }
}

/// A text as a raw string, with as many `#` as it needs.
pub(super) fn raw(content: &str) -> String {
    let mut fence = "#".to_owned();
    while content.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    format!("{fence}\"{content}\"{fence}")
}

/// A word short enough for a sentence.
fn clipped(word: &str) -> String {
    const LETTERS_MAX: usize = 40;
    if word.chars().count() <= LETTERS_MAX {
        return word.to_owned();
    }
    let start: String = word.chars().take(LETTERS_MAX).collect();
    format!("{start}…")
}
