//! One Engine.IO session: its transports, heartbeat, buffer and end.

mod heartbeat;
mod output;
mod polling;
mod upgrade;
mod websocket;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::heartbeat::{Due, Heartbeat};
use self::polling::Polling;
use self::upgrade::Probe;
use super::{CloseReason, Message, Open, Outgoing, Packet, PacketError, Transport, Version};

pub use self::output::{
    LinkEnd, LinkId, Output, PostBody, PostFailure, RequestId, Response, SendError,
};

/// Times and limits of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSessionConfig {
    /// Time between two pings (revision 4: the server's, revision 3: the client's).
    pub ping_interval: Duration,
    /// How long the answer to a ping may take.
    pub ping_timeout: Duration,
    /// How long a client may take from opening a WebSocket for an upgrade to completing it.
    pub upgrade_timeout: Duration,
    /// How long a closing session waits for a poll that would carry its close packet.
    pub close_timeout: Duration,
    /// Whether a polling session may move to a WebSocket.
    pub allow_upgrades: bool,
    /// The largest body or frame, in bytes, announced to the client. The driver enforces it.
    pub max_payload: usize,
    /// How many bytes of memory may wait for a client to read them; see [`Outgoing::cost`]. A
    /// larger message with its attachments may wait alone.
    pub max_buffered: usize,
}

impl Default for ServerSessionConfig {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(30),
            allow_upgrades: true,
            max_payload: 1_000_000,
            max_buffered: 16 << 20,
        }
    }
}

/// The server's side of one Engine.IO session.
///
/// The driver feeds it requests, frames and the time, and drains [`Self::poll_output`] after each
/// call. What the client did wrong never comes back as an error: it ends the session with a
/// [`CloseReason`] and answers the request.
#[derive(Debug)]
pub struct ServerSession {
    config: Arc<ServerSessionConfig>,
    version: Version,
    state: State,
    /// The WebSocket that carries the session; `None` while it polls.
    link: Option<LinkId>,
    /// Whether that WebSocket carries binary messages as base64.
    base64_only: bool,
    polling: Polling,
    probe: Option<Probe>,
    heartbeat: Heartbeat,
    /// Whether what the client sends is left unread.
    unread: bool,
    /// What the client has not taken yet, in order.
    buffer: VecDeque<Outgoing>,
    /// What the packets in `buffer` cost; above [`ServerSessionConfig::max_buffered`] only by a
    /// control packet, or where it holds one message with its attachments.
    buffered: usize,
    /// Numbers WebSockets; a stale number names a socket that is no longer ours.
    links: u32,
    outputs: VecDeque<Output>,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The server closes; a poll must still carry the buffer and the close packet, until the
    /// deadline.
    Closing(Instant),
    Closed(CloseReason),
}

impl ServerSession {
    /// Opens a session by long-polling; the open packet waits for the first [`Self::handle_poll`].
    ///
    /// `base64_only` is the client's `b64` parameter: it cannot read binary bodies (revision 3).
    #[must_use]
    pub fn polling(
        now: Instant,
        config: Arc<ServerSessionConfig>,
        version: Version,
        sid: &str,
        base64_only: bool,
    ) -> Self {
        let mut session = Self::new(now, config, version);
        session.polling.binary = version == Version::V3 && !base64_only;
        session.push_open(sid);
        session
    }

    /// Opens a session on a WebSocket, which carries text alone if `base64_only`.
    #[must_use]
    pub fn websocket(
        now: Instant,
        config: Arc<ServerSessionConfig>,
        version: Version,
        sid: &str,
        base64_only: bool,
    ) -> (Self, LinkId) {
        let mut session = Self::new(now, config, version);
        session.base64_only = base64_only;
        let link = session.next_link();
        session.link = Some(link);
        session.push_open(sid);
        (session, link)
    }

    fn new(now: Instant, config: Arc<ServerSessionConfig>, version: Version) -> Self {
        let heartbeat = Heartbeat::new(now, version, &config);
        Self {
            config,
            version,
            state: State::Open,
            link: None,
            base64_only: false,
            polling: Polling::default(),
            probe: None,
            heartbeat,
            unread: false,
            buffer: VecDeque::new(),
            buffered: 0,
            links: 0,
            outputs: VecDeque::new(),
        }
    }

    fn push_open(&mut self, sid: &str) {
        let upgrades: &[&str] = match self.link {
            None if self.config.allow_upgrades => &["websocket"],
            _ => &[],
        };
        let open = Open {
            sid,
            upgrades,
            ping_interval: self.config.ping_interval,
            ping_timeout: self.config.ping_timeout,
            max_payload: self.config.max_payload,
        };
        self.enqueue(Outgoing::text(open.packet()));
    }

    /// Returns the protocol revision that the client speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Returns the transport that carries the session.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        match self.link {
            Some(_) => Transport::WebSocket,
            None => Transport::Polling,
        }
    }

    /// Returns whether messages are still accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Returns whether the session has ended.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed(_))
    }

    /// Returns whether a packet sent at this moment would leave at once, which is what volatile
    /// packets ask.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.is_open()
            && self.buffer.is_empty()
            && (self.link.is_some() || self.polling.is_waiting())
    }

    /// Returns how many bytes of memory wait for the client; see [`Outgoing::cost`].
    #[must_use]
    pub const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Queues packets, adjacent and in order: all of them or none.
    ///
    /// # Errors
    /// [`SendError::Closed`] when the session is closing or closed, [`SendError::Full`] when the
    /// packets would wait behind others and take the buffer above
    /// [`ServerSessionConfig::max_buffered`]; the session stays open in both cases.
    pub fn send<'a>(
        &mut self,
        packets: impl IntoIterator<Item = &'a Outgoing> + Clone,
    ) -> Result<(), SendError> {
        if self.state != State::Open {
            return Err(SendError::Closed);
        }
        // All or nothing: a packet whose attachments do not follow would break the client's parser.
        let size: usize = packets.clone().into_iter().map(Outgoing::cost).sum();
        // A message that is larger than the whole buffer says nothing of its reader.
        let behind_others = self.buffered > 0;
        if behind_others && self.buffered.saturating_add(size) > self.config.max_buffered {
            return Err(SendError::Full);
        }
        for packet in packets {
            self.enqueue(packet.clone());
        }
        self.flush();
        Ok(())
    }

    /// Closes the session once its buffer has left; nothing can be sent or received any more.
    pub fn close(&mut self, now: Instant) {
        if self.state != State::Open {
            return;
        }
        if self.link.is_some() {
            // The WebSocket still carries what is buffered, and then its own Close.
            self.end(CloseReason::ForcedClose);
            return;
        }
        // A polling client hears of the end only when it asks: the close packet waits for a GET.
        self.state = State::Closing(now + self.config.close_timeout);
        self.flush();
    }

    /// Ends the session at once, dropping what the client has not read.
    pub fn abort(&mut self, reason: CloseReason) {
        self.clear_buffer();
        self.end(reason);
    }

    /// Does what is due by `now`: pings, timeouts, and ending polls during an upgrade.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Closed(_) => return,
            State::Closing(deadline) if deadline <= now => {
                self.end(CloseReason::ForcedClose);
                return;
            }
            State::Closing(_) | State::Open => {}
        }
        self.expire_probe(now);
        match self.heartbeat.due(now, self.unread, &self.config) {
            Due::Nothing => {}
            Due::Ping if self.is_open() => {
                self.enqueue(Outgoing::text("2"));
                self.flush();
            }
            Due::Pong if self.is_open() => {
                self.enqueue(Outgoing::text("3"));
                self.flush();
            }
            // A closing session has its own deadline and waits only for a GET.
            Due::Ping | Due::Pong => {}
            Due::Timeout => self.abort(CloseReason::PingTimeout),
        }
    }

    /// Notes that the driver reads nothing from the client for now, or reads again. A client whose
    /// pongs wait unread is not taken for dead.
    pub fn set_reading(&mut self, now: Instant, reading: bool) {
        if reading && self.unread {
            self.heartbeat.note_reading(now, &self.config);
        }
        self.unread = !reading;
    }

    /// Takes the next thing to do; the drain ends with [`Output::Wait`].
    #[must_use]
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.outputs.capacity() > KEPT_CAPACITY {
            self.outputs = VecDeque::new();
        }
        Output::Wait(self.deadline())
    }

    fn deadline(&self) -> Option<Instant> {
        let closing = match self.state {
            State::Closed(_) => return None,
            State::Closing(deadline) => Some(deadline),
            State::Open => None,
        };
        [
            closing,
            Some(self.heartbeat.deadline()),
            self.probe_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes a packet from the transport that carries the session.
    fn handle_packet(&mut self, now: Instant, packet: Result<Packet, PacketError>) {
        if self.is_closed() {
            return;
        }
        let Ok(packet) = packet else {
            self.abort(CloseReason::ParseError);
            return;
        };
        self.heartbeat.note_packet(now, &packet, &self.config);
        match packet {
            Packet::Message(message) => self.deliver(message),
            Packet::Ping(content) => self.handle_ping(now, &content),
            Packet::Pong(_) => self.handle_pong(now),
            Packet::Close => self.client_closes(),
            // Only a probe may send these; on the session's own transport they mean nothing.
            Packet::Open(_) | Packet::Upgrade | Packet::Noop => {}
        }
    }

    fn deliver(&mut self, message: Message) {
        if self.is_open() {
            self.outputs.push_back(Output::Message(message));
        }
    }

    fn handle_ping(&mut self, now: Instant, content: &str) {
        match self.version {
            // In revision 4 the server pings; Node.js ends a session whose client does, too.
            Version::V4 => self.abort(CloseReason::TransportError),
            Version::V3 => {
                self.heartbeat.refresh(now, &self.config);
                if self.is_open() {
                    self.enqueue(Outgoing::text(format!("3{content}")));
                    self.flush();
                }
            }
        }
    }

    fn handle_pong(&mut self, now: Instant) {
        match self.version {
            Version::V4 => self.heartbeat.refresh(now, &self.config),
            // In revision 3 the client pings and gets the pongs.
            Version::V3 => self.abort(CloseReason::TransportError),
        }
    }

    fn client_closes(&mut self) {
        self.clear_buffer();
        self.answer_poll_with_noop();
        self.end(CloseReason::TransportClose);
    }

    fn enqueue(&mut self, packet: Outgoing) {
        self.buffered += packet.cost();
        self.buffer.push_back(packet);
    }

    fn clear_buffer(&mut self) {
        self.buffer.clear();
        self.give_memory_back();
        self.buffered = 0;
    }

    /// Leaves an empty buffer without the memory of a long one.
    fn give_memory_back(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = VecDeque::new();
        }
    }

    /// Lets the buffer leave if something can carry it.
    fn flush(&mut self) {
        match self.link {
            Some(link) if !self.buffer.is_empty() => self.outputs.push_back(Output::Flush(link)),
            Some(_) => {}
            None => self.flush_to_poll(),
        }
    }

    /// Ends the session: answers what waits, closes the WebSockets, tells the driver. A buffer
    /// kept until here still leaves through the session's own WebSocket.
    fn end(&mut self, reason: CloseReason) {
        if self.is_closed() {
            return;
        }
        self.state = State::Closed(reason);
        self.drop_probe();
        match self.link {
            Some(link) => self.outputs.push_back(Output::CloseLink(link)),
            None => self.answer_poll_with_close(),
        }
        self.drop_body();
        self.outputs.push_back(Output::Closed(reason));
    }

    const fn next_link(&mut self) -> LinkId {
        self.links = self.links.wrapping_add(1);
        LinkId::new(self.links)
    }
}

/// A queue that is longer than this gives its memory back once it is empty.
const KEPT_CAPACITY: usize = 16;
