//! The `clock` interface.

use wasmtime::{StoreContextMut, component::Linker};

use crate::{
    bindings::interface::{self, Version},
    state::GuestState,
};

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>, version: Version) -> wasmtime::Result<()> {
    let mut clock = linker.instance(&version.of(interface::CLOCK))?;
    clock.func_wrap("unix-nanos", |cx: StoreContextMut<'_, GuestState>, ()| {
        Ok((cx.data().capabilities.clock.unix_nanos(),))
    })?;
    clock.func_wrap("monotonic-nanos", |cx: StoreContextMut<'_, GuestState>, ()| {
        Ok((cx.data().capabilities.monotonic_nanos(),))
    })
}
