//! The ranges that are not the public internet: IANA's special-purpose registries (RFC 6890),
//! multicast, and what clouds serve to their own machines at public addresses.

use crate::Cidr;

/// Returns the special ranges.
pub(super) fn ranges() -> Vec<Cidr> {
    SPECIAL
        .iter()
        .map(|(range, _)| range.parse().expect("the table holds ranges"))
        .collect()
}

/// Each range and what it is.
const SPECIAL: &[(&str, &str)] = &[
    (
        "0.0.0.0/8",
        "this network (RFC 791); reaches loopback on many systems",
    ),
    ("10.0.0.0/8", "private (RFC 1918)"),
    ("100.64.0.0/10", "shared by carrier-grade NATs (RFC 6598)"),
    ("127.0.0.0/8", "loopback (RFC 1122)"),
    (
        "169.254.0.0/16",
        "link-local (RFC 3927); clouds serve machine metadata here",
    ),
    (
        "161.26.0.0/16",
        "services of IBM Cloud, reachable from its machines alone",
    ),
    (
        "166.8.0.0/14",
        "service endpoints of IBM Cloud, reachable from its machines alone",
    ),
    (
        "168.63.129.16/32",
        "Azure's platform: DNS, and the agent that hands out configuration",
    ),
    ("172.16.0.0/12", "private (RFC 1918)"),
    ("192.0.0.0/24", "protocol assignments (RFC 6890)"),
    ("192.0.2.0/24", "documentation (RFC 5737)"),
    ("192.80.8.124/32", "machine metadata of Equinix Metal"),
    ("192.88.99.0/24", "6to4 relays, deprecated (RFC 7526)"),
    ("192.168.0.0/16", "private (RFC 1918)"),
    ("198.18.0.0/15", "benchmarking (RFC 2544)"),
    ("198.51.100.0/24", "documentation (RFC 5737)"),
    ("203.0.113.0/24", "documentation (RFC 5737)"),
    ("224.0.0.0/4", "multicast (RFC 5771)"),
    (
        "240.0.0.0/4",
        "reserved (RFC 1112) and limited broadcast (RFC 8190)",
    ),
    (
        "::/96",
        "unspecified, loopback, and IPv4-compatible, deprecated (RFC 4291)",
    ),
    (
        "::ffff:0:0/96",
        "IPv4-mapped (RFC 4291); a socket would send IPv4",
    ),
    ("::ffff:0:0:0/96", "IPv4-translated (RFC 2765)"),
    ("64:ff9b::/96", "IPv4 behind a NAT64 (RFC 6052)"),
    ("64:ff9b:1::/48", "IPv4 behind a local NAT64 (RFC 8215)"),
    ("100::/64", "discard-only (RFC 6666)"),
    ("100:0:0:1::/64", "dummy prefix (RFC 9780)"),
    (
        "2001::/23",
        "protocol assignments (RFC 2928), Teredo among them (RFC 4380)",
    ),
    ("2001:db8::/32", "documentation (RFC 3849)"),
    ("2002::/16", "6to4 (RFC 3056)"),
    ("3fff::/20", "documentation (RFC 9637)"),
    ("5f00::/16", "segment routing identifiers (RFC 9602)"),
    ("fc00::/7", "unique local (RFC 4193)"),
    ("fe80::/10", "link-local (RFC 4291)"),
    ("fec0::/10", "site-local, deprecated (RFC 3879)"),
    ("ff00::/8", "multicast (RFC 4291)"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Metadata and platform services of clouds: Alibaba, AWS, Azure, Equinix Metal, Google, IBM,
    /// Linode, OpenStack, Oracle, Scaleway, Tencent.
    #[test]
    fn services_of_clouds_for_their_own_machines_are_special() {
        for ip in [
            "100.100.100.200",
            "100.100.2.136",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.169.123",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "168.63.129.16",
            "192.80.8.124",
            "fd20:ce::254",
            "161.26.0.10",
            "166.9.14.2",
            "fd00:a9fe:a9fe::1",
            "fe80::a9fe:a9fe",
            "192.0.0.192",
            "fd00:c1::a9fe:a9fe",
            "169.254.42.42",
            "fd00:42::42",
            "169.254.0.23",
            "100.88.222.5",
        ] {
            let ip = ip.parse().unwrap();
            assert!(ranges().iter().any(|range| range.contains(ip)), "{ip}");
        }
    }

    #[test]
    fn every_entry_of_the_table_is_a_range() {
        assert_eq!(ranges().len(), SPECIAL.len());
    }
}
