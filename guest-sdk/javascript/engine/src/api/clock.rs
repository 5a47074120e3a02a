//! Time and chance, both of which come from the batch: the same batch gives the same edits.

use std::cell::Cell;

use rquickjs::{Ctx, Function, Object, Result};

use crate::call;

thread_local! {
    static CHANCE: Cell<u64> = const { Cell::new(0) };
}

/// Begins the random numbers of a call.
pub(crate) fn begin_call() {
    CHANCE.set(call::formed_at());
}

/// When the batch was formed, in milliseconds since 1970.
pub(super) fn millis() -> f64 {
    (call::formed_at() / 1_000_000) as f64
}

/// Asked by QuickJS for every kind of time, in microseconds.
#[unsafe(no_mangle)]
extern "C" fn __rquickjs_host_now_us() -> f64 {
    (call::formed_at() / 1_000) as f64
}

/// Replaces `Math.random`.
pub(super) fn add<'js>(cx: &Ctx<'js>) -> Result<()> {
    let math: Object<'js> = cx.globals().get("Math")?;
    math.set("random", Function::new(cx.clone(), random)?.with_name("random")?)
}

/// SplitMix64: 53 bits of it.
fn random() -> f64 {
    let state = CHANCE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    CHANCE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
