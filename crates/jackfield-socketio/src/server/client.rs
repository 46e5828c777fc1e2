//! One session's sockets: packets in, sockets made and ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytestring::ByteString;
use jackfield_socketio_proto::packet::{self, DecoderConfig};
use jackfield_socketio_proto::{Event, ServerConnection, ServerConnectionConfig, Violation};

use super::io::IoInner;
use super::{ConnectError, DisconnectReason, Socket, SocketId};
use crate::engine::{CloseReason, EngineSocket, Message, Peer, Version, Wire};
use crate::id::Id;
use crate::sync::lock;

/// What a session's sockets share.
pub(crate) struct ClientState {
    engine: EngineSocket,
    connection: Mutex<ServerConnection>,
    sockets: Mutex<BTreeMap<ByteString, Socket>>,
    /// Why the server closes the session, if it does.
    reason: Mutex<Option<DisconnectReason>>,
}

/// Takes what a session brings.
pub(crate) struct Client {
    io: Arc<IoInner>,
    state: Arc<ClientState>,
}

impl Client {
    pub(crate) fn open(io: &Arc<IoInner>, engine: &EngineSocket) -> Self {
        let config = ServerConnectionConfig {
            decoder: DecoderConfig {
                max_attachments: io.config.max_attachments,
                // A packet and each of its attachments may be as large as one message.
                max_packet: io
                    .config
                    .max_payload
                    .saturating_mul(1 + io.config.max_attachments),
            },
            connect_timeout: io.config.connect_timeout,
        };
        let version = engine.version();
        let mut connection = ServerConnection::new(Instant::now(), version, &config);
        if version == Version::V3 {
            // The namespace is asked for before the first message is read, or an event for it
            // would be a violation.
            connection.ask("/".into());
        }
        engine.set_deadline(connection.deadline());
        let client = Self {
            io: Arc::clone(io),
            state: Arc::new(ClientState {
                engine: engine.clone(),
                connection: Mutex::new(connection),
                sockets: Mutex::default(),
                reason: Mutex::default(),
            }),
        };
        if version == Version::V3 {
            // Protocol 4 joins the main namespace unasked.
            client.connect("/".into(), None);
        }
        client
    }

    fn handle(&self, event: Event) {
        match event {
            Event::Connect { namespace, auth } => self.connect(namespace, auth),
            Event::Event { namespace, event } => {
                if let Some(socket) = self.state.socket(&namespace) {
                    socket.handle_event(event);
                }
            }
            Event::Ack { namespace, ack } => {
                if let Some(socket) = self.state.socket(&namespace) {
                    socket.handle_ack(ack);
                }
            }
            Event::Disconnect { namespace } => {
                let socket = self.state.remove(&namespace, |_| true);
                if let Some(socket) = socket {
                    socket.end(DisconnectReason::ClientNamespaceDisconnect, false);
                }
            }
            Event::Violation(violation) => self.violated(violation),
        }
    }

    fn connect(&self, name: ByteString, auth: Option<ByteString>) {
        let Some(namespace) = self.io.namespace(&name) else {
            self.io.stats.invalid_namespaces.increment();
            self.state
                .refuse(&name, &ConnectError::new("Invalid namespace"));
            return;
        };
        let socket = Socket::new(
            self.new_id(&name),
            namespace.0,
            self.state.engine.clone(),
            Arc::clone(&self.state),
            auth,
        );
        // The socket is found from here on, so that a client that leaves during its
        // middlewares ends it.
        self.state.insert(name, socket.clone());
        socket.begin();
    }

    /// Clients of protocol 4 make their ids from the session's, and so must we.
    fn new_id(&self, namespace: &str) -> SocketId {
        match (self.state.engine.version(), namespace) {
            (Version::V4, _) => Id::random().as_str().into(),
            (Version::V3, "/") => self.state.engine.id().into(),
            (Version::V3, name) => format!("{name}#{}", self.state.engine.id()).into(),
        }
    }

    fn violated(&self, violation: Violation) {
        tracing::debug!(%violation, "A client broke the protocol");
        self.io.stats.protocol_errors.increment();
        self.state.close(match violation {
            Violation::Decode(_) => DisconnectReason::ForcedClose,
            _ => DisconnectReason::ForcedServerClose,
        });
    }
}

impl Peer for Client {
    fn message(&mut self, message: Message) {
        let event = lock(&self.state.connection).handle_message(message);
        if let Some(event) = event {
            self.handle(event);
        }
    }

    fn deadline(&mut self) {
        if lock(&self.state.connection).is_overdue(Instant::now()) {
            self.io.stats.connect_timeouts.increment();
            self.state.close(DisconnectReason::ForcedServerClose);
        }
    }

    fn close(&mut self, reason: CloseReason) {
        // The engine knows only that the server closed; the reason that handlers are given is
        // Socket.IO's own.
        let own = lock(&self.state.reason).take();
        let reason = match reason {
            CloseReason::ForcedClose if self.io.is_closing() => {
                DisconnectReason::ServerShuttingDown
            }
            CloseReason::ForcedClose => own.unwrap_or(DisconnectReason::ForcedClose),
            reason => reason.into(),
        };
        for socket in self.state.take_sockets() {
            socket.end(reason, false);
        }
    }
}

impl ClientState {
    fn socket(&self, namespace: &str) -> Option<Socket> {
        lock(&self.sockets).get(namespace).cloned()
    }

    /// Events of one namespace must not keep those of another from being read.
    fn insert(&self, namespace: ByteString, socket: Socket) {
        let mut sockets = lock(&self.sockets);
        let is_first = sockets.is_empty();
        let replaced = sockets.insert(namespace, socket);
        if !is_first && replaced.is_none() {
            self.engine.add_awaited();
        }
    }

    /// Takes the socket of a namespace out if it is the right one. No lock is held afterwards:
    /// handlers of the end may use the client's other sockets.
    fn remove(&self, namespace: &str, is_right: impl FnOnce(&Socket) -> bool) -> Option<Socket> {
        let mut sockets = lock(&self.sockets);
        if !is_right(sockets.get(namespace)?) {
            return None;
        }
        let socket = sockets.remove(namespace);
        if !sockets.is_empty() {
            self.engine.remove_awaited();
        }
        socket
    }

    fn take_sockets(&self) -> Vec<Socket> {
        let sockets = std::mem::take(&mut *lock(&self.sockets));
        for _ in 1..sockets.len() {
            self.engine.remove_awaited();
        }
        sockets.into_values().collect()
    }

    /// Notes that a socket's middlewares have let it in; false if the client has left meanwhile.
    pub(crate) fn accept(&self, socket: &Socket) -> bool {
        let sockets = lock(&self.sockets);
        // The client may have left and asked again meanwhile: that other socket is for its own
        // middlewares to judge.
        let accepted = sockets.get(socket.namespace_name()) == Some(socket)
            && lock(&self.connection).accept(socket.namespace_name());
        drop(sockets);
        if accepted {
            self.engine.set_deadline(None);
        }
        accepted && self.engine.is_open()
    }

    /// Tells the client that a middleware has refused it.
    pub(crate) fn refused(&self, socket: &Socket, error: &ConnectError) {
        if self.take(socket) {
            self.refuse(socket.namespace_name(), error);
        }
    }

    fn refuse(&self, namespace: &str, error: &ConnectError) {
        // The client may ask again, for instance with other credentials.
        lock(&self.connection).leave(namespace);
        let plain = self.engine.version() == Version::V3;
        let text = packet::connect_error(namespace, &error.json(plain));
        self.send(&text);
    }

    /// Takes a client out of one namespace.
    pub(crate) fn disconnect(&self, socket: &Socket) {
        if self.take(socket) {
            let name = socket.namespace_name();
            lock(&self.connection).leave(name);
            self.send(&packet::disconnect(name));
        }
        socket.end(DisconnectReason::ServerNamespaceDisconnect, true);
    }

    /// Takes a client out of all namespaces and closes its session.
    pub(crate) fn disconnect_all(&self) {
        for socket in self.take_sockets() {
            self.send(&packet::disconnect(socket.namespace_name()));
            socket.end(DisconnectReason::ServerNamespaceDisconnect, true);
        }
        self.engine.close();
    }

    fn close(&self, reason: DisconnectReason) {
        // The first reason counts; what follows from closing is no reason of its own.
        lock(&self.reason).get_or_insert(reason);
        self.engine.close();
    }

    /// Takes a socket out, if it is there still.
    fn take(&self, socket: &Socket) -> bool {
        // The client may have left and joined again: then the name stands for a newer socket.
        self.remove(socket.namespace_name(), |there| there == socket)
            .is_some()
    }

    fn send(&self, text: &str) {
        if let Err(error) = self.engine.send_wire(&Wire::text(text)) {
            tracing::trace!(%error, "A packet did not reach its client");
        }
    }
}
