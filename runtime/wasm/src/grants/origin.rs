//! Origins: what a grant names, and where a request wants to go.
//!
//! Both are read by the same parser, the one of the URL standard, so that no way of writing a host (`0x7f.1`, upper
//! case, Unicode) can pass for another one.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

/// The schemes that plugins may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Where a request goes: one host, one port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) host: TargetHost,
    pub(crate) port: u16,
}

/// A host of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TargetHost {
    /// A name in its ASCII form, lower case.
    Name(String),
    /// An address. IPv4 in IPv6 counts as the IPv4 it is.
    Address(IpAddr),
}

/// What a grant names: one place, or all hosts one label below a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    One(Target),
    /// `https://*.example.com`: the part behind the star's dot.
    Below {
        scheme: Scheme,
        suffix: String,
        port: u16,
    },
}

impl Target {
    /// The target of an address.
    ///
    /// # Errors
    /// Why it is none, as the guest is told.
    pub(crate) fn of(url: &Url) -> Result<Self, &'static str> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err("only http and https"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong into an address");
        }
        let host = match url.host().ok_or("no host")? {
            Host::Domain(name) => TargetHost::Name(name.to_ascii_lowercase()),
            Host::Ipv4(address) => TargetHost::Address(address.into()),
            Host::Ipv6(address) => TargetHost::Address(IpAddr::from(address).to_canonical()),
        };
        match url.port_or_known_default() {
            Some(port) if port != 0 => Ok(Self { scheme, host, port }),
            _ => Err("no port"),
        }
    }
}

impl Origin {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (plain, below) = match text.split_once("://*.") {
            Some((scheme, rest)) => (format!("{scheme}://{rest}"), true),
            None => (text.to_owned(), false),
        };
        if plain.contains('*') {
            return Err("a star stands for the first label of the host only: https://*.example.com".into());
        }
        let url = Url::parse(&plain).map_err(|error| error.to_string())?;
        let target = Target::of(&url).map_err(str::to_owned)?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("an origin ends with its host or port, without a path".into());
        }
        if below {
            return match target.host {
                TargetHost::Name(name) if name.trim_end_matches('.').contains('.') => {
                    Ok(Self::Below { scheme: target.scheme, suffix: name, port: target.port })
                }
                _ => Err("a star over a whole top-level domain or an address is too much".into()),
            };
        }
        if let TargetHost::Address(address) = &target.host {
            let host = url.host_str().unwrap_or_default();
            if !text.to_ascii_lowercase().contains(host) {
                return Err(format!("an address is written plainly: {address}"));
            }
        }
        Ok(Self::One(target))
    }

    /// Whether a request may go there by this grant.
    pub(crate) fn covers(&self, wanted: &Target) -> bool {
        match self {
            Self::One(target) => target == wanted,
            Self::Below { scheme, suffix, port } => {
                let TargetHost::Name(name) = &wanted.host else { return false };
                let label = name.strip_suffix(suffix.as_str()).and_then(|rest| rest.strip_suffix('.'));
                *scheme == wanted.scheme
                    && *port == wanted.port
                    && label.is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }

    /// Whether everything that `other` names is named by this one, too.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match other {
            Self::One(target) => self.covers(target),
            Self::Below { .. } => self == other,
        }
    }

    /// The address, where the grant names one literally.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::One(Target { host: TargetHost::Address(address), .. }) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn write_origin(
    f: &mut fmt::Formatter<'_>,
    scheme: Scheme,
    host: &dyn fmt::Display,
    port: u16,
) -> fmt::Result {
    write!(f, "{}://{host}", scheme.name())?;
    if port == scheme.port() { Ok(()) } else { write!(f, ":{port}") }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_origin(f, self.scheme, &self.host, self.port)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(target) => target.fmt(f),
            Self::Below { scheme, suffix, port } => {
                write_origin(f, *scheme, &format_args!("*.{suffix}"), *port)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{Origin, Target};

    fn covers(grant: &str, url: &str) -> bool {
        let target = Url::parse(url).map_err(|_| "").and_then(|url| Target::of(&url));
        target.is_ok_and(|target| Origin::parse(grant).unwrap().covers(&target))
    }

    #[test]
    fn an_origin_covers_its_scheme_host_and_port_and_nothing_else() {
        let grant = "https://api.example.com";
        for good in
            ["https://api.example.com", "https://API.example.com:443/x?y#z", "https://api.example.com/a/../b"]
        {
            assert!(covers(grant, good), "{good}");
        }
        for bad in [
            "http://api.example.com",
            "https://api.example.com:8443",
            "https://example.com",
            "https://x.api.example.com",
            "https://api.example.com.",
            "https://api.example.com.evil.test",
            "https://api.example.com@evil.test",
            "https://user@api.example.com",
            "https://evil.test/https://api.example.com",
            "https://evil.test#@api.example.com",
            "https://evil.test\\@api.example.com",
            "ftp://api.example.com",
            "https://api.example.com:0",
        ] {
            assert!(!covers(grant, bad), "{bad}");
        }
    }

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        let grant = "https://*.example.com";
        assert!(covers(grant, "https://a.example.com/x"));
        for bad in [
            "https://example.com",
            "https://a.b.example.com",
            "https://.example.com",
            "https://aexample.com",
            "https://a.example.com.evil.test",
            "http://a.example.com",
        ] {
            assert!(!covers(grant, bad), "{bad}");
        }
        assert!(covers("http://*.example.com:8080", "http://x.example.com:8080"));
    }

    #[test]
    fn addresses_are_one_however_the_guest_writes_them() {
        for same in [
            "http://127.0.0.1:8080",
            "http://127.1:8080",
            "http://0x7f.0.0.1:8080",
            "http://[::ffff:127.0.0.1]:8080",
        ] {
            assert!(covers("http://127.0.0.1:8080", same), "{same}");
        }
        assert!(covers("http://[fd00::1]", "http://[fd00:0::1]:80/x"));
        assert!(!covers("http://127.0.0.1:8080", "http://localhost:8080"));
    }

    #[test]
    fn what_is_no_origin_is_refused_with_a_reason() {
        for (text, reason) in [
            ("api.example.com", "relative URL without a base"),
            ("https://", "empty host"),
            ("ftp://example.com", "only http and https"),
            ("https://example.com/path", "without a path"),
            ("https://example.com/?q", "without a path"),
            ("https://user:pass@example.com", "credentials"),
            ("https://*", "a star stands for the first label"),
            ("https://*.*.example.com", "a star stands for the first label"),
            ("https://a*.example.com", "a star stands for the first label"),
            ("https://*.com", "whole top-level domain"),
            ("https://*.127.0.0.1", "too much"),
            ("http://127.1", "written plainly: 127.0.0.1"),
            ("http://0x7f000001", "written plainly: 127.0.0.1"),
            ("https://example.com:0", "no port"),
            ("https://exa mple.com", "invalid"),
            ("", "relative URL"),
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn an_origin_is_written_as_it_would_be_granted() {
        for text in [
            "https://a.example.com",
            "http://a.example.com:8080",
            "https://*.example.com",
            "http://[fd00::1]:81",
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Origin::parse("https://A.example.com:443/").unwrap().to_string(), "https://a.example.com");
    }
}
