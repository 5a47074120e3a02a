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
use crate::{bindings::interface::Version, component::Offer, state::GuestState};

/// Adds every interface of the plugin package in every version that is served; those that wait only where calls may (`waits`). A plugin sees only
/// what it imports.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>, waits: bool) -> wasmtime::Result<()> {
    for version in Version::ALL {
        types::add_to_linker(linker, version)?;
        log::add_to_linker(linker, version)?;
        metrics::add_to_linker(linker, version)?;
        state::add_to_linker(linker, version)?;
        clock::add_to_linker(linker, version)?;
        if waits {
            http::add_to_linker(linker, version)?;
        }
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
