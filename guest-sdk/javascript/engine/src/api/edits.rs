//! `edits`: what a script wants to change. Notes only; the agent checks and applies them when the call has returned.

use millrace_plugin::Events;
use rquickjs::{Ctx, Exception, Object, Result, Value};

use super::method;
use crate::call::{self, Call};
use crate::value::{Arg, header_value, kind, row, rows, text, with_bytes};

/// Makes the one `edits` there is.
pub(super) fn object<'js>(cx: &Ctx<'js>) -> Result<Object<'js>> {
    let edits = Object::new(cx.clone())?;
    method!(cx, edits, "drop", drop_rows);
    method!(cx, edits, "setBody", set_body);
    method!(cx, edits, "setHeader", set_header);
    method!(cx, edits, "setHeaderOnAll", set_header_on_all);
    method!(cx, edits, "removeHeader", remove_header);
    method!(cx, edits, "removeHeaderOnAll", remove_header_on_all);
    method!(cx, edits, "split", split);
    method!(cx, edits, "route", route);
    method!(cx, edits, "reject", reject);
    Ok(edits)
}

/// Does something for one row or each of many, all of which must be there.
fn for_rows<'js>(cx: &Ctx<'js>, value: &Value<'js>, mut note: impl FnMut(&mut Call, u32)) -> Result<()> {
    if value.is_number() {
        let number = row(cx, value)?;
        return call::with(cx, |call| {
            let number = call.check(cx, number)?;
            note(call, number);
            Ok(())
        });
    }
    let numbers = rows(cx, value)?;
    call::with(cx, |call| {
        for number in &numbers {
            call.check(cx, *number)?;
        }
        numbers.iter().for_each(|number| note(call, *number));
        Ok(())
    })
}

fn drop_rows<'js>(cx: Ctx<'js>, which: Arg<'js>) -> Result<()> {
    for_rows(&cx, &which, |call, row| call.edits.drop(row))
}

fn set_body<'js>(cx: Ctx<'js>, number: Arg<'js>, body: Arg<'js>) -> Result<()> {
    let number = row(&cx, &number)?;
    with_bytes(&cx, &body, "a body", |body| {
        call::with(&cx, |call| {
            let number = call.check(&cx, number)?;
            call.edits.set_body(number, body);
            Ok(())
        })
    })?
}

fn set_header<'js>(cx: Ctx<'js>, which: Arg<'js>, name: Arg<'js>, value: Arg<'js>) -> Result<()> {
    let name = header_name(&cx, &name)?;
    let value = header_value(&cx, &value)?;
    for_rows(&cx, &which, |call, row| call.edits.set_header(row, &name, &value))
}

fn set_header_on_all<'js>(cx: Ctx<'js>, name: Arg<'js>, value: Arg<'js>) -> Result<()> {
    let name = header_name(&cx, &name)?;
    let value = header_value(&cx, &value)?;
    call::with(&cx, |call| {
        call.edits.set_header_on_all(&name, &value);
        Ok(())
    })
}

fn remove_header<'js>(cx: Ctx<'js>, which: Arg<'js>, name: Arg<'js>) -> Result<()> {
    let name = text(&cx, &name, "the name of a header")?;
    for_rows(&cx, &which, |call, row| call.edits.remove_header(row, &name))
}

fn remove_header_on_all<'js>(cx: Ctx<'js>, name: Arg<'js>) -> Result<()> {
    let name = text(&cx, &name, "the name of a header")?;
    call::with(&cx, |call| {
        call.edits.remove_header_on_all(&name);
        Ok(())
    })
}

fn route<'js>(cx: Ctx<'js>, which: Arg<'js>, channel: Arg<'js>) -> Result<()> {
    let channel = text(&cx, &channel, "the name of a channel")?;
    for_rows(&cx, &which, |call, row| call.edits.route(row, &channel))
}

fn reject<'js>(cx: Ctx<'js>, which: Arg<'js>, reason: Arg<'js>) -> Result<()> {
    let reason = text(&cx, &reason, "a reason")?;
    for_rows(&cx, &which, |call, row| call.edits.reject(row, &reason))
}

fn split<'js>(cx: Ctx<'js>, number: Arg<'js>, events: Arg<'js>) -> Result<()> {
    let number = row(&cx, &number)?;
    let Some(array) = events.as_array() else {
        return Err(Exception::throw_type(
            &cx,
            &format!("split takes an array of events, not {}", kind(&events)),
        ));
    };
    // Collected first: reading an event runs JavaScript where it has getters.
    let events: Vec<NewEvent> = array.iter().map(|event| new_event(&cx, &event?)).collect::<Result<_>>()?;
    call::with(&cx, |call| {
        let number = call.check(&cx, number)?;
        call.split(&cx, number, |out| events.iter().for_each(|event| event.write(out)))
    })
}

/// An event that takes the place of another.
struct NewEvent {
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl NewEvent {
    fn write(&self, out: &mut Events) {
        out.push(&self.body)
            .headers(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
}

/// A string, bytes, or an object with `body` and `headers`.
fn new_event<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<NewEvent> {
    let is_bytes = |value: &Value<'js>| {
        value.is_string() || value.as_object().is_some_and(|object| object.is_typed_array::<u8>())
    };
    let bytes = |value: &Value<'js>| with_bytes(cx, value, "a body", <[u8]>::to_vec);
    let object = match value.as_object() {
        _ if is_bytes(value) => return Ok(NewEvent { body: bytes(value)?, headers: Vec::new() }),
        Some(object) if !value.is_function() => object,
        _ => {
            let reason =
                format!("an event is a string, a Uint8Array or {{ body, headers }}, not {}", kind(value));
            return Err(Exception::throw_type(cx, &reason));
        }
    };
    let body = bytes(&object.get("body")?)?;
    let headers: Value<'js> = object.get("headers")?;
    let headers = match headers.as_object() {
        None if headers.is_undefined() || headers.is_null() => Vec::new(),
        None => {
            return Err(Exception::throw_type(cx, &format!("headers are an object, not {}", kind(&headers))));
        }
        Some(headers) => headers_of(cx, headers)?,
    };
    Ok(NewEvent { body, headers })
}

fn headers_of<'js>(cx: &Ctx<'js>, headers: &Object<'js>) -> Result<Vec<(String, String)>> {
    let entries: Result<Vec<(Value<'js>, Value<'js>)>> = headers.props().collect();
    let entry =
        |(name, value): (Value<'js>, Value<'js>)| Ok((header_name(cx, &name)?, header_value(cx, &value)?));
    entries?.into_iter().map(entry).collect()
}

/// The name of a header to set: not empty.
fn header_name<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    let name = text(cx, value, "the name of a header")?;
    if name.is_empty() {
        return Err(Exception::throw_type(cx, "the name of a header is not empty"));
    }
    Ok(name)
}
