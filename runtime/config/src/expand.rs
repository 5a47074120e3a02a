//! `${env:NAME}` and `${file:/path}` in string values.
//!
//! `$${` writes a literal `${`. Any other `${…}` stays as it is: templates and replacement strings of
//! components use it too. What comes from outside never appears in a diagnostic (see [`shown`]): it is where
//! secrets come from.

use std::path::Path;

use crate::{
    diagnostic::{Diagnostic, Diagnostics, Files, Span},
    environment::Environment,
    load::describe_io,
    node::{Scalar, Spanned},
};

/// Largest file that a value may be read from.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Stands in a text where something could not be filled in. The reason is reported already, so a value that
/// holds it is not looked at any further. (A noncharacter: KDL text cannot be mistaken for it in practice.)
const MISSING: char = '\u{FFFF}';

/// Whether something of a text could not be filled in.
pub(crate) fn is_missing(text: &str) -> bool {
    text.contains(MISSING)
}

/// What expansion needs to know about its surroundings.
pub(crate) struct Expander<'a> {
    pub(crate) environment: &'a dyn Environment,
    /// The folder of the configuration file.
    pub(crate) folder: &'a Path,
}

impl Expander<'_> {
    /// The value with everything filled in; what is missing is reported and left out.
    pub(crate) fn expand(&self, text: &str, span: Span, found: &mut Diagnostics) -> String {
        let mut full = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            let inner = after.get(2..).unwrap_or_default();
            if let Some(before) = before.strip_suffix('$') {
                full.push_str(before);
                full.push_str("${");
                rest = inner;
                continue;
            }
            full.push_str(before);
            let wanted = ["env:", "file:"].into_iter().find(|kind| inner.starts_with(kind));
            let Some(kind) = wanted else {
                warn_about_shell_style(inner, span, found);
                full.push_str("${");
                rest = inner;
                continue;
            };
            let Some(end) = inner.find('}') else {
                found.push(
                    Diagnostic::error("config::expansion", span, format!("`${{{kind}` is not closed"))
                        .label("the `}` is missing")
                        .help("write `${env:NAME}` or `${file:/path}`; `$${` is a literal `${`"),
                );
                full.push(MISSING);
                return full;
            };
            let name = inner.get(kind.len()..end).unwrap_or_default();
            let value = if kind == "env:" { self.variable(name, span) } else { self.file(name, span) };
            match value {
                Ok(value) => full.push_str(&value),
                Err(diagnostic) => {
                    full.push(MISSING);
                    found.push(*diagnostic);
                }
            }
            rest = inner.get(end + 1..).unwrap_or_default();
        }
        full.push_str(rest);
        full
    }

    fn variable(&self, name: &str, span: Span) -> Result<String, Box<Diagnostic>> {
        self.environment.variable(name).ok_or_else(|| {
            let error = if name.is_empty() {
                Diagnostic::error("config::missing-variable", span, "`${env:}` names no variable")
                    .help("write `${env:NAME}`")
            } else {
                Diagnostic::error(
                    "config::missing-variable",
                    span,
                    format!("environment variable {name} is not set"),
                )
                .label("needed here")
                .help(format!("set {name} in the environment of the agent, or write the value here"))
            };
            Box::new(error)
        })
    }

    fn file(&self, name: &str, span: Span) -> Result<String, Box<Diagnostic>> {
        let path = self.folder.join(name);
        let wrong = |reason: String, help: &str| {
            Box::new(
                Diagnostic::error(
                    "config::missing-file",
                    span,
                    format!("cannot read {}: {reason}", path.display()),
                )
                .label("needed here")
                .help(help),
            )
        };
        let bytes = self.environment.read(&path, FILE_BYTES_MAX).map_err(|error| {
            let help = match error.kind() {
                std::io::ErrorKind::NotFound => "create the file, or correct the path",
                _ => "the agent's user must be able to read the file",
            };
            wrong(describe_io(&error), help)
        })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong("it is larger than 1 MiB".into(), "`${file:…}` is for single values"));
        }
        let mut text = String::from_utf8(bytes)
            .map_err(|_| wrong("it is not UTF-8 text".into(), "`${file:…}` is for text"))?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        Ok(text)
    }
}

/// `${HOME}` looks as if the shell's way was meant.
fn warn_about_shell_style(inner: &str, span: Span, found: &mut Diagnostics) {
    let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let end = inner.find(|c| !letter(c)).unwrap_or(inner.len());
    let (name, after) = inner.split_at(end);
    let is_variable =
        name.len() > 1 && name.starts_with(|c: char| c.is_ascii_uppercase()) && after.starts_with('}');
    if is_variable {
        found.push(
            Diagnostic::warning("config::expansion", span, format!("`${{{name}}}` is not expanded"))
                .label("stays as it is")
                .help(format!(
                    "write `${{env:{name}}}` for the variable, `$${{{name}}}` if it is meant literally"
                )),
        );
    }
}

/// Whether a value as written takes something from outside. Such a value has no type of its own: text may
/// stand where a number is wanted.
pub(crate) fn is_expanded(files: &Files, span: Span) -> bool {
    let written = files.source(span);
    written.contains("${env:") || written.contains("${file:")
}

/// A value for a diagnostic: as written if it came from outside, otherwise what it is.
pub(crate) fn shown(files: &Files, value: &Spanned<Scalar>) -> String {
    match &value.value {
        Scalar::Text(text) => shown_text(files, text, value.span),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Boolean(yes) => if *yes { "#true" } else { "#false" }.into(),
        Scalar::Null => "#null".into(),
    }
}

/// A text for a diagnostic, on one line and of bounded length.
pub(crate) fn shown_text(files: &Files, text: &str, span: Span) -> String {
    const LETTERS_MAX: usize = 60;
    let written = if is_expanded(files, span) { files.source(span).trim_matches(['"', '#']) } else { text };
    let line = written.lines().next().unwrap_or_default();
    let cut = line.len() < written.len() || line.chars().count() > LETTERS_MAX;
    let start: String = line.chars().take(LETTERS_MAX).collect();
    if cut { format!("{start}…") } else { start }
}
