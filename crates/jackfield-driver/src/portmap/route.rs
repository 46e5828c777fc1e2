//! Finds the gateway in the kernel's routing table, `/proc/net/route`.

use std::net::{IpAddr, Ipv4Addr};

/// Reads the table of the network namespace that this thread is in.
pub(super) fn default_gateway() -> Option<IpAddr> {
    let table = std::fs::read_to_string("/proc/thread-self/net/route").ok()?;
    gateway_in(&table, own_address).map(IpAddr::V4)
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
struct Route<'a> {
    interface: &'a str,
    destination: Ipv4Addr,
    gateway: Ipv4Addr,
    mask: Ipv4Addr,
    metric: u32,
}

impl<'a> Route<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let interface = fields.next()?;
        let destination = address(fields.next()?)?;
        let gateway = address(fields.next()?)?;
        let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
        let metric = fields.nth(2)?.parse().ok()?;
        let mask = address(fields.next()?)?;
        (flags & UP != 0).then_some(Self {
            interface,
            destination,
            gateway,
            mask,
            metric,
        })
    }

    fn is_default(&self) -> bool {
        self.mask.is_unspecified()
    }
}

fn gateway_in(table: &str, own: impl Fn(Ipv4Addr) -> Option<Ipv4Addr>) -> Option<Ipv4Addr> {
    let routes: Vec<Route<'_>> = table.lines().filter_map(Route::parse).collect();
    let defaults = routes.iter().filter(|route| route.is_default());
    let best = defaults.min_by_key(|route| route.metric)?;
    if !best.gateway.is_unspecified() {
        return Some(best.gateway);
    }
    let network = routes
        .iter()
        .find(|route| route.interface == best.interface && !route.is_default())?;
    let first = network.destination.to_bits();
    let candidates = [1, 2].map(|step| Ipv4Addr::from_bits(first.wrapping_add(step)));
    candidates
        .into_iter()
        .find(|ip| own(*ip).is_none_or(|own| own != *ip))
}

/// Returns the address that this machine would send to `ip` from.
fn own_address(ip: Ipv4Addr) -> Option<Ipv4Addr> {
    match super::driver::local_towards(IpAddr::V4(ip)).ok()? {
        IpAddr::V4(own) => Some(own),
        IpAddr::V6(_) => None,
    }
}

/// Reads an address as the kernel prints one: its 32 bits as this machine has them in memory.
fn address(text: &str) -> Option<Ipv4Addr> {
    let bits = u32::from_str_radix(text, 16).ok()?;
    Some(Ipv4Addr::from(bits.to_ne_bytes()))
}

/// `RTF_UP`.
const UP: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn line(interface: &str, [destination, gateway, mask]: [&str; 3], metric: u32) -> String {
        let hex = |text: &str| {
            let ip: Ipv4Addr = text.parse().unwrap();
            format!("{:08X}", u32::from_ne_bytes(ip.octets()))
        };
        let (destination, gateway, mask) = (hex(destination), hex(gateway), hex(mask));
        format!("{interface}\t{destination}\t{gateway}\t0003\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
    }

    fn found(lines: &[String], own: &str) -> Option<String> {
        let table = format!("{HEAD}{}", lines.concat());
        let own: Ipv4Addr = own.parse().unwrap();
        gateway_in(&table, |_| Some(own)).map(|ip| ip.to_string())
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_wins() {
        let any = "0.0.0.0";
        let lines = [
            line("wlan0", [any, "10.1.0.1", any], 600),
            line("eth0", [any, "192.168.1.1", any], 100),
            line("eth0", ["192.168.1.0", any, "255.255.255.0"], 100),
        ];
        assert_eq!(found(&lines, "192.168.1.7").unwrap(), "192.168.1.1");
        assert_eq!(found(&lines[2..], "192.168.1.7"), None);
        assert_eq!(found(&[], "192.168.1.7"), None);
    }

    #[test]
    fn a_route_without_gateway_leads_to_the_first_address_that_is_not_ours() {
        let any = "0.0.0.0";
        let lines = [
            line("tun0", [any, any, any], 0),
            line("tun0", ["10.9.0.0", any, "255.255.255.0"], 0),
        ];
        assert_eq!(found(&lines, "10.9.0.2").unwrap(), "10.9.0.1");
        assert_eq!(found(&lines, "10.9.0.1").unwrap(), "10.9.0.2");
    }

    #[test]
    fn lines_that_are_none_are_skipped() {
        assert_eq!(found(&["eth0\tzz\n".into(), "\n".into()], "10.0.0.2"), None);
    }
}
