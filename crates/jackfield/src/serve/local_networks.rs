//! This machine's own addresses and the networks that it is in, kept up to date for the relay.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use jackfield_driver::shard::ShardContext;
use jackfield_driver::watch::Watch;
use jackfield_turn::Cidr;

use super::app::App;
use super::turn;

/// The addresses of this machine's interfaces, and the networks that are reached through them
/// without a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LocalNetworks {
    /// Sorted, each once.
    pub(super) addresses: Vec<IpAddr>,
    /// Sorted, each once.
    pub(super) connected: Vec<Cidr>,
}

impl LocalNetworks {
    /// Reads what holds at this moment.
    ///
    /// # Errors
    ///
    /// Fails when the system does not tell the interfaces.
    pub(super) fn read() -> std::io::Result<Self> {
        let interfaces = if_addrs::get_if_addrs()?;
        let addresses: Vec<(IpAddr, u8)> = interfaces
            .iter()
            .map(|interface| match &interface.addr {
                if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
                if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
            })
            .collect();
        // Of the network namespace that this thread is in. A system without these files has
        // networks by the addresses alone.
        let table = |name| table(&format!("/proc/thread-self/net/{name}"));
        Ok(Self::of(&addresses, &table("route"), &table("ipv6_route")))
    }

    /// Puts together addresses with their prefix lengths, and the kernel's routing tables as /proc
    /// shows them.
    ///
    /// Addresses alone do not show the network of an interface that has its address from DHCPv6,
    /// which is a /128, and its network from a router's advertisement, which is a route.
    fn of(addresses: &[(IpAddr, u8)], routes: &str, ipv6_routes: &str) -> Self {
        let of_addresses = addresses
            .iter()
            .filter_map(|(ip, prefix)| Cidr::around(*ip, *prefix));
        let connected: BTreeSet<(IpAddr, u8)> = of_addresses
            .chain(routes.lines().filter_map(on_link))
            .chain(ipv6_routes.lines().filter_map(on_link_ipv6))
            .filter(|network| network.prefix() >= shortest(network))
            .map(|network| (network.first(), network.prefix()))
            .collect();
        let addresses: BTreeSet<IpAddr> = addresses.iter().map(|(ip, _)| *ip).collect();
        Self {
            addresses: addresses.into_iter().collect(),
            connected: connected
                .into_iter()
                .filter_map(|(first, prefix)| Cidr::around(first, prefix))
                .collect(),
        }
    }
}

/// Tells every shard's relay of interfaces that come, go or change, until the server stops.
pub(super) fn keep_up_to_date(context: &ShardContext, app: &Arc<App>, first: LocalNetworks) {
    let app = Arc::clone(app);
    let mut shutdown = context.shutdown();
    context.spawn("local-networks", async move {
        tokio::select! {
            () = follow(&app, first) => {}
            () = shutdown.requested() => {}
        }
    });
}

async fn follow(app: &App, mut known: LocalNetworks) {
    let watch = Watch::new(POLL);
    loop {
        watch.changed().await;
        // A router's table may be long, and packets do not wait for it.
        let read = match tokio::task::spawn_blocking(LocalNetworks::read).await {
            Ok(Ok(read)) => read,
            Ok(Err(error)) => {
                tracing::warn!(%error, "Cannot list this machine's addresses; the relay knows the last ones");
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "Cannot read this machine's networks; the relay knows the last ones");
                continue;
            }
        };
        // Shards that are still starting get it with the next look.
        let Some(shards) = app.shards.get().filter(|_| read != known) else {
            continue;
        };
        tracing::info!(
            addresses = read.addresses.len(),
            networks = read.connected.len(),
            "This machine's addresses or networks changed"
        );
        for shard in shards {
            let own = turn::own_addresses(&app.config, &read.addresses);
            shard.turn.set_local_networks(own, read.connected.clone());
        }
        known = read;
    }
}

/// Returns the start of a table; nothing where there is none.
fn table(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TABLE).read_to_end(&mut bytes));
    if let Err(error) = read {
        tracing::debug!(%error, path, "Cannot read a routing table");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a line of `/proc/net/route`: a network that no gateway is named for.
fn on_link(line: &str) -> Option<Cidr> {
    let mut fields = line.split_whitespace().skip(1);
    // The kernel prints the 32 bits as this machine has them in memory.
    let mut address = || {
        let bits = u32::from_str_radix(fields.next()?, 16).ok()?;
        Some(Ipv4Addr::from(bits.to_ne_bytes()))
    };
    let (destination, gateway) = (address()?, address()?);
    let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
    let mask = u32::from_str_radix(fields.nth(3)?, 16).ok()?.to_ne_bytes();
    if !is_plain(flags) || !gateway.is_unspecified() {
        return None;
    }
    let prefix = u32::from_be_bytes(mask).leading_ones();
    Cidr::around(destination.into(), u8::try_from(prefix).ok()?)
}

/// Reads a line of `/proc/net/ipv6_route`: a network that no next hop is named for.
fn on_link_ipv6(line: &str) -> Option<Cidr> {
    let mut fields = line.split_whitespace();
    let address = |text: &str| Some(Ipv6Addr::from(u128::from_str_radix(text, 16).ok()?));
    let destination = address(fields.next()?)?;
    let prefix = u8::from_str_radix(fields.next()?, 16).ok()?;
    let next_hop = address(fields.nth(2)?)?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    if !is_plain(flags) || !next_hop.is_unspecified() {
        return None;
    }
    Cidr::around(destination.into(), prefix)
}

/// Returns whether a route is up, leads through no gateway and refuses nothing.
fn is_plain(flags: u32) -> bool {
    flags & UP != 0 && flags & (GATEWAY | REJECT) == 0
}

/// Returns how short a prefix may be for its network to be one of neighbours. A tunnel that takes
/// all traffic has routes such as 0.0.0.0/1 or 2000::/3.
fn shortest(network: &Cidr) -> u8 {
    if network.is_ipv4() { 8 } else { 32 }
}

/// `RTF_UP`, `RTF_GATEWAY` and `RTF_REJECT`.
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

/// How long a change may stay unseen of which the kernel does not tell: a route without an address.
const POLL: Duration = Duration::from_secs(30);

/// Bytes of a routing table that are read: a router may have a million routes, and those to its
/// neighbours are few.
const MAX_TABLE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101C8C6\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001C8C6\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0002C8C6\t00000000\t0001\t0\t0\t0\t00FEFFFF\t0\t0\t0
wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0
eth0\t0009C8C6\t0101C8C6\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
*\t000AC8C6\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t000BC8C6\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\tzz
";

    const IPV6_ROUTES: &str = "\
2a001450000100020000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
2a001450000900020000000000000000 40 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
20000000000000000000000000000000 03 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001      wg0
2a001450000a00020000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
2a001450000100020000000000000077 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001     eth0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn networks_come_from_addresses_and_from_routes_without_a_gateway() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let addresses = [
            (ip("198.200.1.77"), 24),
            (ip("198.200.7.9"), 30),
            (ip("2a00:1450:1:2::77"), 128),
            (ip("198.200.1.77"), 24),
            (ip("9.9.9.9"), 0),
        ];
        let found = LocalNetworks::of(&addresses, ROUTES, IPV6_ROUTES);
        let connected: Vec<String> = found.connected.iter().map(Cidr::to_string).collect();
        assert_eq!(
            connected,
            [
                "198.200.1.0/24",
                "198.200.2.0/23",
                "198.200.7.8/30",
                "2a00:1450:1:2::/64",
                "2a00:1450:1:2::77/128",
            ]
        );
        assert_eq!(found.addresses.len(), 4);
    }

    #[test]
    fn this_machine_has_loopback() {
        let found = LocalNetworks::read().unwrap();
        assert!(found.addresses.contains(&Ipv4Addr::LOCALHOST.into()));
        assert!(found.connected.contains(&"127.0.0.0/8".parse().unwrap()));
    }
}
