//! Multicast DNS: the names that stand for addresses of ours, and whose address a name stands for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_ice::MdnsName;
use jackfield_ice::mdns::{self, GROUP_V4, GROUP_V6, PORT, Responder, To};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::core::Core;
use super::interfaces::InterfaceAddress;
use super::shared::{Shared, Task};

impl<C: Core> Shared<C> {
    /// Makes a name for an address that is not to be shown, and answers for it.
    ///
    /// Where that cannot be done the address stays hidden all the same: the other side learns it
    /// from our checks, if they get there.
    pub(super) fn name_address(
        &self,
        address: &InterfaceAddress,
        tasks: &mut Vec<Task>,
    ) -> io::Result<Option<MdnsName>> {
        if !self.config.mdns || !is_private(address.ip) {
            return Ok(None);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = mdns::random_name(random);
        match respond_on(address) {
            Ok(socket) => {
                let responder = Responder::new(name.clone(), address.ip);
                tasks.push(Task(tokio::spawn(respond(socket, responder))));
            }
            Err(error) => {
                tracing::info!(%error, ip = %address.ip, "No answers to multicast DNS");
                self.counters.mdns_errors.add();
            }
        }
        Ok(Some(name))
    }

    /// Returns whose address a name stands for, by the system's resolver and by a question of our
    /// own on every network: many systems know nothing of multicast DNS.
    pub(super) async fn look_up(self: Arc<Self>, name: &str) -> Option<IpAddr> {
        let locals: Vec<IpAddr> = {
            let topology = self.topology();
            let with_port = topology.sockets.iter().chain(&topology.listeners);
            let mut locals: Vec<IpAddr> = with_port.map(SocketAddr::ip).collect();
            locals.extend(&topology.addresses);
            locals.sort();
            locals.dedup();
            locals
        };
        let name: MdnsName = name.parse().ok()?;
        let mut lookups = tokio::task::JoinSet::new();
        let of_system = name.to_string();
        lookups.spawn(async move {
            let mut found = tokio::net::lookup_host((of_system, 0)).await.ok()?;
            found.next().map(|address| address.ip())
        });
        for local in locals {
            lookups.spawn(ask(local, name.clone()));
        }
        while let Some(found) = lookups.join_next().await {
            if let Some(address) = found.ok().flatten() {
                return Some(address);
            }
        }
        None
    }
}

/// Asks the network of one of our addresses for the address behind a name.
async fn ask(local: IpAddr, name: MdnsName) -> Option<IpAddr> {
    let asked = ask_group(local, &name).await;
    if let Err(error) = &asked {
        tracing::debug!(%error, %local, "Multicast DNS cannot be asked");
    }
    asked.ok()
}

async fn ask_group(local: IpAddr, name: &MdnsName) -> io::Result<IpAddr> {
    let socket = Socket::new(
        Domain::for_address(SocketAddr::new(local, 0)),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    let (group, index) = match local {
        IpAddr::V4(ip) => {
            socket.set_multicast_if_v4(&ip)?;
            (SocketAddr::from((GROUP_V4, PORT)), 0)
        }
        IpAddr::V6(_) => {
            let index = interface_index(local)?;
            socket.set_multicast_if_v6(index)?;
            (SocketAddr::from((GROUP_V6, PORT)), index)
        }
    };
    socket.set_nonblocking(true)?;
    socket.bind(&scoped(SocketAddr::new(local, 0), index).into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    let id = u16::from_be_bytes(id);
    let query = mdns::query(id, name);
    let mut room = [0; MESSAGE];
    for patience in ASKED {
        socket.send_to(&query, group).await?;
        let until = tokio::time::Instant::now() + patience;
        // Whatever else comes here is no answer to this question.
        while let Ok(received) = tokio::time::timeout_at(until, socket.recv_from(&mut room)).await {
            let (length, _) = received?;
            let message = room.get(..length).unwrap_or_default();
            if let Some(address) = mdns::read_answer(id, name, message) {
                return Ok(address);
            }
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Returns a socket that hears the questions on the interface of an address, beside the other
/// responders of this machine.
fn respond_on(address: &InterfaceAddress) -> io::Result<UdpSocket> {
    let group: IpAddr = match address.ip {
        IpAddr::V4(_) => GROUP_V4.into(),
        IpAddr::V6(_) => GROUP_V6.into(),
    };
    // A socket that is bound to the group gets nothing that was sent to this host alone, from
    // wherever; Windows binds to no group.
    let bound = match (group, cfg!(windows)) {
        (IpAddr::V4(_), true) => Ipv4Addr::UNSPECIFIED.into(),
        (IpAddr::V6(_), true) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        (group, false) => group,
    };
    let bound = SocketAddr::new(bound, PORT);
    let socket = Socket::new(Domain::for_address(bound), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    let mut index = 0;
    match address.ip {
        IpAddr::V4(ip) => {
            // Linux would else give it what other sockets have asked for, by any interface.
            #[cfg(target_os = "linux")]
            socket.set_multicast_all_v4(false)?;
            socket.set_multicast_if_v4(&ip)?;
            socket.join_multicast_v4(&GROUP_V4, &ip)?;
        }
        IpAddr::V6(_) => {
            index = interface_index(address.ip)?;
            socket.set_only_v6(true)?;
            socket.set_multicast_if_v6(index)?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&scoped(bound, index).into())?;
    UdpSocket::from_std(socket.into())
}

/// Answers for a name until the task is aborted.
async fn respond(socket: UdpSocket, mut responder: Responder) {
    let mut room = [0; MESSAGE];
    loop {
        let (length, source) = match socket.recv_from(&mut room).await {
            Ok(received) => received,
            Err(error) => {
                // An error that an earlier answer has caused, mostly: it must not become a busy
                // loop.
                tracing::debug!(%error, "Multicast DNS");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let query = room.get(..length).unwrap_or_default();
        let Some(reply) = responder.handle_query(Instant::now(), source, query) else {
            continue;
        };
        let group = match source {
            SocketAddr::V4(_) => SocketAddr::from((GROUP_V4, PORT)),
            SocketAddr::V6(_) => SocketAddr::from((GROUP_V6, PORT)),
        };
        let to = match reply.to {
            To::Group => group,
            To::Asker => source,
        };
        if let Err(error) = socket.send_to(&reply.bytes, to).await {
            tracing::debug!(%error, "An answer to multicast DNS is lost");
        }
    }
}

/// Returns the number of the interface that an address belongs to.
fn interface_index(ip: IpAddr) -> io::Result<u32> {
    let all = if_addrs::get_if_addrs()?;
    let of_address = all.iter().find(|interface| interface.ip() == ip);
    let index = of_address.and_then(|interface| interface.index);
    index.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Returns an address with its scope, if it is one of a link.
fn scoped(address: SocketAddr, index: u32) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) => {
            let segments = v6.ip().segments();
            let is_of_link = v6.ip().is_unicast_link_local() || segments[0] & 0xFF0F == 0xFF02;
            v6.set_scope_id(if is_of_link { index } else { 0 });
            v6.into()
        }
        v4 @ SocketAddr::V4(_) => v4,
    }
}

/// Returns whether an address says something of a local network: what the Internet does not route.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// How long each of our questions waits for an answer: a wireless network may lose one.
const ASKED: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// The longest message that is read; questions and answers of ours have 200 bytes.
const MESSAGE: usize = 1_500;

const PAUSE: Duration = Duration::from_millis(100);
