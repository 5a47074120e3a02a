//! Names of hosts for plugins that open connections of their own.
//!
//! `wasmtime-wasi` would look up any name, which alone carries data out of the sandbox. Here only the names of granted
//! sockets are looked up, their addresses are checked like those of HTTP requests, and only addresses that came out
//! of such a look-up can be connected to.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use wasmtime::{
    StoreContextMut,
    component::{Component, Linker, Resource, ResourceType, types::ComponentItem},
};
use wasmtime_wasi::p2::{
    DynPollable, Network, Pollable,
    bindings::sockets::network::{ErrorCode, IpAddress},
    subscribe,
};

use crate::{
    capabilities::Capabilities,
    grants::{SocketGrant, TargetHost},
    http::{Allowed, Refused, addresses},
    state::GuestState,
};

/// Addresses that are remembered for one instance.
const ADDRESSES_MAX: usize = 256;

type Cx<'a> = StoreContextMut<'a, GuestState>;

/// The addresses that an instance may connect to.
#[derive(Default)]
pub(super) struct Found {
    capabilities: Option<Arc<Capabilities>>,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Found {
    pub(super) fn new(capabilities: Arc<Capabilities>) -> Self {
        Self { capabilities: Some(capabilities), addresses: Mutex::default() }
    }

    /// Whether a connection there is granted: by address, or by a name that was looked up.
    pub(super) fn may_connect(&self, wanted: SocketAddr) -> bool {
        let Some(capabilities) = &self.capabilities else { return false };
        let wanted = SocketAddr::new(wanted.ip().to_canonical(), wanted.port());
        let literal = |grant: &SocketGrant| {
            grant.host == TargetHost::Address(wanted.ip()) && grant.port == wanted.port()
        };
        let allowed =
            capabilities.grants.sockets.iter().any(literal) || self.addresses.lock().contains(&wanted);
        if !allowed {
            capabilities.refusals.note("socket", &wanted);
        }
        allowed
    }

    fn remember(&self, grant: &SocketGrant, found: &[IpAddr]) {
        let mut addresses = self.addresses.lock();
        for address in found {
            let address = SocketAddr::new(address.to_canonical(), grant.port);
            if !addresses.contains(&address) {
                if addresses.len() >= ADDRESSES_MAX {
                    addresses.remove(0);
                }
                addresses.push(address);
            }
        }
    }
}

/// The answer to a look-up: complete from the start.
struct Lookup(std::vec::IntoIter<IpAddr>);

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {}
}

/// Puts our look-up in the place of the one of `wasmtime-wasi`, in the versions that the component imports.
pub(super) fn shadow(linker: &mut Linker<GuestState>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    for (name, import) in component.component_type().imports(&engine) {
        let is_lookup = name.starts_with("wasi:sockets/ip-name-lookup@");
        if !is_lookup || !matches!(import.ty, ComponentItem::ComponentInstance(_)) {
            continue;
        }
        let mut instance = linker.instance(name)?;
        instance.resource("network", ResourceType::host::<Network>(), |mut cx: Cx<'_>, rep| {
            cx.data_mut().real_wasi().table.delete(Resource::<Network>::new_own(rep))?;
            Ok(())
        })?;
        instance.resource("pollable", ResourceType::host::<DynPollable>(), |mut cx: Cx<'_>, rep| {
            cx.data_mut().real_wasi().table.delete(Resource::<DynPollable>::new_own(rep))?;
            Ok(())
        })?;
        instance.resource(
            "resolve-address-stream",
            ResourceType::host::<Lookup>(),
            |mut cx: Cx<'_>, rep| {
                cx.data_mut().real_wasi().table.delete(Resource::<Lookup>::new_own(rep))?;
                Ok(())
            },
        )?;
        instance.func_wrap_async(
            "resolve-addresses",
            |mut cx: Cx<'_>, (_, name): (Resource<Network>, String)| {
                Box::new(async move {
                    let answer = match look_up(&mut cx, &name).await {
                        Ok(found) => Ok(cx.data_mut().real_wasi().table.push(Lookup(found.into_iter()))?),
                        Err(error) => Err(error),
                    };
                    Ok((answer,))
                })
            },
        )?;
        instance.func_wrap(
            "[method]resolve-address-stream.resolve-next-address",
            |mut cx: Cx<'_>, (lookup,): (Resource<Lookup>,)| {
                let next = cx.data_mut().real_wasi().table.get_mut(&lookup)?.0.next();
                Ok((Ok::<_, ErrorCode>(next.map(IpAddress::from)),))
            },
        )?;
        instance.func_wrap(
            "[method]resolve-address-stream.subscribe",
            |mut cx: Cx<'_>, (lookup,): (Resource<Lookup>,)| {
                Ok((subscribe(&mut cx.data_mut().real_wasi().table, lookup)?,))
            },
        )?;
    }
    Ok(())
}

/// The addresses of a granted name.
async fn look_up(cx: &mut Cx<'_>, name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let capabilities = Arc::clone(&cx.data().capabilities);
    let wasi = cx.data_mut().real_wasi();
    let (known, is_open) = (Arc::clone(&wasi.found), wasi.is_open());
    let wanted = name.to_ascii_lowercase();
    let host = match wanted.parse::<IpAddr>() {
        Ok(address) => TargetHost::Address(address.to_canonical()),
        Err(_) => TargetHost::Name(wanted),
    };
    let granted: Vec<&SocketGrant> =
        capabilities.grants.sockets.iter().filter(|grant| grant.host == host).collect();
    if granted.is_empty() || !is_open {
        capabilities.refusals.note("socket", &name);
        return Err(ErrorCode::AccessDenied);
    }
    let mut all = Vec::new();
    for grant in granted {
        let found = match addresses(&*capabilities.resolver, &grant.host, Allowed::from(grant)).await {
            Ok(found) => found,
            Err(refused) => {
                if let Some(what) = refused.what() {
                    capabilities.refusals.note(what, &refused);
                }
                let is_name = matches!(refused, Refused::Dns(_));
                return Err(if is_name { ErrorCode::NameUnresolvable } else { ErrorCode::AccessDenied });
            }
        };
        known.remember(grant, &found);
        all.extend(found.into_iter().filter(|address| !all.contains(address)).collect::<Vec<_>>());
    }
    Ok(all)
}
