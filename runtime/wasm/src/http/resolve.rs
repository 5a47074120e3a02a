//! From a name to addresses that may be connected to.
//!
//! The addresses that come out here are the ones that are connected to: nobody asks the resolver a second time, so an
//! answer that changes in between (DNS rebinding) changes nothing.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use async_trait::async_trait;

use super::{
    address::{self, Place},
    error::Refused,
};
use crate::grants::{HttpGrant, SocketGrant, Target, TargetHost};

/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 16;

/// Answers what the addresses of a name are.
#[async_trait]
pub(crate) trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, in the order in which they should be tried.
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for found in tokio::net::lookup_host((name, 0)).await? {
            if !addresses.contains(&found.ip()) {
                addresses.push(found.ip());
            }
        }
        Ok(addresses)
    }
}

/// What a place to connect to is allowed to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// The address that the grant names literally.
    pub(crate) literal: Option<IpAddr>,
    /// Whether inner addresses are granted.
    pub(crate) private: bool,
}

impl From<&HttpGrant> for Allowed {
    fn from(grant: &HttpGrant) -> Self {
        Self { literal: grant.origin.address(), private: grant.private }
    }
}

impl From<&SocketGrant> for Allowed {
    fn from(grant: &SocketGrant) -> Self {
        let literal = match grant.host {
            TargetHost::Address(address) => Some(address),
            TargetHost::Name(_) => None,
        };
        Self { literal, private: grant.private }
    }
}

/// The addresses of a host, all of them checked. A single one that is not allowed refuses the host: a name that points
/// inside as well as outside is not to be trusted with either.
pub(crate) async fn addresses(
    resolver: &dyn Resolve,
    host: &TargetHost,
    allowed: Allowed,
) -> Result<Vec<IpAddr>, Refused> {
    let found = match host {
        TargetHost::Address(address) => vec![*address],
        TargetHost::Name(name) => {
            resolver.resolve(name).await.map_err(|error| Refused::Dns(error.to_string()))?
        }
    };
    if found.is_empty() {
        return Err(Refused::Dns("the name has no addresses".into()));
    }
    for address in &found {
        address::check(*address, allowed.literal, allowed.private)
            .map_err(|place: Place| Refused::Address { address: *address, place: place.name() })?;
    }
    Ok(found.into_iter().take(ADDRESSES_MAX).collect())
}

/// The same with the port of a request.
pub(crate) async fn socket_addresses(
    resolver: &dyn Resolve,
    target: &Target,
    grant: &HttpGrant,
) -> Result<Vec<SocketAddr>, Refused> {
    let found = addresses(resolver, &target.host, grant.into()).await?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
}
