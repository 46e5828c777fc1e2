//! Peer connections of WebRTC, as a room needs them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jackfield_driver::peer::{
    CandidatePolicy, ChannelConfig, ConnectionState as PeerState, DataChannel, Peer, PeerEndpoint,
    PeerError, PeerEvent, PeerEvents, PeerOptions, ReceivedMessage, RtcIceServer, SelectedPair,
    resolve_servers,
};
use jackfield_driver::portmap::MapperConfig;
use jackfield_driver::proxy::Proxy;
use jackfield_proxy::ProxyRules;
use jackfield_sansio::Transport;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use crate::channel::{Channel, Message};
use crate::connection::{
    Connection, ConnectionError, ConnectionEvent, ConnectionState, Connector, Events, Path,
    Preparation, Relay,
};
use crate::server::Server;
use crate::trust::Trust;

/// Makes WebRTC peer connections, which all share a port.
#[derive(Debug, Clone, Default)]
pub struct WebRtc {
    options: PeerOptions,
    resolved: Arc<Mutex<Resolved>>,
}

/// ICE servers whose names were looked up, as options that have nothing else: of the last two
/// lists, the later one first. The earlier one is in use until a room knows of the later one.
type Resolved = Vec<(Value, PeerOptions)>;

/// A WebRTC peer connection.
#[derive(Debug)]
pub struct WebRtcConnection {
    peer: Peer,
    tasks: [AbortHandle; 2],
    /// Each channel has a clone as long as a message waits to be passed on.
    pending: Option<mpsc::Sender<()>>,
    passed_on: mpsc::Receiver<()>,
    /// Ends the channels when it is dropped, whatever is on its way on them.
    open: watch::Sender<()>,
}

impl WebRtc {
    /// Makes peers as `options` say; the ICE servers are those of the room's server.
    #[must_use]
    pub fn new(options: PeerOptions) -> Self {
        Self {
            options,
            resolved: Arc::default(),
        }
    }

    /// Makes peers for a room of `server`. Where that is this machine, the other side may be, too:
    /// loopback is then one of the paths.
    #[must_use]
    pub fn near(server: &Server) -> Self {
        let mut options = PeerOptions::new();
        let timing = &mut options.ice.timing;
        timing.silence = SILENCE;
        timing.probe_interval = PROBE_INTERVAL;
        timing.unanswered_probes = UNANSWERED_PROBES;
        if server.is_on_loopback() {
            options.ice.remote.loopback = true;
            options.network.interfaces.loopback = true;
        }
        Self::new(options)
    }

    /// Trusts these certificates of TURN servers over TLS, and of proxies. Without it, the
    /// authorities that the system trusts are trusted.
    #[must_use]
    pub fn trusting(mut self, trust: &Trust) -> Self {
        self.options.network.tls = Some(Arc::clone(&trust.0));
        self
    }

    /// Has peers find out how large packets on their paths may be.
    #[must_use]
    pub fn probing(mut self) -> Self {
        self.options.probe_path = true;
        self
    }

    /// Reaches TURN servers over TCP and TLS by a proxy, if these rules name one. A server on this
    /// machine is reached directly.
    #[must_use]
    pub fn proxied(mut self, rules: ProxyRules) -> Self {
        let network = &mut self.options.network;
        // A proxy elsewhere would look for it on its own machine.
        let is_direct = network.interfaces.loopback;
        network.proxy = rules.proxy.filter(|_| !is_direct).map(Proxy::new);
        network.no_proxy = rules.no_proxy;
        self
    }

    /// Asks the gateway to keep a UDP port open, so that the other side reaches this one behind a
    /// NAT that would not let it in (PCP, NAT-PMP, UPnP).
    #[must_use]
    pub fn mapped(mut self) -> Self {
        self.options.network.port_mapping = Some(MapperConfig::default());
        self
    }

    /// Sets whether there are UDP sockets. Without them data goes over TCP alone: to the other
    /// side, or to a relay over TCP or TLS. Default: yes.
    #[must_use]
    pub fn udp(mut self, udp: bool) -> Self {
        self.options.network.udp = udp;
        self
    }

    /// Returns the endpoint of all connections, which the first one makes.
    fn endpoint(&mut self) -> io::Result<PeerEndpoint> {
        if let Some(endpoint) = &self.options.endpoint {
            return Ok(endpoint.clone());
        }
        let mut network = self.options.network.clone();
        if let Some(proxy) = &mut network.proxy {
            proxy.tls = network.tls.clone();
        }
        let endpoint = PeerEndpoint::bind(network)?;
        self.options.endpoint = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Sets whether the other side is reached by relays alone, so that it learns no address of this
    /// machine. Default: no.
    #[must_use]
    pub fn relay_only(mut self, relay_only: bool) -> Self {
        self.options.ice.policy = match relay_only {
            true => CandidatePolicy::RelayOnly,
            false => CandidatePolicy::All,
        };
        self
    }
}

impl WebRtcConnection {
    /// Returns the peer, for its statistics and for channels of other kinds than a room opens.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connector for WebRtc {
    type Connection = WebRtcConnection;

    fn is_relay_only(&self) -> bool {
        self.options.ice.policy == CandidatePolicy::RelayOnly
    }

    fn prepare(&mut self, servers: &Value) -> Preparation {
        let (servers, resolved) = (servers.clone(), Arc::clone(&self.resolved));
        Box::pin(async move {
            let found = resolve(&servers).await;
            let mut resolved = lock(&resolved);
            resolved.insert(0, (servers, found));
            resolved.truncate(2);
        })
    }

    async fn connect(&mut self, servers: &Value, events: Events) -> io::Result<WebRtcConnection> {
        let known = {
            let resolved = lock(&self.resolved);
            let mut all = resolved.iter();
            all.find(|(of, _)| of == servers)
                .map(|(_, found)| found.clone())
        };
        let known = match known {
            Some(known) => known,
            None => resolve(servers).await,
        };
        let endpoint = self.endpoint()?;
        let mut options = self.options.clone().endpoint(endpoint);
        options.ice.gather.servers = known.ice.gather.servers;
        let (peer, happened) = Peer::new(options)?;
        let (pending, passed_on) = mpsc::channel(1);
        let (open, is_open) = watch::channel(());
        let accepting = accept(peer.clone(), events.clone(), pending.clone(), is_open);
        let tasks = [
            tokio::spawn(tell(happened, events)).abort_handle(),
            tokio::spawn(accepting).abort_handle(),
        ];
        let pending = Some(pending);
        Ok(WebRtcConnection {
            peer,
            tasks,
            pending,
            passed_on,
            open,
        })
    }
}

fn lock(resolved: &Mutex<Resolved>) -> MutexGuard<'_, Resolved> {
    resolved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks up the names of ICE servers, all at once: each may take five seconds.
async fn resolve(servers: &Value) -> PeerOptions {
    let mut lookups = JoinSet::new();
    for (place, server) in one_url_each(read_servers(servers)).enumerate() {
        lookups.spawn(async move { (place, resolve_servers(&[server]).await) });
    }
    let mut found = lookups.join_all().await;
    found.sort_unstable_by_key(|(place, _)| *place);
    let found = found.into_iter().flat_map(|(_, found)| found);
    PeerOptions::new().servers(found.collect())
}

fn one_url_each(servers: Vec<RtcIceServer>) -> impl Iterator<Item = RtcIceServer> {
    servers.into_iter().flat_map(|mut server| {
        let urls = std::mem::take(&mut server.urls);
        urls.into_iter().map(move |url| RtcIceServer {
            urls: vec![url],
            ..server.clone()
        })
    })
}

/// Reads the `iceServers` of a room's server, whose `urls` may be one text or several.
fn read_servers(servers: &Value) -> Vec<RtcIceServer> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let read = |server: &Value| {
        let urls = match server.get("urls") {
            Some(Value::Array(urls)) => urls.iter().filter_map(text).collect(),
            Some(url) => text(url).into_iter().collect(),
            None => Vec::new(),
        };
        RtcIceServer {
            urls,
            username: server.get("username").and_then(text),
            credential: server.get("credential").and_then(text),
        }
    };
    servers.as_array().into_iter().flatten().map(read).collect()
}

impl Connection for WebRtcConnection {
    async fn offer(&mut self, restart: bool) -> Result<String, ConnectionError> {
        if restart {
            self.peer.restart();
        }
        self.peer.create_offer().map_err(ConnectionError::from)
    }

    async fn accept(&mut self, offer: &str) -> Result<String, ConnectionError> {
        self.peer.handle_offer(offer).map_err(ConnectionError::from)
    }

    async fn complete(&mut self, answer: &str) -> Result<(), ConnectionError> {
        self.peer
            .handle_answer(answer)
            .map_err(ConnectionError::from)
    }

    async fn add_candidate(
        &mut self,
        candidate: &str,
        _: Option<&str>,
    ) -> Result<(), ConnectionError> {
        self.peer
            .add_remote_candidate(candidate)
            .map_err(ConnectionError::from)
    }

    async fn open_channel(
        &mut self,
        label: &str,
        protocol: &str,
        negotiated: Option<u16>,
    ) -> Result<Channel, ConnectionError> {
        let mut config = ChannelConfig::new(label);
        protocol.clone_into(&mut config.protocol);
        config.negotiated = negotiated;
        let (ours, theirs) = Channel::pair();
        let peer = self.peer.clone();
        let pending = self.pending.clone();
        let is_open = self.open.subscribe();
        // The channel takes messages at once; they leave when it is open.
        tokio::spawn(async move {
            match peer.open_channel(config).await {
                Ok(data) => {
                    drop(peer);
                    pump(data, theirs, pending, is_open).await;
                }
                Err(error) => tracing::debug!(%error, "A channel did not open"),
            }
        });
        Ok(ours)
    }

    async fn close(mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // A last word, such as a refusal, is on its way through a task.
        self.pending = None;
        let passed_on = async { while self.passed_on.recv().await.is_some() {} };
        // A channel that is still in use is not waited for.
        let _late = timeout(PASS_ON_WITHIN, passed_on).await;
        let reason = self.peer.close().await;
        tracing::debug!(%reason, "A peer connection is closed");
    }
}

impl Drop for WebRtcConnection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        let peer = self.peer.clone();
        // Channels that are still in use would keep it open.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { peer.close().await });
        }
    }
}

impl From<PeerError> for ConnectionError {
    fn from(error: PeerError) -> Self {
        Self(error.to_string())
    }
}

async fn tell(mut happened: PeerEvents, events: Events) {
    while let Some(event) = happened.next().await {
        let event = match event {
            PeerEvent::LocalCandidate(candidate) => {
                let ufrag = ufrag_of(&candidate).to_owned();
                ConnectionEvent::Candidate { candidate, ufrag }
            }
            PeerEvent::StateChanged(state) => ConnectionEvent::State(state_of(state)),
            PeerEvent::PathChanged(pair) => ConnectionEvent::Path(path_of(&pair)),
            PeerEvent::RestartNeeded => ConnectionEvent::State(ConnectionState::Failed),
            PeerEvent::Closed(_) => ConnectionEvent::State(ConnectionState::Closed),
            // The end of the candidates brings no new path.
            _ => continue,
        };
        events.tell(event).await;
    }
}

async fn accept(
    peer: Peer,
    events: Events,
    pending: mpsc::Sender<()>,
    is_open: watch::Receiver<()>,
) {
    while let Some(data) = peer.accept_channel().await {
        let (label, protocol) = (data.label().to_owned(), data.protocol().to_owned());
        let (channel, theirs) = Channel::pair();
        let pump = pump(data, theirs, Some(pending.clone()), is_open.clone());
        tokio::spawn(pump);
        let opened = ConnectionEvent::Channel {
            label,
            protocol,
            channel,
        };
        // The next channel is accepted when this one has its place in the queue.
        events.tell(opened).await;
    }
}

/// Passes messages on in both directions until either side closes, or the connection is dropped.
async fn pump(
    data: DataChannel,
    channel: Channel,
    pending: Option<mpsc::Sender<()>>,
    mut is_open: watch::Receiver<()>,
) {
    let Channel {
        sender,
        mut receiver,
    } = channel;
    let outgoing = async {
        while let Some(message) = receiver.recv().await {
            let sent = match &message {
                Message::Text(text) => data.send_text(text).await,
                Message::Binary(bytes) => data.send(bytes).await,
            };
            if sent.is_err() {
                return;
            }
        }
        drop(pending);
        data.close().await;
    };
    let incoming = async {
        while let Some(message) = data.recv().await {
            if sender.send(message_of(message)).await.is_err() {
                // The program reads no more messages; what it wrote still has to go.
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = outgoing => {}
        () = incoming => {}
        // Nothing is ever sent; it ends with its sender.
        _ = is_open.changed() => {}
    }
    // What has come, such as a last word, is passed on as far as there is room.
    while let Some(Some(message)) = now_or_never(data.recv()).await {
        if sender.try_send(message_of(message)).is_err() {
            return;
        }
    }
}

fn message_of(message: ReceivedMessage) -> Message {
    match message {
        ReceivedMessage::Text(text) => Message::Text(text),
        ReceivedMessage::Binary(bytes) => Message::Binary(bytes.into()),
    }
}

/// Returns what a future has at once.
async fn now_or_never<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = std::future::ready(()) => None,
    }
}

/// Returns the username fragment that a candidate names.
fn ufrag_of(candidate: &str) -> &str {
    let mut words = candidate.split(' ').skip_while(|word| *word != "ufrag");
    words.nth(1).unwrap_or_default()
}

fn state_of(state: PeerState) -> ConnectionState {
    match state {
        PeerState::New | PeerState::Connecting => ConnectionState::Connecting,
        PeerState::Connected => ConnectionState::Connected,
        PeerState::Disconnected => ConnectionState::Disconnected,
        PeerState::Failed => ConnectionState::Failed,
        PeerState::Closed => ConnectionState::Closed,
    }
}

fn path_of(pair: &SelectedPair) -> Path {
    let local = pair.local.kind.as_str();
    let relay = match pair.path.transport {
        Transport::Udp | Transport::Dtls => Relay::Udp,
        Transport::Tcp => Relay::Tcp,
        Transport::Tls => Relay::Tls,
    };
    Path {
        relay: (local == "relay").then_some(relay),
        local,
        remote: pair.remote.kind.as_str(),
        protocol: if pair.local.transport.is_tcp() {
            "tcp"
        } else {
            "udp"
        },
        rtt_ms: pair
            .rtt
            .map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// How long nothing may come back while bytes are sent before the path is probed, and how often it
/// is then: a path that broke is left within some two seconds. A file waits for every
/// acknowledgement, so that such a silence is rare where the path works.
const SILENCE: Duration = Duration::from_millis(500);
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
const UNANSWERED_PROBES: u32 = 3;
/// How long closing a connection waits for messages that are on their way to it.
const PASS_ON_WITHIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_servers_of_a_room_are_read_as_browsers_read_them() {
        let servers = read_servers(&json!([
            { "urls": "stun:192.0.2.1" },
            { "urls": ["turn:192.0.2.1", "turns:192.0.2.1"], "username": "a", "credential": "b" },
            { "url": "stun:192.0.2.2" },
        ]));
        let urls: Vec<usize> = servers.iter().map(|server| server.urls.len()).collect();
        assert_eq!(urls, [1, 2, 0]);
        let turn = servers.get(1).unwrap();
        assert_eq!(turn.username.as_deref(), Some("a"));
        assert_eq!(turn.credential.as_deref(), Some("b"));
        let urls: Vec<_> = one_url_each(servers)
            .map(|server| (server.urls.concat(), server.username))
            .collect();
        let a = || Some("a".to_owned());
        assert_eq!(
            urls,
            [
                ("stun:192.0.2.1".to_owned(), None),
                ("turn:192.0.2.1".to_owned(), a()),
                ("turns:192.0.2.1".to_owned(), a()),
            ]
        );
        assert_eq!(read_servers(&Value::Null), []);
    }
}
