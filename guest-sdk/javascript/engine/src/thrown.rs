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

impl Thrown {
    /// Takes the exception that an error of the engine stands for.
    pub(crate) fn catch<'js>(
        cx: &Ctx<'js>,
        error: Error,
        script: &str,
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
        let stack = stack(&exception.stack().unwrap_or_default());
        let place = place(&stack, script);
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

/// The stack without indentation and without the engine's own frames.
fn stack(text: &str) -> String {
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains(crate::api::PRELUDE));
    lines.collect::<Vec<_>>().join("\n")
}

/// The innermost place in the script: `at intercept (tag.js:3:5)`, or `at tag.js:3:5` in a syntax error.
fn place(stack: &str, script: &str) -> Option<(u32, u32)> {
    stack.lines().find_map(|line| {
        let line = line.strip_suffix(')').unwrap_or(line);
        let (before, column) = line.rsplit_once(':')?;
        let (before, number) = before.rsplit_once(':')?;
        let is_script = before.strip_suffix(script).is_some_and(|rest| rest.ends_with(['(', ' ']));
        if !is_script {
            return None;
        }
        Some((number.parse().ok()?, column.parse().ok()?))
    })
}
