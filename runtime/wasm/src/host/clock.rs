//! The `clock` interface.

use wasmtime::{StoreContextMut, component::Linker};

use crate::{bindings::interface, state::GuestState};

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut clock = linker.instance(interface::CLOCK)?;
    clock.func_wrap("unix-nanos", |cx: StoreContextMut<'_, GuestState>, ()| {
        Ok((cx.data().capabilities.clock.unix_nanos(),))
    })?;
    clock.func_wrap("monotonic-nanos", |cx: StoreContextMut<'_, GuestState>, ()| {
        Ok((cx.data().capabilities.monotonic_nanos(),))
    })
}
