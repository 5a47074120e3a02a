//! The names of this machine: `%[localhost]`, `%[IP]`, `%[FQDN]`. Looked up once, when first needed.

use std::{
    net::{IpAddr, Ipv4Addr, ToSocketAddrs},
    sync::OnceLock,
};

/// Which name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostName {
    /// The name the machine has given itself.
    Local,
    /// Its address.
    Ip,
    /// Its name with domain; the plain name where none is known.
    Full,
}

impl HostName {
    /// The meaning of what stands between the brackets.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "localhost" => Some(Self::Local),
            "IP" => Some(Self::Ip),
            "FQDN" => Some(Self::Full),
            _ => None,
        }
    }

    /// The text. The first call for an address or a full name may ask the resolver, so it belongs on a thread
    /// that may block, or into the building of a component.
    pub fn text(self) -> &'static str {
        static LOCAL: OnceLock<String> = OnceLock::new();
        static IP: OnceLock<(IpAddr, String)> = OnceLock::new();
        static FULL: OnceLock<String> = OnceLock::new();
        let local = || LOCAL.get_or_init(|| gethostname::gethostname().to_string_lossy().into_owned());
        let ip = || {
            IP.get_or_init(|| {
                let address = address_of(local());
                (address, address.to_string())
            })
        };
        match self {
            Self::Local => local(),
            Self::Ip => &ip().1,
            Self::Full => FULL.get_or_init(|| full_name(local(), ip().0)),
        }
    }
}

/// Finds all names, so that nothing waits for the resolver afterwards. May block.
pub fn look_up_host_names() {
    for name in [HostName::Local, HostName::Ip, HostName::Full] {
        name.text();
    }
}

/// The first address the resolver knows for this machine; an IPv4 one where there is one, as in Flume.
fn address_of(host: &str) -> IpAddr {
    let found: Vec<IpAddr> =
        (host, 0).to_socket_addrs().map(|list| list.map(|found| found.ip()).collect()).unwrap_or_default();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn full_name(host: &str, address: IpAddr) -> String {
    if host.contains('.') {
        return host.to_owned();
    }
    match dns_lookup::lookup_addr(&address) {
        Ok(name) if name.contains('.') && name.parse::<IpAddr>().is_err() => name,
        _ => host.to_owned(),
    }
}
