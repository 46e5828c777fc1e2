//! What this machine says of itself: its interfaces and its ways out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jackfield_driver::discovery::source_for;

use crate::facts::{Interface, InterfaceKind, Uplink};

/// Returns whether a packet to somewhere in the internet would leave; none is sent.
pub(super) fn has_route() -> bool {
    // Addresses of documentation: no host has them, so a bug that sends reaches none.
    ["192.0.2.1:9", "[2001:db8::1]:9"]
        .into_iter()
        .filter_map(|address| address.parse().ok())
        .any(|address: SocketAddr| source_for(address).is_ok())
}

/// Returns this machine's addresses; those of loopback only where a server is reached from them.
pub(super) fn interfaces(servers: &[IpAddr]) -> Vec<Interface> {
    let used: Vec<IpAddr> = servers
        .iter()
        .filter_map(|ip| source_for(SocketAddr::new(*ip, 3478)).ok())
        .collect();
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let of_interest = all
        .into_iter()
        .filter(|interface| !interface.is_loopback() || used.contains(&interface.ip()));
    of_interest
        .map(|interface| Interface {
            ip: interface.ip(),
            is_used: used.contains(&interface.ip()),
            kind: if interface.is_loopback() {
                InterfaceKind::Loopback
            } else {
                kind_of(&interface.name)
            },
            name: interface.name,
        })
        .collect()
}

/// Returns what is behind an interface: by what Linux knows of its driver, else by its name.
fn kind_of(name: &str) -> InterfaceKind {
    let description = std::fs::read_to_string(format!("/sys/class/net/{name}/uevent"));
    let device = description.unwrap_or_default();
    let device = device
        .lines()
        .find_map(|line| line.strip_prefix("DEVTYPE="));
    let is_tun = std::fs::exists(format!("/sys/class/net/{name}/tun_flags")).unwrap_or(false);
    match device {
        Some("wireguard") => return InterfaceKind::Tunnel,
        Some("bridge" | "vxlan") => return InterfaceKind::Containers,
        _ if is_tun => return InterfaceKind::Tunnel,
        _ => {}
    }
    kind_by_name(name)
}

fn kind_by_name(name: &str) -> InterfaceKind {
    let starts = |with: &&str| name.starts_with(*with);
    if TUNNELS.iter().any(&starts) {
        InterfaceKind::Tunnel
    } else if CONTAINERS.iter().any(starts) {
        InterfaceKind::Containers
    } else {
        InterfaceKind::Network
    }
}

/// Returns the default routes over IPv4, the preferred one first.
#[cfg(target_os = "linux")]
pub(super) fn uplinks() -> Vec<Uplink> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    uplinks_in(&table)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn uplinks() -> Vec<Uplink> {
    Vec::new()
}

fn uplinks_in(table: &str) -> Vec<Uplink> {
    let mut all: Vec<Uplink> = table.lines().filter_map(uplink).collect();
    all.sort_by_key(|uplink| uplink.metric);
    all
}

/// Reads a line of the kernel's table: interface, destination, gateway, flags, three numbers, mask.
fn uplink(line: &str) -> Option<Uplink> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[
        interface,
        destination,
        gateway,
        flags,
        _,
        _,
        metric,
        mask,
        ..,
    ] = fields.as_slice()
    else {
        return None;
    };
    // Addresses are printed as 32 bits that lie in memory as this machine has them.
    let address = |text: &str| {
        let bits = u32::from_str_radix(text, 16).ok()?;
        Some(Ipv4Addr::from(bits.to_ne_bytes()))
    };
    let is_up = u32::from_str_radix(flags, 16).ok()? & UP != 0;
    let is_default = address(destination)?.is_unspecified() && address(mask)?.is_unspecified();
    (is_up && is_default).then_some(Uplink {
        interface: interface.to_owned(),
        gateway: address(gateway)?.into(),
        metric: metric.parse().ok()?,
    })
}

/// How the interfaces of tunnels are called by VPNs on Linux and macOS.
const TUNNELS: [&str; 9] = [
    "tun",
    "tap",
    "utun",
    "wg",
    "tailscale",
    "zt",
    "ppp",
    "ipsec",
    "nebula",
];

/// How the interfaces of containers and virtual machines are called.
const CONTAINERS: [&str; 11] = [
    "docker", "br-", "veth", "virbr", "cni", "flannel", "cali", "lxc", "podman", "vmnet", "vboxnet",
];

/// `RTF_UP`.
const UP: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_tunnels_and_containers_from_networks() {
        for (name, kind) in [
            ("eth0", InterfaceKind::Network),
            ("enp3s0", InterfaceKind::Network),
            ("wlp2s0", InterfaceKind::Network),
            ("tailscale0", InterfaceKind::Tunnel),
            ("utun4", InterfaceKind::Tunnel),
            ("docker0", InterfaceKind::Containers),
            ("br-5f2a1c", InterfaceKind::Containers),
        ] {
            assert_eq!(kind_by_name(name), kind, "{name}");
        }
    }

    #[test]
    fn default_routes_are_listed_the_preferred_one_first() {
        let hex = |ip: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(ip));
        let (any, one, two) = (hex([0; 4]), hex([10, 1, 0, 1]), hex([192, 168, 1, 1]));
        let table = format!(
            "Iface\tDestination\tGateway\tFlags\n\
             wlan0\t{any}\t{one}\t0003\t0\t0\t600\t{any}\t0\t0\t0\n\
             eth0\t{any}\t{two}\t0003\t0\t0\t100\t{any}\t0\t0\t0\n\
             eth0\t{two}\t{any}\t0001\t0\t0\t100\t{}\t0\t0\t0\n\
             eth1\t{any}\t{two}\t0002\t0\t0\t1\t{any}\t0\t0\t0\n",
            hex([255, 255, 255, 0])
        );
        let found = uplinks_in(&table);
        let names: Vec<&str> = found.iter().map(|it| it.interface.as_str()).collect();
        assert_eq!(names, ["eth0", "wlan0"]);
        assert_eq!(found[0].gateway, IpAddr::from([192, 168, 1, 1]));
        assert!(uplinks_in("nonsense\n\n").is_empty());
    }
}
