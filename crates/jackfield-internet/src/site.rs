//! Ready-made sites for hosts: those of libwebrtc's connectivity matrix, and two with proxies.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use jackfield_nat::oracle::{Access, Traits};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Behaviour, Filtering, Mapping, NatConfig, Policy, Prefix, Translation};

use super::build::NatBox;
use super::program::TcpApp;
use super::proxy::{Proxy, ProxyConfig};
use super::world::{HostId, NetworkId, World};

/// A kind of site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// A public address without a NAT or firewall.
    Open,
    /// Behind [`Profile::FULL_CONE`].
    FullCone,
    /// Behind [`Profile::RESTRICTED_CONE`].
    AddressRestricted,
    /// Behind [`Profile::PORT_RESTRICTED_CONE`].
    PortRestricted,
    /// Behind [`Profile::SYMMETRIC`].
    Symmetric,
    /// Behind a full cone behind a full cone.
    DoubleCone,
    /// Behind a full cone behind a symmetric NAT.
    SymmetricThenCone,
    /// A public address behind a firewall that drops UDP.
    NoUdp,
    /// A public address behind a firewall that drops UDP, and TCP connections from outside.
    NoUdpNoIncomingTcp,
    /// A public address behind a firewall that allows only TCP connections from inside to ports 80
    /// and 443.
    WebOnly,
    /// A network from which only a proxy is reachable, for HTTP CONNECT to port 443.
    HttpProxy,
    /// A network from which only a SOCKS 5 proxy is reachable.
    SocksProxy,
}

/// Where a host attaches to a site: the network and address for it, and what stands in front of
/// it.
#[derive(Debug, Clone)]
pub struct AttachmentPoint {
    /// The network for the host.
    pub network: NetworkId,
    /// The address for the host.
    pub address: IpAddr,
    /// The NATs and firewalls in front of it, innermost first.
    pub boxes: Vec<NatBox>,
    /// The proxy and its address.
    pub proxy: Option<(HostId, SocketAddr)>,
}

impl Site {
    /// All sites, in the order of libwebrtc's `Config` enumeration.
    pub const ALL: [Self; 12] = [
        Self::Open,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::DoubleCone,
        Self::SymmetricThenCone,
        Self::NoUdp,
        Self::NoUdpNoIncomingTcp,
        Self::WebOnly,
        Self::HttpProxy,
        Self::SocksProxy,
    ];

    /// Returns the name of the site in files and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::FullCone => "full-cone",
            Self::AddressRestricted => "restricted-cone",
            Self::PortRestricted => "port-restricted-cone",
            Self::Symmetric => "symmetric",
            Self::DoubleCone => "double-cone",
            Self::SymmetricThenCone => "symmetric-then-cone",
            Self::NoUdp => "no-udp",
            Self::NoUdpNoIncomingTcp => "no-udp-no-incoming-tcp",
            Self::WebOnly => "web-only",
            Self::HttpProxy => "http-proxy",
            Self::SocksProxy => "socks-proxy",
        }
    }

    /// Returns the configurations of the NATs and firewalls in front of the host, innermost first,
    /// without addresses.
    #[must_use]
    pub fn chain(self) -> Vec<NatConfig> {
        let nat = |profile: Profile| profile.config(&[]);
        match self {
            Self::Open | Self::HttpProxy | Self::SocksProxy => Vec::new(),
            Self::FullCone => vec![nat(Profile::FULL_CONE)],
            Self::AddressRestricted => vec![nat(Profile::RESTRICTED_CONE)],
            Self::PortRestricted => vec![nat(Profile::PORT_RESTRICTED_CONE)],
            Self::Symmetric => vec![nat(Profile::SYMMETRIC)],
            Self::DoubleCone => vec![nat(Profile::FULL_CONE), nat(Profile::FULL_CONE)],
            // libwebrtc names the NATs from the internet inwards.
            Self::SymmetricThenCone => vec![nat(Profile::FULL_CONE), nat(Profile::SYMMETRIC)],
            Self::NoUdp => vec![open_firewall(Policy::no_udp())],
            Self::NoUdpNoIncomingTcp => vec![open_firewall(Policy::no_udp_no_incoming_tcp())],
            Self::WebOnly => vec![open_firewall(Policy::web_only())],
        }
    }

    /// Returns the traits of the site for the UDP [oracle](jackfield_nat::oracle).
    pub fn udp_traits(self) -> Vec<Traits> {
        self.traits(Traits::of)
    }

    /// Returns the traits of the site for the TCP [oracle](jackfield_nat::oracle).
    pub fn tcp_traits(self) -> Vec<Traits> {
        self.traits(Traits::of_tcp)
    }

    /// Returns what stands in front of an ICE agent at the site, for the
    /// [oracle](jackfield_nat::oracle::pairs). Through the SOCKS proxy the agent can dial any port.
    #[must_use]
    pub fn access(self) -> Access {
        let is_proxied = matches!(self, Self::HttpProxy | Self::SocksProxy);
        let of_chain = Access::of(&self.chain());
        Access {
            udp: self.udp_traits(),
            tcp: self.tcp_traits(),
            is_public: of_chain.is_public && !is_proxied,
            dials: of_chain.dials && self != Self::HttpProxy,
            has_relay: true,
        }
    }

    fn traits(self, of: fn(&NatConfig) -> Traits) -> Vec<Traits> {
        if matches!(self, Self::HttpProxy | Self::SocksProxy) {
            let open = Filtering::EndpointIndependent;
            let mut wall = Traits::plain(Mapping::EndpointIndependent, open);
            // The proxy forwards no packets, so that no path is direct.
            wall.blocked = true;
            return vec![wall];
        }
        self.chain().iter().map(of).collect()
    }
}

impl World {
    /// Builds a site on the internet. Up to 31 fit, each with a `number` of its own from 1 to 31.
    ///
    /// The site has the eight public addresses from 203.0.113.(8 × number). Hosts behind NATs are
    /// in 192.168.(number).0/24, and networks between two NATs are 192.168.(100 + number).0/24.
    pub fn site(
        &mut self,
        name: &str,
        internet: NetworkId,
        number: u8,
        site: Site,
    ) -> AttachmentPoint {
        let number = number.clamp(1, MOST_SITES);
        let mut point = AttachmentPoint {
            network: internet,
            address: public(number, 2),
            boxes: Vec::new(),
            proxy: None,
        };
        match site {
            Site::HttpProxy | Site::SocksProxy => self.proxied(name, &mut point, number, site),
            _ => self.walled(name, &mut point, number, site),
        }
        point
    }

    fn walled(&mut self, name: &str, point: &mut AttachmentPoint, number: u8, site: Site) {
        let chain = site.chain();
        // The outermost NAT is built first: each one attaches to the network of the NAT in front
        // of it.
        for (level, config) in chain.into_iter().enumerate().rev() {
            let mut config = config;
            let inner = level == 0;
            let prefix = if config.translation == Translation::None {
                // A firewall without translation has no list of hosts that it could let remotes
                // reach. This one maps the address of its host to itself for that.
                config.translation = Translation::Ports;
                config.one_to_one = vec![(point.address, point.address)];
                Prefix::new(public(number, 0), 29)
            } else {
                point.address = private(number + if inner { 0 } else { 100 }, 2);
                config.externals = vec![if point.boxes.is_empty() {
                    public(number, 1)
                } else {
                    private(number + 100, 2)
                }];
                Prefix::new(private(number + if inner { 0 } else { 100 }, 0), 24)
            };
            let Some(prefix) = prefix else {
                continue;
            };
            let box_name = if inner {
                format!("{name}-nat")
            } else {
                format!("{name}-nat{}", level + 1)
            };
            let built = self.nat(&box_name, point.network, prefix, config);
            point.network = built.inside;
            point.boxes.insert(0, built);
        }
    }

    fn proxied(&mut self, name: &str, point: &mut AttachmentPoint, number: u8, site: Site) {
        let lan = self.network(&format!("{name}-lan"), super::Link::default());
        let (inside, outside) = (private(number, 1), public(number, 1));
        let http = site == Site::HttpProxy;
        // The proxy has an interface on each side and forwards no packets, so its site has no
        // other way out.
        let config = ProxyConfig {
            http_port: http.then_some(HTTP_PROXY_PORT),
            socks_port: (!http).then_some(SOCKS_PORT),
            // As the configuration that comes with Squid: CONNECT reaches port 443 alone.
            tunnel_ports: vec![if http { 443..=443 } else { 0..=u16::MAX }],
            outside: Some(outside),
            ..ProxyConfig::default()
        };
        let port = if http { HTTP_PROXY_PORT } else { SOCKS_PORT };
        let app = TcpApp::new(u64::from(number), Proxy::new(config));
        let host = self.host(&format!("{name}-proxy"), lan, inside, app);
        self.add_interface(host, point.network, outside);
        point.network = lan;
        point.address = private(number, 2);
        point.proxy = Some((host, SocketAddr::new(inside, port)));
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error: no site has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no site is called that")]
pub struct UnknownSite;

impl FromStr for Site {
    type Err = UnknownSite;

    fn from_str(name: &str) -> Result<Self, UnknownSite> {
        let found = Self::ALL.into_iter().find(|site| site.name() == name);
        found.ok_or(UnknownSite)
    }
}

/// Returns a firewall that refuses by its policy alone: its filter lets in whatever the policy
/// allows.
fn open_firewall(policy: Policy) -> NatConfig {
    let open = Behaviour {
        mapping: Mapping::EndpointIndependent,
        filtering: Filtering::EndpointIndependent,
    };
    NatConfig {
        translation: Translation::None,
        udp: open,
        tcp: open,
        policy,
        ..NatConfig::default()
    }
}

fn public(number: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(203, 0, 113, (number * 8).saturating_add(host)).into()
}

fn private(network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(192, 168, network, host).into()
}

const MOST_SITES: u8 = 31;
const HTTP_PROXY_PORT: u16 = 3128;
const SOCKS_PORT: u16 = 1080;
