//! Links, addresses and routes by rtnetlink(7): the requests that new interfaces need.

use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// A socket to the kernel's routing tables, in the network namespace of the thread that opens it.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let domain = Domain::from(libc::AF_NETLINK);
        let protocol = Protocol::from(libc::NETLINK_ROUTE);
        Ok(Self {
            socket: Socket::new(domain, Type::RAW, Some(protocol))?,
            sequence: 0,
        })
    }

    /// Brings an interface up, with an MTU of its own if there is one.
    pub(crate) fn bring_up(&mut self, index: u32, mtu: Option<u16>) -> io::Result<()> {
        let up = libc::IFF_UP as u32;
        let mut body = vec![0; 4]; // family, padding and device type do not matter
        for word in [index, up, up] {
            body.extend(word.to_ne_bytes());
        }
        if let Some(mtu) = mtu {
            attribute(&mut body, libc::IFLA_MTU, &u32::from(mtu).to_ne_bytes());
        }
        self.request(libc::RTM_NEWLINK, 0, &body)
    }

    /// Makes a veth pair: an interface here, and its peer in the namespace that `there` stands
    /// for.
    pub(crate) fn add_veth(&mut self, here: &str, far_end: &str, there: RawFd) -> io::Result<()> {
        let mut peer = vec![0; INTERFACE];
        attribute(&mut peer, libc::IFLA_IFNAME, &c_string(far_end));
        attribute(&mut peer, libc::IFLA_NET_NS_FD, &there.to_ne_bytes());
        let mut data = Vec::new();
        attribute(&mut data, VETH_INFO_PEER, &peer);
        self.add_link(here, "veth", Some(&data))
    }

    /// Makes a bridge.
    pub(crate) fn add_bridge(&mut self, name: &str) -> io::Result<()> {
        self.add_link(name, "bridge", None)
    }

    fn add_link(&mut self, name: &str, kind: &str, data: Option<&[u8]>) -> io::Result<()> {
        let mut info = Vec::new();
        attribute(&mut info, libc::IFLA_INFO_KIND, &c_string(kind));
        if let Some(data) = data {
            attribute(&mut info, libc::IFLA_INFO_DATA, data);
        }
        let mut body = vec![0; INTERFACE];
        attribute(&mut body, libc::IFLA_IFNAME, &c_string(name));
        attribute(&mut body, libc::IFLA_LINKINFO, &info);
        self.request(libc::RTM_NEWLINK, NEW, &body)
    }

    /// Makes an interface a port of a bridge.
    pub(crate) fn set_master(&mut self, index: u32, bridge: u32) -> io::Result<()> {
        let mut body = vec![0; 4];
        body.extend(index.to_ne_bytes());
        body.extend([0; 8]);
        attribute(&mut body, libc::IFLA_MASTER, &bridge.to_ne_bytes());
        self.request(libc::RTM_NEWLINK, 0, &body)
    }

    /// Gives an interface an address.
    pub(crate) fn add_address(&mut self, index: u32, ip: IpAddr, length: u8) -> io::Result<()> {
        let mut body = vec![family(ip), length, 0, 0];
        body.extend(index.to_ne_bytes());
        attribute(&mut body, libc::IFA_LOCAL, &octets(ip));
        attribute(&mut body, libc::IFA_ADDRESS, &octets(ip));
        if ip.is_ipv6() {
            // No other host can have the address, so it is used without duplicate address
            // detection.
            let flags = libc::IFA_F_NODAD.to_ne_bytes();
            attribute(&mut body, libc::IFA_FLAGS, &flags);
        }
        self.request(libc::RTM_NEWADDR, REPLACE, &body)
    }

    /// Waits until the kernel delivers what comes for an address that an interface which is up was
    /// given. IPv6 does that later than a program can bind to the address, and drops what comes in
    /// between.
    pub(crate) fn await_delivery(&mut self, ip: IpAddr) -> io::Result<()> {
        let give_up = Instant::now() + DELIVERY_WITHIN;
        while ip.is_ipv6() && !self.is_delivered(ip)? {
            if Instant::now() > give_up {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Returns whether what is for an address is for this host.
    fn is_delivered(&mut self, ip: IpAddr) -> io::Result<bool> {
        let mut body = vec![family(ip), octets(ip).len() as u8 * 8, 0, 0, 0, 0, 0, 0];
        body.extend([0; 4]);
        attribute(&mut body, libc::RTA_DST, &octets(ip));
        self.send(libc::RTM_GETROUTE, 0, &body)?;
        let answer = self.receive()?;
        match kind(&answer) {
            Some(libc::RTM_NEWROUTE) => Ok(answer.get(HEADER + 7) == Some(&libc::RTN_LOCAL)),
            // There is no route at all yet.
            _ => verdict(&answer).map(|()| false).or_else(|error| {
                let unreachable = [libc::ENETUNREACH, libc::EHOSTUNREACH];
                let is_early = error
                    .raw_os_error()
                    .is_some_and(|it| unreachable.contains(&it));
                if is_early { Ok(false) } else { Err(error) }
            }),
        }
    }

    /// Sends what is for a prefix out of an interface.
    pub(crate) fn add_route(&mut self, index: u32, ip: IpAddr, length: u8) -> io::Result<()> {
        let mut body = vec![
            family(ip),
            length,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_LINK,
            libc::RTN_UNICAST,
        ];
        body.extend([0; 4]);
        if length > 0 {
            attribute(&mut body, libc::RTA_DST, &octets(ip));
        }
        attribute(&mut body, libc::RTA_OIF, &index.to_ne_bytes());
        self.request(libc::RTM_NEWROUTE, REPLACE, &body)
    }

    /// Sends what is for a prefix to a neighbour.
    pub(crate) fn add_route_via(
        &mut self,
        gateway: IpAddr,
        (ip, length): (IpAddr, u8),
    ) -> io::Result<()> {
        let mut body = vec![
            family(ip),
            length,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_UNICAST,
        ];
        body.extend([0; 4]);
        if length > 0 {
            attribute(&mut body, libc::RTA_DST, &octets(ip));
        }
        attribute(&mut body, libc::RTA_GATEWAY, &octets(gateway));
        self.request(libc::RTM_NEWROUTE, REPLACE, &body)
    }

    /// Drops everything that there is no other route for, as the internet does, without an error
    /// to the sender.
    pub(crate) fn add_black_hole(&mut self, ipv6: bool) -> io::Result<()> {
        let mut body = vec![
            if ipv6 { libc::AF_INET6 } else { libc::AF_INET } as u8,
            0,
            0,
            0,
            libc::RT_TABLE_MAIN,
            libc::RTPROT_STATIC,
            libc::RT_SCOPE_UNIVERSE,
            libc::RTN_BLACKHOLE,
        ];
        body.extend([0; 4]);
        self.request(libc::RTM_NEWROUTE, REPLACE, &body)
    }

    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        // Without NLM_F_ACK the kernel answers failures alone, and a success could not be told
        // from a late failure.
        self.send(kind, flags | libc::NLM_F_ACK as u16, body)?;
        verdict(&self.receive()?)
    }

    fn send(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        self.sequence += 1;
        let flags = flags | libc::NLM_F_REQUEST as u16;
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend(self.sequence.to_ne_bytes());
        message.extend([0; 4]); // the kernel fills in the sender's port
        message.extend(body);
        self.socket.send(&message).map(|_| ())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = vec![0; 4096];
        let length = self.socket.read(&mut answer)?;
        answer.truncate(length);
        Ok(answer)
    }
}

/// Returns the type of a message.
fn kind(message: &[u8]) -> Option<u16> {
    let kind = message.get(4..6)?.try_into().ok()?;
    Some(u16::from_ne_bytes(kind))
}

/// Returns what an acknowledgement says.
fn verdict(answer: &[u8]) -> io::Result<()> {
    let code = answer.get(HEADER..HEADER + 4);
    let code = code.and_then(|code| code.try_into().ok());
    match (kind(answer), code.map(i32::from_ne_bytes)) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Appends an attribute, padded to four bytes; the body before it always is.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn c_string(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn family(ip: IpAddr) -> u8 {
    let family = match ip {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    family as u8
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The kernel's worker that does it runs within milliseconds, unless the machine is overloaded.
const DELIVERY_WITHIN: Duration = Duration::from_secs(10);
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Length of `struct ifinfomsg`.
const INTERFACE: usize = 16;
/// From `linux/veth.h`.
const VETH_INFO_PEER: u16 = 1;
const ERROR: u16 = libc::NLMSG_ERROR as u16;
const NEW: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_the_kernels_error() {
        let answer = |code: i32| {
            let mut bytes = 20_u32.to_ne_bytes().to_vec();
            bytes.extend(ERROR.to_ne_bytes());
            bytes.resize(HEADER, 0);
            bytes.extend(code.to_ne_bytes());
            bytes
        };
        assert!(verdict(&answer(0)).is_ok());
        let refused = verdict(&answer(-libc::EEXIST)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EEXIST));
        assert!(verdict(&[0; 3]).is_err());
    }

    #[test]
    fn attributes_are_padded_and_say_their_length_without_it() {
        let mut body = Vec::new();
        attribute(&mut body, 7, &[1, 2, 3]);
        assert_eq!(body.len(), 8);
        assert_eq!(body[..2], 7_u16.to_ne_bytes());
    }
}
