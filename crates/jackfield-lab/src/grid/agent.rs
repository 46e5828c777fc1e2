//! One side of an attempt: an ICE agent with sockets of its own, as any program would have one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_driver::ice::{EndpointConfig, IceEndpoint, OpenError, Session};
use jackfield_driver::proxy::Proxy;
use jackfield_driver::turn_client::Tls;
use jackfield_ice::gather::{GatherConfig, IceServer};
use jackfield_ice::{
    Agent, AgentConfig, Candidate, CandidateAddress, CandidateKind, CandidateTransport, Event,
    IceParameters, Role, SelectedPair,
};
use jackfield_nat::oracle::CandidateType;
use jackfield_proxy::{ProxyUrl, Scheme};
use jackfield_sansio::Transport;
use jackfield_turn::client::Credential;
use rustls_pki_types::ServerName;
use tokio::sync::{mpsc, watch};

use super::network::{Network, PLAIN_PORT, TLS_PORT};
use super::transport::RelayWay;
use crate::plan::{SERVER_IPS, synthesized};
use crate::proxy::ProxyKind;

/// What signaling carries from one side to the other.
#[derive(Debug)]
pub(super) enum Signal {
    Parameters(Box<IceParameters>),
    Candidate(Candidate),
}

/// What a side has found so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct View {
    /// The pair that data takes.
    pub(super) pair: Option<SeenPair>,
    /// How long it took until data of this side's had come back.
    pub(super) echoed_after: Option<Duration>,
}

/// A selected pair, as the side sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenPair {
    pub(super) local: CandidateType,
    pub(super) remote: CandidateType,
    pub(super) tcp: bool,
    /// How this side reaches its relay, if the local candidate is one's.
    pub(super) way: Option<RelayWay>,
}

/// One side of an attempt.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) role: Role,
    pub(super) credential: Credential,
    pub(super) network: Network,
    /// When both sides began.
    pub(super) begun: Instant,
    /// Takes signals to the other side.
    pub(super) signals: mpsc::UnboundedSender<Signal>,
    /// Brings the other side's.
    pub(super) heard: mpsc::UnboundedReceiver<Signal>,
    pub(super) view: watch::Sender<View>,
    /// Becomes true when enough was seen.
    pub(super) stop: watch::Receiver<bool>,
}

/// Why a side has no agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SideError {
    #[error("{0}")]
    Bind(#[from] io::Error),
    #[error("{0}")]
    Open(#[from] OpenError),
}

impl Side {
    /// Looks for a path until it is stopped. It has to run on the host's own thread, which opens
    /// sockets in the host's namespace.
    ///
    /// # Errors
    /// Fails when no socket can be opened. Finding no path is no error.
    pub(super) async fn run(mut self) -> Result<(), SideError> {
        let endpoint = IceEndpoint::bind(self.endpoint_config())?;
        let session = endpoint.agent(self.agent_config())?;
        let parameters = Box::new(session.local_parameters());
        self.signal(Signal::Parameters(parameters));
        let mut asking = tokio::time::interval(ASK_INTERVAL);
        loop {
            tokio::select! {
                event = session.event() => match event {
                    Some(Event::LocalCandidate(candidate)) => {
                        self.signal(Signal::Candidate(candidate));
                    }
                    Some(_) => {}
                    None => return Ok(()),
                },
                Some(signal) = self.heard.recv() => self.hear(&session, signal),
                Some(packet) = session.recv() => self.receive(&session, &packet).await,
                _ = asking.tick() => self.ask(&session).await,
                stopped = self.stop.changed() => {
                    if stopped.is_err() || *self.stop.borrow() {
                        return Ok(());
                    }
                }
            }
            self.look(&session);
        }
    }

    fn signal(&self, signal: Signal) {
        // The other side may have failed, which the attempt reports.
        let _ = self.signals.send(signal);
    }

    fn hear(&self, session: &Session<Agent>, signal: Signal) {
        match signal {
            Signal::Parameters(parameters) => {
                if let Err(error) = session.set_remote_parameters(*parameters) {
                    tracing::warn!(%error, "Parameters refused");
                }
            }
            Signal::Candidate(candidate) => {
                for candidate in self.reachable(candidate) {
                    if let Err(error) = session.add_remote_candidate(candidate) {
                        tracing::debug!(%error, "Candidate refused");
                    }
                }
            }
        }
    }

    /// Returns a candidate of the other side, and besides, behind a NAT64, the address by which
    /// this host reaches it: programs there learn the prefix from their resolver (RFC 7050).
    fn reachable(&self, candidate: Candidate) -> Vec<Candidate> {
        let mut all = vec![candidate.clone()];
        if let (true, Some(SocketAddr::V4(address))) =
            (self.network.is_nat64, candidate.address.ip())
        {
            let ip = synthesized(*address.ip()).into();
            all.push(Candidate {
                address: CandidateAddress::Ip(SocketAddr::new(ip, address.port())),
                ..candidate
            });
        }
        all
    }

    /// Answers what the other side asks, and notes its answers.
    async fn receive(&self, session: &Session<Agent>, packet: &[u8]) {
        match packet {
            [QUESTION] => send(session, ANSWER).await,
            [ANSWER] => {
                let after = self.begun.elapsed();
                self.view.send_if_modified(|view| {
                    let is_first = view.echoed_after.is_none();
                    view.echoed_after.get_or_insert(after);
                    is_first
                });
            }
            _ => {}
        }
    }

    /// Sends data until some has come back.
    async fn ask(&self, session: &Session<Agent>) {
        let view = *self.view.borrow();
        if view.pair.is_some() && view.echoed_after.is_none() {
            send(session, QUESTION).await;
        }
    }

    /// Notes the pair that data takes.
    fn look(&self, session: &Session<Agent>) {
        let pair = session.selected_pair();
        let pair = pair.map(|pair| SeenPair::new(&pair, self.server()));
        self.view.send_if_modified(|view| {
            let is_new = view.pair != pair;
            view.pair = pair;
            is_new
        });
    }

    fn endpoint_config(&self) -> EndpointConfig {
        let tls = Tls::any_certificate(ServerName::from(self.server()));
        let proxy = self.network.proxy().map(|(kind, address)| {
            let scheme = match kind {
                ProxyKind::Http => Scheme::Http,
                ProxyKind::Socks => Scheme::Socks5h,
            };
            Proxy::new(ProxyUrl::new(scheme, address.into()))
        });
        let stun = SocketAddr::new(self.server(), PLAIN_PORT);
        EndpointConfig {
            stun: vec![IceServer::stun(stun)],
            tls: Some(tls.config),
            proxy,
            ..EndpointConfig::default()
        }
    }

    fn agent_config(&self) -> AgentConfig {
        let turn = |(transport, port)| {
            let address = SocketAddr::new(self.server(), port);
            IceServer::turn(transport, address, self.credential.clone())
        };
        let ways = [
            (Transport::Udp, PLAIN_PORT),
            (Transport::Tcp, PLAIN_PORT),
            (Transport::Tls, TLS_PORT),
        ];
        let config = AgentConfig::default();
        AgentConfig {
            role: self.role,
            gather: GatherConfig {
                servers: Arc::from(ways.map(turn)),
                ..config.gather
            },
            ..config
        }
    }

    /// Returns the address by which the host reaches the server.
    fn server(&self) -> IpAddr {
        let [server, _] = SERVER_IPS;
        match self.network.is_nat64 {
            true => synthesized(server).into(),
            false => server.into(),
        }
    }
}

async fn send(session: &Session<Agent>, kind: u8) {
    // The pair may be gone again; the next question goes by the next one.
    if let Err(error) = session.send(&[kind]).await {
        tracing::debug!(%error, "Data not sent");
    }
}

impl SeenPair {
    fn new(pair: &SelectedPair, server: IpAddr) -> Self {
        let to_server = |port| pair.path.remote == SocketAddr::new(server, port);
        let is_relayed = [PLAIN_PORT, TLS_PORT].into_iter().any(to_server);
        let local = match pair.local.transport {
            // A peer behind a NAT64 sees the relay at another address, which is a new candidate.
            _ if is_relayed => CandidateType::Relayed,
            // The agent that dials has no address before: the other one discovers it.
            CandidateTransport::TcpActive => CandidateType::PeerReflexive,
            _ => kind(pair.local.kind),
        };
        let way = match pair.path.transport {
            Transport::Udp => RelayWay::Udp,
            Transport::Tcp => RelayWay::Tcp,
            Transport::Tls | Transport::Dtls => RelayWay::Tls,
        };
        Self {
            local,
            remote: kind(pair.remote.kind),
            tcp: pair.local.transport.is_tcp(),
            way: is_relayed.then_some(way),
        }
    }

    /// Returns whether the other side, behind a NAT64 or not, sees our candidate as we do.
    ///
    /// A host behind a NAT64 sees an IPv4 address as one of IPv6 and tells its peer so, which the
    /// peer then takes for a new, peer-reflexive address of its own.
    pub(super) fn is_seen_by(self, other: Self, has_nat64: bool) -> bool {
        let is_new = has_nat64 && self.local == CandidateType::PeerReflexive;
        self.tcp == other.tcp && (self.local == other.remote || is_new)
    }
}

const fn kind(kind: CandidateKind) -> CandidateType {
    match kind {
        CandidateKind::Host => CandidateType::Host,
        CandidateKind::ServerReflexive => CandidateType::ServerReflexive,
        CandidateKind::PeerReflexive => CandidateType::PeerReflexive,
        CandidateKind::Relayed => CandidateType::Relayed,
    }
}

/// Data that has to be answered; neither STUN nor a TURN channel by its first byte (RFC 7983).
const QUESTION: u8 = 0xB0;
/// The answer.
const ANSWER: u8 = 0xB1;
/// How long to wait for an answer before asking again.
const ASK_INTERVAL: Duration = Duration::from_millis(20);
