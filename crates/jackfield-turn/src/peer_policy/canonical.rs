//! Finding the IPv4 address that an IPv6 address leads to.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the IPv4 addresses that a packet to `ip` may end at, by any of the known transition
/// schemes.
///
/// These are IPv4-mapped, IPv4-compatible and IPv4-translated addresses, 6to4, Teredo (server and
/// client), both NAT64 prefixes (the local one with each prefix length that fits) and ISATAP
/// interface identifiers under any prefix.
pub(super) fn embedded_ipv4(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let last = join(g, h);
    let found: [Option<Ipv4Addr>; 4] = match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] if u128::from(ip) > 1 => {
            [Some(last), None, None, None]
        }
        [0x64, 0xff9b, 0, 0, 0, 0] => [Some(last), None, None, None],
        [0x64, 0xff9b, 1, ..] => {
            // RFC 6052 §2.2 puts the address around bits 64 to 71; the prefix may be /48, /56, /64
            // or /96.
            let octets = ip.octets();
            [
                pick(&octets, [6, 7, 9, 10]),
                pick(&octets, [7, 9, 10, 11]),
                pick(&octets, [9, 10, 11, 12]),
                Some(last),
            ]
        }
        [0x2002, high, low, ..] => [Some(join(high, low)), None, None, None],
        [0x2001, 0, high, low, ..] => [
            Some(join(high, low)),
            Some(Ipv4Addr::from(!u32::from(last))),
            None,
            None,
        ],
        [_, _, _, _, 0 | 0x200, 0x5efe] => [Some(last), None, None, None],
        _ => [None; 4],
    };
    found.into_iter().flatten()
}

fn join(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

fn pick(octets: &[u8; 16], at: [usize; 4]) -> Option<Ipv4Addr> {
    let [a, b, c, d] = at.map(|index| octets.get(index).copied());
    Some(Ipv4Addr::new(a?, b?, c?, d?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disguise_is_seen_through() {
        let cases: &[(&str, &[&str])] = &[
            ("::ffff:127.0.0.1", &["127.0.0.1"]),
            ("::127.0.0.1", &["127.0.0.1"]),
            ("::ffff:0:127.0.0.1", &["127.0.0.1"]),
            ("64:ff9b::a00:1", &["10.0.0.1"]),
            (
                "64:ff9b:1:a00:0:100::",
                &["10.0.0.1", "0.0.1.0", "0.1.0.0", "0.0.0.0"],
            ),
            (
                "64:ff9b:1::a00:1",
                &["0.0.0.0", "0.0.0.0", "0.0.0.10", "10.0.0.1"],
            ),
            ("2002:a9fe:a9fe::1", &["169.254.169.254"]),
            ("2001:0:7f00:1::f5ff:fffe", &["127.0.0.1", "10.0.0.1"]),
            ("2a00::5efe:c0a8:101", &["192.168.1.1"]),
            ("2a00::200:5efe:c0a8:101", &["192.168.1.1"]),
            ("2a00::1", &[]),
            ("::1", &[]),
            ("::", &[]),
        ];
        for (ip, expected) in cases {
            let found: Vec<String> = embedded_ipv4(ip.parse().unwrap())
                .map(|ip| ip.to_string())
                .collect();
            assert_eq!(&found, expected, "{ip}");
        }
    }
}
