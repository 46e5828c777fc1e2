//! One TCP connection, from its first bytes to the protocol that serves it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use jackfield_driver::turn::TurnShard;
use jackfield_sansio::{FiveTuple, Transport};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::admission::Admitted;
use super::app::App;
use super::demux::Protocol;
use super::http;
use super::prefixed::{Prefixed, first_bytes};

/// What the connections of one shard need.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) app: Arc<App>,
    pub(super) turn: TurnShard,
    pub(super) tls: Option<TlsAcceptor>,
}

/// What a listener expects of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// Anything in the clear; TLS too, where there is a certificate.
    Plain,
    /// TLS alone.
    Tls,
}

impl Connections {
    /// Serves a connection to its end.
    pub(super) async fn serve(self, stream: TcpStream, remote: SocketAddr, listener: Listener) {
        if self.app.stopping.has_begun() {
            return; // It came in the moment the server stopped.
        }
        let Some(place) = self.app.admission.admit(remote.ip()) else {
            tracing::debug!(%remote, "Refused a connection over the limit");
            return;
        };
        let Ok(local) = stream.local_addr() else {
            return; // It is gone already.
        };
        if let Err(error) = self.watch_peer(&stream) {
            tracing::debug!(%error, "Cannot have the system watch for a dead peer");
        }
        let path = FiveTuple {
            transport: Transport::Tcp,
            local,
            remote,
        };
        self.demux(stream, path, listener, Arc::new(place)).await;
    }

    /// Has the system end a connection whose peer is gone, or takes nothing of what we send.
    fn watch_peer(&self, stream: &TcpStream) -> std::io::Result<()> {
        let limit = self.app.config.connections.dead_peer_timeout;
        let socket = SockRef::from(stream);
        let probes = TcpKeepalive::new()
            .with_time((limit / 2).max(SHORTEST_PROBE))
            .with_interval((limit / 8).max(SHORTEST_PROBE));
        socket.set_tcp_keepalive(&probes.with_retries(4))?;
        socket.set_tcp_user_timeout(Some(limit))
    }

    async fn demux(
        &self,
        mut stream: TcpStream,
        path: FiveTuple,
        listener: Listener,
        place: Arc<Admitted>,
    ) {
        let Some((protocol, prefix)) = self.in_time(first_bytes(&mut stream)).await else {
            return;
        };
        match (listener, protocol, &self.tls) {
            (_, Protocol::Tls, Some(tls)) => {
                let (now, client) = (Instant::now(), path.remote.ip());
                if !self.app.admission.admits_handshake(now, client) {
                    self.app.counters.tls_handshakes_refused.inc();
                    return;
                }
                let handshake = tls.accept(Prefixed::new(prefix, stream, Arc::clone(&place)));
                let Some(inner) = self.in_time(handshake).await else {
                    return;
                };
                self.inside_tls(inner, path, place).await;
            }
            (Listener::Tls, Protocol::Http, _) => refuse_plain_http(stream).await,
            (Listener::Plain, Protocol::Http, _) => {
                let stream = Prefixed::new(prefix, stream, (place, self.app.stopping.open()));
                self.http(stream, path).await;
            }
            (Listener::Plain, Protocol::Stun, _) => {
                self.turn.serve_stream(stream, path, prefix).await;
            }
            (_, Protocol::Tls, None)
            | (Listener::Tls, Protocol::Stun, _)
            | (_, Protocol::Unknown, _) => self.unknown(path),
        }
    }

    async fn inside_tls<S>(&self, mut stream: S, path: FiveTuple, place: Arc<Admitted>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let path = FiveTuple {
            transport: Transport::Tls,
            ..path
        };
        let Some((protocol, prefix)) = self.in_time(first_bytes(&mut stream)).await else {
            return;
        };
        match protocol {
            Protocol::Http => {
                let stream = Prefixed::new(prefix, stream, (place, self.app.stopping.open()));
                self.http(stream, path).await;
            }
            Protocol::Stun => self.turn.serve_stream(stream, path, prefix).await,
            Protocol::Tls | Protocol::Unknown => self.unknown(path),
        }
    }

    async fn http<S>(&self, stream: S, path: FiveTuple)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let app = Arc::clone(&self.app);
        let requests = Arc::new(Requests::default());
        let counted = Arc::clone(&requests);
        let service = hyper::service::service_fn(move |request| {
            let under_way = counted.begin();
            let answer = http::answer(Arc::clone(&app), path, request);
            async move {
                let _under_way = under_way;
                answer.await
            }
        });
        let limits = &self.app.config.connections;
        let (limit, header) = (limits.first_bytes_timeout, limits.max_header);
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_buf_size(header.max(HTTP1_BUFFER));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(HTTP2_STREAMS)
            .max_header_list_size(u32::try_from(header).unwrap_or(u32::MAX))
            .keep_alive_interval(limit)
            .keep_alive_timeout(limit);
        let connection = builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .into_owned();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.app.stopping.begun() => {
                // It ends by itself between two requests, and after those under way.
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = requests.finished() => return,
                    () = self.app.stopping.over() => return,
                }
            }
        };
        if let Err(error) = ended {
            self.app.counters.http_errors.inc();
            tracing::debug!(%error, remote = %path.remote, "An HTTP connection failed");
        }
    }

    /// Waits for what the peer must do first, within the limit for silent peers; `None` if it
    /// fails, is late, or the server stops.
    async fn in_time<T>(&self, work: impl Future<Output = std::io::Result<T>>) -> Option<T> {
        let limit = self.app.config.connections.first_bytes_timeout;
        let work = async {
            tokio::select! {
                done = timeout(limit, work) => Some(done),
                () = self.app.stopping.begun() => None,
            }
        };
        match work.await? {
            Ok(Ok(done)) => Some(done),
            Ok(Err(error)) => {
                self.app.counters.connection_failures.inc();
                tracing::debug!(%error, "A connection failed before it said what it wants");
                None
            }
            Err(_) => {
                self.app.counters.connection_timeouts.inc();
                None
            }
        }
    }

    fn unknown(&self, path: FiveTuple) {
        self.app.counters.unknown_protocols.inc();
        tracing::debug!(%path, "Closed a connection that speaks none of our protocols");
    }
}

/// The requests of one connection.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicBool,
    under_way: AtomicUsize,
    ended: Notify,
}

/// A request that is not answered yet.
struct UnderWay(Arc<Requests>);

impl Requests {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.begun.store(true, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Waits until no request is under way, and then as long as the last answer may take to leave:
    /// half a header that a peer has sent keeps hyper waiting.
    async fn finished(&self) {
        loop {
            let ended = self.ended.notified();
            if self.under_way.load(Ordering::Relaxed) == 0 {
                break;
            }
            ended.await;
        }
        if self.begun.load(Ordering::Relaxed) {
            tokio::time::sleep(LAST_ANSWER).await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_waiters();
    }
}

/// Tells a browser that was sent to the TLS port without TLS what is wrong.
async fn refuse_plain_http(mut stream: impl AsyncWrite + Unpin) {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
        content-length: 40\r\nconnection: close\r\n\r\nthis port speaks TLS: use https or wss\r\n";
    if let Err(error) = stream.write_all(ANSWER).await {
        tracing::trace!(%error, "The peer left before it was told");
    }
}

/// How long an answer may take to leave when the server stops.
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// The smallest HTTP/1 read buffer that hyper takes.
const HTTP1_BUFFER: usize = 8 << 10;
/// The shortest time that the system keeps for probes of a silent peer.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
/// Requests at a time on one HTTP/2 connection.
const HTTP2_STREAMS: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_to_plain_http_has_the_length_it_says() {
        let mut answer = std::io::Cursor::new(Vec::new());
        refuse_plain_http(&mut answer).await;
        let answer = String::from_utf8(answer.into_inner()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        assert_eq!(length.parse::<usize>(), Ok(body.len()));
        assert!(body.contains("TLS"), "{body}");
    }
}
