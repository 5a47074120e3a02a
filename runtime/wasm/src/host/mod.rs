//! What guests may import: one file per interface.

mod columns;
mod log;
mod metrics;
mod state;
mod types;
mod wasi;

use wasmtime::component::Linker;

pub(crate) use self::{
    log::{GuestLog, LogSource, escaped},
    metrics::{GuestFamilies, GuestMetrics},
};
use crate::state::GuestState;

/// Adds every interface of the plugin package; those that wait only where calls may (`waits`). A plugin sees only
/// what it imports.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>, _waits: bool) -> wasmtime::Result<()> {
    types::add_to_linker(linker)?;
    log::add_to_linker(linker)?;
    metrics::add_to_linker(linker)?;
    state::add_to_linker(linker)
}

/// Adds the inert part of WASI that a component imports, if it does.
pub(crate) fn add_wasi(
    linker: &mut Linker<GuestState>,
    component: &wasmtime::component::Component,
) -> wasmtime::Result<()> {
    wasi::add_to_linker(linker, component)
}
