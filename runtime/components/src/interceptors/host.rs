//! Writes the name or the address of the machine into a header.
//!
//! It is found once, when the interceptor is built, and without asking the network: from the machine's name,
//! `/etc/hosts` and the routing table. A loopback address, which many systems give to their own name, says
//! nothing to whoever reads the events, so it is used only when there is no other.

use std::net::{IpAddr, UdpSocket};

use async_trait::async_trait;
use millrace_config::{Diagnostics, OptionKind, OptionSpec, Section};
use millrace_core::{Batch, BuildContext, ByteString, Interceptor, InterceptorError, InterceptorFactory};

const OPTIONS: &[OptionSpec] = &[
    OptionSpec::with_default("host-header", OptionKind::Text, "host", "Header that takes the host"),
    OptionSpec::with_default(
        "use-ip",
        OptionKind::Boolean,
        "#true",
        "Writes the address; with `#false` the full host name",
    ),
    OptionSpec::with_default(
        "preserve-existing",
        OptionKind::Boolean,
        "#false",
        "Keeps a value that is already there",
    ),
];

pub(super) const FACTORY: InterceptorFactory = InterceptorFactory {
    name: "host",
    summary: "Sets a header to the address or the name of the machine",
    options: OPTIONS,
    open: false,
    example: "host use-ip=#false",
    build,
};

#[expect(clippy::disallowed_methods, reason = "the names of this machine are in a file")]
fn build(section: &Section, cx: &BuildContext) -> Result<Box<dyn Interceptor>, Diagnostics> {
    let own_name = gethostname::gethostname().to_string_lossy().into_owned();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let value = if section.boolean("use-ip") {
        address(&own_name, &hosts, route()).map(|address| address.to_string())
    } else {
        full_name(&own_name, &hosts)
    };
    if value.is_none() {
        tracing::warn!(interceptor = %cx.component, "the machine has no address: no header is set");
    }
    Ok(Box::new(HostInterceptor {
        header: section.text("host-header").to_owned().into(),
        value: value.map(ByteString::from),
        preserve: section.boolean("preserve-existing"),
    }))
}

struct HostInterceptor {
    header: ByteString,
    value: Option<ByteString>,
    preserve: bool,
}

#[async_trait]
impl Interceptor for HostInterceptor {
    async fn intercept(&self, mut batch: Batch) -> Result<Batch, InterceptorError> {
        if let Some(value) = &self.value {
            super::set_header(&mut batch, &self.header, value, self.preserve);
        }
        Ok(batch)
    }
}

/// The address that the routing table would send from. Connecting a UDP socket sends nothing.
fn route() -> Option<IpAddr> {
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")].into_iter().find_map(|(own, far)| {
        let socket = UdpSocket::bind(own).ok()?;
        socket.connect(far).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

fn address(own_name: &str, hosts: &str, route: Option<IpAddr>) -> Option<IpAddr> {
    let listed: Vec<IpAddr> = entries(hosts)
        .filter(|(_, names)| names.contains(&own_name))
        .filter_map(|(address, _)| address.parse().ok())
        .collect();
    let first = |wanted: fn(&IpAddr) -> bool| listed.iter().copied().find(wanted);
    first(|address| !address.is_loopback() && address.is_ipv4())
        .or_else(|| route.filter(|address| !address.is_loopback()))
        .or_else(|| first(|address| !address.is_loopback()))
        .or_else(|| first(IpAddr::is_loopback))
        .or(route)
}

/// The name with its domain, where `/etc/hosts` knows it.
fn full_name(own_name: &str, hosts: &str) -> Option<String> {
    if own_name.is_empty() {
        return None;
    }
    let known = entries(hosts)
        .filter(|(_, names)| !own_name.contains('.') && names.contains(&own_name))
        .find_map(|(_, names)| names.into_iter().find(|name| name.contains('.')));
    Some(known.unwrap_or(own_name).to_owned())
}

/// Address and names of each line.
fn entries(hosts: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        Some((words.next()?, words.collect()))
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{FACTORY, address, full_name};
    use crate::interceptors::testing::{event, headers, run};

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    const DEBIAN: &str =
        "127.0.0.1\tlocalhost\n127.0.1.1 box.example.com box # mine\n::1 localhost ip6-localhost\n";

    #[test]
    fn an_address_is_loopback_only_when_there_is_no_other() {
        assert_eq!(address("box", DEBIAN, ip("10.1.2.3")), ip("10.1.2.3"));
        assert_eq!(address("box", DEBIAN, None), ip("127.0.1.1"));
        assert_eq!(address("box", "10.0.0.9 box\n", ip("10.1.2.3")), ip("10.0.0.9"));
        assert_eq!(address("box", "fd00::1 box\n10.0.0.9 box", None), ip("10.0.0.9"));
        assert_eq!(address("box", "fd00::1 box", None), ip("fd00::1"));
        assert_eq!(address("box", "not an address\n# 10.0.0.1 box\n\n", None), None);
    }

    #[test]
    fn the_name_is_the_one_with_a_domain_where_it_is_known() {
        assert_eq!(full_name("box", DEBIAN).unwrap(), "box.example.com");
        assert_eq!(full_name("box.other.org", DEBIAN).unwrap(), "box.other.org");
        assert_eq!(full_name("crate", DEBIAN).unwrap(), "crate");
        assert_eq!(full_name("", DEBIAN), None);
    }

    #[tokio::test]
    async fn the_header_is_an_address_or_a_name_and_replaces_an_older_one() {
        let out = run(&FACTORY, "host", vec![event("a", &[("host", "old")])]).await;
        assert!(out[0].header("host").unwrap().parse::<IpAddr>().is_ok());
        let own = gethostname::gethostname().into_string().unwrap();
        let out = run(&FACTORY, "host use-ip=#false host-header=\"h\"", vec![event("a", &[])]).await;
        assert!(out[0].header("h").unwrap().starts_with(own.as_str()));
        let kept = run(&FACTORY, "host preserve-existing=#true", vec![event("a", &[("host", "old")])]).await;
        assert_eq!(headers(&kept), [[("host", "old")]]);
    }
}
