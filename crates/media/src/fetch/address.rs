//! Which IP addresses are out on the internet, and which lead somewhere a client has no business with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    /// Any address of the range.
    base: IpAddr,
    /// Leading bits that are shared.
    prefix: u8,
}

/// IPv4 that is not globally reachable: IANA's special-purpose registry, and one that is public but isn't.
const NOT_GLOBAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),        // this network; 0.0.0.0 reaches the host itself
    ([10, 0, 0, 0], 8),       // private
    ([100, 64, 0, 0], 10),    // carrier-grade NAT, and some clouds' metadata
    ([127, 0, 0, 0], 8),      // loopback
    ([168, 63, 129, 16], 32), // Azure's host agent, from inside only
    ([169, 254, 0, 0], 16),   // link-local, metadata
    ([172, 16, 0, 0], 12),    // private
    ([192, 0, 0, 0], 24),     // protocol assignments, metadata
    ([192, 0, 2, 0], 24),     // documentation
    ([192, 88, 99, 0], 24),   // 6to4 relays
    ([192, 168, 0, 0], 16),   // private
    ([198, 18, 0, 0], 15),    // benchmarking
    ([198, 51, 100, 0], 24),  // documentation
    ([203, 0, 113, 0], 24),   // documentation
    ([224, 0, 0, 0], 4),      // multicast
    ([240, 0, 0, 0], 4),      // reserved, broadcast
];

/// The only IPv6 that has been given out to the world…
const GLOBAL_V6: ([u16; 8], u8) = ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// …and what is not reachable, or reaches IPv4 in disguise, within it.
const NOT_GLOBAL_V6: [([u16; 8], u8); 4] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, benchmarking, ORCHID
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Whether an address is globally reachable unicast. IPv4 mapped into IPv6 is judged as IPv4; other embeddings (NAT64,
/// 6to4, Teredo) are refused whatever they embed.
pub(crate) fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !NOT_GLOBAL_V4
            .iter()
            .any(|&(base, prefix)| Cidr::v4(base, prefix).contains(IpAddr::V4(v4))),
        IpAddr::V6(v6) => {
            let within = |&(base, prefix): &([u16; 8], u8)| Cidr::v6(base, prefix).contains(IpAddr::V6(v6));
            within(&GLOBAL_V6) && !NOT_GLOBAL_V6.iter().any(within)
        }
    }
}

// === impl Cidr ===

impl Cidr {
    /// Nothing if the prefix is longer than the address.
    pub(crate) fn new(base: IpAddr, prefix: u8) -> Option<Self> {
        let longest = if base.is_ipv4() { 32 } else { 128 };
        (prefix <= longest).then_some(Self { base, prefix })
    }

    const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Self {
        Self {
            base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            prefix,
        }
    }

    const fn v6(s: [u16; 8], prefix: u8) -> Self {
        let base = Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]);
        Self {
            base: IpAddr::V6(base),
            prefix,
        }
    }

    /// Compares the leading bits; an IPv4 address is never within an IPv6 range, nor the other way round.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        let differing = match (self.base, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, want: bool) {
        assert_eq!(is_global(address.parse().unwrap()), want, "{address}");
    }

    #[test]
    fn addresses_out_on_the_internet() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "168.63.129.15",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2600::1",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:200::1",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            check(address, true);
        }
    }

    #[test]
    fn addresses_that_lead_inside() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // IPv6: unspecified, loopback, IPv4-compatible and mapped, ULA and its metadata, link- and site-local,
            // multicast, discard-only, segment routing, documentation, benchmarking, ORCHID.
            "::",
            "::1",
            "::7f00:1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
            "2001:db8::1",
            "3fff::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            // IPv4 in disguise: NAT64 and its local range, 6to4, Teredo.
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:808:808::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn ranges_hold_their_ends_and_no_more() {
        let range = Cidr::new("10.2.0.0".parse().unwrap(), 15).unwrap();
        for (address, want) in [
            ("10.1.255.255", false),
            ("10.2.0.0", true),
            ("10.3.255.255", true),
            ("10.4.0.0", false),
        ] {
            assert_eq!(range.contains(address.parse().unwrap()), want, "{address}");
        }
        assert!(
            Cidr::new("0.0.0.0".parse().unwrap(), 0)
                .unwrap()
                .contains("255.1.2.3".parse().unwrap())
        );
        assert_eq!(Cidr::new("10.0.0.0".parse().unwrap(), 33), None);
        assert!(!range.contains("::ffff:10.2.0.1".parse().unwrap()));
    }
}
