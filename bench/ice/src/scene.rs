//! The virtual internet that two agents meet in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use jackfield_ice::gather::{GatherConfig, IceServer};
use jackfield_internet::{HostId, InterfaceId, Link, Loss, Site, World};
use jackfield_sansio::Transport;
use jackfield_testing::{SplitMix64, epoch};
use jackfield_turn::client::Credential;

use crate::agents::Kind;
use crate::host::IceHost;
use crate::turn::{self, TurnHost};

/// What is between the hosts and the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Nats {
    /// Both hosts have public addresses.
    Open,
    /// Endpoint-independent mapping, address and port dependent filtering on both sides.
    PortRestricted,
    /// Address and port dependent mapping on the controlling side, a public address on the other.
    SymmetricOpen,
    /// Address and port dependent mapping on the controlling side, port restricted on the other:
    /// only a relay joins them.
    Relay,
}

/// A cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cell {
    pub nats: Nats,
    pub candidates: u8,
    /// In milliseconds.
    pub rtt: u64,
    /// In percent.
    pub loss: u32,
}

/// A world with two agents whose candidates are gathered.
pub struct Scene {
    pub world: World,
    pub hosts: [HostId; 2],
    pub random: SplitMix64,
}

impl Nats {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open x open",
            Self::PortRestricted => "port restricted x port restricted",
            Self::SymmetricOpen => "symmetric x open",
            Self::Relay => "symmetric x port restricted (relay)",
        }
    }

    fn sites(self) -> [Site; 2] {
        match self {
            Self::Open => [Site::Open; 2],
            Self::PortRestricted => [Site::PortRestricted; 2],
            Self::SymmetricOpen => [Site::Symmetric, Site::Open],
            Self::Relay => [Site::Symmetric, Site::PortRestricted],
        }
    }
}

impl Scene {
    /// Builds the world of a cell, and gathers.
    ///
    /// A packet takes half the round-trip time to the other host, straight or by the relay, and a
    /// quarter to the server. Nothing gets lost while candidates are gathered.
    pub fn new(kind: Kind, cell: Cell, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut world = World::new(epoch(), random.next_u64());
        world.record(false);
        let link = Link::latency(Duration::from_millis(cell.rtt) / 4);
        let internet = world.network("internet", link.clone());
        let app = TurnHost::new(world.now(), SERVER);
        let server = world.host("server", internet, SERVER, app);
        let at_server: Vec<InterfaceId> = world.interfaces_of(server).collect();
        for interface in at_server {
            world.set_link(interface, Link::default(), Link::default());
        }
        let mut lossy = Vec::new();
        let mut side = 0_u8;
        let hosts = cell.nats.sites().map(|site| {
            side += 1;
            let place = world.site(&format!("site{side}"), internet, side, site);
            let main = SocketAddr::new(place.address, PORT);
            let mut sockets = vec![main];
            for spare in 1..cell.candidates {
                sockets.push(SocketAddr::new(spare_address(side, spare), PORT));
            }
            // The interface that leads somewhere is not always the first.
            let at = random.below(sockets.len());
            sockets.swap(0, at);
            let app = IceHost::new(
                world.now(),
                kind,
                side == 1,
                bytes(&mut random),
                &sockets,
                main,
                servers(cell.nats, site),
            );
            let host = world.host(&format!("host{side}"), place.network, place.address, app);
            let outside = place.boxes.last().map(|it| it.outside_interface);
            lossy.extend(outside.or_else(|| world.interfaces_of(host).next()));
            for spare in 1..cell.candidates {
                let network = world.network(&format!("spare{side}-{spare}"), Link::default());
                world.add_interface(host, network, spare_address(side, spare));
            }
            host
        });
        let mut scene = Self {
            world,
            hosts,
            random,
        };
        let hosts = scene.hosts;
        let gathered = |world: &World| {
            hosts.iter().all(|host| {
                world
                    .app::<IceHost>(*host)
                    .is_some_and(IceHost::is_gathered)
            })
        };
        assert!(
            scene.world.run_until_true(GATHERING, gathered),
            "gathering does not end"
        );
        let link = Link {
            loss: half_loss(cell.loss),
            ..link
        };
        for interface in lossy {
            scene.world.set_link(interface, link.clone(), link.clone());
        }
        scene
    }
}

/// Returns the servers that a host asks: none where its address is public anyway.
fn servers(nats: Nats, site: Site) -> GatherConfig {
    let server = SocketAddr::new(SERVER, turn::PORT);
    let servers: Arc<[IceServer]> = match (nats, site) {
        (Nats::Relay, _) => {
            let credential = Credential::new(turn::USER, turn::PASSWORD);
            let credential = credential.expect("a valid credential");
            Arc::new([IceServer::turn(Transport::Udp, server, credential)])
        }
        (_, Site::Open) => Arc::new([]),
        _ => Arc::new([IceServer::stun(server)]),
    };
    GatherConfig {
        servers,
        ..GatherConfig::default()
    }
}

/// Returns the loss of a link, two of which lose this share of a hundred.
fn half_loss(percent: u32) -> Loss {
    let kept = 1.0 - f64::from(percent) / 100.0;
    Loss::even(((1.0 - kept.sqrt()) * 1e6).round() as u32)
}

/// Returns the address of an interface that leads nowhere: a container bridge, a VPN.
fn spare_address(side: u8, number: u8) -> IpAddr {
    Ipv4Addr::new(10, side, number, 2).into()
}

/// Returns 32 bytes for an agent.
pub fn bytes(random: &mut SplitMix64) -> [u8; 32] {
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        part.copy_from_slice(&random.next_u64().to_be_bytes());
    }
    seed
}

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 9));
/// The port of every socket.
const PORT: u16 = 50_000;
const GATHERING: Duration = Duration::from_secs(30);
