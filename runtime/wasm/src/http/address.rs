//! Which addresses a plugin may be connected to.
//!
//! A name that an operator granted is under the control of whoever runs its DNS zone. Without this check such a zone
//! could point a plugin at this machine, at its neighbours, or at the credentials service of a cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Public,
    /// This machine.
    Loopback,
    /// A private, shared (CGNAT) or unique-local network.
    Private,
    LinkLocal,
    /// Where clouds hand out credentials.
    Metadata,
    /// Many machines, none, or a range that no host has.
    Special,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "this machine",
            Self::Private => "a private network",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a cloud's metadata service",
            Self::Special => "no address of a single host",
        }
    }
}

/// Metadata services outside of the link-local range or worth telling apart in it.
const METADATA_V4: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
];

const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254),
];

/// Whether a connection to this address is allowed by a grant: always where the grant names the address literally;
/// with `private` to this machine and private networks, but never to a metadata service.
pub(crate) fn check(address: IpAddr, literal: Option<IpAddr>, private: bool) -> Result<(), Place> {
    let place = place(address);
    let allowed = match place {
        Place::Public => true,
        _ if literal == Some(address.to_canonical()) => true,
        Place::Loopback | Place::Private | Place::LinkLocal => private,
        Place::Metadata | Place::Special => false,
    };
    if allowed { Ok(()) } else { Err(place) }
}

fn place(address: IpAddr) -> Place {
    match address {
        IpAddr::V4(address) => place_v4(address),
        IpAddr::V6(address) => place_v6(address),
    }
}

fn place_v4(address: Ipv4Addr) -> Place {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        _ if METADATA_V4.contains(&address) => Place::Metadata,
        (127, ..) => Place::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => Place::Private,
        (169, 254, _) => Place::LinkLocal,
        // "This network", which Linux connects to itself; protocol assignments, documentation, benchmarks; multicast,
        // reserved, broadcast.
        (0, ..)
        | (192, 0, 0)
        | (192, 0, 2)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113)
        | (224.., ..) => Place::Special,
        _ => Place::Public,
    }
}

fn place_v6(address: Ipv6Addr) -> Place {
    if METADATA_V6.contains(&address) {
        return Place::Metadata;
    }
    let parts = address.segments();
    let inner = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        place_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 1] => Place::Loopback,
        // IPv4 in other clothes: mapped, translated, compatible; NAT64; 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => inner(high, low),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => inner(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => inner(high, low),
        [0x64, 0xff9b, 1, ..] => Place::Private,
        // Unique-local, link-local, site-local of old.
        [0xfc00..=0xfdff, ..] => Place::Private,
        [0xfe80..=0xfebf, ..] => Place::LinkLocal,
        [0xfec0..=0xfeff, ..] => Place::Private,
        // Global unicast, without Teredo and its neighbours, ORCHID, documentation.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0x0000..=0x0fff, ..] => {
            Place::Special
        }
        [0x2000..=0x3fff, ..] => Place::Public,
        _ => Place::Special,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Place, check, place};

    fn at(text: &str) -> Place {
        place(text.parse().unwrap())
    }

    #[test]
    fn every_address_has_its_place() {
        let table = [
            ("8.8.8.8", Place::Public),
            ("2606:4700::1111", Place::Public),
            ("127.0.0.1", Place::Loopback),
            ("127.255.255.254", Place::Loopback),
            ("::1", Place::Loopback),
            ("::ffff:127.0.0.1", Place::Loopback),
            ("::127.0.0.1", Place::Loopback),
            ("::ffff:0:127.0.0.1", Place::Loopback),
            ("64:ff9b::7f00:1", Place::Loopback),
            ("2002:7f00:1::", Place::Loopback),
            ("10.1.2.3", Place::Private),
            ("172.16.0.1", Place::Private),
            ("172.31.255.255", Place::Private),
            ("172.32.0.1", Place::Public),
            ("192.168.1.1", Place::Private),
            ("::ffff:192.168.1.1", Place::Private),
            ("100.64.0.1", Place::Private),
            ("100.127.255.255", Place::Private),
            ("100.128.0.1", Place::Public),
            ("fc00::1", Place::Private),
            ("fd12:3456::1", Place::Private),
            ("fec0::1", Place::Private),
            ("64:ff9b:1::1", Place::Private),
            ("169.254.1.1", Place::LinkLocal),
            ("fe80::1", Place::LinkLocal),
            ("169.254.169.254", Place::Metadata),
            ("169.254.170.2", Place::Metadata),
            ("100.100.100.200", Place::Metadata),
            ("::ffff:169.254.169.254", Place::Metadata),
            ("64:ff9b::a9fe:a9fe", Place::Metadata),
            ("2002:a9fe:a9fe::", Place::Metadata),
            ("fd00:ec2::254", Place::Metadata),
            ("fd20:ce::254", Place::Metadata),
            ("0.0.0.0", Place::Special),
            ("0.1.2.3", Place::Special),
            ("::", Place::Special),
            ("::2", Place::Special),
            ("224.0.0.1", Place::Special),
            ("240.0.0.1", Place::Special),
            ("255.255.255.255", Place::Special),
            ("ff02::1", Place::Special),
            ("192.0.2.1", Place::Special),
            ("198.19.0.1", Place::Special),
            ("2001:db8::1", Place::Special),
            ("2001::1", Place::Special),
            ("100::1", Place::Special),
        ];
        for (address, expected) in table {
            assert_eq!(at(address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_inside_takes_the_address_itself_or_the_word_private() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let loopback = address("127.0.0.1");
        assert_eq!(check(loopback, None, false), Err(Place::Loopback));
        assert_eq!(check(loopback, None, true), Ok(()));
        assert_eq!(check(loopback, Some(loopback), false), Ok(()));
        assert_eq!(check(address("::ffff:127.0.0.1"), Some(loopback), false), Ok(()));
        assert_eq!(check(address("127.0.0.2"), Some(loopback), false), Err(Place::Loopback));
        let metadata = address("169.254.169.254");
        assert_eq!(check(metadata, None, true), Err(Place::Metadata));
        assert_eq!(check(metadata, Some(metadata), false), Ok(()));
        assert_eq!(check(address("0.0.0.0"), None, true), Err(Place::Special));
        assert_eq!(check(address("9.9.9.9"), None, false), Ok(()));
    }
}
