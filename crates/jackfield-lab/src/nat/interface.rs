//! An interface on the command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use jackfield_nat::{Address, Prefix};
use jackfield_router::{Netns, TunConfig};

/// An interface to make: `NAME[=ADDRESS/LENGTH][@NAMESPACE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The address that the host has on it, with the length of its prefix.
    pub address: Option<(IpAddr, u8)>,
    /// Its network namespace; `None` for the one that the command runs in.
    pub netns: Option<Netns>,
}

/// The text does not describe an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("accepted is NAME[=ADDRESS/LENGTH][@NAMESPACE], such as tun0=10.0.0.2/24@home")]
pub struct InterfaceError;

impl Interface {
    /// Returns the config of the interface, with routes through it and an MTU in bytes.
    #[must_use]
    pub fn tun(&self, routes: Vec<(IpAddr, u8)>, mtu: Option<u16>) -> TunConfig {
        TunConfig {
            name: self.name.clone(),
            netns: self.netns.clone(),
            addresses: self.address.into_iter().collect(),
            routes,
            mtu,
        }
    }

    /// Returns the first address of the prefix that the host does not have itself, which the NAT
    /// can take; `None` where the prefix has no other address.
    #[must_use]
    pub fn neighbour(&self) -> Option<IpAddr> {
        let (ip, length) = self.address?;
        let prefix = Prefix::new(ip, length)?;
        let first = prefix.address().bits();
        let candidates = (1..=2).map(|step| match IpAddr::from(prefix.address()) {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits((first as u32).wrapping_add(step))),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(first.wrapping_add(step.into()))),
        });
        candidates
            .into_iter()
            .find(|other| *other != ip && prefix.contains(Address::from(*other)))
    }
}

impl FromStr for Interface {
    type Err = InterfaceError;

    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        let (rest, netns) = match text.split_once('@') {
            Some((_, "")) => return Err(InterfaceError),
            Some((rest, netns)) => (rest, netns.parse().ok()),
            None => (text, None),
        };
        let (name, address) = match rest.split_once('=') {
            Some((name, address)) => (name, Some(prefix(address).ok_or(InterfaceError)?)),
            None => (rest, None),
        };
        if name.is_empty() {
            return Err(InterfaceError);
        }
        Ok(Self {
            name: name.to_owned(),
            address,
            netns,
        })
    }
}

fn prefix(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, length) = text.split_once('/')?;
    let (ip, length) = (ip.parse().ok()?, length.parse().ok()?);
    Prefix::new(ip, length).map(|_| (ip, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_written_with_as_much_as_it_needs() {
        let home: Interface = "tun0=10.0.0.2/24@home".parse().unwrap();
        assert_eq!(home.name, "tun0");
        assert_eq!(home.address, Some(("10.0.0.2".parse().unwrap(), 24)));
        assert_eq!(home.netns, Some(Netns::Named("home".into())));
        let bare: Interface = "wan".parse().unwrap();
        assert_eq!((bare.address, bare.netns), (None, None));
        for wrong in [
            "",
            "=10.0.0.1/8",
            "a=10.0.0.1",
            "a=10.0.0.1/33",
            "a=b/8",
            "a@",
        ] {
            assert_eq!(wrong.parse::<Interface>(), Err(InterfaceError), "{wrong}");
        }
    }

    #[test]
    fn the_gateway_is_the_first_address_that_the_host_has_not() {
        let neighbour = |text: &str| {
            let interface: Interface = text.parse().unwrap();
            interface.neighbour().map(|ip| ip.to_string())
        };
        assert_eq!(neighbour("a=10.0.0.2/24").unwrap(), "10.0.0.1");
        assert_eq!(neighbour("a=10.0.0.1/24").unwrap(), "10.0.0.2");
        assert_eq!(neighbour("a=fd00::1/64").unwrap(), "fd00::2");
        assert_eq!(neighbour("a=10.0.0.1/32"), None);
        assert_eq!(neighbour("a"), None);
    }
}
