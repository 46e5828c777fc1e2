//! The agents, behind one interface.

mod is;
mod jackfield;
mod rice;
mod rtc;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Instant;

use clap::ValueEnum;
use jackfield_ice::gather::GatherConfig;
use jackfield_internet::Datagram;

/// An ICE agent that knows its local candidates from outside.
pub trait Contender: Debug + Send {
    /// Returns the username fragment and the password.
    fn credentials(&self) -> (String, String);

    /// Takes a local candidate.
    fn add_local(&mut self, now: Instant, local: Local);

    /// Takes out the local candidates, each as an SDP attribute's value.
    fn candidates(&mut self) -> Vec<String>;

    /// Takes the credentials of the other side.
    fn set_remote(&mut self, now: Instant, ufrag: &str, password: &str);

    /// Takes a candidate of the other side.
    fn add_remote(&mut self, now: Instant, candidate: &str);

    /// Takes the end of the other side's candidates.
    fn end_of_remotes(&mut self, now: Instant);

    /// Takes a datagram; returns whether it is data that the agent lets through.
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) -> bool;

    /// Does what is due by `now`.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends what is to be sent now, and returns when something is due next. A relayed address
    /// as the source has the relay send it.
    fn poll(&mut self, now: Instant, out: &mut Vec<Datagram>) -> Option<Instant>;

    /// Returns data on its way, once there is a path for it.
    fn send(&mut self, now: Instant, payload: &[u8]) -> Option<Datagram>;

    /// Takes that every socket is known: it may ask servers now.
    fn end_of_sockets(&mut self, _now: Instant) {}

    /// Returns whether it has nothing more to ask of servers itself.
    fn is_gathered(&self) -> bool {
        true
    }
}

/// A local candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// A socket's address.
    Host(SocketAddr),
    /// What the socket's address is behind the NAT.
    Reflexive {
        address: SocketAddr,
        base: SocketAddr,
    },
    /// An address of a relay.
    Relayed {
        address: SocketAddr,
        base: SocketAddr,
        mapped: SocketAddr,
    },
}

/// Which agent, and how it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Ours.
    Jackfield,
    /// str0m's `is`.
    Is,
    /// `is`, with Ta = 5 ms and an RTO of 100 ms.
    IsFast,
    /// `rice-proto`.
    Rice,
    /// `rice-proto`, with Ta = 5 ms and an RTO of 100 ms.
    RiceFast,
    /// `rtc-ice`.
    Rtc,
    /// `rtc-ice`, which checks every 50 ms and waits for no candidate type.
    RtcFast,
}

impl Kind {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jackfield => "jackfield",
            Self::Is => "is",
            Self::IsFast => "is, fast",
            Self::Rice => "rice-proto",
            Self::RiceFast => "rice-proto, fast",
            Self::Rtc => "rtc-ice",
            Self::RtcFast => "rtc-ice, fast",
        }
    }

    /// Returns whether the agent asks TURN servers itself; the others take a relayed address from
    /// outside.
    pub fn allocates(self) -> bool {
        self == Self::Jackfield
    }

    /// Returns an agent with nothing but credentials; `servers` are for one that
    /// [`allocates`](Self::allocates).
    pub fn build(
        self,
        now: Instant,
        controlling: bool,
        seed: [u8; 32],
        servers: GatherConfig,
    ) -> Box<dyn Contender> {
        match self {
            Self::Jackfield => Box::new(jackfield::Jackfield::new(now, controlling, seed, servers)),
            Self::Is | Self::IsFast => Box::new(is::Is::new(controlling, self == Self::IsFast)),
            Self::Rice | Self::RiceFast => {
                Box::new(rice::Rice::new(now, controlling, self == Self::RiceFast))
            }
            Self::Rtc | Self::RtcFast => {
                Box::new(rtc::Rtc::new(now, controlling, self == Self::RtcFast))
            }
        }
    }
}

/// Returns the address in a candidate attribute.
pub fn address_of(candidate: &str) -> Option<SocketAddr> {
    let mut fields = candidate.split_whitespace().skip(4);
    let ip = fields.next()?.parse().ok()?;
    Some(SocketAddr::new(ip, fields.next()?.parse().ok()?))
}
