//! What guests may import: one file per interface.

mod clock;
mod columns;
mod http;
mod log;
mod metrics;
mod state;
mod types;
mod wasi;

use wasmtime::component::Linker;

pub(crate) use self::{
    log::{GuestLog, LogSource, escaped},
    metrics::{GuestFamilies, GuestMetrics},
    wasi::RealWasi,
};
use crate::{component::Offer, state::GuestState};

/// Adds every interface of the plugin package; those that wait only where calls may (`waits`). A plugin sees only
/// what it imports.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>, waits: bool) -> wasmtime::Result<()> {
    types::add_to_linker(linker)?;
    log::add_to_linker(linker)?;
    metrics::add_to_linker(linker)?;
    state::add_to_linker(linker)?;
    clock::add_to_linker(linker)?;
    if waits {
        http::add_to_linker(linker)?;
    }
    Ok(())
}

/// Adds what a component imports of WASI: the inert set, or the real thing with what was granted of it.
pub(crate) fn add_wasi(
    linker: &mut Linker<GuestState>,
    component: &wasmtime::component::Component,
    offer: Offer,
) -> wasmtime::Result<()> {
    wasi::add_to_linker(linker, component, offer)
}
