//! WASI 0.2 for plugins, in one of two ways.
//!
//! | way | for whom | what there is |
//! |---|---|---|
//! | `inert` | components that import WASI because their tool-chain does | nothing: see there; synchronous and fast |
//! | `real`, `files`, `stdio`, `sockets`, `web` | components that were granted something of it | exactly that, by `wasmtime-wasi`; their calls may wait |
//!
//! Which way a component goes is decided when it is loaded (`Grants::are_beyond_inert`), by its imports and its grants.

mod files;
mod inert;
mod real;
mod sockets;
mod stdio;
mod web;

use wasmtime::component::{Component, Linker};

pub(crate) use real::RealWasi;

use crate::{component::Offer, state::GuestState};

/// Adds what the component imports of WASI.
pub(super) fn add_to_linker(
    linker: &mut Linker<GuestState>,
    component: &Component,
    offer: Offer,
) -> wasmtime::Result<()> {
    if !offer.wasi {
        return inert::add_to_linker(linker, component);
    }
    real::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    files::shadow(linker)?;
    inert::shadow(linker, component, offer)?;
    sockets::shadow(linker, component)?;
    linker.allow_shadowing(false);
    Ok(())
}
