//! Single values: which scalar fits which kind, and what to say when it does not.

use std::path::PathBuf;

use super::{Checker, Place};
use crate::{
    diagnostic::Span,
    expand::{is_expanded, is_missing, shown},
    node::{Scalar, Spanned},
    option::{OptionKind, OptionSpec},
    quantity::{self, QuantityError},
    section::Value,
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
        if matches!(&scalar.value, Scalar::Text(text) if is_missing(text)) {
            return (None, Some(scalar.span));
        }
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

    pub(super) fn wrong_type<T>(
        &mut self,
        option: &OptionSpec,
        kind: OptionKind,
        scalar: &Spanned<Scalar>,
    ) -> Option<T> {
        let shown = shown(self.files, scalar);
        let reason = format!("`{}` is not {}: {shown}", option.name, expected(kind));
        let before = self.files.text(scalar.span.file).get(..scalar.span.offset).unwrap_or_default();
        let form = Form { name: option.name, is_property: before.trim_end().ends_with('=') };
        // What came from outside must not come out again through the help.
        let is_outside = is_expanded(self.files, scalar.span);
        let help = if is_outside { None } else { help_for_type(kind, &scalar.value, &shown, &form) };
        // A default is an example of what fits, where nothing better is known.
        let is_number = matches!(kind, OptionKind::Integer { .. } | OptionKind::Float { .. });
        let example = option.default.filter(|_| is_number && !is_outside);
        let help = help
            .or_else(|| example.map(|default| format!("write a number, for example {}", form.with(default))));
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
            OptionKind::Map
            | OptionKind::Block(_)
            | OptionKind::Blocks(_)
            | OptionKind::Cases(_)
            | OptionKind::Plugin => text.is_empty().then(|| neutral(option.kind)),
            kind => quiet.scalar(option, kind, &scalar(Scalar::Text(text.to_owned()))),
        };
        assert!(value.is_some(), "the default `{text}` of option {} does not fit its kind", option.name);
        value.unwrap_or_else(|| neutral(option.kind))
    }
}

/// What a kind wants, for "expected …" and "is not …".
pub(crate) fn expected(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::Text | OptionKind::Texts => "text",
        OptionKind::Map => "a group of names with values",
        OptionKind::Integer { .. } => "a whole number",
        OptionKind::Float { .. } => "a number",
        OptionKind::Boolean => "#true or #false",
        OptionKind::Size => "a size",
        OptionKind::Duration => "a time span",
        OptionKind::Choice(_) => "one of a few words",
        OptionKind::Path | OptionKind::Paths => "a path",
        OptionKind::Regex => "a regular expression",
        OptionKind::Address | OptionKind::Addresses => "an address",
        OptionKind::Plugin => "the name of a plugin",
        OptionKind::Block(_) | OptionKind::Blocks(_) | OptionKind::Cases(_) => "a group of options",
    }
}

/// How to write what was probably meant.
fn help_for_type(kind: OptionKind, value: &Scalar, shown: &str, form: &Form<'_>) -> Option<String> {
    let write = |value: &str| form.with(value);
    Some(match (kind, value) {
        (OptionKind::Duration, Scalar::Integer(number)) if *number >= 0 => {
            let way = write(&format!("\"{number}s\""));
            format!("write {way} for seconds; a time span needs a unit: ms, s, m, h or d")
        }
        (OptionKind::Duration, _) => format!("write {}; units are ms, s, m, h and d", write("\"30s\"")),
        (OptionKind::Size, _) => format!("write {}, or a whole number of bytes", write("\"64MiB\"")),
        (OptionKind::Boolean, Scalar::Text(text)) => match text.to_lowercase().as_str() {
            "true" | "yes" | "on" => format!("write {}", write("#true")),
            "false" | "no" | "off" => format!("write {}", write("#false")),
            _ => format!("write {} or {}", write("#true"), write("#false")),
        },
        (OptionKind::Boolean, _) => format!("write {} or {}", write("#true"), write("#false")),
        (OptionKind::Integer { .. } | OptionKind::Float { .. }, Scalar::Text(text))
            if text.parse::<f64>().is_ok() =>
        {
            format!("write {} without quotes", write(text))
        }
        (OptionKind::Integer { .. }, Scalar::Float(number))
            if number.fract() == 0.0 && number.abs() < 1e15 =>
        {
            format!("write {}", write(&format!("{number:.0}")))
        }
        (OptionKind::Integer { .. } | OptionKind::Float { .. }, _) => return None,
        (OptionKind::Address | OptionKind::Addresses, Scalar::Integer(number)) => {
            format!("write {}", write(&format!("\"127.0.0.1:{number}\"")))
        }
        (OptionKind::Choice(words), _) => format!("possible: {}", words.join(", ")),
        (OptionKind::Map, _) => format!("write `{} {{ key \"value\" }}`", form.name),
        (_, Scalar::Integer(_) | Scalar::Float(_)) => {
            format!("text needs quotes here: {}", write(&format!("\"{shown}\"")))
        }
        (_, Scalar::Boolean(_)) => {
            format!("text needs quotes: {}", write(&format!("\"{}\"", shown.trim_start_matches('#'))))
        }
        _ => return None,
    })
}

/// Whether an option was written `name value` or `name=value`: help repeats the form.
struct Form<'a> {
    name: &'a str,
    is_property: bool,
}

impl Form<'_> {
    fn with(&self, value: &str) -> String {
        let between = if self.is_property { '=' } else { ' ' };
        format!("`{}{between}{value}`", self.name)
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
        OptionKind::Block(_) | OptionKind::Blocks(_) | OptionKind::Cases(_) | OptionKind::Plugin => {
            Value::Blocks(Vec::new())
        }
    }
}
