use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jackfield_driver::discovery::Binding;
use jackfield_driver::discovery::layers::Evidence;
use jackfield_driver::portmap::Probe;
use jackfield_stun::behaviour::Report;

/// Everything that an examination has seen.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The server, as it was named.
    pub server: String,
    /// This machine's interfaces.
    pub interfaces: Vec<Interface>,
    /// Where the server's name leads.
    pub dns: Dns,
    /// A STUN request by UDP over IPv4.
    pub v4: Udp,
    /// The same over IPv6.
    pub v6: Udp,
    /// What NAT is on the way.
    pub report: Option<Report>,
    /// What says how many NATs there are.
    pub evidence: Evidence,
    /// What the gateway offers, or why that is not known.
    pub gateway: Result<Probe, String>,
    /// What `/ice` of the server said, or why not; nothing if the server is no HTTP server.
    pub ice: Option<Result<Ice, String>>,
    /// How long a WebSocket to `/signal` took to say hello, or why it did not.
    pub websocket: Option<Result<Duration, String>>,
    /// How long Engine.IO's polling took, or why it did not.
    pub polling: Option<Result<Duration, String>>,
    /// Tries to get a relay.
    pub turn: Vec<TurnTry>,
}

/// One of this machine's addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The interface's name.
    pub name: String,
    /// The address.
    pub ip: IpAddr,
    /// Whether packets to the server leave from it.
    pub is_used: bool,
}

/// Where the server's name leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// The name; an address is none, and nothing has to be looked up.
    pub name: Option<String>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// How long the look-up took.
    pub took: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

/// What became of a STUN request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Udp {
    /// The server has no address of this family.
    NoAddress,
    /// This machine has no way to addresses of this family.
    NoRoute,
    /// The server answered.
    Answered(SocketAddr, Binding),
    /// Nobody answered.
    Silent(SocketAddr),
    /// The server's machine says that nobody listens there.
    Refused(SocketAddr),
    /// It could not be sent, or was answered with nonsense.
    Failed(SocketAddr, String),
}

impl Udp {
    /// Returns what the server said.
    pub fn binding(&self) -> Option<&Binding> {
        match self {
            Self::Answered(_, binding) => Some(binding),
            _ => None,
        }
    }
}

/// The ICE servers that the server names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ice {
    /// Where they are.
    pub urls: Vec<String>,
    /// The user name of credentials.
    pub username: String,
    /// The password.
    pub credential: String,
    /// How long they are good, in seconds.
    pub ttl: u64,
}

/// A try to get a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnTry {
    /// Where.
    pub url: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// What came of it.
    pub result: Result<Relayed, String>,
}

/// A relay that was had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// How long the allocation took.
    pub took: Duration,
    /// Its address.
    pub address: SocketAddr,
    /// Datagrams that went through two relays, of how many that were sent; nothing if the server forbids it.
    pub echoed: Option<(usize, usize)>,
}
