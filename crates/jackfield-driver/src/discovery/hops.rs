//! The routers on the way to a server: each drops a datagram whose time to live ends there, and
//! says so by ICMP.
//!
//! It needs no privilege: with `IP_RECVERR` Linux hands such an ICMP error to the socket that it
//! is about. The datagrams are Binding requests, so the mappings that they make in NATs are those
//! that a STUN client makes anyway.

#![expect(
    unsafe_code,
    reason = "ICMP errors of a socket are read with recvmsg from its error queue"
)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use jackfield_stun::{Class, MessageWriter, Method, TransactionId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::control_message::ControlBuffer;

/// How many routers on the way are asked, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct HopsConfig {
    /// How many routers to ask, from the nearest on. Default: 4.
    pub count: u8,
    /// How long to wait for their answers. Default: 2 s.
    pub patience: Duration,
}

impl Default for HopsConfig {
    fn default() -> Self {
        Self {
            count: 4,
            patience: Duration::from_secs(2),
        }
    }
}

/// The first routers on the way to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hops {
    /// The addresses of the routers, the nearest first; `None` for each that did not answer.
    pub routers: Vec<Option<IpAddr>>,
    /// Whether the server comes right after the last of them.
    pub is_all: bool,
}

/// Returns the routers on the way to `server`. This blocks for as long as the config says, unless
/// all answer before.
///
/// # Errors
/// Fails when a socket cannot be opened or set up; [`io::ErrorKind::Unsupported`] for an IPv6
/// address.
pub fn hops(server: SocketAddr, config: &HopsConfig) -> io::Result<Hops> {
    if !server.is_ipv4() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut probes = (1..=config.count)
        .map(|ttl| Probe::new(server, ttl))
        .collect::<io::Result<Vec<Probe>>>()?;
    let start = Instant::now();
    let mut sent = 0;
    loop {
        let passed = start.elapsed();
        if passed >= config.patience || probes.iter().all(Probe::is_over) {
            break;
        }
        // Routers limit the rate of their ICMP errors, so a probe without an answer is sent again
        // after a third of the time and after two thirds.
        if passed >= config.patience * sent / SENDINGS {
            sent += 1;
            for probe in probes.iter().filter(|probe| !probe.is_over()) {
                probe.send();
            }
        }
        let next = (config.patience * sent / SENDINGS).min(config.patience);
        wait(&probes, next.saturating_sub(passed))?;
        for probe in &mut probes {
            probe.read();
        }
    }
    let end = probes
        .iter()
        .position(|probe| probe.answer == Some(Answer::Server));
    let reached = end.unwrap_or(probes.len());
    let routers = probes.iter().take(reached).map(|probe| match probe.answer {
        Some(Answer::Router(ip)) => Some(ip),
        Some(Answer::Server) | None => None,
    });
    Ok(Hops {
        routers: routers.collect(),
        is_all: end.is_some(),
    })
}

/// How often a datagram is sent that gets no answer.
const SENDINGS: u32 = 3;

/// A socket whose datagrams live for a number of hops.
#[derive(Debug)]
struct Probe {
    socket: UdpSocket,
    request: Vec<u8>,
    answer: Option<Answer>,
}

/// The sender of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// A router, where the datagram's time to live ended.
    Router(IpAddr),
    /// The server, or the machine that it should be on.
    Server,
}

impl Probe {
    fn new(server: SocketAddr, ttl: u8) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        socket.set_ttl(u32::from(ttl))?;
        queue_errors(&socket)?;
        socket.connect(server)?;
        let mut id = [0; 12];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let mut request = Vec::new();
        MessageWriter::new(
            &mut request,
            Class::Request,
            Method::BINDING,
            TransactionId::new(id),
        )
        .finish()
        .map_err(io::Error::other)?;
        Ok(Self {
            socket,
            request,
            answer: None,
        })
    }

    fn is_over(&self) -> bool {
        self.answer.is_some()
    }

    fn send(&self) {
        // The kernel reports an earlier ICMP error by failing this send; the error itself is read
        // from the queue.
        for _ in 0..2 {
            if self.socket.send(&self.request).is_ok() {
                return;
            }
        }
    }

    fn read(&mut self) {
        let mut room = [0; 512];
        while let Some(error) = read_error(&self.socket) {
            self.answer = self.answer.or(Some(error));
        }
        match self.socket.recv(&mut room) {
            Ok(_) => self.answer = Some(Answer::Server),
            // There is nothing, or the kernel reports an error that has just arrived in the queue.
            Err(_) => {
                if let Some(error) = read_error(&self.socket) {
                    self.answer = self.answer.or(Some(error));
                }
            }
        }
    }
}

/// Asks the system to queue ICMP errors for the socket.
fn queue_errors(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the option's value is an int that lives through the
    // call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_RECVERR,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Waits until one of the sockets has something, at most for `timeout`.
fn wait(probes: &[Probe], timeout: Duration) -> io::Result<()> {
    let waiting = probes.iter().filter(|probe| !probe.is_over());
    // An ICMP error wakes a poll as POLLERR, which is always asked for.
    let mut polled: Vec<PollFd<'_>> = waiting
        .map(|probe| PollFd::new(&probe.socket, PollFlags::IN))
        .collect();
    let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Takes one error from the socket's queue; errors of other kinds than ICMP's are passed over.
fn read_error(socket: &UdpSocket) -> Option<Answer> {
    let mut payload = [0_u8; 64];
    let mut control = ControlBuffer::default();
    let mut part = libc::iovec {
        iov_base: payload.as_mut_ptr().cast(),
        iov_len: payload.len(),
    };
    // SAFETY: a header of zeroes is a valid one, without buffers.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    control.lend(&mut header);
    // SAFETY: the descriptor is open, and the buffers that the header points at live through the
    // call.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if received < 0 {
        return None;
    }
    let mut messages = control.messages(&header);
    let message = messages
        .find(|message| (message.level, message.kind) == (libc::IPPROTO_IP, libc::IP_RECVERR))?;
    // The address of the router that sent the ICMP error stands behind the error
    // (`SO_EE_OFFENDER`).
    let offender = message.read_behind::<libc::sock_extended_err, libc::sockaddr_in>()?;
    answer(&message.read()?, &offender)
}

fn answer(error: &libc::sock_extended_err, offender: &libc::sockaddr_in) -> Option<Answer> {
    if error.ee_origin != libc::SO_EE_ORIGIN_ICMP {
        return None;
    }
    let ip = IpAddr::from(u32::from_be(offender.sin_addr.s_addr).to_be_bytes());
    match (error.ee_type, error.ee_code) {
        (TIME_EXCEEDED, _) => Some(Answer::Router(ip)),
        (UNREACHABLE, PORT_UNREACHABLE) => Some(Answer::Server),
        _ => None,
    }
}

/// ICMP types and codes (RFC 792).
const UNREACHABLE: u8 = 3;
const PORT_UNREACHABLE: u8 = 3;
const TIME_EXCEEDED: u8 = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_no_router_away() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = silent.local_addr().unwrap();
        drop(silent);
        let way = hops(closed, &HopsConfig::default()).unwrap();
        let none = Hops {
            routers: Vec::new(),
            is_all: true,
        };
        assert_eq!(way, none);
    }

    #[test]
    fn ipv6_is_refused() {
        let error = hops("[::1]:3478".parse().unwrap(), &HopsConfig::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
}
