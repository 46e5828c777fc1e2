//! The largest packet that gets to a server whole ([RFC 8899] calls that the path MTU): Binding
//! requests of many sizes that no router may cut into fragments, and which of them are answered.
//!
//! A router that drops a packet as too large should say so by ICMP. Where one drops and keeps
//! silent, or another drops what it says, TCP hangs in the middle of a transfer: a black hole.
//!
//! [RFC 8899]: https://www.rfc-editor.org/rfc/rfc8899

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::attribute::{Attribute, AttributeType};
use jackfield_stun::{Class, DecodeError, Message, MessageWriter, Method, TransactionId};

use super::icmp::{Origin, queue_errors, read_error, set, wait};
use super::source_for;
use crate::tap::{self, Tap, Way};

/// How long packets get.
#[derive(Debug, Clone, Copy)]
pub struct MtuConfig {
    /// How long to wait for answers to packets of one set of sizes. There are two sets, the second
    /// one between the sizes that got through and those that did not. Default: 1 s.
    pub patience: Duration,
}

impl Default for MtuConfig {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(1),
        }
    }
}

/// What became of packets of different sizes. Sizes are those of whole IP packets, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathMtu {
    /// The largest packet that this machine sends, up to 1,500.
    pub local: u16,
    /// The largest one that was answered.
    pub path: u16,
    /// What a router said of packets that were too large for it.
    pub told: Option<TooLarge>,
}

/// A router's word that a packet was too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The router.
    pub router: IpAddr,
    /// The largest packet that it passes on; 0 if it did not say.
    pub mtu: u32,
}

impl PathMtu {
    /// Returns whether large packets get lost and no router says so.
    #[must_use]
    pub fn is_black_hole(&self) -> bool {
        self.path < self.local && self.told.is_none()
    }
}

/// Returns the largest packet that gets to `server`, which has to answer STUN; nothing if not even
/// small ones are answered. This blocks for twice the patience at most.
///
/// # Errors
/// Fails when a socket cannot be opened or set up, and without a route.
pub fn path_mtu(server: SocketAddr, config: &MtuConfig) -> io::Result<Option<PathMtu>> {
    let mut search = Search::new(server)?;
    search.send_all(&SIZES, config.patience)?;
    let Some(path) = search.largest else {
        return Ok(None);
    };
    let local = search.sendable.unwrap_or(path);
    // The sizes between, in steps of at least the four bytes that a STUN message is a multiple of.
    let above = SIZES
        .into_iter()
        .rfind(|size| *size > path && *size <= local);
    if let Some(above) = above {
        let step = usize::from(((above - path) / STEPS).max(4) & !3);
        let between: Vec<u16> = (path + 4..above).step_by(step).collect();
        search.send_all(&between, config.patience)?;
    }
    let path = search.largest.unwrap_or(path);
    Ok(Some(PathMtu {
        local,
        path,
        told: search.told,
    }))
}

/// A socket whose datagrams are never cut, and what is known so far.
#[derive(Debug)]
struct Search {
    socket: UdpSocket,
    is_ipv4: bool,
    /// Which request is of which size.
    requests: Vec<(TransactionId, u16)>,
    largest: Option<u16>,
    /// The largest size that this machine itself did not refuse.
    sendable: Option<u16>,
    told: Option<TooLarge>,
    path: FiveTuple,
    tap: Option<Arc<dyn Tap>>,
}

impl Search {
    fn new(server: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((source_for(server)?, 0))?;
        socket.set_nonblocking(true)?;
        let is_ipv4 = server.is_ipv4();
        queue_errors(&socket, is_ipv4)?;
        // What the kernel has heard of the path from others is not believed either.
        if is_ipv4 {
            let probe = libc::IP_PMTUDISC_PROBE;
            set(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, probe)?;
        } else {
            let probe = libc::IPV6_PMTUDISC_PROBE;
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, probe)?;
        }
        socket.connect(server)?;
        let path = FiveTuple {
            transport: Transport::Udp,
            local: socket.local_addr()?,
            remote: server,
        };
        Ok(Self {
            socket,
            is_ipv4,
            requests: Vec::new(),
            largest: None,
            sendable: None,
            told: None,
            path,
            tap: tap::current(),
        })
    }

    /// Sends packets of these sizes until the largest is answered or the time is over.
    fn send_all(&mut self, sizes: &[u16], patience: Duration) -> io::Result<()> {
        let start = Instant::now();
        let mut sent = 0;
        while !sizes.is_empty() {
            let passed = start.elapsed();
            let wanted = sizes.iter().max().copied();
            let is_all = self.largest >= wanted || self.largest == self.sendable && sent > 1;
            if passed >= patience || is_all && self.largest.is_some() {
                break;
            }
            // A packet may get lost for other reasons than its size.
            if passed >= patience * sent / SENDINGS {
                sent += 1;
                for size in sizes {
                    if self.largest.is_none_or(|largest| *size > largest) {
                        self.send(*size)?;
                    }
                }
            }
            let next = (patience * sent / SENDINGS).min(patience);
            wait(
                std::iter::once(&self.socket),
                next.saturating_sub(start.elapsed()),
            )?;
            self.read();
        }
        Ok(())
    }

    fn send(&mut self, size: u16) -> io::Result<()> {
        let mut id = [0; 12];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let id = TransactionId::new(id);
        let headers = if self.is_ipv4 { 20 + 8 } else { 40 + 8 };
        let filler = Filler(size.saturating_sub(headers + STUN_HEADER + ATTRIBUTE_HEADER) & !3);
        let mut request = Vec::new();
        let mut writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
        writer.attribute(&filler);
        writer.finish().map_err(io::Error::other)?;
        // The kernel reports an earlier error by failing a send once.
        for _ in 0..2 {
            if self.socket.send(&request).is_ok() {
                self.requests.push((id, size));
                self.record(Way::Sent, &request);
                self.sendable = self.sendable.max(Some(size));
                return Ok(());
            }
            self.read_errors();
        }
        Ok(())
    }

    fn read(&mut self) {
        self.read_errors();
        let mut room = [0; 2048];
        // A failed receive reports an error that is in the queue as well.
        for _ in 0..MANY {
            match self.socket.recv(&mut room) {
                Ok(length) => self.take(room.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.read_errors(),
            }
        }
    }

    fn record(&self, way: Way, bytes: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.record(self.path, way, bytes);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.record(Way::Received, bytes);
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let mut asked = self.requests.iter();
        // An error is an answer too: the request has arrived.
        let is_answer = matches!(message.class(), Class::Success | Class::Error);
        if let Some((_, size)) = asked.find(|(id, _)| *id == message.transaction())
            && is_answer
        {
            self.largest = self.largest.max(Some(*size));
        }
    }

    fn read_errors(&mut self) {
        while let Some(error) = read_error(&self.socket, &mut [0; 64]) {
            let told = match (error.origin, error.kind, error.code) {
                (Origin::V4(router), UNREACHABLE, FRAGMENTATION_NEEDED)
                | (Origin::V6(router), PACKET_TOO_BIG, _) => TooLarge {
                    router,
                    mtu: error.info,
                },
                _ => continue,
            };
            let is_narrower = self.told.is_none_or(|before| told.mtu < before.mtu);
            if is_narrower {
                self.told = Some(told);
            }
        }
    }
}

/// An attribute without meaning, of a type that receivers pass over ([RFC 8489 §14]). PADDING would
/// have the server answer with as many bytes.
///
/// [RFC 8489 §14]: https://www.rfc-editor.org/rfc/rfc8489#section-14
#[derive(Debug, Clone, Copy)]
struct Filler(u16);

impl<'a> Attribute<'a> for Filler {
    const TYPE: AttributeType = AttributeType::new(0xBFFF);

    fn decode(value: &'a [u8], _transaction: &TransactionId) -> Result<Self, DecodeError> {
        match u16::try_from(value.len()) {
            Ok(length) => Ok(Self(length)),
            Err(_) => Err(DecodeError::ValueLength(Self::TYPE, value.len())),
        }
    }

    fn encode(&self, _transaction: &TransactionId, out: &mut Vec<u8>) {
        out.resize(out.len() + usize::from(self.0), 0);
    }
}

/// Sizes that links and tunnels have, the largest first: Ethernet, PPPoE, tunnels of IP in IP,
/// VXLAN, WireGuard, 464XLAT and IPsec, the least of IPv6, the least that every IPv4 host takes.
const SIZES: [u16; 14] = [
    1500, 1492, 1480, 1472, 1460, 1440, 1420, 1400, 1360, 1320, 1280, 1200, 1000, 576,
];

/// Sizes that are tried between two of those.
const STEPS: u16 = 12;

/// How often a packet is sent that gets no answer.
const SENDINGS: u32 = 3;

/// Datagrams that are read in one go.
const MANY: usize = 64;

const STUN_HEADER: u16 = 20;
const ATTRIBUTE_HEADER: u16 = 4;

/// ICMP types and codes (RFC 792, RFC 4443).
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const PACKET_TOO_BIG: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a server on loopback that answers only requests whose packets have at most so many
    /// bytes.
    fn narrow(limit: usize) -> SocketAddr {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut room = [0; 2048];
            while let Ok((length, from)) = server.recv_from(&mut room) {
                let request = Message::parse(&room[..length]).unwrap();
                if length + 28 <= limit {
                    let mut answer = Vec::new();
                    jackfield_stun::binding::answer(&request, from, &mut answer).unwrap();
                    server.send_to(&answer, from).unwrap();
                }
            }
        });
        address
    }

    #[test]
    fn the_largest_packet_that_is_answered_is_found_to_four_bytes() {
        for limit in [1500, 1452, 1420, 1400, 1280, 1100] {
            let found = path_mtu(narrow(limit), &MtuConfig::default()).unwrap();
            let found = found.unwrap();
            let error = limit - usize::from(found.path);
            assert!(error < 4 || limit < 1200 && error < 20, "{limit} {found:?}");
            assert_eq!(found.local, 1500);
            assert_eq!(found.is_black_hole(), limit < 1500);
        }
    }

    #[test]
    fn a_server_that_says_nothing_tells_nothing() {
        let patience = Duration::from_millis(30);
        let found = path_mtu(narrow(0), &MtuConfig { patience }).unwrap();
        assert_eq!(found, None);
    }
}
