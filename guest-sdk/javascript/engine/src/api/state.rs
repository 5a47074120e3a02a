//! `import state from "millrace:state"`: keys and values that outlive the instance, committed with the batch.
//!
//! A module and not a global name, because state has a price: a component that keeps some runs as one instance. The
//! agent looks for this import in the text, and the module is only there where it has seen it.

use std::time::Duration;

use millrace_plugin::state;
use rquickjs::module::{Declarations, Exports, ModuleDef};
use rquickjs::{BigInt, Ctx, Error, Exception, Object, Result, String as JsString, TypedArray, Value};

use super::method;
use crate::value::{Arg, kind, text, with_bytes};

/// Largest whole number that a JavaScript number holds exactly.
const SAFE_MAX: i64 = (1 << 53) - 1;

/// The module.
pub(super) struct State;

impl ModuleDef for State {
    fn declare<'js>(declarations: &Declarations<'js>) -> Result<()> {
        declarations.declare("default")?;
        Ok(())
    }

    fn evaluate<'js>(cx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
        let object = Object::new(cx.clone())?;
        method!(cx, object, "get", get);
        method!(cx, object, "getText", get_text);
        method!(cx, object, "getMany", get_many);
        method!(cx, object, "set", set);
        method!(cx, object, "delete", delete);
        method!(cx, object, "increment", increment);
        method!(cx, object, "list", list);
        exports.export("default", object)?;
        Ok(())
    }
}

fn refused(cx: &Ctx<'_>, error: &state::Error) -> Error {
    Exception::throw_message(cx, &format!("state: {error}"))
}

fn key<'js>(cx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    text(cx, value, "a key")
}

fn bytes<'js>(cx: &Ctx<'js>, value: Option<Vec<u8>>) -> Result<Value<'js>> {
    match value {
        Some(value) => Ok(TypedArray::new(cx.clone(), value)?.into_value()),
        None => Ok(Value::new_null(cx.clone())),
    }
}

fn get<'js>(cx: Ctx<'js>, name: Arg<'js>) -> Result<Value<'js>> {
    let value = state::get(&key(&cx, &name)?).map_err(|error| refused(&cx, &error))?;
    bytes(&cx, value)
}

fn get_text<'js>(cx: Ctx<'js>, name: Arg<'js>) -> Result<Value<'js>> {
    match state::get(&key(&cx, &name)?).map_err(|error| refused(&cx, &error))? {
        Some(value) => match std::str::from_utf8(&value) {
            Ok(text) => Ok(JsString::from_str(cx, text)?.into_value()),
            Err(_) => Err(Exception::throw_type(&cx, "the value is not UTF-8")),
        },
        None => Ok(Value::new_null(cx)),
    }
}

fn get_many<'js>(cx: Ctx<'js>, names: Arg<'js>) -> Result<Vec<Value<'js>>> {
    let Some(names) = names.as_array() else {
        return Err(Exception::throw_type(
            &cx,
            &format!("getMany takes an array of keys, not {}", kind(&names)),
        ));
    };
    let names: Vec<String> =
        names.iter::<Value<'js>>().map(|name| key(&cx, &name?)).collect::<Result<_>>()?;
    let values = state::get_many(&names).map_err(|error| refused(&cx, &error))?;
    values.into_iter().map(|value| bytes(&cx, value)).collect()
}

/// `set(key, value, ttlMs)`: for good, or for so many milliseconds.
fn set<'js>(cx: Ctx<'js>, name: Arg<'js>, value: Arg<'js>, ttl_ms: Arg<'js>) -> Result<()> {
    let name = key(&cx, &name)?;
    let ttl = match ttl_ms.as_number() {
        Some(ms) if ms >= 0.0 => Some(Duration::from_millis(ms as u64)),
        None if ttl_ms.is_undefined() => None,
        _ => return Err(Exception::throw_type(&cx, "a time to live is a number of milliseconds")),
    };
    let result = with_bytes(&cx, &value, "a value", |value| match ttl {
        Some(ttl) => state::set_for(&name, value, ttl),
        None => state::set(&name, value),
    })?;
    result.map_err(|error| refused(&cx, &error))
}

fn delete<'js>(cx: Ctx<'js>, name: Arg<'js>) -> Result<()> {
    state::delete(&key(&cx, &name)?).map_err(|error| refused(&cx, &error))
}

/// Adds 1, or a whole number given as a number or a BigInt. The sum is a number, or a BigInt where it is too large.
fn increment<'js>(cx: Ctx<'js>, name: Arg<'js>, by: Arg<'js>) -> Result<Value<'js>> {
    let whole =
        |number: f64| (number.fract() == 0.0 && number.abs() <= SAFE_MAX as f64).then_some(number as i64);
    let given = by;
    let by = &*given;
    let by = match by.as_number() {
        None if by.is_undefined() => Some(1),
        Some(number) => whole(number),
        None => by.as_big_int().and_then(|number| number.clone().to_i64().ok()),
    };
    let Some(by) = by else {
        return Err(Exception::throw_type(
            &cx,
            &format!("increment takes a whole number, not {}", kind(&given)),
        ));
    };
    let sum = state::increment(&key(&cx, &name)?, by).map_err(|error| refused(&cx, &error))?;
    if sum.abs() <= SAFE_MAX {
        return Ok(Value::new_number(cx, sum as f64));
    }
    Ok(BigInt::from_i64(cx, sum)?.into_value())
}

/// `list(prefix, after, max)`: keys in the order of their bytes.
fn list<'js>(cx: Ctx<'js>, prefix: Arg<'js>, after: Arg<'js>, max: Arg<'js>) -> Result<Vec<String>> {
    let prefix = if prefix.is_undefined() { String::new() } else { key(&cx, &prefix)? };
    let after = if after.is_undefined() || after.is_null() { None } else { Some(key(&cx, &after)?) };
    let max = if max.is_undefined() { 1000 } else { crate::value::row(&cx, &max)? };
    state::list(&prefix, after.as_deref(), max).map_err(|error| refused(&cx, &error))
}
