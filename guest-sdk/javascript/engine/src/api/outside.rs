//! What leaves the script besides edits: log lines and metrics.

use millrace_plugin::{log, metrics};
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::method;
use crate::value::{Arg, header_value, kind, text};

/// Adds the functions that the prelude wraps.
pub(super) fn add<'js>(cx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    method!(cx, native, "logEnabled", |cx: Ctx<'js>, name: String| Ok::<_, rquickjs::Error>(log::enabled(
        level(&cx, &name)?
    )));
    method!(cx, native, "log", |cx: Ctx<'js>, name: String, line: Arg<'js>| {
        log::emit(level(&cx, &name)?, &text(&cx, &line, "a line of the log")?, &[]);
        Ok::<_, rquickjs::Error>(())
    });
    let metrics = Object::new(cx.clone())?;
    method!(cx, metrics, "counterAdd", counter_add);
    method!(cx, metrics, "gaugeSet", |cx: Ctx<'js>, name: Arg<'js>, labels: Arg<'js>, value: Arg<'js>| {
        record(&cx, &name, &labels, &value, metrics::gauge_set)
    });
    method!(cx, metrics, "histogramRecord", |cx: Ctx<'js>,
                                             name: Arg<'js>,
                                             labels: Arg<'js>,
                                             value: Arg<'js>| {
        record(&cx, &name, &labels, &value, metrics::histogram_record)
    });
    native.set("metrics", metrics)
}

fn level(cx: &Ctx<'_>, name: &str) -> Result<log::Level> {
    Ok(match name {
        "trace" => log::Level::Trace,
        "debug" => log::Level::Debug,
        "info" => log::Level::Info,
        "warn" => log::Level::Warn,
        "error" => log::Level::Error,
        other => return Err(Exception::throw_range(cx, &format!("there is no level {other}"))),
    })
}

fn counter_add<'js>(cx: Ctx<'js>, name: Arg<'js>, labels: Arg<'js>, amount: Arg<'js>) -> Result<()> {
    let amount = if amount.is_undefined() { 1.0 } else { number(&cx, &amount)? };
    if amount < 0.0 || amount.fract() != 0.0 {
        return Err(Exception::throw_range(
            &cx,
            &format!("a counter goes up by whole numbers, not by {amount}"),
        ));
    }
    let labels = labels_of(&cx, &labels)?;
    let name = text(&cx, &name, "the name of a metric")?;
    metrics::counter_add(&name, &labels.iter().map(String::as_str).collect::<Vec<_>>(), amount as u64);
    Ok(())
}

fn record<'js>(
    cx: &Ctx<'js>,
    name: &Value<'js>,
    labels: &Value<'js>,
    value: &Value<'js>,
    note: fn(&str, &[&str], f64),
) -> Result<()> {
    let labels = labels_of(cx, labels)?;
    let name = text(cx, name, "the name of a metric")?;
    note(&name, &labels.iter().map(String::as_str).collect::<Vec<_>>(), number(cx, value)?);
    Ok(())
}

fn labels_of<'js>(cx: &Ctx<'js>, labels: &Value<'js>) -> Result<Vec<String>> {
    match labels.as_array() {
        Some(labels) => labels.iter::<Value<'js>>().map(|label| header_value(cx, &label?)).collect(),
        None if labels.is_undefined() => Ok(Vec::new()),
        None => {
            Err(Exception::throw_type(cx, &format!("labels are an array of strings, not {}", kind(labels))))
        }
    }
}

fn number<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<f64> {
    value
        .as_number()
        .ok_or_else(|| Exception::throw_type(cx, &format!("a metric takes a number, not {}", kind(value))))
}
