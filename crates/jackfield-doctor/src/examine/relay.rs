//! Allocates at every relay that the server names, and sends datagrams through each.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_driver::discovery::{race, source_for};
use jackfield_driver::tap::Tapped;
use jackfield_driver::turn_client::{
    ClientTransport, ConnectError, Packet, Tls, TurnClient, TurnError,
};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::uri::{Host, Scheme, Uri, UriTransport};
use jackfield_turn::client::{Credential, Failure};
use rustls::pki_types::ServerName;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::facts::{
    Allocation, Delivery, Ice, NetworkError, NotTested, RelayAttempt, RelayError, RelayTransport,
    TlsError,
};
use crate::reachability::is_less_reachable;
use crate::trust::Trust;

/// A relay that was asked for an allocation.
#[derive(Debug)]
pub(super) struct Relay {
    url: String,
    transport: RelayTransport,
    result: Result<Allocated, RelayError>,
}

/// An allocation that is alive.
#[derive(Debug)]
struct Allocated {
    client: TurnClient,
    took: Duration,
    relayed: SocketAddr,
    route: Route,
}

/// All that it takes to allocate once more.
#[derive(Debug, Clone)]
struct Route {
    server: SocketAddr,
    transport: ClientTransport,
    credential: Credential,
}

impl Relay {
    /// Allocates at one URL of the server; nothing if it is not a relay's.
    pub(super) async fn open(url: &str, ice: &Ice, trust: &Trust) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let transport = match (uri.scheme, uri.transport) {
            (Scheme::Turn, None | Some(UriTransport::Udp)) => RelayTransport::Udp,
            (Scheme::Turn, Some(UriTransport::Tcp)) => RelayTransport::Tcp,
            (Scheme::Turns, None | Some(UriTransport::Tcp)) => RelayTransport::Tls,
            (Scheme::Turns, Some(UriTransport::Udp)) | (Scheme::Stun | Scheme::Stuns, _) => {
                return None;
            }
        };
        let result = timeout(PATIENCE, allocate(&uri, transport, ice, trust)).await;
        Some(Self {
            url: url.to_owned(),
            transport,
            result: result.unwrap_or(Err(RelayError::Silent)),
        })
    }

    /// Sends datagrams through the relay, and ends its allocation.
    ///
    /// `mapped` are the addresses that this machine has outside.
    pub(super) async fn test(self, mapped: &[IpAddr]) -> RelayAttempt {
        let result = match self.result {
            Ok(allocated) => Ok(allocated.test(mapped).await),
            Err(error) => Err(error),
        };
        RelayAttempt {
            url: self.url,
            transport: self.transport,
            result,
        }
    }
}

impl Allocated {
    async fn test(mut self, mapped: &[IpAddr]) -> Allocation {
        let outside = self.test_from_outside(mapped).await;
        let is_settled = outside.is_ok_and(|delivery| delivery.arrived > 0);
        let between = if is_settled {
            None
        } else {
            Some(self.test_between_two().await)
        };
        self.client.close().await;
        Allocation {
            took: self.took,
            relayed: self.relayed,
            outside,
            between,
        }
    }

    /// Plays a peer: sends to the relayed address from a plain socket, and has each datagram
    /// answered through the relay.
    async fn test_from_outside(&mut self, mapped: &[IpAddr]) -> Result<Delivery, NotTested> {
        let relayed = self.relayed;
        if is_less_reachable(relayed.ip(), self.route.server.ip()) {
            return Err(NotTested::PrivateAddress);
        }
        if mapped.contains(&relayed.ip()) {
            return Err(NotTested::SameMachine);
        }
        let of_family = |ip: &&IpAddr| ip.is_ipv4() == relayed.is_ipv4();
        let peers: Vec<IpAddr> = mapped.iter().filter(of_family).copied().collect();
        if peers.is_empty() {
            return Err(NotTested::NoUdp);
        }
        for peer in peers {
            self.client.permit(peer).await.map_err(not_tested)?;
        }
        let socket = socket_towards(relayed)
            .await
            .map_err(|_| NotTested::NoUdp)?;
        let mut delivery = Delivery::default();
        while delivery.is_worth_another() {
            let datagram = delivery.next_datagram();
            // A relay's port that is closed makes the system fail a later send: the same as a loss.
            let _lost = socket.send(&datagram).await;
            delivery.sent += 1;
            let Some(packet) = receive(&mut self.client, &datagram).await else {
                continue;
            };
            delivery.arrived += 1;
            let answered = self.client.send_to(&datagram, packet.peer).await;
            answered.map_err(not_tested)?;
            let mut room = [0; DATAGRAM];
            let answer = timeout(LOST_AFTER, socket.recv(&mut room)).await;
            delivery.returned += usize::from(matches!(answer, Ok(Ok(_))) && room == datagram);
        }
        Ok(delivery)
    }

    /// Sends from this allocation to a second one of the same server.
    async fn test_between_two(&self) -> Result<Delivery, NotTested> {
        let second = timeout(PATIENCE, self.route.connect()).await;
        let Ok(Ok(mut second)) = second else {
            return Err(NotTested::NoAllocation);
        };
        let to = relayed_address(&second).ok_or(NotTested::NoAllocation)?;
        second.permit(self.relayed.ip()).await.map_err(not_tested)?;
        self.client.permit(to.ip()).await.map_err(not_tested)?;
        let mut delivery = Delivery::default();
        while delivery.is_worth_another() {
            let datagram = delivery.next_datagram();
            let sent = self.client.send_to(&datagram, to).await;
            sent.map_err(not_tested)?;
            delivery.sent += 1;
            if receive(&mut second, &datagram).await.is_some() {
                delivery.arrived += 1;
            }
        }
        second.close().await;
        Ok(delivery)
    }
}

impl Delivery {
    /// When the first few get lost, so will the others.
    fn is_worth_another(&self) -> bool {
        self.sent < DATAGRAMS && (self.arrived > 0 || self.sent < FEW)
    }

    /// Returns a datagram unlike those before, so that a late one is not taken for it.
    fn next_datagram(&self) -> [u8; DATAGRAM] {
        [self.sent as u8; DATAGRAM]
    }
}

impl Route {
    async fn connect(&self) -> Result<TurnClient, ConnectError> {
        TurnClient::connect(self.server, self.transport.clone(), self.credential.clone()).await
    }
}

async fn allocate(
    uri: &Uri,
    transport: RelayTransport,
    ice: &Ice,
    trust: &Trust,
) -> Result<Allocated, RelayError> {
    let host = match &uri.host {
        Host::Ipv6(ip) => ip.to_string(),
        Host::Name(name) => name.clone(),
    };
    let found = tokio::net::lookup_host((host.as_str(), uri.port())).await;
    let servers: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    let transport = match transport {
        RelayTransport::Udp => ClientTransport::Udp,
        RelayTransport::Tcp => ClientTransport::Tcp,
        RelayTransport::Tls => ClientTransport::Tls(Tls {
            config: Arc::clone(trust.config()),
            name: ServerName::try_from(host).map_err(|_| TlsError::BadName)?,
        }),
    };
    let credential = Credential::new(&ice.username, &ice.credential);
    let credential = credential.map_err(|_| RelayError::Unusable)?;
    let attempt = |server| {
        let route = Route {
            server,
            transport: transport.clone(),
            credential: credential.clone(),
        };
        async move {
            let start = Instant::now();
            let client = timeout(ONE_FAMILY, route.connect()).await;
            match client {
                Ok(Ok(client)) => Ok((client, start.elapsed(), route)),
                Ok(Err(error)) => Err(of_connect(&error)),
                Err(_) => Err(RelayError::Silent),
            }
        }
    };
    // A family that leads nowhere is no fault of the relay's.
    let reached = race(&servers, attempt).await;
    let (client, took, route) =
        reached.map_err(|error| error.unwrap_or(RelayError::NameNotFound))?;
    let relayed = relayed_address(&client).ok_or(RelayError::Refused(Failure::Malformed))?;
    Ok(Allocated {
        client,
        took,
        relayed,
        route,
    })
}

fn relayed_address(client: &TurnClient) -> Option<SocketAddr> {
    let relayed = client.relayed();
    relayed.v4.or(relayed.v6)
}

async fn socket_towards(peer: SocketAddr) -> std::io::Result<Tapped<UdpSocket>> {
    let socket = UdpSocket::bind((source_for(peer)?, 0)).await?;
    socket.connect(peer).await?;
    let path = FiveTuple {
        transport: Transport::Udp,
        local: socket.local_addr()?,
        remote: peer,
    };
    Ok(Tapped::new(socket, path))
}

/// Waits for this datagram to come out of a relay.
async fn receive(client: &mut TurnClient, datagram: &[u8]) -> Option<Packet> {
    timeout(LOST_AFTER, async {
        loop {
            match client.recv_from().await {
                Ok(packet) if packet.data == datagram => return Some(packet),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    })
    .await
    .ok()
    .flatten()
}

fn of_connect(error: &ConnectError) -> RelayError {
    match error {
        ConnectError::Unreachable(error) | ConnectError::Local(error) => {
            RelayError::Unreachable(NetworkError::of(error))
        }
        ConnectError::TimedOut => RelayError::Unreachable(NetworkError::TimedOut),
        ConnectError::Tls(error) => RelayError::Tls(TlsError::of(error)),
        ConnectError::Refused(Failure::TimedOut) => RelayError::Silent,
        ConnectError::Refused(failure) => RelayError::Refused(*failure),
        // Kinds that a later driver may add.
        _ => RelayError::Refused(Failure::Malformed),
    }
}

fn not_tested(error: TurnError) -> NotTested {
    match error {
        TurnError::PeerRefused(_) => NotTested::PeerRefused,
        _ => NotTested::NoAllocation,
    }
}

/// How long an allocation at one address may take.
const ONE_FAMILY: Duration = Duration::from_millis(6_500);

/// How long an allocation may take.
const PATIENCE: Duration = Duration::from_secs(7);

/// Datagrams that are sent through a relay.
const DATAGRAMS: usize = 10;

/// Bytes of each: about what a voice packet has.
const DATAGRAM: usize = 100;

/// Datagrams that have to get lost before no more are sent.
const FEW: usize = 3;

/// After how long a datagram counts as lost.
const LOST_AFTER: Duration = Duration::from_millis(700);
