//! Texts of a certain form: one of a few words, a path, a regular expression, an address.

use super::Checker;
use crate::{
    diagnostic::{Diagnostic, Span},
    expand::{is_expanded, shown_text},
    node::{Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    section::{TextFile, Value},
    suggest,
};

impl Checker<'_> {
    pub(super) fn text(
        &mut self,
        option: &OptionSpec,
        kind: OptionKind,
        text: &str,
        span: Span,
    ) -> Option<Value> {
        match kind {
            OptionKind::Choice(words) => self.choice(option, words, text, span),
            OptionKind::Regex => self.regex(option, text, span),
            OptionKind::Address | OptionKind::Addresses => self.address(option, text, span),
            OptionKind::Path | OptionKind::Paths | OptionKind::TextFile if text.is_empty() => {
                let reason = format!("`{}` is an empty path", option.name);
                self.report("config::invalid-value", span, reason, "names no file", None);
                None
            }
            OptionKind::Path | OptionKind::Paths => {
                Some(Value::Path(self.files.folder(span.file).join(text)))
            }
            OptionKind::TextFile => self.text_file(option, text, span),
            OptionKind::Text | OptionKind::Texts | OptionKind::Map => Some(Value::Text(text.to_owned())),
            _ => {
                let scalar = Spanned::new(Scalar::Text(text.to_owned()), span);
                self.wrong_type(option, kind, &scalar)
            }
        }
    }

    fn text_file(&mut self, option: &OptionSpec, text: &str, span: Span) -> Option<Value> {
        let path = self.files.folder(span.file).join(text);
        match self.files.find(&path) {
            Ok((file, text)) => Some(Value::TextFile(TextFile { path, file, text })),
            Err(why) => {
                let reason = format!("`{}`: cannot read {}: {why}", option.name, path.display());
                self.report("config::unreadable", span, reason, "this file", None);
                None
            }
        }
    }

    fn choice(&mut self, option: &OptionSpec, words: &[&str], text: &str, span: Span) -> Option<Value> {
        if words.contains(&text) {
            return Some(Value::Text(text.to_owned()));
        }
        let shown = shown_text(self.files, text, span);
        let reason = format!("`{}` cannot be `{shown}`", option.name);
        let help = match suggest::closest(text, words.iter().copied()) {
            Some(word) => format!("did you mean \"{word}\"? possible: {}", words.join(", ")),
            None => format!("possible: {}", words.join(", ")),
        };
        self.report("config::invalid-value", span, reason, "not one of the possible words", Some(help));
        None
    }

    fn regex(&mut self, option: &OptionSpec, text: &str, span: Span) -> Option<Value> {
        match regex::Regex::new(text) {
            Ok(_) => Some(Value::Text(text.to_owned())),
            Err(error) => {
                let reason = format!("`{}` is not a regular expression", option.name);
                self.found.push(self.regex_finding(&error, text, span, reason));
                None
            }
        }
    }

    /// The finding points into the pattern where it is written as it is.
    fn regex_finding(&self, error: &regex::Error, text: &str, span: Span, reason: String) -> Diagnostic {
        let message = error.to_string();
        let what = match error {
            regex::Error::CompiledTooBig(limit) => format!("it compiles to more than {limit} bytes"),
            _ => message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        };
        let caret = message.lines().find_map(|line| {
            let trimmed = line.trim_start();
            let is_marker = !trimmed.is_empty() && trimmed.trim_end().chars().all(|c| c == '^' || c == ' ');
            is_marker.then(|| (line.find('^').unwrap_or(0), trimmed.matches('^').count()))
        });
        let written = self.files.source(span);
        let place = written.find(text).filter(|_| !text.is_empty() && !text.contains('\n'));
        let span = match (caret, place) {
            // regex indents the pattern by four.
            (Some((column, length)), Some(start)) if column >= 4 => {
                let skip: usize = text.chars().take(column - 4).map(char::len_utf8).sum();
                let length: usize = text.chars().skip(column - 4).take(length).map(char::len_utf8).sum();
                Span { offset: span.offset + start + skip, length: length.max(1), ..span }
            }
            _ => span,
        };
        Diagnostic::error("config::invalid-regex", span, reason).label(what).help(
            "the syntax is that of https://docs.rs/regex; a raw string #\"…\"# needs no doubled backslashes",
        )
    }

    fn address(&mut self, option: &OptionSpec, text: &str, span: Span) -> Option<Value> {
        let problem = match text.rsplit_once(':') {
            None if text.parse::<u16>().is_ok() => {
                Some(("the host is missing", format!("write \"127.0.0.1:{text}\"")))
            }
            None => {
                Some(("the port is missing", format!("write \"{text}:9000\" with the port that is meant")))
            }
            Some(("", port)) => Some((
                "the host is missing",
                format!(
                    "write \"0.0.0.0:{port}\" for all interfaces, \"127.0.0.1:{port}\" for this machine only"
                ),
            )),
            Some((_, port)) if port.parse::<u16>().is_err() => {
                Some(("the port is not a number up to 65535", "an address is \"host:port\"".to_owned()))
            }
            Some((host, _)) if host.contains("://") || host.contains('/') => {
                Some(("this is a URL", "an address is \"host:port\", without a scheme or a path".to_owned()))
            }
            Some((host, port)) if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) => {
                Some(("an IPv6 address needs brackets", format!("write \"[{host}]:{port}\"")))
            }
            Some((host, _)) if host.chars().any(char::is_whitespace) => {
                Some(("blanks in the host", "an address is \"host:port\"".to_owned()))
            }
            Some(_) => None,
        };
        let Some((label, help)) = problem else { return Some(Value::Text(text.to_owned())) };
        let reason = format!("`{}` is not an address: {}", option.name, shown_text(self.files, text, span));
        let help =
            if is_expanded(self.files, span) { "an address is \"host:port\"".to_owned() } else { help };
        self.report("config::invalid-value", span, reason, label, Some(help));
        None
    }
}
