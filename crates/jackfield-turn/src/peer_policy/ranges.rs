//! Ranges of addresses, found by binary search.

use std::net::IpAddr;

use crate::Cidr;
use crate::cidr::number;

/// A set of addresses as sorted, disjoint ranges of integers, so that a packet costs a binary
/// search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges {
    v4: Vec<(u128, u128)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    pub(super) fn new(cidrs: &[Cidr]) -> Self {
        let of_family = |ipv4: bool| {
            let ranges = cidrs.iter().filter(|cidr| cidr.is_ipv4() == ipv4);
            merged(ranges.map(Cidr::bounds).collect())
        };
        Self {
            v4: of_family(true),
            v6: of_family(false),
        }
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        let ranges = if ip.is_ipv4() { &self.v4 } else { &self.v6 };
        let ip = number(ip);
        let after = ranges.partition_point(|(first, _)| *first <= ip);
        after
            .checked_sub(1)
            .and_then(|index| ranges.get(index))
            .is_some_and(|(_, last)| ip <= *last)
    }
}

fn merged(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some((_, end)) if first <= *end => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    proptest! {
        #[test]
        fn a_set_contains_what_one_of_its_ranges_contains(
            parts in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..20),
            probe: u32,
        ) {
            let cidrs: Vec<Cidr> = parts.iter().map(|(ip, prefix)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
                Cidr::new(Ipv4Addr::from(ip & mask).into(), *prefix).unwrap()
            }).collect();
            let ranges = Ranges::new(&cidrs);
            let edges = cidrs.iter().flat_map(|cidr| {
                let (first, last) = cidr.bounds();
                [first.wrapping_sub(1), first, last, last + 1]
            });
            for ip in edges.map(|edge| edge as u32).chain([probe]) {
                let ip = IpAddr::from(Ipv4Addr::from(ip));
                prop_assert_eq!(ranges.contains(ip), cidrs.iter().any(|cidr| cidr.contains(ip)));
            }
        }
    }

    #[test]
    fn ipv6_ranges_are_compared_as_integers() {
        let ranges = Ranges::new(&["2001:db8:5::/48".parse().unwrap()]);
        for (ip, inside) in [
            ("2001:db8:5::", true),
            ("2001:db8:5:ffff:ffff:ffff:ffff:ffff", true),
            ("2001:db8:6::", false),
            ("2001:db8:4:ffff:ffff:ffff:ffff:ffff", false),
            ("2001:db9:5::", false),
        ] {
            let ip: Ipv6Addr = ip.parse().unwrap();
            assert_eq!(ranges.contains(ip.into()), inside, "{ip}");
        }
    }
}
