//! How an endpoint is set up, and what it keeps at most.

use std::sync::Arc;
use std::time::Duration;

use jackfield_ice::gather::IceServer;
use jackfield_proxy::NoProxy;
use rustls::ClientConfig;

use super::InterfaceFilter;
use crate::portmap::MapperConfig;
use crate::proxy::Proxy;

/// How an [`IceEndpoint`](super::IceEndpoint) is set up.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The port of every address, over UDP and TCP; 0 leaves it to the system. Default: 0.
    pub port: u16,
    /// Which interfaces are used.
    pub interfaces: InterfaceFilter,
    /// Whether there are UDP sockets. Without them data goes over TCP alone, to the other side or
    /// to a TURN server. Default: yes.
    pub udp: bool,
    /// Whether TCP connections are listened for (RFC 6544). Default: yes.
    pub tcp: bool,
    /// STUN servers, which are asked once for every address and not for every agent. Others than
    /// STUN over UDP are for agents. Default: none.
    pub stun: Vec<IceServer>,
    /// How TLS to a TURN server is made, which says what certificates are trusted. Default: those
    /// of the system's authorities, read when the first TLS connection is made.
    pub tls: Option<Arc<ClientConfig>>,
    /// The proxy for connections to TURN servers; datagrams never go through one. Default: none.
    ///
    /// Connections to the other side's candidates are made without it. Otherwise the other side
    /// could have the proxy connect to any host of the proxy's network, and most proxies allow
    /// port 443 alone, which is a relay's.
    pub proxy: Option<Proxy>,
    /// The TURN servers that are connected to without the proxy. Default: none.
    pub no_proxy: NoProxy,
    /// Whether candidates show random `.local` names in place of private addresses, as browsers'
    /// do: who gets them through signaling learns nothing of the local network, and who is in it
    /// finds the address by multicast DNS (draft-ietf-mmusic-mdns-ice-candidates). It costs a
    /// question on the network before the first direct check of the other side. Default: no.
    pub mdns: bool,
    /// How the gateway is asked to keep a UDP port open (PCP, NAT-PMP, UPnP), if it is. Default: it
    /// is not asked.
    pub port_mapping: Option<MapperConfig>,
    /// How often interfaces are read. On Linux they are read after each change, too, because the
    /// kernel reports it. Default: 30 s on Linux, 2 s elsewhere.
    pub poll: Duration,
    /// What is kept at most.
    pub limits: EndpointLimits,
}

/// What an endpoint keeps at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointLimits {
    /// Sessions. Default: 100,000.
    pub sessions: usize,
    /// Addresses of interfaces, the preferred ones first. Default: 16.
    pub addresses: usize,
    /// Remote addresses that a session's packets are known by; the oldest gives way. Default: 256.
    pub routes: usize,
    /// Sockets of single sessions, each for remote addresses that another session talks to as well;
    /// a session that gets none has to take another path. Default: 512.
    pub own_sockets: usize,
    /// Packets that wait for the application of one session; what is above it is dropped. Default:
    /// 256.
    pub packets: usize,
    /// Events that wait for the application of one session; what is above it is dropped. Default:
    /// 256.
    pub events: usize,
    /// Packets that wait for a TCP connection that takes them slowly; what is above it is dropped.
    /// Default: 64.
    pub stream_packets: usize,
    /// Accepted TCP connections that have not said yet which session they are for. Default: 128.
    pub strangers: usize,
    /// How long such a connection has to say so. Default: 10 s.
    pub stranger_timeout: Duration,
    /// How long a connection to a TURN server or a candidate may take. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long an mDNS name may take to be resolved. Default: 3 s.
    pub resolve_timeout: Duration,
    /// mDNS names that are resolved at the same time, for all sessions. Default: 64.
    pub resolutions: usize,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            port: 0,
            interfaces: InterfaceFilter::default(),
            udp: true,
            tcp: true,
            stun: Vec::new(),
            tls: None,
            proxy: None,
            no_proxy: NoProxy::default(),
            mdns: false,
            port_mapping: None,
            poll: Duration::from_secs(if cfg!(target_os = "linux") { 30 } else { 2 }),
            limits: EndpointLimits::default(),
        }
    }
}

impl Default for EndpointLimits {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            addresses: 16,
            routes: 256,
            own_sockets: 512,
            packets: 256,
            events: 256,
            stream_packets: 64,
            strangers: 128,
            stranger_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            resolve_timeout: Duration::from_secs(3),
            resolutions: 64,
        }
    }
}
