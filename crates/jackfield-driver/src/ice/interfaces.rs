//! The addresses of this machine's interfaces: which are used, and in which order.

use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};

use if_addrs::IfOperStatus;

/// Which interfaces are used.
///
/// Bridges and pairs that container engines and hypervisors make are left out by default: only what
/// runs on this machine is behind them, it is reached by the other addresses as well, and each
/// costs pairs to check. The interface of the default route is used whatever its name is. VPNs are
/// used, after the others, as they may be the only way to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfaceFilter {
    /// Whether loopback addresses are used: for tests, and two programs on one machine. Default:
    /// no.
    pub loopback: bool,
    /// Whether link-local addresses are used (169.254.0.0/16, fe80::/10). Default: no.
    pub link_local: bool,
    /// Whether the bridges of container engines and hypervisors are used. Default: no.
    pub virtual_bridges: bool,
    /// The names of the only interfaces that are used; empty for all. Default: empty.
    pub only: Vec<String>,
    /// The names of interfaces that are never used. Default: none.
    pub except: Vec<String>,
    /// The only addresses that are used, in this order, whatever else is said here; empty for all.
    /// Default: empty.
    pub addresses: Vec<IpAddr>,
}

/// An address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Whether it is an IPv6 address that changes with time (RFC 8981): the one to show, if there
    /// is one.
    pub temporary: bool,
    /// Whether it is an IPv6 address that is on its way out (RFC 4862): connections keep it, new
    /// ones get another.
    pub deprecated: bool,
    /// Whether the default route leaves from it.
    pub default_route: bool,
}

impl InterfaceFilter {
    /// Returns the addresses to use, the preferred ones first.
    #[must_use]
    pub fn choose(&self, addresses: Vec<InterfaceAddress>) -> Vec<InterfaceAddress> {
        if !self.addresses.is_empty() {
            let named = |ip: &IpAddr| addresses.iter().find(|address| address.ip == *ip).cloned();
            return self.addresses.iter().filter_map(named).collect();
        }
        let mut chosen: Vec<_> = addresses
            .into_iter()
            .filter(|address| self.admits(address))
            .collect();
        // The order of the system is kept otherwise: it is the order in which they were set up.
        chosen.sort_by_key(|address| {
            let is_stable = address.ip.is_ipv6() && !address.temporary;
            (address.deprecated, is_vpn(&address.name), is_stable)
        });
        chosen
    }

    fn admits(&self, address: &InterfaceAddress) -> bool {
        let is_link_local = match address.ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let name = &address.name;
        (self.loopback || !address.ip.is_loopback())
            && (self.link_local || !is_link_local)
            && (self.virtual_bridges || address.default_route || !is_virtual_bridge(name))
            && (self.only.is_empty() || self.only.contains(name))
            && !self.except.contains(name)
            && !address.ip.is_unspecified()
    }
}

/// Returns the addresses of all interfaces that are up, but for IPv6 addresses that cannot be used
/// yet.
///
/// # Errors
/// What the system says.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let flags = ipv6_flags();
    let default = default_addresses();
    let mut addresses = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let ip = interface.ip();
        let is_down = matches!(
            interface.oper_status,
            IfOperStatus::Down | IfOperStatus::NotPresent | IfOperStatus::LowerLayerDown
        );
        let flag = |flag| match ip {
            IpAddr::V6(ip) => flags.iter().any(|(of, set)| *of == ip && set & flag != 0),
            IpAddr::V4(_) => false,
        };
        if is_down || flag(TENTATIVE) || flag(DAD_FAILED) {
            continue;
        }
        addresses.push(InterfaceAddress {
            name: interface.name.clone(),
            ip,
            temporary: flag(TEMPORARY),
            deprecated: flag(DEPRECATED),
            default_route: default.contains(&Some(ip)),
        });
    }
    Ok(addresses)
}

/// Returns the addresses that packets to the Internet leave from, of IPv4 and of IPv6.
fn default_addresses() -> [Option<IpAddr>; 2] {
    // Connecting a UDP socket asks for a route and sends nothing.
    let from = |local: &str, to: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    [
        from("0.0.0.0:0", "192.0.2.1:9"),
        from("[::]:0", "[2001:db8::1]:9"),
    ]
}

/// Returns the flags that Linux has for IPv6 addresses.
fn ipv6_flags() -> Vec<(Ipv6Addr, u32)> {
    let table = std::fs::read_to_string("/proc/net/if_inet6");
    // Other systems have no such file, and Linux without IPv6 neither.
    table.map_or_else(|_| Vec::new(), |table| read_flags(&table))
}

/// Reads lines of an address, the interface's number, the prefix length, the scope, the flags and
/// the interface's name.
fn read_flags(table: &str) -> Vec<(Ipv6Addr, u32)> {
    let read = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
        Some((Ipv6Addr::from_bits(address), flags))
    };
    table.lines().filter_map(read).collect()
}

/// Returns whether an interface leads to containers or virtual machines of this machine alone, by
/// the names that Docker, Podman, libvirt, LXC, Kubernetes' plugins, VirtualBox and VMware give.
fn is_virtual_bridge(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "docker", "br-", "veth", "virbr", "vnet", "lxc", "lxdbr", "podman", "cni", "cali",
        "flannel", "kube", "vboxnet", "vmnet",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn is_vpn(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "tun",
        "tap",
        "utun",
        "wg",
        "ppp",
        "tailscale",
        "zt",
        "ipsec",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

// <linux/if_addr.h>
const TEMPORARY: u32 = 0x01;
const DAD_FAILED: u32 = 0x08;
const DEPRECATED: u32 = 0x20;
const TENTATIVE: u32 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(name: &str, ip: &str) -> InterfaceAddress {
        InterfaceAddress {
            name: name.into(),
            ip: ip.parse().expect("an address"),
            temporary: false,
            deprecated: false,
            default_route: false,
        }
    }

    fn chosen(filter: &InterfaceFilter, addresses: &[InterfaceAddress]) -> Vec<String> {
        let chosen = filter.choose(addresses.to_vec());
        chosen.into_iter().map(|it| it.ip.to_string()).collect()
    }

    #[test]
    fn bridges_loopback_and_link_local_addresses_are_left_out() {
        let all = [
            address("lo", "127.0.0.1"),
            address("docker0", "172.17.0.1"),
            address("br-1f2e3d", "172.18.0.1"),
            address("wg0", "10.8.0.2"),
            address("eth0", "192.168.1.2"),
            address("eth0", "fe80::1"),
            address("eth1", "169.254.3.3"),
        ];
        let mut filter = InterfaceFilter::default();
        assert_eq!(chosen(&filter, &all), ["192.168.1.2", "10.8.0.2"]);
        filter.only = vec!["wg0".into(), "lo".into()];
        assert_eq!(chosen(&filter, &all), ["10.8.0.2"]);
        filter.loopback = true;
        assert_eq!(chosen(&filter, &all), ["127.0.0.1", "10.8.0.2"]);
        filter.except = vec!["wg0".into()];
        assert_eq!(chosen(&filter, &all), ["127.0.0.1"]);
    }

    #[test]
    fn the_default_route_counts_more_than_a_name_and_a_list_more_than_all() {
        let uplink = InterfaceAddress {
            default_route: true,
            ..address("veth0", "10.0.0.2")
        };
        let all = [
            uplink,
            address("veth1", "10.0.1.2"),
            address("lo", "127.0.0.1"),
        ];
        let mut filter = InterfaceFilter::default();
        assert_eq!(chosen(&filter, &all), ["10.0.0.2"]);
        let listed = ["127.0.0.1", "192.0.2.1", "10.0.1.2"];
        filter.addresses = listed.map(|ip| ip.parse().expect("an address")).into();
        assert_eq!(chosen(&filter, &all), ["127.0.0.1", "10.0.1.2"]);
    }

    #[test]
    fn temporary_addresses_come_before_stable_ones_and_deprecated_ones_last() {
        let temporary = InterfaceAddress {
            temporary: true,
            ..address("eth0", "2001:db8::7")
        };
        let deprecated = InterfaceAddress {
            deprecated: true,
            temporary: true,
            ..address("eth0", "2001:db8::6")
        };
        let all = [deprecated, address("eth0", "2001:db8::1"), temporary];
        assert_eq!(
            chosen(&InterfaceFilter::default(), &all),
            ["2001:db8::7", "2001:db8::1", "2001:db8::6"]
        );
    }

    #[test]
    fn flags_of_linux_are_read() {
        let table = "00000000000000000000000000000001 01 80 10 80       lo\n\
                     20010db8000000000000000000000007 02 40 00 21     eth0\nnonsense\n";
        let read = read_flags(table);
        assert_eq!(read.len(), 2);
        assert_eq!(
            read.last(),
            Some(&("2001:db8::7".parse().expect("an address"), 0x21))
        );
    }

    #[test]
    fn this_machine_has_a_loopback_address() {
        let addresses = interface_addresses().expect("the system tells");
        assert!(addresses.iter().any(|address| address.ip.is_loopback()));
    }
}
