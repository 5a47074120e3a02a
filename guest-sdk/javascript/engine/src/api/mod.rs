//! What scripts can call. Everything that touches many bytes is Rust; what is left is `prelude.js`.

mod batch;
mod clock;
mod edits;
mod modules;
mod outside;
mod state;
mod text;

use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Function, Object, Result};

pub(crate) use clock::begin_call;
pub(crate) use modules::Modules;

/// What the prelude is called in stacks, where nobody wants to see it.
pub(crate) const PRELUDE: &str = "millrace:prelude";

/// What the engine itself uses of the prelude.
pub(crate) struct Prelude<'js> {
    pub(crate) batch: Object<'js>,
    pub(crate) edits: Object<'js>,
    /// Calls a script's `event` for each event of the batch.
    pub(crate) each_event: Function<'js>,
    /// Tells failures from other exceptions.
    pub(crate) failure: Function<'js>,
}

/// Puts everything into the global object.
pub(crate) fn install<'js>(cx: &Ctx<'js>) -> Result<Prelude<'js>> {
    let batch = batch::object(cx)?;
    let edits = edits::object(cx)?;
    let native = Object::new(cx.clone())?;
    native.set("batch", batch.clone())?;
    native.set("edits", edits.clone())?;
    outside::add(cx, &native)?;
    text::add(cx, &native)?;
    clock::add(cx)?;
    let mut options = EvalOptions::default();
    options.filename = Some(PRELUDE.into());
    let prelude: Function<'js> = cx.eval_with_options(include_str!("../prelude.js"), options)?;
    let made: Object<'js> = prelude.call((native, cx.globals()))?;
    Ok(Prelude { batch, edits, each_event: made.get("eachEvent")?, failure: made.get("failure")? })
}

/// Adds a function under its name.
macro_rules! method {
    ($cx:expr, $object:expr, $name:literal, $function:expr) => {
        $object.set($name, rquickjs::Function::new($cx.clone(), $function)?.with_name($name)?)?
    };
}
pub(crate) use method;
