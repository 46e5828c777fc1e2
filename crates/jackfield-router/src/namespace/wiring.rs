//! Links, bridges, addresses and routes between network namespaces.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use crate::device::index;
use crate::netlink::Netlink;
use crate::{HeldNetns, Netns};

/// A step that failed, and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub struct WiringError {
    /// What failed, as a sentence.
    what: String,
    /// What the kernel says.
    error: io::Error,
}

/// Makes a network namespace in which the loopback interface is up, with IPv6 or without.
///
/// # Errors
/// Says what could not be done.
pub fn host(ipv6: bool) -> Result<Netns, WiringError> {
    let netns = Netns::create().map_err(failed(|| "no network namespace can be made".into()))?;
    at(
        &netns,
        || "the loopback interface does not come up".into(),
        |netlink| {
            if ipv6 {
                // No two hosts get the same address, so none of them has to look for duplicates
                // before it uses one.
                fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")?;
            } else {
                without_ipv6()?;
            }
            netlink.bring_up(number("lo")?, None)
        },
    )?;
    Ok(netns)
}

/// Connects two namespaces by a veth pair: an interface of the given name in each.
///
/// # Errors
/// Says what could not be done.
pub fn connect(a: (&Netns, &str), b: (&Netns, &str)) -> Result<(), WiringError> {
    let what = || format!("{} cannot be connected to {}", a.1, b.1);
    let there = File::open(b.0.path()).map_err(failed(what))?;
    at(a.0, what, |netlink| {
        netlink.add_veth(a.1, b.1, there.as_raw_fd())?;
        netlink.bring_up(number(a.1)?, None)
    })?;
    at(b.0, what, |netlink| netlink.bring_up(number(b.1)?, None))
}

/// Makes a bridge and brings it up.
///
/// # Errors
/// Says what could not be done.
pub fn bridge(netns: &Netns, name: &str) -> Result<(), WiringError> {
    at(
        netns,
        || format!("no bridge {name} can be made"),
        |netlink| {
            netlink.add_bridge(name)?;
            netlink.bring_up(number(name)?, None)
        },
    )
}

/// Makes an interface a port of a bridge in the same namespace.
///
/// # Errors
/// Says what could not be done.
pub fn add_to_bridge(netns: &Netns, name: &str, bridge: &str) -> Result<(), WiringError> {
    let what = || format!("{name} cannot be a port of {bridge}");
    at(netns, what, |netlink| {
        netlink.set_master(number(name)?, number(bridge)?)
    })
}

/// Gives an interface an address, with the length of its prefix.
///
/// # Errors
/// Says what could not be done.
pub fn address(netns: &Netns, name: &str, ip: IpAddr, length: u8) -> Result<(), WiringError> {
    let what = || format!("{name} does not take the address {ip}/{length}");
    at(netns, what, |netlink| {
        netlink.add_address(number(name)?, ip, length)
    })
}

/// Waits until what comes for an address is delivered: its interface is up, and the kernel has
/// done all that the address needs.
///
/// # Errors
/// Says that it is not after ten seconds.
pub fn await_delivery(netns: &Netns, ip: IpAddr) -> Result<(), WiringError> {
    let what = || format!("nothing is delivered to {ip}");
    at(netns, what, |netlink| netlink.await_delivery(ip))
}

/// Sends what is for a prefix to a neighbour; the prefix of length 0 covers everything.
///
/// # Errors
/// Says what could not be done.
pub fn route(netns: &Netns, prefix: (IpAddr, u8), gateway: IpAddr) -> Result<(), WiringError> {
    let what = || {
        format!(
            "there can be no route to {}/{} by {gateway}",
            prefix.0, prefix.1
        )
    };
    at(netns, what, |netlink| {
        netlink.add_route_via(gateway, prefix)
    })
}

/// Drops everything that there is no other route for, as the internet does, without an error to
/// the sender.
///
/// # Errors
/// Says what could not be done.
pub fn black_hole(netns: &Netns, ipv6: bool) -> Result<(), WiringError> {
    at(
        netns,
        || "packets to nowhere cannot be lost".into(),
        |netlink| {
            netlink.add_black_hole(false)?;
            if ipv6 {
                netlink.add_black_hole(true)?;
            }
            Ok(())
        },
    )
}

/// Lets a namespace forward packets that are for others.
///
/// # Errors
/// Says which setting cannot be written, as where /proc/sys is mounted read-only.
pub fn forward(netns: &Netns, ipv6: bool) -> Result<(), WiringError> {
    let set = |path: &'static str| {
        at(
            netns,
            || format!("{path} cannot be set"),
            move |_| fs::write(path, "1"),
        )
    };
    set("/proc/sys/net/ipv4/ip_forward")?;
    if ipv6 {
        set("/proc/sys/net/ipv6/conf/all/forwarding")?;
    }
    Ok(())
}

/// Returns the descriptor by which this process holds a namespace that [`host`] made.
#[must_use]
pub fn descriptor(netns: &Netns) -> Option<i32> {
    match netns {
        Netns::Held(held) => Some(HeldNetns::as_raw_fd(held)),
        Netns::Named(_) | Netns::Path(_) | Netns::Process(_) => None,
    }
}

fn at(
    netns: &Netns,
    what: impl Fn() -> String,
    work: impl FnOnce(&mut Netlink) -> io::Result<()> + Send,
) -> Result<(), WiringError> {
    netns
        .run(|| Netlink::open().and_then(|mut netlink| work(&mut netlink)))
        .and_then(|result| result)
        .map_err(failed(what))
}

/// Switches IPv6 off, unless the kernel has none.
fn without_ipv6() -> io::Result<()> {
    match fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn number(name: &str) -> io::Result<u32> {
    index(&CString::new(name)?)
}

fn failed(what: impl Fn() -> String) -> impl FnOnce(io::Error) -> WiringError {
    move |error| WiringError {
        what: what(),
        error,
    }
}
