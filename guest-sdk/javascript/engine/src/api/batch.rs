//! `batch`: what a script reads.

use millrace_plugin::Finder;
use rquickjs::object::Accessor;
use rquickjs::{Array, BigInt, Ctx, Exception, Object, Result, String as JsString, TypedArray, Value};

use super::{clock, method};
use crate::call;
use crate::value::{Arg, kind, row, text, view, with_bytes};

/// Makes the one `batch` there is.
pub(super) fn object<'js>(cx: &Ctx<'js>) -> Result<Object<'js>> {
    let batch = Object::new(cx.clone())?;
    batch.prop("count", Accessor::new_get(count).enumerable())?;
    batch.prop("bodyBytes", Accessor::new_get(body_bytes).enumerable())?;
    batch.prop("formedAt", Accessor::new_get(|| clock::millis()).enumerable())?;
    batch.prop("formedAtNanos", Accessor::new_get(formed_at_nanos).enumerable())?;
    method!(cx, batch, "body", body);
    method!(cx, batch, "bodies", bodies);
    method!(cx, batch, "text", body_text);
    method!(cx, batch, "header", header);
    method!(cx, batch, "headers", headers);
    method!(cx, batch, "headerColumn", header_column);
    method!(cx, batch, "headerNames", header_names);
    method!(cx, batch, "find", find);
    method!(cx, batch, "findHeader", find_header);
    method!(cx, batch, "runs", runs);
    Ok(batch)
}

fn count(cx: Ctx<'_>) -> Result<u32> {
    call::with(&cx, |call| Ok(call.count))
}

fn body_bytes(cx: Ctx<'_>) -> Result<f64> {
    call::with(&cx, |call| Ok(call.batch().body_bytes() as f64))
}

fn formed_at_nanos<'js>(cx: Ctx<'js>) -> Result<BigInt<'js>> {
    BigInt::from_u64(cx, call::formed_at())
}

/// The bytes of one body, as a view that cannot be written to.
fn body<'js>(cx: Ctx<'js>, number: Arg<'js>) -> Result<Value<'js>> {
    let number = row(&cx, &number)?;
    let (bodies, number) = call::with(&cx, |call| {
        let number = call.check(&cx, number)?;
        Ok((call.bodies(&cx)?.clone(), number))
    })?;
    let ends = bodies.packed.ends();
    let start = if number == 0 { 0 } else { ends[number as usize - 1] as usize };
    view(&cx, &bodies.buffer.restore(&cx)?, start, ends[number as usize] as usize - start)
}

/// Views on all bodies.
fn bodies<'js>(cx: Ctx<'js>) -> Result<Array<'js>> {
    let bodies = call::with(&cx, |call| Ok(call.bodies(&cx)?.clone()))?;
    let buffer = bodies.buffer.restore(&cx)?;
    let array = Array::new(cx.clone())?;
    let mut start = 0;
    for (index, end) in bodies.packed.ends().iter().enumerate() {
        let end = *end as usize;
        array.set(index, view(&cx, &buffer, start, end - start)?)?;
        start = end;
    }
    Ok(array)
}

/// The text of one body; `null` where it is not UTF-8, so that nothing is lost without anybody noticing.
fn body_text<'js>(cx: Ctx<'js>, number: Arg<'js>) -> Result<Value<'js>> {
    let number = row(&cx, &number)?;
    call::with(&cx, |call| {
        let number = call.check(&cx, number)?;
        match std::str::from_utf8(&call.bodies(&cx)?.packed[number]) {
            Ok(text) => Ok(JsString::from_str(cx.clone(), text)?.into_value()),
            Err(_) => Ok(Value::new_null(cx.clone())),
        }
    })
}

/// One header of one event; `null` where it is missing.
fn header<'js>(cx: Ctx<'js>, number: Arg<'js>, name: Arg<'js>) -> Result<Value<'js>> {
    let number = row(&cx, &number)?;
    let name = text(&cx, &name, "the name of a header")?;
    call::with(&cx, |call| {
        let number = call.check(&cx, number)?;
        js_text(&cx, call.column(&name).get(number))
    })
}

fn js_text<'js>(cx: &Ctx<'js>, text: Option<&str>) -> Result<Value<'js>> {
    match text {
        Some(text) => Ok(JsString::from_str(cx.clone(), text)?.into_value()),
        None => Ok(Value::new_null(cx.clone())),
    }
}

/// All headers of one event, as an object without a prototype.
fn headers<'js>(cx: Ctx<'js>, number: Arg<'js>) -> Result<Object<'js>> {
    let number = row(&cx, &number)?;
    let object = Object::new(cx.clone())?;
    object.set_prototype(None)?;
    call::with(&cx, |call| {
        let number = call.check(&cx, number)?;
        for (name, value) in call.batch().headers().row(number) {
            object.set(name, value)?;
        }
        Ok(())
    })?;
    Ok(object)
}

/// One header of all events, `null` where it is missing.
fn header_column<'js>(cx: Ctx<'js>, name: Arg<'js>) -> Result<Array<'js>> {
    let name = text(&cx, &name, "the name of a header")?;
    let array = Array::new(cx.clone())?;
    call::with(&cx, |call| {
        for (number, value) in call.column(&name).rows() {
            array.set(number as usize, js_text(&cx, value)?)?;
        }
        Ok(())
    })?;
    Ok(array)
}

/// The names of the headers that occur.
fn header_names(cx: Ctx<'_>) -> Result<Vec<String>> {
    call::with(&cx, |call| Ok(call.batch().header_names()))
}

/// The rows whose body contains some bytes.
fn find<'js>(cx: Ctx<'js>, needle: Arg<'js>) -> Result<TypedArray<'js, u32>> {
    let finder = with_bytes(&cx, &needle, "what to find", |needle| Finder::new(needle))?;
    let rows = call::with(&cx, |call| Ok(finder.rows(&call.bodies(&cx)?.packed)))?;
    TypedArray::new(cx, rows)
}

/// The rows in which a header has exactly this value; `null` stands for "missing".
fn find_header<'js>(cx: Ctx<'js>, name: Arg<'js>, value: Arg<'js>) -> Result<TypedArray<'js, u32>> {
    let name = text(&cx, &name, "the name of a header")?;
    let wanted = if value.is_null() { None } else { Some(text(&cx, &value, "the value to find")?) };
    let rows = call::with(&cx, |call| Ok(call.column(&name).rows_where(|found| found == wanted.as_deref())))?;
    TypedArray::new(cx, rows)
}

/// Where bytes of one class stand in a row, as `[row, start, end, row, start, end, …]`: every longest run of them that
/// is `min` to `max` long.
fn runs<'js>(cx: Ctx<'js>, class: Arg<'js>, min: Arg<'js>, max: Arg<'js>) -> Result<TypedArray<'js, u32>> {
    let class = with_bytes(&cx, &class, "a class of bytes", class_of)?
        .ok_or_else(|| Exception::throw_type(&cx, "a class of bytes is written like \"0-9A-F\", in ASCII"))?;
    let length = |value: &Value<'js>, default: u32| match value {
        value if value.is_undefined() => Ok(default),
        value => row(&cx, value).map_err(|_| {
            Exception::throw_type(&cx, &format!("a length is a whole number, not {}", kind(value)))
        }),
    };
    let (min, max) = (length(&min, 1)?.max(1), length(&max, u32::MAX)?);
    let found = call::with(&cx, |call| {
        let mut found = Vec::new();
        for (number, body) in call.bodies(&cx)?.packed.rows() {
            for (start, end) in runs_in(body, &class, min as usize) {
                if end - start <= max as usize {
                    found.extend([number, start as u32, end as u32]);
                }
            }
        }
        Ok(found)
    })?;
    TypedArray::new(cx, found)
}

/// `0-9A-F` as a table. A `-` first or last stands for itself.
fn class_of(text: &[u8]) -> Option<[bool; 256]> {
    let mut class = [false; 256];
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (last, tail) = match tail {
            [b'-', last, tail @ ..] => (last, tail),
            _ => (first, tail),
        };
        if !first.is_ascii() || !last.is_ascii() || first > last {
            return None;
        }
        class[usize::from(*first)..=usize::from(*last)].fill(true);
        rest = tail;
    }
    (!text.is_empty()).then_some(class)
}

/// Every longest run of at least `min` bytes of the class. A run that long holds every `min`th place of where it
/// stands, so what lies between two such places that are not of the class is never looked at.
fn runs_in<'a>(
    body: &'a [u8],
    class: &'a [bool; 256],
    min: usize,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    let is_in = |byte: &u8| class[usize::from(*byte)];
    // The byte before this place is of another class, or there is none.
    let mut from = 0_usize;
    std::iter::from_fn(move || {
        loop {
            let probe = from.checked_add(min - 1)?;
            if !is_in(body.get(probe)?) {
                from = probe + 1;
                continue;
            }
            let start =
                body[from..probe].iter().rposition(|byte| !is_in(byte)).map_or(from, |at| from + at + 1);
            let length = body[start..].iter().position(|byte| !is_in(byte)).unwrap_or(body.len() - start);
            from = start + length + 1;
            if length >= min {
                return Some((start, start + length));
            }
        }
    })
}
