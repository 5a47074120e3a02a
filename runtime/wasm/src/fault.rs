//! From an error of wasmtime to what it means: which limit was hit, where, and what the guest said about it.

use std::time::Duration;

use wasmtime::{Store, Trap, WasmBacktrace};

use crate::{
    error::{Fault, FaultKind},
    host::escaped,
    state::GuestState,
};

/// Longest list of functions in a dead letter.
const BACKTRACE_BYTES_MAX: usize = 4096;

/// Says what an error of a call means. What the guest logged last as an error is added: it is the text of a panic.
pub(crate) fn fault(store: &Store<GuestState>, error: &wasmtime::Error, time: Duration) -> Fault {
    let state = store.data();
    let (kind, mut reason) = match error.downcast_ref::<Trap>() {
        _ if state.limits.memory_refused => (FaultKind::Memory, error.root_cause().to_string()),
        Some(Trap::Interrupt) => (FaultKind::Deadline, format!("the call took longer than {time:?}")),
        Some(Trap::StackOverflow) => (FaultKind::Stack, "the stack is used up".to_owned()),
        // wasmtime begins with "wasm trap: " what is called a trap here already.
        _ => (FaultKind::Trap, error.root_cause().to_string().replacen("wasm trap: ", "", 1)),
    };
    if let (FaultKind::Trap, Some(said)) = (kind, state.last_error()) {
        reason = format!("{reason}; the plugin said: {said}");
    }
    Fault { kind, reason: escaped(&reason, 1024), backtrace: backtrace(error) }
}

/// The guest's functions, innermost first.
fn backtrace(error: &wasmtime::Error) -> String {
    let mut text = String::new();
    for frame in error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default() {
        let name = match frame.func_name() {
            Some(name) => escaped(&format!("{:#}", rustc_demangle::demangle(name)), 256),
            None => format!("function {}", frame.func_index()),
        };
        if text.len() + name.len() > BACKTRACE_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&name);
        if let Some(offset) = frame.module_offset() {
            text.push_str(&format!(" @ {offset:#x}"));
        }
    }
    text
}
