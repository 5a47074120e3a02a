//! WASI as `wasmtime-wasi` implements it, with everything denied but what the operator granted.
//!
//! Its pollables wait inside of the host, so components that have it run on stacks of their own, and every call of
//! theirs has a time limit from outside (see `instance`).

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, WasiCtx, WasiCtxView, WasiView, sockets::SocketAddrUse};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::{sockets::Found, stdio::LogStream, web::WebHooks};
use crate::{bindings::Level, capabilities::Capabilities, error::Fault, host::GuestLog, state::GuestState};

/// Streams, files and pollables that one instance may hold.
const RESOURCES_MAX: usize = 10_000;

/// Largest number of random bytes in one call.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// What one instance has of WASI.
#[derive(Default)]
pub(crate) struct RealWasi {
    cx: WasiCtx,
    pub(super) table: ResourceTable,
    http: WasiHttpCtx,
    hooks: Option<WebHooks>,
    log: Option<Arc<Mutex<GuestLog>>>,
    /// Addresses that granted names turned out to have.
    pub(super) found: Arc<Found>,
    /// Whether the network is there: not while `configure` runs.
    is_open: Arc<AtomicBool>,
}

/// A clock that stands still, for plugins that were granted none.
struct Still;

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

impl RealWasi {
    /// What the grants allow.
    ///
    /// # Errors
    /// A directory cannot be opened any more.
    pub(crate) fn new(capabilities: &Arc<Capabilities>, log: GuestLog) -> Result<Self, Fault> {
        let grants = &capabilities.grants;
        let log = Arc::new(Mutex::new(log));
        let is_open = Arc::new(AtomicBool::new(false));
        let found = Arc::new(Found::new(Arc::clone(capabilities)));
        let mut cx = WasiCtx::builder();
        cx.stdout(LogStream::new(Arc::clone(&log), Level::Info));
        cx.stderr(LogStream::new(Arc::clone(&log), Level::Error));
        cx.max_random_size(RANDOM_BYTES_MAX);
        for variable in &grants.variables {
            cx.env(&variable.name, &variable.value);
        }
        for directory in &grants.directories {
            cx.preopened_dir(&directory.path, &directory.at, FsPerms::ReadOnly).map_err(|error| {
                Fault::host(format!(
                    "the granted directory {} cannot be opened: {error:#}",
                    directory.path.display()
                ))
            })?;
        }
        if grants.clocks.is_none() {
            cx.monotonic_clock(Still);
        }
        cx.allow_udp(false);
        cx.allow_tcp(!grants.sockets.is_empty());
        // Names are looked up by our own function, which answers for granted names only.
        cx.allow_ip_name_lookup(false);
        let (open, known) = (Arc::clone(&is_open), Arc::clone(&found));
        cx.socket_addr_check(move |address, what| {
            let allowed = open.load(Ordering::Relaxed) && socket_is_allowed(&known, address, what);
            Box::pin(async move { allowed })
        });
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let hooks = WebHooks::new(Arc::clone(capabilities), Arc::clone(&is_open));
        Ok(Self {
            cx: cx.build(),
            table,
            http: WasiHttpCtx::new(),
            hooks: Some(hooks),
            log: Some(log),
            found,
            is_open,
        })
    }

    /// `configure` is over.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// Whether the network is there.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Forgets what was last said on standard error.
    pub(crate) fn forget_errors(&self) {
        if let Some(log) = &self.log {
            log.lock().last_error = None;
        }
    }

    /// What was last said on standard error.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.log.as_ref()?.lock().last_error.clone()
    }
}

fn socket_is_allowed(found: &Found, address: SocketAddr, what: SocketAddrUse) -> bool {
    match what {
        SocketAddrUse::TcpConnect => found.may_connect(address),
        // The system binds a socket that connects; a port of its own choice would be a server.
        SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
        _ => false,
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

impl GuestState {
    /// Its part of WASI; one that allows nothing where there should be none at all.
    pub(super) fn real_wasi(&mut self) -> &mut RealWasi {
        self.wasi.get_or_insert_with(Box::default)
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.real_wasi();
        WasiCtxView { ctx: &mut wasi.cx, table: &mut wasi.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let capabilities = Arc::clone(&self.capabilities);
        let wasi = self.real_wasi();
        let is_open = &wasi.is_open;
        let hooks = wasi.hooks.get_or_insert_with(|| WebHooks::new(capabilities, Arc::clone(is_open)));
        WasiHttpCtxView { ctx: &mut wasi.http, table: &mut wasi.table, hooks }
    }
}
