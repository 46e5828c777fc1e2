//! TCP ports that lead to the other side, as `ssh -L` does it: a stream and a channel for each
//! connection.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::channel::Channel;
use crate::connection::Connector;
use crate::error::{Error, close_words, stream_words};
use crate::event::{Event, Observer};
use crate::room::{PeerId, RoomHandle};
use crate::session::{Session, Stay, Step};
use crate::stream::{self, Close, Opening, Stream, StreamError, StreamId};
use crate::transfer::{mismatch, refuse};

/// A port of this machine, and where its connections come out on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The address that is listened on.
    pub bind: String,
    /// The port that is listened on; 0 has the system choose one.
    pub port: u16,
    /// Where the other side connects to.
    pub to: TcpTarget,
}

/// A TCP port, as one machine names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TcpTarget {
    host: String,
    port: u16,
}

/// The text names no port, or no forward.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is refused; accepted is {accepted}")]
pub struct ForwardError {
    text: String,
    accepted: &'static str,
}

impl FromStr for TcpTarget {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let refuse = || ForwardError {
            text: text.to_owned(),
            accepted: "PORT or HOST:PORT",
        };
        let (host, port) = text.rsplit_once(':').unwrap_or((LOCALHOST, text));
        let host = plain_host(host).ok_or_else(refuse)?;
        let port = port_of(port).filter(|port| *port > 0).ok_or_else(refuse)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for TcpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for Forward {
    type Err = ForwardError;

    /// Reads `PORT`, `LOCAL:HOST:PORT` or `BIND:LOCAL:HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let refuse = || ForwardError {
            text: text.to_owned(),
            accepted: "PORT, LOCAL:HOST:PORT or BIND:LOCAL:HOST:PORT",
        };
        let parts = split_outside_brackets(text);
        let (bind, local, host, port) = match *parts.as_slice() {
            [port] => (LOOPBACK, port, LOCALHOST, port),
            [local, host, port] => (LOOPBACK, local, host, port),
            [bind, local, host, port] => (bind, local, host, port),
            _ => return Err(refuse()),
        };
        let port = port_of(port).filter(|port| *port > 0).ok_or_else(refuse)?;
        Ok(Self {
            bind: plain_host(bind).ok_or_else(refuse)?,
            port: port_of(local).ok_or_else(refuse)?,
            to: TcpTarget {
                host: plain_host(host).ok_or_else(refuse)?,
                port,
            },
        })
    }
}

/// What a program forwards, and what it lets the other side reach.
#[derive(Debug, Clone, Default)]
pub struct Forwarding {
    /// Ports of this machine that lead to the other side.
    pub forwards: Vec<Forward>,
    /// Where the other side may connect to from this machine. The other side is one member: the
    /// first that forwards, until it leaves.
    pub allowed: BTreeSet<TcpTarget>,
    /// Gives the names of streams.
    pub seed: u128,
}

/// Forwards until it is stopped, or until the room was empty for too long.
///
/// # Errors
/// [`Error`] says why it does not go on.
pub async fn forward<C: Connector>(
    mut stay: Stay,
    connector: C,
    forwarding: Forwarding,
    observer: Arc<dyn Observer>,
) -> Result<(), Error> {
    stay.room.purpose = "forward";
    let (accepted, connections) = mpsc::channel(ACCEPTED_AT_ONCE);
    let mut tasks = JoinSet::new();
    for forward in &forwarding.forwards {
        let listener = listen(forward).await?;
        let address = listener
            .local_addr()
            .map_or_else(|_| forward.bind.clone(), |it| it.to_string());
        observer.tell(Event::Listening {
            address,
            to: forward.to.to_string(),
        });
        tasks.spawn(accept(listener, forward.to.to_string(), accepted.clone()));
    }
    for target in &forwarding.allowed {
        observer.tell(Event::Allowing {
            to: target.to_string(),
        });
    }
    let wait = stay.wait;
    let mut session = Session::enter(stay, connector, observer);
    let result = run(&mut session, forwarding, connections, &mut tasks, wait).await;
    tasks.shutdown().await;
    session.leave().await;
    result
}

async fn listen(forward: &Forward) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind((forward.bind.as_str(), forward.port)).await;
    bound.map_err(|source| Error::Listen {
        address: format!("{}:{}", forward.bind, forward.port),
        source,
    })
}

async fn accept(listener: TcpListener, to: String, accepted: mpsc::Sender<(TcpStream, String)>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                if accepted.send((tcp, to.clone())).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Too many open files: waiting helps, spinning does not.
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn run(
    session: &mut Session,
    forwarding: Forwarding,
    mut connections: mpsc::Receiver<(TcpStream, String)>,
    tasks: &mut JoinSet<()>,
    wait: Duration,
) -> Result<(), Error> {
    let (partner, is_partner) = watch::channel(None::<Partner>);
    // Members that forward; each could be the next partner.
    let mut forwarders = BTreeSet::new();
    let mut random = forwarding.seed;
    let streams = Streams::default();
    let mut generation = 0;
    loop {
        tokio::select! {
            step = session.next() => match step? {
                Step::Purpose(peer, purpose) if purpose == "forward" => {
                    forwarders.insert(peer);
                    let is_other = partner.borrow().is_some_and(|known| known.peer != peer);
                    if !is_other {
                        generation += 1;
                        partner.send_replace(Some(Partner { peer, generation }));
                    }
                }
                Step::Purpose(peer, purpose) => mismatch(session, peer, purpose, &[]),
                Step::Channel { peer, protocol, channel } if protocol == stream::PROTOCOL => {
                    let known = partner.borrow().map(|known| known.peer);
                    if known.is_some_and(|known| known != peer) {
                        tasks.spawn(async move { stream::close(&channel, Close::Busy).await });
                        continue;
                    }
                    if known.is_none() {
                        // What it is here for may come after its channel.
                        generation += 1;
                        partner.send_replace(Some(Partner { peer, generation }));
                    }
                    let (streams, allowed) = (streams.clone(), forwarding.allowed.clone());
                    let observer = Arc::clone(&session.observer);
                    tasks.spawn(serve(channel, streams, allowed, observer, wait));
                }
                Step::Channel { protocol, channel, .. } => refuse(&protocol, channel),
                Step::Left { peer, .. } => {
                    forwarders.remove(&peer);
                    partner.send_if_modified(|partner| {
                        let is_partner = partner.take_if(|partner| partner.peer == peer).is_some();
                        if is_partner && let Some(next) = forwarders.first() {
                            generation += 1;
                            *partner = Some(Partner { peer: *next, generation });
                        }
                        is_partner
                    });
                }
                Step::Connected(_) | Step::Chat { .. } => {}
            },
            Some((tcp, to)) = connections.recv() => {
                random = random.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645) | 1;
                let tunnel = Tunnel {
                    id: StreamId::new(random ^ random >> 67),
                    to,
                    room: session.handle(),
                    partner: is_partner.clone(),
                    observer: Arc::clone(&session.observer),
                    wait,
                };
                tasks.spawn(tunnel.carry(tcp));
            }
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "The task of a connection failed");
                }
            }
        }
    }
}

/// Who is at the other end, and which of our connections with them it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partner {
    peer: PeerId,
    generation: u64,
}

/// A connection that was accepted here.
struct Tunnel {
    id: StreamId,
    to: String,
    room: RoomHandle,
    partner: watch::Receiver<Option<Partner>>,
    observer: Arc<dyn Observer>,
    wait: Duration,
}

impl Tunnel {
    async fn carry(mut self, tcp: TcpStream) {
        let (mut reader, mut writer) = tcp.into_split();
        let mut stream = Stream::default();
        let mut last = None;
        self.observer.tell(Event::Opened {
            to: self.to.clone(),
        });
        let why = loop {
            let next = self
                .partner
                .wait_for(|partner| partner.is_some() && *partner != last);
            let Ok(Ok(partner)) = timeout(self.wait, next)
                .await
                .map(|next| next.map(|next| *next))
            else {
                break Some("the other side is gone".to_owned());
            };
            last = partner;
            let Some(Partner { peer, .. }) = partner else {
                continue;
            };
            let Ok(mut channel) = self.room.open_channel(peer, "tcp", stream::PROTOCOL).await
            else {
                continue;
            };
            let opened = stream::open(&mut stream, &mut channel, self.id, &self.to).await;
            let result = match opened {
                Ok(()) => stream::carry(&mut stream, &mut channel, &mut reader, &mut writer).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => {
                    linger(channel).await;
                    break None;
                }
                Err(StreamError::Closed(Close::Finished)) => break None,
                Err(StreamError::Ended(_)) => {}
                Err(error) => break Some(stream_words(&error)),
            }
        };
        self.observer.tell(Event::Closed { to: self.to, why });
    }
}

/// Streams that connections of this machine belong to, by their names.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<std::sync::Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Where the next channel of a stream goes.
    waiting: BTreeMap<StreamId, mpsc::Sender<(Channel, Opening)>>,
    finished: VecDeque<StreamId>,
}

impl Streams {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing that holds the lock panics half-way through a change.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn finish(&self, id: StreamId) {
        let mut known = self.known();
        known.waiting.remove(&id);
        known.finished.push_back(id);
        if known.finished.len() > FINISHED_KEPT {
            known.finished.pop_front();
        }
    }
}

/// Takes a channel that the other side has opened: the first or the next one of a stream.
async fn serve(
    mut channel: Channel,
    streams: Streams,
    allowed: BTreeSet<TcpTarget>,
    observer: Arc<dyn Observer>,
    wait: Duration,
) {
    let opening = match timeout(OPENING_WITHIN, stream::opening(&mut channel)).await {
        Ok(Ok(opening)) => opening,
        Ok(Err(error)) => return tracing::debug!(%error, "A channel did not become a stream"),
        Err(_) => return tracing::debug!("A channel was opened for nothing"),
    };
    let id = opening.id;
    let (is_finished, task) = {
        let known = streams.known();
        (
            known.finished.contains(&id),
            known.waiting.get(&id).cloned(),
        )
    };
    if is_finished {
        return stream::close(&channel, Close::Finished).await;
    }
    if let Some(task) = task {
        if let Err(unsent) = task.send((channel, opening)).await {
            let (channel, _) = unsent.0;
            stream::close(&channel, Close::Unknown).await;
        }
        return;
    }
    let target = opening
        .to
        .parse::<TcpTarget>()
        .ok()
        .filter(|target| allowed.contains(target));
    let Some(target) = target else {
        let why = Some(close_words(Close::NotAllowed).to_owned());
        observer.tell(Event::Closed {
            to: opening.to,
            why,
        });
        return stream::close(&channel, Close::NotAllowed).await;
    };
    if opening.is_resumed() {
        return stream::close(&channel, Close::Unknown).await;
    }
    let connecting = TcpStream::connect((&*target.host, target.port));
    let Ok(Ok(tcp)) = timeout(CONNECT_WITHIN, connecting).await else {
        let why = Some(close_words(Close::Unreachable).to_owned());
        observer.tell(Event::Closed {
            to: opening.to,
            why,
        });
        return stream::close(&channel, Close::Unreachable).await;
    };
    observer.tell(Event::Opened {
        to: opening.to.clone(),
    });
    let (task, next) = mpsc::channel(1);
    streams.known().waiting.insert(id, task);
    let to = opening.to.clone();
    let why = carry_accepted(tcp, channel, opening, next, wait).await;
    streams.finish(id);
    observer.tell(Event::Closed { to, why });
}

/// Carries a connection that this side has made, channel after channel; returns why it ended.
async fn carry_accepted(
    tcp: TcpStream,
    mut channel: Channel,
    mut opening: Opening,
    mut next: mpsc::Receiver<(Channel, Opening)>,
    wait: Duration,
) -> Option<String> {
    let (mut reader, mut writer) = tcp.into_split();
    let mut stream = Stream::default();
    loop {
        let accepted = stream::accept(&mut stream, &mut channel, &opening).await;
        let result = match accepted {
            Ok(()) => {
                tokio::select! {
                    carried = stream::carry(&mut stream, &mut channel, &mut reader, &mut writer) => carried,
                    // The other side knows earlier than we that the channel has ended.
                    Some((newer, its_opening)) = next.recv() => {
                        (channel, opening) = (newer, its_opening);
                        continue;
                    }
                }
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => {
                linger(channel).await;
                return None;
            }
            Err(StreamError::Ended(_)) => {}
            Err(error) => return Some(stream_words(&error)),
        }
        match timeout(wait, next.recv()).await {
            Ok(Some(newer)) => (channel, opening) = newer,
            Ok(None) | Err(_) => return Some("the other side is gone".to_owned()),
        }
    }
}

/// Lets our last acknowledgement arrive: the other side closes once it is there.
async fn linger(channel: Channel) {
    let Channel {
        sender,
        mut receiver,
    } = channel;
    drop(sender);
    let closing = async { while receiver.recv().await.is_some() {} };
    // Who does not close is not waited for.
    let _late = timeout(CLOSE_WITHIN, closing).await;
}

fn plain_host(text: &str) -> Option<String> {
    let host = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))?;
    let is_fit = host.parse::<IpAddr>().is_ok()
        || (!host.is_empty()
            && host.len() <= 253
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)));
    is_fit.then(|| host.to_ascii_lowercase())
}

fn port_of(text: &str) -> Option<u16> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Splits at colons, those of an IPv6 address in brackets left alone.
fn split_outside_brackets(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    text.split(|c: char| {
        is_inside = (is_inside || c == '[') && c != ']';
        c == ':' && !is_inside
    })
    .collect()
}

const LOCALHOST: &str = "localhost";
const LOOPBACK: &str = "127.0.0.1";
/// Connections that wait for their task.
const ACCEPTED_AT_ONCE: usize = 64;
/// How long a channel may stay without its first message.
const OPENING_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const CLOSE_WITHIN: Duration = Duration::from_secs(10);
/// Names of finished streams that are remembered, for a side that lost the last acknowledgement.
const FINISHED_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_written_as_for_ssh() {
        for (text, bind, port, to) in [
            ("8080", "127.0.0.1", 8080, "localhost:8080"),
            ("2222:localhost:22", "127.0.0.1", 2222, "localhost:22"),
            (
                "0:db.example.org:5432",
                "127.0.0.1",
                0,
                "db.example.org:5432",
            ),
            (
                "0.0.0.0:80:[2001:db8::1]:8080",
                "0.0.0.0",
                80,
                "[2001:db8::1]:8080",
            ),
            ("[::1]:80:h:81", "::1", 80, "h:81"),
        ] {
            let read: Forward = text.parse().unwrap();
            assert_eq!(
                (&*read.bind, read.port, &*read.to.to_string()),
                (bind, port, to)
            );
            assert_eq!(read.to.to_string().parse(), Ok(read.to));
        }
        for text in [
            "",
            "0",
            "65536",
            "a",
            "1:2",
            "1::2",
            "1:h:0",
            "+1",
            "a:1:h:2:3",
            "1:h h:2",
        ] {
            assert!(text.parse::<Forward>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_is_a_port_of_this_machine_or_of_a_host() {
        assert_eq!(
            "22".parse::<TcpTarget>().unwrap().to_string(),
            "localhost:22"
        );
        assert_eq!(
            "[::1]:22".parse::<TcpTarget>().unwrap().to_string(),
            "[::1]:22"
        );
        for text in ["", "x", "h:", ":1", "h:0", "h:99999"] {
            assert!(text.parse::<TcpTarget>().is_err(), "{text}");
        }
    }
}
