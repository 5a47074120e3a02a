//! Single values: which scalar fits which kind, and what to say when it does not.

use std::path::PathBuf;

use super::{Checker, Place};
use crate::{
    diagnostic::{Diagnostic, Span},
    expand::{is_expanded, shown, shown_text},
    node::{Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    quantity::{self, QuantityError},
    section::Value,
    suggest,
};

impl Checker<'_> {
    /// The one value of an option, and its place.
    pub(super) fn single(&mut self, option: &OptionSpec, place: Place<'_>) -> (Option<Value>, Option<Span>) {
        let scalar = match place {
            Place::Property(property) => &property.value,
            Place::Child(node) => {
                self.no_inner(option, node);
                match node.arguments.as_slice() {
                    [] if matches!(option.kind, OptionKind::Boolean) => {
                        return (Some(Value::Boolean(true)), Some(node.name.span));
                    }
                    [] => {
                        let help = Some(format!("write `{}`", super::example(option)));
                        let reason = format!("`{}` needs a value", option.name);
                        self.report("config::missing-value", node.name.span, reason, "nothing follows", help);
                        return (None, None);
                    }
                    [one] => one,
                    [one, second, ..] => {
                        let reason = format!("`{}` takes one value", option.name);
                        let help = Some("a text with blanks needs quotes".to_owned());
                        self.report(
                            "config::stray-argument",
                            second.span,
                            reason,
                            "one value too many",
                            help,
                        );
                        one
                    }
                }
            }
        };
        (self.scalar(option, option.kind, scalar), Some(scalar.span))
    }

    /// A child that holds values only has neither properties nor children.
    pub(super) fn no_inner(&mut self, option: &OptionSpec, node: &crate::Node) {
        let first = node
            .properties
            .first()
            .map(|property| property.name.span)
            .or_else(|| node.children.first().map(|child| child.name.span));
        if let Some(span) = first {
            let reason = format!("`{}` takes values, not options", option.name);
            let help = Some(format!("write `{}`", super::example(option)));
            self.report("config::wrong-type", span, reason, "not expected here", help);
        }
    }

    pub(super) fn scalar(
        &mut self,
        option: &OptionSpec,
        kind: OptionKind,
        scalar: &Spanned<Scalar>,
    ) -> Option<Value> {
        match (kind, &scalar.value) {
            (OptionKind::Integer { min, max }, _) => self.integer(option, scalar, min, max),
            (OptionKind::Float { min, max }, _) => self.float(option, scalar, min, max),
            (OptionKind::Boolean, Scalar::Boolean(yes)) => Some(Value::Boolean(*yes)),
            (OptionKind::Boolean, Scalar::Text(text)) if is_expanded(self.files, scalar.span) => {
                match text.trim().trim_start_matches('#') {
                    "true" => Some(Value::Boolean(true)),
                    "false" => Some(Value::Boolean(false)),
                    _ => self.wrong_type(option, kind, scalar),
                }
            }
            (OptionKind::Size, Scalar::Integer(number)) => match u64::try_from(*number) {
                Ok(bytes) => Some(Value::Size(bytes)),
                Err(_) => self.out_of_range(option, scalar, "0", "18446744073709551615"),
            },
            (OptionKind::Size, Scalar::Text(text)) => {
                let plain =
                    if is_expanded(self.files, scalar.span) { text.trim().parse().ok() } else { None };
                let size = plain.map_or_else(|| quantity::parse_size(text), Ok);
                self.quantity(option, scalar, size).map(Value::Size)
            }
            (OptionKind::Duration, Scalar::Text(text)) => {
                self.quantity(option, scalar, quantity::parse_duration(text)).map(Value::Duration)
            }
            (_, Scalar::Text(text)) => self.text(option, kind, text, scalar.span),
            _ => self.wrong_type(option, kind, scalar),
        }
    }

    fn text(&mut self, option: &OptionSpec, kind: OptionKind, text: &str, span: Span) -> Option<Value> {
        match kind {
            OptionKind::Choice(words) => self.choice(option, words, text, span),
            OptionKind::Regex => self.regex(option, text, span),
            OptionKind::Address | OptionKind::Addresses => self.address(option, text, span),
            OptionKind::Path | OptionKind::Paths if text.is_empty() => {
                let reason = format!("`{}` is an empty path", option.name);
                self.report("config::invalid-value", span, reason, "names no file", None);
                None
            }
            OptionKind::Path | OptionKind::Paths => {
                Some(Value::Path(self.files.folder(span.file).join(text)))
            }
            OptionKind::Text | OptionKind::Texts | OptionKind::Map => Some(Value::Text(text.to_owned())),
            _ => {
                let scalar = Spanned::new(Scalar::Text(text.to_owned()), span);
                self.wrong_type(option, kind, &scalar)
            }
        }
    }

    fn integer(
        &mut self,
        option: &OptionSpec,
        scalar: &Spanned<Scalar>,
        min: i64,
        max: i64,
    ) -> Option<Value> {
        let kind = OptionKind::Integer { min, max };
        let number = match &scalar.value {
            Scalar::Integer(number) => *number,
            Scalar::Text(text) if is_expanded(self.files, scalar.span) => {
                match text.trim().replace('_', "").parse() {
                    Ok(number) => number,
                    Err(_) => return self.wrong_type(option, kind, scalar),
                }
            }
            _ => return self.wrong_type(option, kind, scalar),
        };
        match i64::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Some(Value::Integer(number)),
            _ => self.out_of_range(option, scalar, &min.to_string(), &max.to_string()),
        }
    }

    fn float(&mut self, option: &OptionSpec, scalar: &Spanned<Scalar>, min: f64, max: f64) -> Option<Value> {
        let kind = OptionKind::Float { min, max };
        let number = match &scalar.value {
            Scalar::Float(number) => *number,
            Scalar::Integer(number) => *number as f64,
            Scalar::Text(text) if is_expanded(self.files, scalar.span) => match text.trim().parse() {
                Ok(number) => number,
                Err(_) => return self.wrong_type(option, kind, scalar),
            },
            _ => return self.wrong_type(option, kind, scalar),
        };
        if (min..=max).contains(&number) {
            return Some(Value::Float(number));
        }
        self.out_of_range(option, scalar, &min.to_string(), &max.to_string())
    }

    fn out_of_range(
        &mut self,
        option: &OptionSpec,
        scalar: &Spanned<Scalar>,
        min: &str,
        max: &str,
    ) -> Option<Value> {
        let shown = shown(self.files, scalar);
        let reason = format!("`{}` is out of range: {shown}", option.name);
        let unbounded = max == i64::MAX.to_string();
        let label =
            if unbounded { format!("must be at least {min}") } else { format!("must be {min} to {max}") };
        self.report("config::out-of-range", scalar.span, reason, label, None);
        None
    }

    fn quantity<T>(
        &mut self,
        option: &OptionSpec,
        scalar: &Spanned<Scalar>,
        result: Result<T, QuantityError>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                let what = if matches!(option.kind, OptionKind::Size) { "size" } else { "time span" };
                let reason = format!("`{}` is not a {what}: {}", option.name, shown(self.files, scalar));
                // What came from outside must not come out again through the help.
                let help = if is_expanded(self.files, scalar.span) {
                    format!("the value that is filled in must be a {what} with a unit")
                } else {
                    error.help
                };
                self.report("config::invalid-value", scalar.span, reason, error.label, Some(help));
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

    pub(super) fn wrong_type<T>(
        &mut self,
        option: &OptionSpec,
        kind: OptionKind,
        scalar: &Spanned<Scalar>,
    ) -> Option<T> {
        let shown = shown(self.files, scalar);
        let reason = format!("`{}` is not {}: {shown}", option.name, expected(kind));
        let help = help_for_type(option, kind, &scalar.value, &shown);
        self.report("config::wrong-type", scalar.span, reason, format!("expected {}", expected(kind)), help);
        None
    }

    /// A default out of a table; that it fits its kind is ours to guarantee.
    pub(super) fn default(&mut self, option: &OptionSpec, text: &str, span: Span) -> Value {
        let scalar = |value| Spanned::new(value, Span { length: 0, ..span });
        let mut quiet = Checker { files: self.files, found: Default::default() };
        let value = match option.kind {
            OptionKind::Integer { .. } => text
                .replace('_', "")
                .parse()
                .ok()
                .and_then(|number| quiet.scalar(option, option.kind, &scalar(Scalar::Integer(number)))),
            OptionKind::Float { .. } => text
                .parse()
                .ok()
                .and_then(|number| quiet.scalar(option, option.kind, &scalar(Scalar::Float(number)))),
            OptionKind::Boolean => match text {
                "#true" | "true" => Some(Value::Boolean(true)),
                "#false" | "false" => Some(Value::Boolean(false)),
                _ => None,
            },
            OptionKind::Size => {
                text.parse().ok().or_else(|| quantity::parse_size(text).ok()).map(Value::Size)
            }
            OptionKind::Texts | OptionKind::Addresses => Some(Value::Texts(
                text.split_whitespace().map(|word| Spanned::new(word.to_owned(), span)).collect(),
            )),
            OptionKind::Paths => {
                let folder = self.files.folder(span.file);
                Some(Value::Paths(text.split_whitespace().map(|word| folder.join(word)).collect()))
            }
            OptionKind::Map | OptionKind::Block(_) | OptionKind::Blocks(_) | OptionKind::Cases(_) => {
                text.is_empty().then(|| neutral(option.kind))
            }
            kind => quiet.scalar(option, kind, &scalar(Scalar::Text(text.to_owned()))),
        };
        assert!(value.is_some(), "the default `{text}` of option {} does not fit its kind", option.name);
        value.unwrap_or_else(|| neutral(option.kind))
    }
}

/// What a kind wants, for "expected …" and "is not …".
pub(crate) fn expected(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::Text | OptionKind::Texts | OptionKind::Map => "text",
        OptionKind::Integer { .. } => "a whole number",
        OptionKind::Float { .. } => "a number",
        OptionKind::Boolean => "#true or #false",
        OptionKind::Size => "a size",
        OptionKind::Duration => "a time span",
        OptionKind::Choice(_) => "one of a few words",
        OptionKind::Path | OptionKind::Paths => "a path",
        OptionKind::Regex => "a regular expression",
        OptionKind::Address | OptionKind::Addresses => "an address",
        OptionKind::Block(_) | OptionKind::Blocks(_) | OptionKind::Cases(_) => "a group of options",
    }
}

fn help_for_type(option: &OptionSpec, kind: OptionKind, value: &Scalar, shown: &str) -> Option<String> {
    let name = option.name;
    match (kind, value) {
        (OptionKind::Duration, Scalar::Integer(number)) if *number >= 0 => Some(format!(
            "write `{name} \"{number}s\"` for seconds; a time span needs a unit: ms, s, m, h or d"
        )),
        (OptionKind::Duration, _) => Some(format!("write `{name} \"30s\"`; units are ms, s, m, h and d")),
        (OptionKind::Size, _) => Some(format!("write `{name} \"64MiB\"`, or a whole number of bytes")),
        (OptionKind::Boolean, Scalar::Text(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => Some(format!("write `{name} #true`")),
            "false" | "no" | "off" => Some(format!("write `{name} #false`")),
            _ => Some(format!("write `{name} #true` or `{name} #false`")),
        },
        (OptionKind::Boolean, _) => Some(format!("write `{name} #true` or `{name} #false`")),
        (OptionKind::Integer { .. } | OptionKind::Float { .. }, Scalar::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            Some(format!("write `{name} {text}` without quotes"))
        }
        (OptionKind::Integer { .. }, Scalar::Float(number))
            if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            Some(format!("write `{name} {number:.0}`"))
        }
        (OptionKind::Integer { .. } | OptionKind::Float { .. }, _) => None,
        (OptionKind::Address | OptionKind::Addresses, Scalar::Integer(number)) => {
            Some(format!("write `{name} \"127.0.0.1:{number}\"`"))
        }
        (OptionKind::Choice(words), _) => Some(format!("possible: {}", words.join(", "))),
        (_, Scalar::Integer(_) | Scalar::Float(_)) => {
            Some(format!("text needs quotes here: `{name} \"{shown}\"`"))
        }
        (_, Scalar::Boolean(_)) => {
            Some(format!("text needs quotes: `{name} \"{}\"`", shown.trim_start_matches('#')))
        }
        _ => None,
    }
}

/// A harmless value in place of one that is missing or wrong.
pub(super) fn neutral(kind: OptionKind) -> Value {
    match kind {
        OptionKind::Integer { min, max } => Value::Integer(0.clamp(min, max.max(min))),
        OptionKind::Float { min, max } => Value::Float(0.0_f64.max(min).min(max)),
        OptionKind::Boolean => Value::Boolean(false),
        OptionKind::Size => Value::Size(0),
        OptionKind::Duration => Value::Duration(std::time::Duration::ZERO),
        OptionKind::Path => Value::Path(PathBuf::new()),
        OptionKind::Text | OptionKind::Choice(_) | OptionKind::Regex | OptionKind::Address => {
            Value::Text(String::new())
        }
        OptionKind::Texts | OptionKind::Addresses => Value::Texts(Vec::new()),
        OptionKind::Paths => Value::Paths(Vec::new()),
        OptionKind::Map => Value::Map(Vec::new()),
        // Groups with options of their own never come here: they are built from their table.
        OptionKind::Block(_) | OptionKind::Blocks(_) | OptionKind::Cases(_) => Value::Blocks(Vec::new()),
    }
}
