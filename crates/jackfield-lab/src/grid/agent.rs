//! One side of an attempt: the sockets that [`Checks`] does without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_driver::turn_client::{ClientTransport, Options, Tls, TurnClient, TurnError};
use jackfield_stun::attribute::XorMappedAddress;
use jackfield_stun::{Class, Message, MessageWriter, Method, TransactionId};
use jackfield_turn::client::Credential;
use rustls_pki_types::ServerName;
use tokio::net::UdpSocket;
use tokio::sync::{oneshot, watch};

use super::candidate::CandidateType;
use super::checks::{Base, Candidate, Checks, LocalCandidates, SelectedPair};
use super::expect::Timeouts;
use super::transport::Transport;

/// What both sides of an attempt know.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) transport: Transport,
    /// Parts this attempt's packets from those of others.
    pub(super) session: u64,
    pub(super) server: Server,
}

/// The STUN and TURN server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// STUN and TURN over UDP and TCP.
    pub(super) plain: SocketAddr,
    /// TURN over TLS.
    pub(super) tls: SocketAddr,
    pub(super) credential: Credential,
}

/// One side of an attempt.
#[derive(Debug)]
pub(super) struct AgentSetup {
    pub(super) host: std::net::IpAddr,
    pub(super) timeouts: Timeouts,
    pub(super) controlling: bool,
    /// Takes our candidates to the other side.
    pub(super) local_candidates: oneshot::Sender<Vec<Candidate>>,
    /// Brings the candidates of the other side.
    pub(super) remote_candidates: oneshot::Receiver<Vec<Candidate>>,
    /// How many sides have found a path.
    pub(super) done: Arc<watch::Sender<u8>>,
}

impl AgentSetup {
    /// Looks for a path. It has to run on the host's own thread, which opens sockets in the host's
    /// namespace.
    ///
    /// # Errors
    /// Fails when no socket can be opened. Finding no path is `None`.
    pub(super) async fn run(self, attempt: Attempt) -> io::Result<Option<SelectedPair>> {
        let socket = UdpSocket::bind((self.host, 0)).await?;
        let timeouts = self.timeouts;
        let relay = allocate(&attempt, timeouts.relay);
        let reflexive = reflexive(&socket, &attempt, timeouts.reflexive);
        let (reflexive, relay) = tokio::join!(reflexive, relay);
        let own = LocalCandidates {
            host: Some(socket.local_addr()?),
            reflexive,
            relayed: relay.as_ref().and_then(|relay| relay.relayed().v4),
        };
        // The other side may have failed, and then sends none, either.
        let _ = self.local_candidates.send(own.candidates());
        let Ok(theirs) = self.remote_candidates.await else {
            return Ok(None);
        };
        let now = Instant::now();
        let seed = attempt.session << 1 | u64::from(self.controlling);
        let mut checks = Checks::new(now, self.controlling, attempt.session, own, seed);
        for remote in theirs {
            for base in bases(attempt.transport, relay.is_some(), remote) {
                checks.add(now, base, remote);
            }
        }
        let mut agent = Agent {
            checks,
            socket,
            relay,
        };
        let path = agent.connect(&self.done, timeouts.path).await?;
        if let Some(relay) = agent.relay.take() {
            relay.close().await;
        }
        Ok(path)
    }
}

/// Returns which of our sockets are tried with a candidate of theirs.
///
/// A direct attempt uses no relay, and one by a relay tries no direct pair: each transport of a
/// cell is measured for itself.
fn bases(transport: Transport, has_relay: bool, remote: Candidate) -> Vec<Base> {
    let theirs = remote.kind == CandidateType::Relayed;
    match transport {
        Transport::Direct if theirs => Vec::new(),
        Transport::Direct => vec![Base::Socket],
        // No server relays to private addresses.
        _ if remote.kind == CandidateType::Host && is_private(remote.address) => Vec::new(),
        _ => {
            let socket = theirs.then_some(Base::Socket);
            let relay = has_relay.then_some(Base::Relay);
            socket.into_iter().chain(relay).collect()
        }
    }
}

fn is_private(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(address) => address.ip().is_private(),
        SocketAddr::V6(_) => false,
    }
}

/// The checks with their sockets.
#[derive(Debug)]
struct Agent {
    checks: Checks,
    socket: UdpSocket,
    relay: Option<TurnClient>,
}

impl Agent {
    /// Runs the checks until both sides have a path or the time is up.
    async fn connect(
        &mut self,
        done: &watch::Sender<u8>,
        timeouts: Duration,
    ) -> io::Result<Option<SelectedPair>> {
        let deadline = Instant::now() + timeouts;
        let mut both = done.subscribe();
        let mut path = None;
        let mut buffer = [0; 1500];
        loop {
            let now = Instant::now();
            self.checks.handle_timeout(now);
            self.send().await;
            if path.is_none() {
                path = self.checks.outcome(now);
                if path.is_some() {
                    done.send_modify(|count| *count += 1);
                }
            }
            if now >= deadline || *both.borrow_and_update() >= 2 {
                return Ok(path);
            }
            let next = self.checks.next().unwrap_or(deadline).min(deadline);
            let next = next.min(now + STEP);
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    if let Ok((length, from)) = received {
                        let bytes = buffer.get(..length).unwrap_or_default();
                        self.checks.handle(Instant::now(), Base::Socket, from, bytes);
                    }
                }
                received = receive(&mut self.relay) => match received {
                    Ok((from, bytes)) => self.checks.handle(Instant::now(), Base::Relay, from, &bytes),
                    Err(error) => {
                        tracing::debug!(%error, "Relay ended");
                        self.relay = None;
                    }
                },
                _ = both.changed() => {}
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
    }

    async fn send(&mut self) {
        while let Some(packet) = self.checks.poll() {
            match packet.base {
                Base::Socket => {
                    // A packet that the host refuses to send is as good as lost.
                    let _ = self.socket.send_to(&packet.bytes, packet.to).await;
                }
                Base::Relay => {
                    let Some(relay) = &self.relay else { continue };
                    if let Err(error) = relay.send_to(&packet.bytes, packet.to).await {
                        tracing::debug!(%error, "Relay refused a packet");
                        self.checks.give_up(Base::Relay, packet.to);
                    }
                }
            }
        }
    }
}

async fn receive(relay: &mut Option<TurnClient>) -> Result<(SocketAddr, bytes::Bytes), TurnError> {
    match relay {
        None => std::future::pending().await,
        Some(relay) => relay
            .recv_from()
            .await
            .map(|packet| (packet.peer, packet.data)),
    }
}

/// Makes an allocation for an attempt by a relay; `None` where the network does not let it.
async fn allocate(attempt: &Attempt, timeouts: Duration) -> Option<TurnClient> {
    let server = &attempt.server;
    let (address, transport) = match attempt.transport {
        Transport::Direct => return None,
        Transport::RelayUdp => (server.plain, ClientTransport::Udp),
        Transport::RelayTcp => (server.plain, ClientTransport::Tcp),
        Transport::RelayTls => {
            let name = ServerName::from(server.tls.ip());
            (server.tls, ClientTransport::Tls(Tls::any_certificate(name)))
        }
    };
    let options = Options::new(transport, server.credential.clone());
    let connect = TurnClient::connect_with(address, options);
    match tokio::time::timeout(timeouts, connect).await {
        Ok(Ok(client)) => Some(client),
        Ok(Err(error)) => {
            tracing::debug!(%error, "No relay");
            None
        }
        Err(_) => None,
    }
}

/// Asks the server which address it sees our socket at.
async fn reflexive(
    socket: &UdpSocket,
    attempt: &Attempt,
    timeouts: Duration,
) -> Option<SocketAddr> {
    let mut id = [0; 12];
    getrandom::fill(&mut id).ok()?;
    let id = TransactionId::new(id);
    let mut request = Vec::new();
    let writer = MessageWriter::new(&mut request, Class::Request, Method::BINDING, id);
    writer.finish().ok()?;
    let ask = async {
        let mut buffer = [0; 1500];
        loop {
            // A packet that the host refuses to send is as good as lost.
            let _ = socket.send_to(&request, attempt.server.plain).await;
            let answer =
                tokio::time::timeout(REQUEST_INTERVAL, socket.recv_from(&mut buffer)).await;
            let Ok(Ok((length, _))) = answer else {
                continue;
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            if let Ok(message) = Message::parse(bytes)
                && message.transaction() == id
                && let Ok(Some(XorMappedAddress(mapped))) = message.get()
            {
                return mapped;
            }
        }
    };
    tokio::time::timeout(timeouts, ask).await.ok()
}

/// How long to wait for an answer before asking again.
const REQUEST_INTERVAL: Duration = Duration::from_millis(200);
/// How often to look whether a path has settled, at least.
const STEP: Duration = Duration::from_millis(20);
