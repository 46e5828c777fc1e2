//! A world with a STUN and TURN server and two peers, and the signaling between these.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_ice::gather::{GatherConfig, IceServer};
use jackfield_ice::{AgentConfig, CandidateKind, CandidateTransport, Role};
use jackfield_internet::{AttachmentPoint, HostId, Link, NetworkId, Site, TcpApp, World};
use jackfield_proxy::{ProxyUrl, Scheme};
use jackfield_sansio::Transport;
use jackfield_tcp::Stack;
use jackfield_testing::{SplitMix64, epoch};
use jackfield_turn::client::Credential;

use crate::peer::{Peer, PeerOptions, Signal};
use crate::server::{PASSWORD, PORT, TLS_PORT, TurnHost, USER};

pub(crate) const TURN: &str = "198.51.100.9";
pub(crate) const TURN6: &str = "2001:db8:9::9";
pub(crate) const UDP_PORT: u16 = 50_000;
pub(crate) const TCP_PORT: u16 = 51_000;

/// The two sides: the controlling one is 0.
pub(crate) const BOTH: [usize; 2] = [0, 1];

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) internet: NetworkId,
    pub(crate) peers: Vec<HostId>,
    /// How long a signal takes; `None` holds all of them back.
    pub(crate) signaling: Option<Duration>,
    /// When a signal arrives, at which side.
    queue: VecDeque<(Instant, usize, Signal)>,
    random: SplitMix64,
}

/// A selected pair as one side sees it: the kinds of its candidates, and whether it is TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) local: CandidateKind,
    pub(crate) remote: CandidateKind,
    pub(crate) tcp: bool,
}

impl Scene {
    pub(crate) fn new(seed: u64, link: Link) -> Self {
        let mut world = World::new(epoch(), seed);
        world.record(false);
        let internet = world.network("internet", link);
        let addresses = [ip(TURN), ip(TURN6)];
        let app = TcpApp::new(1, TurnHost::new(world.now(), &addresses));
        let turn = world.host("turn", internet, addresses[0], app);
        world.add_interface(turn, internet, addresses[1]);
        Self {
            world,
            internet,
            peers: Vec::new(),
            signaling: Some(Duration::from_millis(20)),
            queue: VecDeque::new(),
            random: SplitMix64::new(seed),
        }
    }

    /// Builds two sites with a peer in each.
    pub(crate) fn at_sites(
        seed: u64,
        link: Link,
        sites: [Site; 2],
    ) -> (Self, Vec<AttachmentPoint>) {
        let mut scene = Self::new(seed, link);
        let mut places = Vec::new();
        for (side, site) in sites.into_iter().enumerate() {
            let number = side as u8 + 1;
            let place = scene
                .world
                .site(&format!("site{side}"), scene.internet, number, site);
            let mut options = scene.options();
            options.proxy = place.proxy.map(|(_, at)| proxy(site, at));
            scene.peer(place.network, place.address, options);
            places.push(place);
        }
        (scene, places)
    }

    /// Builds two hosts with public addresses.
    pub(crate) fn open(seed: u64, rtt: Duration) -> Self {
        Self::at_sites(seed, Link::latency(rtt / 4), [Site::Open; 2]).0
    }

    /// Runs until both sides are connected.
    ///
    /// # Panics
    /// Panics when they are not within `limit`.
    pub(crate) fn connect(&mut self, limit: Duration) {
        self.start();
        let connected = self.run_until(limit, Self::is_connected);
        assert!(connected, "not connected\n{}", self.describe());
    }

    /// Sends a packet each way every 100 ms for some time; returns the longest silence that either
    /// side has heard.
    pub(crate) fn longest_silence(&mut self, duration: Duration) -> Duration {
        let start = self.world.now();
        let end = start + duration;
        while self.world.now() < end {
            for side in BOTH {
                self.act(side, |peer, now, stack| peer.send(now, stack, &[0x80; 36]));
            }
            self.run_for(millis(100));
        }
        let of_side = |side: usize| {
            let received = self.get(side).received.iter().map(|(at, _)| *at);
            let times = received.filter(|at| *at >= start).chain([end]);
            let mut last = start;
            let gaps = times.map(|at| at - std::mem::replace(&mut last, at));
            gaps.max().unwrap()
        };
        BOTH.map(of_side).into_iter().max().unwrap()
    }

    /// Returns options for the next peer: the first one is controlling.
    pub(crate) fn options(&mut self) -> PeerOptions {
        let role = match self.peers.len() {
            0 => Role::Controlling,
            _ => Role::Controlled,
        };
        let mut seed = [0; 32];
        for part in seed.chunks_mut(8) {
            part.copy_from_slice(&self.random.next_u64().to_be_bytes());
        }
        PeerOptions {
            config: AgentConfig {
                role,
                gather: GatherConfig {
                    servers: servers(),
                    ..AgentConfig::default().gather
                },
                ..AgentConfig::default()
            },
            seed,
            udp_port: Some(UDP_PORT),
            tcp_port: Some(TCP_PORT),
            proxy: None,
        }
    }

    /// Adds a peer; returns its side.
    pub(crate) fn peer(
        &mut self,
        network: NetworkId,
        address: IpAddr,
        options: PeerOptions,
    ) -> usize {
        let side = self.peers.len();
        let seed = self.random.next_u64();
        let app = TcpApp::new(seed, Peer::new(self.world.now(), options));
        let host = self
            .world
            .host(&format!("peer{side}"), network, address, app);
        self.peers.push(host);
        side
    }

    /// Says that each peer has all its sockets, and sends the parameters of each to the other.
    pub(crate) fn start(&mut self) {
        for side in BOTH {
            self.act(side, |peer, now, stack| {
                let parameters = peer.agent.local_parameters().clone();
                peer.signals.push_front(Signal::Parameters(parameters));
                peer.act(now, stack, |agent| agent.end_of_sockets(now));
            });
        }
        self.post();
    }

    pub(crate) fn get(&self, side: usize) -> &Peer {
        let app = self.world.app::<TcpApp<Peer>>(self.peers[side]);
        &app.unwrap().program
    }

    pub(crate) fn act<R>(
        &mut self,
        side: usize,
        act: impl FnOnce(&mut Peer, Instant, &mut Stack) -> R,
    ) -> R {
        let of_app =
            |app: &mut TcpApp<Peer>, now| app.act(now, |peer, stack| act(peer, now, stack));
        self.world.with_app(self.peers[side], of_app).unwrap()
    }

    /// Lets time pass until `done`; returns whether that happened within `limit`.
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.world.now() + limit;
        loop {
            if done(self) {
                return true;
            }
            let signal = self.queue.front().map(|(at, ..)| *at);
            let event = self.world.next_event();
            let Some(next) = signal.into_iter().chain(event).min() else {
                return false;
            };
            if next > end {
                self.world.run_until(end);
                return done(self);
            }
            if signal == Some(next) {
                self.world.run_until(next);
                let (_, side, signal) = self.queue.pop_front().unwrap();
                self.act(side, |peer, now, stack| peer.hear(now, stack, signal));
            } else {
                self.world.step();
            }
            self.post();
        }
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        self.run_until(duration, |_| false);
    }

    /// Puts what the peers want to signal on its way.
    pub(crate) fn post(&mut self) {
        let Some(delay) = self.signaling else { return };
        let at = self.world.now() + delay;
        for side in 0..self.peers.len() {
            if self.get(side).signals.is_empty() {
                continue;
            }
            let signals = self.act(side, |peer, _, _| std::mem::take(&mut peer.signals));
            self.queue
                .extend(signals.into_iter().map(|signal| (at, 1 - side, signal)));
        }
    }

    /// Gathers on both sides with signaling held back, and then exchanges everything at once;
    /// returns when.
    pub(crate) fn gather_first(&mut self) -> Instant {
        self.signaling = None;
        self.start();
        let gathered = |scene: &Self| BOTH.iter().all(|side| scene.get(*side).is_gathered());
        assert!(self.run_until(secs(30), gathered), "gathering does not end");
        self.signaling = Some(Duration::ZERO);
        self.post();
        self.world.now()
    }

    pub(crate) fn is_connected(&self) -> bool {
        let connected = |side: &usize| self.get(*side).agent.state().is_connected();
        BOTH.iter().all(connected)
    }

    /// Returns the selected pair of a side.
    pub(crate) fn seen(&self, side: usize) -> Option<Seen> {
        let pair = self.get(side).agent.selected_pair()?;
        let is_tcp = |transport| transport != CandidateTransport::Udp;
        // An active TCP candidate has port 9 in signaling; the other side discovers the real port.
        let local = match pair.local.transport {
            CandidateTransport::TcpActive => CandidateKind::PeerReflexive,
            _ => pair.local.kind,
        };
        Some(Seen {
            local,
            remote: pair.remote.kind,
            tcp: is_tcp(pair.local.transport),
        })
    }

    /// Sends 10 packets of 36 bytes each way, and returns how many arrived within 3 s.
    pub(crate) fn exchange(&mut self) -> [usize; 2] {
        self.exchange_some(10, secs(3))
    }

    /// Sends packets of 36 bytes each way, and returns how many arrived within a limit.
    pub(crate) fn exchange_some(&mut self, packets: u8, limit: Duration) -> [usize; 2] {
        let before = BOTH.map(|side| self.get(side).received.len());
        for number in 0..packets {
            for side in BOTH {
                let payload = [vec![0x80, number], vec![side as u8; 34]].concat();
                self.act(side, |peer, now, stack| peer.send(now, stack, &payload));
            }
            self.run_for(Duration::from_millis(20));
        }
        let count = |scene: &Self, side: usize| scene.get(side).received.len() - before[side];
        self.run_until(limit, |scene| {
            BOTH.iter()
                .all(|side| count(scene, *side) == usize::from(packets))
        });
        BOTH.map(|side| count(self, side))
    }

    /// Returns what is of use in the message of a failure.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for side in 0..self.peers.len() {
            let peer = self.get(side);
            text += &format!("side {side}: {:?}\n", peer.agent);
            for (at, event) in &peer.events {
                let at = at.saturating_duration_since(epoch());
                text += &format!("  {at:?} {event:?}\n");
            }
            for pair in peer.agent.stats().pairs {
                text += &format!("  {pair:?}\n");
            }
        }
        text
    }
}

impl Seen {
    /// Returns the pair as the other side sees it.
    pub(crate) fn mirror(self) -> Self {
        Self {
            local: self.remote,
            remote: self.local,
            ..self
        }
    }

    pub(crate) fn is_relayed(self) -> bool {
        [self.local, self.remote].contains(&CandidateKind::Relayed)
    }
}

/// Returns the proxy of a site.
fn proxy(site: Site, at: SocketAddr) -> ProxyUrl {
    let scheme = match site {
        Site::HttpProxy => Scheme::Http,
        _ => Scheme::Socks5h,
    };
    ProxyUrl::new(scheme, at.into())
}

/// Returns the three ways to the TURN server.
pub(crate) fn servers() -> Arc<[IceServer]> {
    servers_at(TURN)
}

/// Returns the three ways to the TURN server by this address.
pub(crate) fn servers_at(address: &str) -> Arc<[IceServer]> {
    let ways = [
        (Transport::Udp, PORT),
        (Transport::Tcp, PORT),
        (Transport::Tls, TLS_PORT),
    ];
    let turn = |(transport, port)| {
        let credential = Credential::new(USER, PASSWORD).unwrap();
        IceServer::turn(transport, SocketAddr::new(ip(address), port), credential)
    };
    ways.map(turn).into()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
