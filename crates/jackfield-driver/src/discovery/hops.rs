//! The routers on the way to a server: each drops a datagram whose time to live ends there, and
//! says so by ICMP.
//!
//! It needs no privilege: with `IP_RECVERR` Linux hands such an ICMP error to the socket that it
//! is about. The datagrams are Binding requests, so the mappings that they make in NATs are those
//! that a STUN client makes anyway.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use jackfield_stun::{Class, MessageWriter, Method, TransactionId};

use super::icmp::{Error, Origin, queue_errors, read_error, wait};

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
        let waiting = probes.iter().filter(|probe| !probe.is_over());
        wait(
            waiting.map(|probe| &probe.socket),
            next.saturating_sub(passed),
        )?;
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
        queue_errors(&socket, true)?;
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
        self.read_errors();
        match self.socket.recv(&mut room) {
            Ok(_) => self.answer = Some(Answer::Server),
            // There is nothing, or the kernel reports an error that has just arrived in the queue.
            Err(_) => self.read_errors(),
        }
    }

    fn read_errors(&mut self) {
        while let Some(error) = read_error(&self.socket, &mut [0; 64]) {
            self.answer = self.answer.or_else(|| answer(&error));
        }
    }
}

fn answer(error: &Error) -> Option<Answer> {
    let Origin::V4(ip) = error.origin else {
        return None;
    };
    match (error.kind, error.code) {
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
