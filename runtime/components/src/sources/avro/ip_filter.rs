//! Who may connect: Flume's rules `allow|deny:ip|name:pattern`, and address ranges as `10.0.0.0/8`.
//!
//! The first rule that matches decides; a client that matches none is allowed. A `name` is looked up and its
//! addresses are compared, which needs nothing that the client itself controls; names with wildcards would need
//! the reverse, and are refused.

use std::net::IpAddr;

use tokio::time::{Duration, timeout};

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Rules in order.
#[derive(Debug, Default)]
pub(super) struct IpFilter {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    allow: bool,
    pattern: Pattern,
}

#[derive(Debug)]
enum Pattern {
    Any,
    Range { network: IpAddr, prefix_bits: u32 },
    Wildcard(String),
    Localhost,
    Name(String),
}

impl IpFilter {
    /// Adds rules, separated by commas as in Flume.
    pub(super) fn add(&mut self, rules: &str) -> Result<(), String> {
        for rule in rules.split(',') {
            self.rules.push(parse(rule.trim())?);
        }
        Ok(())
    }

    /// Whether a client may connect.
    pub(super) async fn allows(&self, peer: IpAddr) -> bool {
        // A client that reaches an IPv6 socket over IPv4 is the same client.
        let peer = peer.to_canonical();
        for rule in &self.rules {
            if rule.pattern.matches(peer).await {
                return rule.allow;
            }
        }
        true
    }
}

impl Pattern {
    async fn matches(&self, peer: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Range { network, prefix_bits } => is_in_range(peer, *network, *prefix_bits),
            Self::Wildcard(pattern) => matches_wildcard(pattern.as_bytes(), peer.to_string().as_bytes()),
            Self::Localhost if peer.is_loopback() => true,
            Self::Localhost => {
                let own = gethostname::gethostname();
                resolves_to(&own.to_string_lossy(), peer).await
            }
            Self::Name(name) => resolves_to(name, peer).await,
        }
    }
}

/// A name that cannot be looked up matches nobody.
async fn resolves_to(name: &str, peer: IpAddr) -> bool {
    match timeout(LOOKUP_TIMEOUT, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(mut addresses)) => addresses.any(|address| address.ip().to_canonical() == peer),
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "a name in ip-filter cannot be looked up");
            false
        }
        Err(_) => {
            tracing::warn!(name, "looking up a name in ip-filter took too long");
            false
        }
    }
}

fn parse(rule: &str) -> Result<Rule, String> {
    // An IPv6 address has colons of its own: only the first two separate.
    let mut parts = rule.splitn(3, ':');
    let (Some(verdict), Some(kind), Some(pattern)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("rule {rule:?} is not of the form allow|deny:ip|name:pattern"));
    };
    let allow = match verdict {
        "allow" => true,
        "deny" => false,
        other => return Err(format!("rule {rule:?} says {other:?} where allow or deny is expected")),
    };
    let pattern = match (kind, pattern) {
        ("ip" | "name", "") => return Err(format!("rule {rule:?} has no pattern")),
        ("ip" | "name", "*") => Pattern::Any,
        ("ip", pattern) => parse_address(pattern)?,
        ("name", "localhost") => Pattern::Localhost,
        ("name", pattern) if pattern.contains(['*', '?']) => {
            return Err(format!(
                "rule {rule:?} has a name with wildcards, which would need reverse lookups; use addresses"
            ));
        }
        ("name", name) => Pattern::Name(name.to_owned()),
        (other, _) => return Err(format!("rule {rule:?} says {other:?} where ip or name is expected")),
    };
    Ok(Rule { allow, pattern })
}

fn parse_address(pattern: &str) -> Result<Pattern, String> {
    let (address, bits) = match pattern.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (pattern, None),
    };
    let Ok(network) = address.parse::<IpAddr>() else {
        let is_partial = address.chars().all(|c| c.is_ascii_hexdigit() || ".:*?".contains(c));
        return if bits.is_none() && is_partial && address.contains(['*', '?']) {
            Ok(Pattern::Wildcard(address.to_owned()))
        } else {
            Err(format!("{pattern:?} is not an address, a range or a pattern of one"))
        };
    };
    let bits_max = if network.is_ipv4() { 32 } else { 128 };
    let prefix_bits =
        match bits {
            None => bits_max,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= bits_max).ok_or_else(|| {
                format!("{pattern:?} has a prefix length that is no number up to {bits_max}")
            })?,
        };
    Ok(Pattern::Range { network, prefix_bits })
}

fn is_in_range(peer: IpAddr, network: IpAddr, prefix_bits: u32) -> bool {
    match (peer, network) {
        (IpAddr::V4(peer), IpAddr::V4(network)) => {
            let difference = peer.to_bits() ^ network.to_bits();
            difference.leading_zeros() >= prefix_bits
        }
        (IpAddr::V6(peer), IpAddr::V6(network)) => {
            let difference = peer.to_bits() ^ network.to_bits();
            difference.leading_zeros() >= prefix_bits
        }
        _ => false,
    }
}

/// `*` is any text, `?` one character.
fn matches_wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|start| matches_wildcard(rest, &text[start..])),
        Some((b'?', rest)) => text.split_first().is_some_and(|(_, text)| matches_wildcard(rest, text)),
        Some((letter, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == letter && matches_wildcard(rest, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::IpFilter;

    async fn allowed(rules: &[&str], peers: &[&str]) -> Vec<bool> {
        let mut filter = IpFilter::default();
        for rule in rules {
            filter.add(rule).unwrap();
        }
        let mut results = Vec::new();
        for peer in peers {
            results.push(filter.allows(peer.parse().unwrap()).await);
        }
        results
    }

    #[tokio::test]
    async fn the_first_rule_that_matches_decides_and_no_match_allows() {
        let peers = ["10.1.2.3", "10.1.9.9", "192.168.0.1", "::1", "2001:db8::5"];
        let rules = ["deny:ip:10.1.2.*,allow:ip:10.0.0.0/8", "deny:ip:192.168.0.?", "deny:ip:2001:db8::/32"];
        assert_eq!(allowed(&rules, &peers).await, [false, true, false, true, false]);
        assert_eq!(
            allowed(&["allow:ip:10.1.2.3", "deny:ip:*"], &peers).await,
            [true, false, false, false, false]
        );
        assert_eq!(allowed(&[], &peers).await, [true; 5]);
        assert_eq!(
            allowed(&["deny:ip:0.0.0.0/0"], &["1.2.3.4", "::ffff:1.2.3.4", "::1"]).await,
            [false, false, true]
        );
    }

    #[tokio::test]
    async fn the_name_localhost_matches_loopback() {
        let rules = ["allow:name:localhost", "deny:name:*"];
        assert_eq!(allowed(&rules, &["127.0.0.1", "::1", "198.51.100.7"]).await, [true, true, false]);
    }

    #[test]
    fn rules_that_mean_nothing_are_refused_with_the_reason() {
        for (rule, reason) in [
            ("10.0.0.1", "is not of the form"),
            ("permit:ip:*", "allow or deny"),
            ("allow:host:*", "ip or name"),
            ("allow:ip:", "no pattern"),
            ("allow:ip:10.0.0.0/33", "no number up to 32"),
            ("allow:ip:10.0.0", "not an address"),
            ("allow:ip:evil", "not an address"),
            ("deny:name:*.example.com", "wildcards"),
        ] {
            let found = IpFilter::default().add(rule).unwrap_err();
            assert!(found.contains(reason), "{rule}: {found}");
        }
    }
}
