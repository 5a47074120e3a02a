//! From JavaScript values to Rust and back, with errors that say what was expected.

use std::ops::Deref;

use rquickjs::function::{FromParam, ParamRequirement, ParamsAccessor};
use rquickjs::{ArrayBuffer, Coerced, Ctx, Exception, FromJs, Result, String as JsString, Value, qjs};

/// An argument of a function; `undefined` where the script leaves it out.
pub(crate) struct Arg<'js>(Value<'js>);

impl<'js> FromParam<'js> for Arg<'js> {
    fn param_requirement() -> ParamRequirement {
        ParamRequirement::optional()
    }

    fn from_param<'a>(params: &mut ParamsAccessor<'a, 'js>) -> Result<Self> {
        if params.is_empty() {
            return Ok(Self(Value::new_undefined(params.ctx().clone())));
        }
        Ok(Self(params.arg()))
    }
}

impl<'js> Deref for Arg<'js> {
    type Target = Value<'js>;

    fn deref(&self) -> &Value<'js> {
        &self.0
    }
}

/// What a value is, for an error.
pub(crate) fn kind(value: &Value<'_>) -> &'static str {
    match () {
        () if value.is_undefined() => "undefined",
        () if value.is_null() => "null",
        () if value.is_bool() => "a boolean",
        () if value.is_number() => "a number",
        () if value.is_string() => "a string",
        () if value.is_array() => "an array",
        () if value.is_function() => "a function",
        () if value.is_big_int() => "a BigInt",
        () if value.is_symbol() => "a symbol",
        () => "an object",
    }
}

/// Text, without loss: JavaScript strings may hold halves of characters, which nothing outside can.
pub(crate) fn text<'js>(cx: &Ctx<'js>, value: &Value<'js>, what: &str) -> Result<String> {
    match value.as_string() {
        Some(text) => utf8(cx, text, what),
        None => Err(Exception::throw_type(cx, &format!("{what} is a string, not {}", kind(value)))),
    }
}

/// The value of a header: text, or what has an obvious text.
pub(crate) fn header_value<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    if value.is_number() || value.is_bool() || value.is_big_int() {
        return Ok(Coerced::<String>::from_js(cx, value.clone())?.0);
    }
    text(cx, value, "the value of a header")
}

fn utf8<'js>(cx: &Ctx<'js>, text: &JsString<'js>, what: &str) -> Result<String> {
    text.to_string().map_err(|error| match error {
        rquickjs::Error::Utf8(_) => Exception::throw_type(cx, &format!("{what} holds half of a character")),
        error => error,
    })
}

/// Calls with the bytes of a string, a typed array of bytes or an array buffer.
pub(crate) fn with_bytes<'js, R>(
    cx: &Ctx<'js>,
    value: &Value<'js>,
    what: &str,
    work: impl FnOnce(&[u8]) -> R,
) -> Result<R> {
    if let Some(text) = value.as_string() {
        return utf8(cx, text, what).map(|text| work(text.as_bytes()));
    }
    if let Some(bytes) = byte_array(value) {
        return Ok(work(bytes));
    }
    if let Some(buffer) = value.as_object().and_then(|object| ArrayBuffer::from_object(object.clone())) {
        // SAFETY: no JavaScript runs while the slice is alive: `work` gets nothing to run it with.
        if let Some(bytes) = unsafe { buffer.as_bytes() } {
            return Ok(work(bytes));
        }
    }
    Err(Exception::throw_type(cx, &format!("{what} is a string or a Uint8Array, not {}", kind(value))))
}

/// The bytes of a `Uint8Array`. They must not be kept across anything that runs JavaScript.
fn byte_array<'a>(value: &'a Value<'_>) -> Option<&'a [u8]> {
    let object = value.as_object()?;
    if !object.is_typed_array::<u8>() {
        return None;
    }
    let mut length = 0;
    // SAFETY: the value is a Uint8Array of this context; a detached one answers with a null pointer and an exception,
    // which is taken back. The slice borrows the value, and callers run no JavaScript while they have it.
    unsafe {
        let cx = value.ctx();
        let pointer = qjs::JS_GetUint8Array(cx.as_raw().as_ptr(), &mut length, value.as_raw());
        if pointer.is_null() {
            if cx.has_exception() {
                drop(cx.catch());
            }
            return Some(&[]);
        }
        Some(std::slice::from_raw_parts(pointer, length as usize))
    }
}

/// A view on a part of a buffer, without a copy.
pub(crate) fn view<'js>(
    cx: &Ctx<'js>,
    buffer: &ArrayBuffer<'js>,
    start: usize,
    length: usize,
) -> Result<Value<'js>> {
    let number = |number: usize| Value::new_number(cx.clone(), number as f64);
    let (start, length) = (number(start), number(length));
    let mut arguments = [buffer.as_value().as_raw(), start.as_raw(), length.as_raw()];
    // SAFETY: three values of this context, which the call borrows; what it returns belongs to us.
    unsafe {
        let array = qjs::JS_NewTypedArray(
            cx.as_raw().as_ptr(),
            3,
            arguments.as_mut_ptr(),
            qjs::JSTypedArrayEnum_JS_TYPED_ARRAY_UINT8,
        );
        let value = Value::from_raw(cx.clone(), array);
        if value.is_exception() { Err(rquickjs::Error::Exception) } else { Ok(value) }
    }
}

/// A row number, not yet compared with the batch.
#[inline]
pub(crate) fn row<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<u32> {
    if let Some(row) = value.as_int() {
        return u32::try_from(row).map_err(|_| no_row(cx, &row.to_string()));
    }
    match value.as_float() {
        Some(row) if row.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&row) => Ok(row as u32),
        Some(row) => Err(no_row(cx, &row.to_string())),
        None => Err(no_row(cx, kind(value))),
    }
}

fn no_row(cx: &Ctx<'_>, found: &str) -> rquickjs::Error {
    Exception::throw_type(cx, &format!("a row is a whole number from 0, not {found}"))
}

/// One row, or an array of rows.
pub(crate) fn rows<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<Vec<u32>> {
    if let Some(array) = value.as_array() {
        return array.iter::<Value<'js>>().map(|item| row(cx, &item?)).collect();
    }
    if let Some(object) = value.as_object().filter(|object| object.is_typed_array::<u32>()) {
        let array = rquickjs::TypedArray::<u32>::from_object(object.clone())?;
        // SAFETY: no JavaScript runs before the slice has been copied.
        let bytes = unsafe { array.as_bytes() }.unwrap_or_default();
        let number = |chunk: &[u8]| chunk.try_into().map(u32::from_le_bytes).unwrap_or_default();
        return Ok(bytes.chunks_exact(4).map(number).collect());
    }
    row(cx, value).map(|row| vec![row])
}
