//! The connection to the server's `/signal`: opened again whenever it is lost.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::header::HOST;
use jackfield_driver::proxy::ProxyError;
use jackfield_proxy::ProxyRules;
use jackfield_ws::{CloseCode, CloseFrame, Message, WebSocket, WsConfig};
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::reach::{Stream, reach};
use crate::server::Server;
use crate::trust::Trust;

/// The connection to a server's signaling.
pub(crate) struct Signaling {
    server: Server,
    trust: Trust,
    proxies: Arc<ProxyRules>,
    config: Arc<WsConfig>,
    state: State,
    doubt: Doubt,
    attempts: u32,
    /// A number for each retry that spreads the clients of a server that comes back.
    random: u64,
}

enum State {
    Connecting(Opening),
    Open(Box<Socket>),
    Waiting(Instant),
}

/// Whether an open connection works.
enum Doubt {
    /// As far as we know.
    None,
    /// The server was asked something; without an answer until then another connection is opened.
    Asked(Instant),
    /// Another connection is being opened, and replaces this one unless this one answers first.
    Replacing(Opening),
}

type Opening = Pin<Box<dyn Future<Output = Result<Socket, SignalingError>> + Send>>;

type Socket = WebSocket<Box<dyn Stream>>;

/// What the signaling connection has to say.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// It is open, for the first time or again: nothing that was sent before counts.
    Open,
    /// A JSON object of the server.
    Message(Value),
    /// It is lost, or could not be opened, and is tried again by itself.
    Lost(SignalingError),
}

/// Why the server's signaling is not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalingError {
    /// The host has no address, or none that answers.
    #[error("{server} cannot be reached")]
    Unreachable {
        /// The server.
        server: Server,
        /// What the system said.
        source: io::Error,
    },
    /// The proxy does not lead to the server.
    #[error("{server} cannot be reached by the proxy {proxy}")]
    Proxy {
        /// The server.
        server: Server,
        /// The proxy's URL, without its credentials.
        proxy: String,
        /// What went wrong.
        source: ProxyError,
    },
    /// Nothing answered in time.
    #[error("{0} does not answer")]
    Silent(Server),
    /// The TLS handshake failed.
    #[error("{server} offers no TLS connection that is trusted")]
    Tls {
        /// The server.
        server: Server,
        /// What went wrong.
        source: io::Error,
    },
    /// Something is there, but it opens no WebSocket at `/signal`.
    #[error("{server} is there, but is no Jackfield server")]
    NotJackfield {
        /// The server.
        server: Server,
        /// What went wrong.
        source: jackfield_ws::Error,
    },
    /// The connection was open, and broke.
    #[error("the connection to {0} is lost")]
    Broken(Server),
}

impl Signaling {
    /// Makes a connection that opens when [`Signaling::next`] is first called.
    #[must_use]
    pub(crate) fn new(server: Server, trust: Trust, proxies: ProxyRules, random: u64) -> Self {
        let proxies = Arc::new(proxies);
        let config = WsConfig {
            ping_interval: Some(Duration::from_secs(10)),
            ping_timeout: Duration::from_secs(8),
            ..WsConfig::default()
        };
        let config = Arc::new(config);
        let state = State::Connecting(Box::pin(open(
            server.clone(),
            trust.clone(),
            Arc::clone(&proxies),
            config.clone(),
        )));
        Self {
            server,
            trust,
            proxies,
            config,
            state,
            doubt: Doubt::None,
            attempts: 0,
            random,
        }
    }

    /// Sends a message; returns whether there was a connection to send it on. The next call of
    /// [`Signaling::next`] writes it.
    pub(crate) fn send(&mut self, message: &Value) -> bool {
        let State::Open(socket) = &mut self.state else {
            return false;
        };
        // A queue that is full belongs to a connection that is about to be found dead.
        socket.feed(&Message::text(message.to_string())).is_ok()
    }

    /// Asks the server something, and opens another connection unless an answer comes soon: what
    /// broke the path to the other side may have broken this connection, too, and TCP notices that
    /// minutes later. A connection that waits for its next try is tried at once.
    pub(crate) fn check(&mut self, question: &Value) {
        match &self.state {
            State::Open(_) => {
                if matches!(self.doubt, Doubt::None) && self.send(question) {
                    self.doubt = Doubt::Asked(Instant::now() + ANSWER_WITHIN);
                }
            }
            State::Waiting(_) => self.state = State::Connecting(self.open()),
            State::Connecting(_) => {}
        }
    }

    /// Returns what comes next. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Incoming {
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    tokio::time::sleep_until(*until).await;
                    self.state = State::Connecting(self.open());
                }
                State::Connecting(opening) => match opening.as_mut().await {
                    Ok(socket) => {
                        self.state = State::Open(Box::new(socket));
                        return Incoming::Open;
                    }
                    Err(error) => return self.lost(error),
                },
                State::Open(socket) => {
                    let news = tokio::select! {
                        received = socket.recv() => News::Received(received),
                        news = self.doubt.grow() => news,
                    };
                    if let Some(incoming) = self.handle(news) {
                        return incoming;
                    }
                }
            }
        }
    }

    fn handle(&mut self, news: News) -> Option<Incoming> {
        match news {
            News::Received(Some(Ok(message))) => {
                self.doubt = Doubt::None;
                let Message::Text(text) = message else {
                    return None;
                };
                self.attempts = 0;
                match serde_json::from_str(text.as_ref()) {
                    Ok(message) => return Some(Incoming::Message(message)),
                    Err(error) => tracing::debug!(%error, "The server sent no JSON"),
                }
                None
            }
            News::Received(Some(Err(_)) | None) => {
                Some(self.lost(SignalingError::Broken(self.server.clone())))
            }
            News::NoAnswer => {
                self.doubt = Doubt::Replacing(self.open());
                None
            }
            News::Replaced(Ok(socket)) => {
                self.doubt = Doubt::None;
                self.state = State::Open(socket);
                Some(Incoming::Open)
            }
            News::Replaced(Err(error)) => Some(self.lost(error)),
        }
    }

    /// Sends what waits, and closes the connection; takes two seconds at most.
    pub(crate) async fn close(self) {
        if let State::Open(mut socket) = self.state {
            let goodbye = CloseFrame::new(CloseCode::NORMAL, "");
            // Whether the server answers makes no difference any more.
            let _unanswered = timeout(CLOSE_WITHIN, socket.close(Some(&goodbye))).await;
        }
    }

    fn open(&self) -> Opening {
        let (server, trust) = (self.server.clone(), self.trust.clone());
        let (proxies, config) = (Arc::clone(&self.proxies), self.config.clone());
        Box::pin(open(server, trust, proxies, config))
    }

    fn lost(&mut self, error: SignalingError) -> Incoming {
        let longest = FIRST_RETRY
            .saturating_mul(1 << self.attempts.min(10))
            .min(LAST_RETRY);
        self.attempts += 1;
        self.doubt = Doubt::None;
        self.random = self
            .random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(1);
        // Between a half and the whole of it.
        let spread = u32::try_from(self.random >> 56).unwrap_or_default();
        self.state = State::Waiting(Instant::now() + longest / 2 + longest / 512 * spread);
        Incoming::Lost(error)
    }
}

/// What happens to an open connection.
enum News {
    Received(Option<Result<Message, jackfield_ws::Error>>),
    NoAnswer,
    Replaced(Result<Box<Socket>, SignalingError>),
}

impl Doubt {
    /// Waits until there is more of it. Dropping the future loses nothing.
    async fn grow(&mut self) -> News {
        match self {
            Self::None => std::future::pending().await,
            Self::Asked(until) => {
                tokio::time::sleep_until(*until).await;
                News::NoAnswer
            }
            Self::Replacing(opening) => News::Replaced(opening.as_mut().await.map(Box::new)),
        }
    }
}

impl fmt::Debug for Signaling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Connecting(_) => "connecting",
            State::Open(_) => "open",
            State::Waiting(_) => "waiting",
        };
        f.debug_struct("Signaling")
            .field("server", &self.server)
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

async fn open(
    server: Server,
    trust: Trust,
    proxies: Arc<ProxyRules>,
    config: Arc<WsConfig>,
) -> Result<Socket, SignalingError> {
    let opening = try_open(&server, &trust, &proxies, &config);
    let opened = timeout(OPEN_WITHIN, opening).await;
    opened.unwrap_or(Err(SignalingError::Silent(server)))
}

async fn try_open(
    server: &Server,
    trust: &Trust,
    proxies: &ProxyRules,
    config: &Arc<WsConfig>,
) -> Result<Socket, SignalingError> {
    let unreachable = |source| SignalingError::Unreachable {
        server: server.clone(),
        source,
    };
    let tcp = reach(server, trust, proxies).await?;
    let stream: Box<dyn Stream> = if server.is_secure() {
        let tls = |source| SignalingError::Tls {
            server: server.clone(),
            source,
        };
        let name = ServerName::try_from(server.host().to_owned())
            .map_err(|error| tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let connector = TlsConnector::from(Arc::clone(&trust.0));
        Box::new(connector.connect(name, tcp).await.map_err(tls)?)
    } else {
        tcp
    };
    let strange = |source| SignalingError::NotJackfield {
        server: server.clone(),
        source,
    };
    let request = Request::get("/signal")
        .header(HOST, server.authority())
        .body(())
        .map_err(|error| unreachable(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    jackfield_ws::connect(stream, &request, config)
        .await
        .map_err(strange)
}

/// How long the server may take to answer before another connection is opened. Where it takes
/// longer, the answer still comes before that connection is open, which takes several round trips.
const ANSWER_WITHIN: Duration = Duration::from_millis(300);
const OPEN_WITHIN: Duration = Duration::from_secs(10);
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(10);
