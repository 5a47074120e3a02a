//! What an exception means, and where in the script it came from.

use std::time::Duration;

use millrace_plugin::Failure;
use rquickjs::{Array, Ctx, Error, Exception, Function, Value};

/// An exception that left the script.
#[derive(Debug)]
pub(crate) struct Thrown {
    /// `TypeError: not a function`.
    pub(crate) reason: String,
    /// Line and column in the script, both from 1.
    pub(crate) place: Option<(u32, u32)>,
    /// The functions it went through, innermost first, one a line.
    pub(crate) stack: String,
    /// Set where the script threw one of the failures, which is an answer and no fault.
    pub(crate) failure: Option<Failure>,
}

/// The script that an exception came from.
#[derive(Debug)]
pub(crate) struct Text {
    /// What it is called in errors.
    pub(crate) name: String,
    /// The text itself: QuickJS counts columns in bytes, people count characters.
    pub(crate) source: String,
}

impl Thrown {
    /// Takes the exception that an error of the engine stands for.
    pub(crate) fn catch<'js>(
        cx: &Ctx<'js>,
        error: Error,
        script: &Text,
        failure_of: Option<&Function<'js>>,
    ) -> Self {
        let plain = |reason: String| Self { reason, place: None, stack: String::new(), failure: None };
        if !error.is_exception() {
            return plain(error.to_string());
        }
        let value = cx.catch();
        if let Some(failure) = failure_of.and_then(|function| failure(function, &value)) {
            return Self { failure: Some(failure), ..plain(String::new()) };
        }
        let Some(exception) = value.as_object().and_then(|object| Exception::from_object(object.clone()))
        else {
            return plain(format!("threw {}", shown(cx, value)));
        };
        let name: String = exception.as_object().get("name").unwrap_or_else(|_| "Error".to_owned());
        let message = exception.message().unwrap_or_default();
        let reason = if message.is_empty() { name } else { format!("{name}: {message}") };
        let stack = stack(&exception.stack().unwrap_or_default(), script);
        let place = stack.lines().find_map(|line| place(line, &script.name));
        let place = place.map(|(_, line, column)| (line, column));
        Self { reason, place, stack, failure: None }
    }

    /// `tag.js:3:5: TypeError: not a function`.
    pub(crate) fn told(&self, script: &str) -> String {
        match self.place {
            Some((line, column)) => format!("{script}:{line}:{column}: {}", self.reason),
            None => format!("{script}: {}", self.reason),
        }
    }
}

/// Asks the prelude whether a value is one of its failures: `[kind, pause, reason]`.
fn failure<'js>(function: &Function<'js>, value: &Value<'js>) -> Option<Failure> {
    let answer: Array<'_> = function.call::<_, Option<Array<'_>>>((value.clone(),)).ok()??;
    let reason = || answer.get(2).unwrap_or_default();
    match answer.get::<String>(0).ok()?.as_str() {
        "retry" => {
            let pause = answer.get::<Option<f64>>(1).ok()?.filter(|pause| pause.is_finite() && *pause >= 0.0);
            Some(Failure::Retry(pause.map(|pause| Duration::from_millis(pause as u64))))
        }
        "reject" => Some(Failure::Reject(reason())),
        "fatal" => Some(Failure::Fatal(reason())),
        _ => None,
    }
}

/// What was thrown, if it is no `Error`.
fn shown<'js>(cx: &Ctx<'js>, value: Value<'js>) -> String {
    if let Some(text) = value.as_string() {
        return text.to_string().unwrap_or_default();
    }
    match cx.json_stringify(value.clone()) {
        Ok(Some(text)) => text.to_string().unwrap_or_default(),
        _ => {
            drop(cx.catch());
            crate::value::kind(&value).to_owned()
        }
    }
}

/// The stack without indentation, without the engine's own frames, and with columns that count characters.
fn stack(text: &str, script: &Text) -> String {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(crate::api::PRELUDE));
    let counted = lines.map(|line| match place(line, &script.name) {
        Some((before, number, column)) => {
            let end = if line.ends_with(')') { ")" } else { "" };
            format!("{before}:{number}:{}{end}", characters(&script.source, number, column))
        }
        None => line.to_owned(),
    });
    counted.collect::<Vec<_>>().join("\n")
}

/// The place in the script that a line of a stack names: `at intercept (tag.js:3:5)`, or `at tag.js:3:5` in a syntax
/// error. What stands before it, the line and the column.
fn place<'a>(line: &'a str, script: &str) -> Option<(&'a str, u32, u32)> {
    let (before, column) = line.strip_suffix(')').unwrap_or(line).rsplit_once(':')?;
    let (before, number) = before.rsplit_once(':')?;
    let is_script = before.strip_suffix(script).is_some_and(|rest| rest.ends_with(['(', ' ']));
    if !is_script {
        return None;
    }
    Some((before, number.parse().ok()?, column.parse().ok()?))
}

/// A column that counts bytes as one that counts characters, both from 1.
fn characters(source: &str, line: u32, column: u32) -> u32 {
    let line = source.lines().nth((line as usize).saturating_sub(1)).unwrap_or_default();
    let wide =
        line.bytes().take((column as usize).saturating_sub(1)).filter(|byte| byte & 0xc0 == 0x80).count();
    column.saturating_sub(wide as u32)
}
