//! The `state` interface: keys and values of the component, as the batch of the call sees them.
//!
//! Nothing here waits: the turn of the component was taken before the call, and what is written stays in memory until
//! the batch is committed. Outside of a call that belongs to a batch everything is denied.

use bytes::Bytes;
use millrace_core::{StateError, StateTransaction};
use wasmtime::{StoreContextMut, component::Linker};

use crate::{
    bindings::{
        StateFailure,
        interface::{self, Version},
    },
    state::GuestState,
};

/// Keys in one answer of `list-keys`, whatever the guest asks for: it can go on behind the last one.
const KEYS_MAX: usize = 10_000;

type Cx<'a> = StoreContextMut<'a, GuestState>;
type Answer<T> = wasmtime::Result<(Result<T, StateFailure>,)>;

impl From<StateError> for StateFailure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Quota { .. } => Self::Quota,
            StateError::TooLarge { .. } => Self::TooLarge,
        }
    }
}

/// Does something with the state, if the call may.
fn with<T>(mut cx: Cx<'_>, work: impl FnOnce(&mut StateTransaction) -> Result<T, StateFailure>) -> Answer<T> {
    let state = cx.data_mut();
    let answer = match &mut state.state {
        Some(transaction) => work(transaction),
        None => Err(StateFailure::Denied),
    };
    if matches!(answer, Err(StateFailure::Quota)) {
        state.metrics.state_refused();
    }
    Ok((answer,))
}

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut state = linker.instance(&version.of(interface::STATE))?;
    state.func_wrap("get", |cx: Cx<'_>, (key,): (String,)| -> Answer<Option<Bytes>> {
        with(cx, |state| Ok(state.value(&key)))
    })?;
    state.func_wrap("get-many", |cx: Cx<'_>, (keys,): (Vec<String>,)| -> Answer<Vec<Option<Bytes>>> {
        with(cx, |state| Ok(keys.iter().map(|key| state.value(key)).collect()))
    })?;
    state.func_wrap(
        "set",
        |cx: Cx<'_>, (key, value, ttl_ms): (String, Bytes, Option<u64>)| -> Answer<()> {
            with(cx, |state| Ok(state.set(&key, &value, ttl_ms)?))
        },
    )?;
    state.func_wrap("delete", |cx: Cx<'_>, (key,): (String,)| -> Answer<()> {
        with(cx, |state| {
            state.delete(&key);
            Ok(())
        })
    })?;
    state.func_wrap("increment", |cx: Cx<'_>, (key, by): (String, i64)| -> Answer<i64> {
        with(cx, |state| Ok(state.increment(&key, by)?))
    })?;
    state.func_wrap(
        "list-keys",
        |cx: Cx<'_>, (prefix, after, keys_max): (String, Option<String>, u32)| -> Answer<Vec<String>> {
            with(cx, |state| {
                let keys = state.keys(&prefix, after.as_deref(), (keys_max as usize).min(KEYS_MAX));
                // They came as text.
                Ok(keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect())
            })
        },
    )
}
