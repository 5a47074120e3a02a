//! Function types as people write them in WIT, for "expected, found".

use std::fmt::Write;

use wasmtime::component::{Type, types::ComponentFunc};

pub(crate) const CONFIGURE: &str = "func(config: string, instance: instance) -> result<_, list<issue>>";
pub(crate) const STOP: &str = "func(deadline-ms: u32)";
pub(crate) const INTERCEPT: &str = "func(batch: borrow<batch>) -> result<list<edit>, failure>";
pub(crate) const SAVE: &str = "func() -> result<snapshot, string>";
pub(crate) const RESTORE: &str = "func(snapshot: snapshot) -> result<_, string>";
pub(crate) const OPEN: &str = "func(position: option<list<u8>>) -> result<_, failure>";
pub(crate) const POLL: &str = "func(events-max: u32, bytes-max: u32) -> result<polled, failure>";
pub(crate) const COMMITTED: &str = "func(position: list<u8>) -> result<_, failure>";
pub(crate) const DELIVER: &str = "func(batch: borrow<batch>, delivery: delivery) -> result<outcome, failure>";
pub(crate) const PREPARE: &str = "func(delivery: string) -> result<list<u8>, failure>";
pub(crate) const COMMIT: &str = "func(token: list<u8>) -> result<_, failure>";
pub(crate) const ABORT: &str = "func(token: list<u8>) -> result<_, failure>";
pub(crate) const RECOVER: &str = "func(tokens: list<list<u8>>) -> result<_, failure>";
pub(crate) const FRAME: &str = "func(bytes: list<u8>, at-end: bool) -> result<cut, failure>";
pub(crate) const DECODE: &str = "func(frames: packed) -> result<decoded, failure>";
pub(crate) const ENCODE: &str = "func(batch: borrow<batch>) -> result<packed, failure>";

/// How deep types are written out; beyond it they become `…`.
const DEPTH_MAX: usize = 4;

/// Writes a function's type; named types are written out, because names are not part of a component's types.
pub(crate) fn render(function: &ComponentFunc) -> String {
    let mut text = String::from("func(");
    for (index, (name, ty)) in function.params().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{name}: {}", name_of(&ty, 0));
    }
    text.push(')');
    for ty in function.results() {
        let _ = write!(text, " -> {}", name_of(&ty, 0));
    }
    text
}

fn name_of(ty: &Type, depth: usize) -> String {
    let inner = |ty: &Type| name_of(ty, depth + 1);
    let optional = |ty: Option<Type>| ty.map_or("_".to_owned(), |ty| inner(&ty));
    if depth > DEPTH_MAX {
        return "…".into();
    }
    match ty {
        Type::Bool => "bool".into(),
        Type::S8 => "s8".into(),
        Type::U8 => "u8".into(),
        Type::S16 => "s16".into(),
        Type::U16 => "u16".into(),
        Type::S32 => "s32".into(),
        Type::U32 => "u32".into(),
        Type::S64 => "s64".into(),
        Type::U64 => "u64".into(),
        Type::Float32 => "f32".into(),
        Type::Float64 => "f64".into(),
        Type::Char => "char".into(),
        Type::String => "string".into(),
        Type::List(list) => format!("list<{}>", inner(&list.ty())),
        Type::Option(option) => format!("option<{}>", inner(&option.ty())),
        Type::Result(result) => format!("result<{}, {}>", optional(result.ok()), optional(result.err())),
        Type::Tuple(tuple) => format!("tuple<{}>", joined(tuple.types().map(|ty| inner(&ty)))),
        Type::Record(record) => {
            format!(
                "record {{ {} }}",
                joined(record.fields().map(|field| format!("{}: {}", field.name, inner(&field.ty))))
            )
        }
        Type::Variant(variant) => format!(
            "variant {{ {} }}",
            joined(variant.cases().map(|case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, inner(ty)),
                None => case.name.to_owned(),
            }))
        ),
        Type::Enum(cases) => format!("enum {{ {} }}", joined(cases.names().map(str::to_owned))),
        Type::Flags(flags) => format!("flags {{ {} }}", joined(flags.names().map(str::to_owned))),
        Type::Own(_) => "own<resource>".into(),
        Type::Borrow(_) => "borrow<resource>".into(),
        _ => "a type of another version of the component model".into(),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
