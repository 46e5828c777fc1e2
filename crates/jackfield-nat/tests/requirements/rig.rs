//! A NAT with two hosts inside and some outside, and checks that read like the requirement.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Headers, Packet, TcpFlags, build, verify};
use jackfield_nat::profile::Profile;
use jackfield_nat::{
    Clat, DropReason, Endpoint, Nat, NatConfig, OriginatedPacket, Prefix, Side, Translation,
    Verdict,
};
use jackfield_testing::epoch;

/// Two hosts inside.
pub(crate) const A: &str = "192.168.1.10";
pub(crate) const B: &str = "192.168.1.11";
/// Two hosts outside.
pub(crate) const C: &str = "198.51.100.7";
pub(crate) const D: &str = "192.0.2.33";
/// The NAT's addresses.
pub(crate) const EXTERNALS: [&str; 2] = ["203.0.113.1", "203.0.113.64"];

pub(crate) const SYN: TcpFlags = TcpFlags(TcpFlags::SYN);
pub(crate) const SYN_ACK: TcpFlags = TcpFlags(TcpFlags::SYN | TcpFlags::ACK);
pub(crate) const ACK: TcpFlags = TcpFlags(TcpFlags::ACK);
pub(crate) const FIN: TcpFlags = TcpFlags(TcpFlags::FIN | TcpFlags::ACK);
pub(crate) const RST: TcpFlags = TcpFlags(TcpFlags::RST);

/// What a packet without port translation carries as data.
pub(crate) const DATA: &[u8] = b"jackfield";

/// A NAT and a clock.
///
/// Behind a NAT64 the hosts are IPv4 programs on IPv6-only hosts, so that every NAT is asked the
/// same questions.
#[derive(Clone)]
pub(crate) struct Rig {
    pub(crate) nat: Nat,
    clat: Option<Clat>,
    pub(crate) now: Instant,
    /// What the NAT sent of its own accord in answer to the last packet or wait.
    pub(crate) sent: Vec<OriginatedPacket>,
}

impl Rig {
    pub(crate) fn new(profile: Profile) -> Self {
        Self::with(profile, |_| {})
    }

    /// Two hosts have to share one address, and may clash.
    pub(crate) fn with_one_address(profile: Profile) -> Self {
        Self::with(profile, |config| config.externals.truncate(1))
    }

    pub(crate) fn with(profile: Profile, change: impl FnOnce(&mut NatConfig)) -> Self {
        let externals = EXTERNALS.map(ip);
        let mut config = profile.config(&externals);
        config.inside = Some(ip("192.168.1.1"));
        if profile == Profile::CLOUD_ONE_TO_ONE {
            config.one_to_one = vec![(ip(A), ip("203.0.113.10")), (ip(B), ip("203.0.113.11"))];
        }
        if config.translation != Translation::Ports {
            config.inside = clat()
                .local
                .embed("192.168.1.1".parse().unwrap())
                .map(IpAddr::from);
        }
        change(&mut config);
        Self::of(config)
    }

    pub(crate) fn of(config: NatConfig) -> Self {
        let clat = match config.translation {
            Translation::Nat64 { .. } => Some(clat()),
            _ => None,
        };
        Self {
            clat,
            nat: Nat::new(config, [42; 32]),
            now: epoch(),
            sent: Vec::new(),
        }
    }

    /// Sends bytes from inside; returns what becomes of them.
    pub(crate) fn outbound(&mut self, bytes: &mut [u8]) -> Verdict {
        self.pass(Side::Inside, bytes)
    }

    /// Sends bytes from outside; returns what becomes of them.
    pub(crate) fn inbound(&mut self, bytes: &mut [u8]) -> Verdict {
        self.pass(Side::Outside, bytes)
    }

    fn pass(&mut self, from: Side, bytes: &mut [u8]) -> Verdict {
        let right = verify(bytes).is_ok();
        let mut buffer = with_headroom(bytes);
        let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
        if let (Some(clat), Side::Inside) = (self.clat, from) {
            match clat.to_v6(&mut packet) {
                // A host's own translator drops malformed bytes, as a NAT would.
                Err(DropReason::Malformed) => return Verdict::Drop(DropReason::Malformed),
                result => result.unwrap(),
            }
        }
        let verdict = match from {
            Side::Inside => self.nat.outbound(self.now, &mut packet),
            Side::Outside => self.nat.inbound(self.now, &mut packet),
        };
        let arrives = match (verdict, from) {
            (Verdict::Forward, from) => Some(from.other()),
            (Verdict::Hairpin, from) => Some(from),
            _ => None,
        };
        if arrives.is_some() && right {
            verify(packet.bytes()).unwrap();
        }
        if let (Some(clat), Some(Side::Inside)) = (self.clat, arrives) {
            clat.to_v4(&mut packet).unwrap();
        }
        if arrives.is_some() || self.clat.is_none() {
            let length = bytes.len().min(packet.bytes().len());
            bytes[..length].copy_from_slice(&packet.bytes()[..length]);
        }
        self.sent.clear();
        self.drain();
        verdict
    }

    /// Lets time pass, stopping at each timeout on the way.
    pub(crate) fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.sent.clear();
        while let Some(at) = self.nat.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.nat.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Returns an inside endpoint as the NAT knows it.
    pub(crate) fn inside(&self, address: &str, port: u16) -> Endpoint {
        let v6 = |clat: Clat| clat.local.embed(address.parse().unwrap()).unwrap();
        let ip = self
            .clat
            .map_or_else(|| ip(address), |clat| v6(clat).into());
        Endpoint::new(ip, port)
    }

    fn drain(&mut self) {
        while let Some(mut transmit) = self.nat.poll_transmit() {
            verify(&transmit.bytes).unwrap();
            if let (Some(clat), Side::Inside) = (self.clat, transmit.side) {
                let mut buffer = with_headroom(&transmit.bytes);
                let mut packet = Packet::with_headroom(&mut buffer, Packet::HEADROOM);
                clat.to_v4(&mut packet).unwrap();
                transmit.bytes = packet.bytes().to_vec();
            }
            self.sent.push(transmit);
        }
    }

    /// Sends UDP from inside; returns the source it leaves with, outside.
    pub(crate) fn udp_out(&mut self, from: impl Into<At>, to: impl Into<At>) -> Option<SocketAddr> {
        let mut bytes = build::udp(from.into().0, to.into().0, DATA);
        (self.outbound(&mut bytes) == Verdict::Forward).then(|| source(&bytes))
    }

    /// Sends UDP from outside; returns the destination it arrives at, inside.
    pub(crate) fn udp_in(&mut self, from: impl Into<At>, to: impl Into<At>) -> Option<SocketAddr> {
        let mut bytes = build::udp(from.into().0, to.into().0, DATA);
        (self.inbound(&mut bytes) == Verdict::Forward).then(|| destination(&bytes))
    }

    /// Sends TCP from inside; returns the source it leaves with, outside.
    pub(crate) fn tcp_out(
        &mut self,
        from: impl Into<At>,
        to: impl Into<At>,
        flags: TcpFlags,
    ) -> Option<SocketAddr> {
        let mut bytes = build::tcp(from.into().0, to.into().0, flags, b"");
        (self.outbound(&mut bytes) == Verdict::Forward).then(|| source(&bytes))
    }

    /// Sends TCP from outside; returns the destination it arrives at, inside.
    pub(crate) fn tcp_in(
        &mut self,
        from: impl Into<At>,
        to: impl Into<At>,
        flags: TcpFlags,
    ) -> Option<SocketAddr> {
        let mut bytes = build::tcp(from.into().0, to.into().0, flags, b"");
        (self.inbound(&mut bytes) == Verdict::Forward).then(|| destination(&bytes))
    }

    /// Sends an ICMP echo request from inside; returns the source and identifier it leaves with.
    pub(crate) fn ping_out(&mut self, from: &str, to: &str, id: u16) -> Option<SocketAddr> {
        let mut bytes = build::echo(ip(from), ip(to), id, 1, false, DATA);
        (self.outbound(&mut bytes) == Verdict::Forward).then(|| source(&bytes))
    }

    /// Sends an ICMP echo reply from outside; returns the destination and identifier it arrives
    /// with.
    pub(crate) fn pong_in(&mut self, from: &str, to: SocketAddr) -> Option<SocketAddr> {
        let mut bytes = build::echo(ip(from), to.ip(), to.port(), 1, true, DATA);
        (self.inbound(&mut bytes) == Verdict::Forward).then(|| destination(&bytes))
    }
}

fn with_headroom(bytes: &[u8]) -> Vec<u8> {
    [&[0; Packet::HEADROOM], bytes].concat()
}

/// What IPv6-only hosts use for IPv4 programs.
pub(crate) fn clat() -> Clat {
    Clat {
        // Each host has a /64 of its own, as subscribers have.
        local: "fd00:64::/32".parse().unwrap(),
        pref64: Prefix::WELL_KNOWN_64,
    }
}

/// An endpoint, given as a pair or a socket address.
pub(crate) struct At(pub(crate) SocketAddr);

impl From<(&str, u16)> for At {
    fn from((address, port): (&str, u16)) -> Self {
        Self(SocketAddr::new(ip(address), port))
    }
}

impl From<SocketAddr> for At {
    fn from(at: SocketAddr) -> Self {
        Self(at)
    }
}

pub(crate) fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip(address), port)
}

pub(crate) fn endpoint(address: &str, port: u16) -> Endpoint {
    at(address, port).into()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn source(bytes: &[u8]) -> SocketAddr {
    let headers = Headers::parse(bytes).unwrap();
    headers.source_endpoint().unwrap().into()
}

pub(crate) fn destination(bytes: &[u8]) -> SocketAddr {
    let headers = Headers::parse(bytes).unwrap();
    headers.destination_endpoint().unwrap().into()
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a requirement's check returns: why it is not met.
pub(crate) type Outcome = Result<(), String>;

/// Fails a check.
macro_rules! ensure {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return Err(format!($($why)*));
        }
    };
}

/// Checks that each profile meets a requirement exactly if it does not list it as a deviation.
pub(crate) fn check_all(
    requirement: jackfield_nat::profile::Requirement,
    profiles: &[Profile],
    check: fn(Profile) -> Outcome,
) {
    for profile in profiles {
        match (check(*profile), profile.deviates(requirement)) {
            (Ok(()), false) | (Err(_), true) => {}
            (Ok(()), true) => panic!("{profile} meets {requirement} though it lists a deviation"),
            (Err(why), false) => panic!("{profile} breaks {requirement}: {why}"),
        }
    }
}

/// A UDP packet in three fragments.
pub(crate) fn fragments(from: SocketAddr, to: SocketAddr) -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..60).collect();
    let whole = build::udp(from, to, &data);
    let piece = |range: std::ops::Range<usize>, more: bool| {
        let mut piece = whole[..20].to_vec();
        piece.extend(&whole[20 + range.start..20 + range.end]);
        let length = piece.len() as u16;
        piece[2..4].copy_from_slice(&length.to_be_bytes());
        piece[4..6].copy_from_slice(&[0x12, 0x34]);
        let flags = if more { 0x2000 } else { 0 } | (range.start / 8) as u16;
        piece[6..8].copy_from_slice(&flags.to_be_bytes());
        fix_ip_checksum(&mut piece);
        piece
    };
    vec![
        piece(0..24, true),
        piece(24..48, true),
        piece(48..68, false),
    ]
}

pub(crate) fn fix_ip_checksum(bytes: &mut [u8]) {
    let mut header = etherparse::Ipv4Header::from_slice(bytes).unwrap().0;
    header.header_checksum = header.calc_header_checksum();
    bytes[..20].copy_from_slice(&header.to_bytes());
}
