//! UTF-8 in both directions: what `TextEncoder` and `TextDecoder` of the prelude do.

use rquickjs::{Ctx, Object, Result, String as JsString, TypedArray, Value};

use super::method;
use crate::value::{Arg, text, with_bytes};

/// Adds the functions that the prelude wraps.
pub(super) fn add<'js>(cx: &Ctx<'js>, native: &Object<'js>) -> Result<()> {
    method!(cx, native, "encode", encode);
    method!(cx, native, "decode", decode);
    method!(cx, native, "decodeLossy", decode_lossy);
    Ok(())
}

fn encode<'js>(cx: Ctx<'js>, value: Arg<'js>) -> Result<TypedArray<'js, u8>> {
    let text = text(&cx, &value, "what to encode")?;
    TypedArray::new(cx, text.into_bytes())
}

/// `null` where the bytes are not UTF-8.
fn decode<'js>(cx: Ctx<'js>, value: Arg<'js>) -> Result<Value<'js>> {
    with_bytes(&cx, &value, "what to decode", |bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Ok(JsString::from_str(cx.clone(), text)?.into_value()),
        Err(_) => Ok(Value::new_null(cx.clone())),
    })?
}

/// What is not UTF-8 becomes U+FFFD.
fn decode_lossy<'js>(cx: Ctx<'js>, value: Arg<'js>) -> Result<JsString<'js>> {
    with_bytes(&cx, &value, "what to decode", |bytes| {
        JsString::from_str(cx.clone(), &std::string::String::from_utf8_lossy(bytes))
    })?
}
