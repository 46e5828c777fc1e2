//! What one client has joined: the state of its namespaces, and the deadline for the first.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytestring::ByteString;

use crate::engine::{Message, Version, query_map};
use crate::packet::{AckPacket, Content, DecodeError, Decoder, DecoderConfig, EventPacket, Packet};

/// Times and limits of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConnectionConfig {
    /// Limits of its packets.
    pub decoder: DecoderConfig,
    /// How long a client may take to join its first namespace.
    pub connect_timeout: Duration,
}

impl Default for ServerConnectionConfig {
    fn default() -> Self {
        Self {
            decoder: DecoderConfig::default(),
            connect_timeout: Duration::from_secs(45),
        }
    }
}

/// The Socket.IO side of one engine session, on the server.
#[derive(Debug)]
pub struct ServerConnection {
    version: Version,
    decoder: Decoder,
    /// The namespaces that the client has joined or asked to join; a packet for any other is a
    /// violation.
    namespaces: BTreeMap<ByteString, State>,
    /// When the client must have joined a namespace; `None` once it has.
    deadline: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Joined,
}

/// What a client's message means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client asks to join a namespace: answer by [`ServerConnection::accept`] or
    /// [`ServerConnection::leave`].
    Connect {
        /// The namespace, without a query string.
        namespace: ByteString,
        /// The credentials, a JSON object; in protocol 4 made from the namespace's query string.
        auth: Option<ByteString>,
    },
    /// The client emits an event in a namespace that it has joined.
    Event {
        /// The namespace.
        namespace: ByteString,
        /// The event.
        event: EventPacket,
    },
    /// The client acknowledges an event.
    Ack {
        /// The namespace.
        namespace: ByteString,
        /// The acknowledgement.
        ack: AckPacket,
    },
    /// The client has left a namespace.
    Disconnect {
        /// The namespace.
        namespace: ByteString,
    },
    /// The client broke the protocol; the session must be closed.
    Violation(Violation),
}

/// How a client broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A message is not a packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A packet names a namespace that the client has not joined.
    #[error("the client has not joined this namespace")]
    NotJoined,
    /// The client asks for a namespace a second time.
    #[error("the client has asked for this namespace already")]
    JoinedTwice,
    /// A client cannot refuse a connection.
    #[error("only a server refuses a connection")]
    ConnectErrorFromClient,
}

impl ServerConnection {
    /// Starts a connection that has joined nothing.
    #[must_use]
    pub fn new(now: Instant, version: Version, config: &ServerConnectionConfig) -> Self {
        Self {
            version,
            decoder: Decoder::new(config.decoder),
            namespaces: BTreeMap::new(),
            deadline: Some(now + config.connect_timeout),
        }
    }

    /// Takes a message and says what it means, if it completes a packet.
    pub fn handle_message(&mut self, message: Message) -> Option<Event> {
        match self.decoder.handle_message(message) {
            Ok(None) => None,
            Ok(Some(packet)) => Some(self.handle_packet(packet).unwrap_or_else(Event::Violation)),
            Err(error) => Some(Event::Violation(error.into())),
        }
    }

    /// Notes that the client has joined a namespace; false if it left, or was refused, in the
    /// meantime.
    pub fn accept(&mut self, namespace: &str) -> bool {
        let Some(state) = self.namespaces.get_mut(namespace) else {
            return false;
        };
        *state = State::Joined;
        self.deadline = None;
        true
    }

    /// Notes that the server asks for a namespace in the client's place, as protocol 4 does for
    /// `/`.
    pub fn ask(&mut self, namespace: ByteString) {
        self.namespaces.entry(namespace).or_insert(State::Asked);
    }

    /// Notes that the client is not in a namespace any more, or was refused.
    pub fn leave(&mut self, namespace: &str) {
        self.namespaces.remove(namespace);
    }

    /// Returns when the client must have joined a namespace; `None` once it has.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns whether the session must be closed because the client has joined nothing in time.
    #[must_use]
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn handle_packet(&mut self, packet: Packet) -> Result<Event, Violation> {
        let (namespace, query) = self.split_namespace(packet.namespace);
        let state = self.namespaces.get(&namespace).copied();
        match (packet.content, state) {
            (Content::Connect(auth), None) => {
                // Events are refused until the middlewares have judged: they may depend on who the
                // client is.
                self.namespaces.insert(namespace.clone(), State::Asked);
                let auth = auth.or_else(|| query.as_deref().map(query_as_json));
                Ok(Event::Connect { namespace, auth })
            }
            // A socket of this name exists; a second one would take its packets.
            (Content::Connect(_), Some(_)) => Err(Violation::JoinedTwice),
            (Content::ConnectError(_), _) => Err(Violation::ConnectErrorFromClient),
            (Content::Disconnect, Some(_)) => {
                self.namespaces.remove(&namespace);
                Ok(Event::Disconnect { namespace })
            }
            (Content::Event(event), Some(State::Joined)) => Ok(Event::Event { namespace, event }),
            (Content::Ack(ack), Some(State::Joined)) => Ok(Event::Ack { namespace, ack }),
            (Content::Disconnect, None)
            | (Content::Event(_) | Content::Ack(_), None | Some(State::Asked)) => {
                Err(Violation::NotJoined)
            }
        }
    }

    /// Takes the query string off a namespace, which only protocol 4 puts there.
    fn split_namespace(&self, namespace: ByteString) -> (ByteString, Option<String>) {
        match (self.version, namespace.split_once('?')) {
            (Version::V3, Some((name, query))) => {
                (namespace.slice_ref(name), Some(query.to_owned()))
            }
            _ => (namespace, None),
        }
    }
}

/// Writes a query string as a JSON object; the first of a repeated key wins.
fn query_as_json(query: &str) -> ByteString {
    serde_json::to_string(&query_map(query))
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::epoch;

    fn connection(version: Version) -> (Instant, ServerConnection) {
        let now = epoch();
        (
            now,
            ServerConnection::new(now, version, &ServerConnectionConfig::default()),
        )
    }

    fn take(connection: &mut ServerConnection, text: &'static str) -> Option<Event> {
        connection.handle_message(Message::Text(text.into()))
    }

    fn violation(connection: &mut ServerConnection, text: &'static str) -> Violation {
        match take(connection, text) {
            Some(Event::Violation(violation)) => violation,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_client_joins_emits_and_leaves() {
        let (_, mut connection) = connection(Version::V4);
        let asked = take(&mut connection, r#"0/chat,{"token":"x"}"#);
        let (namespace, auth) = ("/chat".into(), Some(r#"{"token":"x"}"#.into()));
        assert_eq!(asked, Some(Event::Connect { namespace, auth }));
        assert!(connection.accept("/chat"));
        assert!(matches!(
            take(&mut connection, r#"2/chat,["a"]"#),
            Some(Event::Event { namespace, event }) if namespace == "/chat" && event.name == "a"
        ));
        assert!(matches!(
            take(&mut connection, "3/chat,1[]"),
            Some(Event::Ack { .. })
        ));
        assert!(matches!(
            take(&mut connection, "1/chat,"),
            Some(Event::Disconnect { .. })
        ));
        assert_eq!(
            violation(&mut connection, r#"2/chat,["a"]"#),
            Violation::NotJoined
        );
    }

    #[test]
    fn what_the_state_forbids_is_a_violation() {
        let (_, mut connection) = connection(Version::V4);
        assert_eq!(
            violation(&mut connection, r#"2["a"]"#),
            Violation::NotJoined
        );
        assert_eq!(violation(&mut connection, "1"), Violation::NotJoined);
        assert_eq!(
            violation(&mut connection, "4{}"),
            Violation::ConnectErrorFromClient
        );
        assert_eq!(
            violation(&mut connection, "abc"),
            Violation::Decode(DecodeError::UnknownType)
        );
        assert!(take(&mut connection, "0").is_some());
        assert_eq!(
            violation(&mut connection, r#"2["a"]"#),
            Violation::NotJoined,
            "not yet accepted"
        );
        assert_eq!(violation(&mut connection, "0"), Violation::JoinedTwice);
    }

    #[test]
    fn a_client_that_joins_nothing_is_overdue() {
        let (now, mut connection) = connection(Version::V4);
        let later = now + Duration::from_secs(45);
        assert!(!connection.is_overdue(later - Duration::from_millis(1)));
        assert!(connection.is_overdue(later));
        assert!(take(&mut connection, "0").is_some());
        assert!(connection.is_overdue(later), "asking is not joining");
        assert!(connection.accept("/"));
        assert!(!connection.is_overdue(later));
    }

    #[test]
    fn a_client_that_left_before_it_was_accepted_is_not_accepted() {
        let (_, mut connection) = connection(Version::V4);
        assert!(take(&mut connection, "0").is_some());
        assert!(take(&mut connection, "1").is_some());
        assert!(!connection.accept("/"));
    }

    #[test]
    fn protocol_4_carries_credentials_in_the_namespace() {
        let (_, mut connection) = connection(Version::V3);
        let asked = take(&mut connection, "0/chat?token=a%20b&x");
        let (namespace, auth) = ("/chat".into(), Some(r#"{"token":"a b","x":""}"#.into()));
        assert_eq!(asked, Some(Event::Connect { namespace, auth }));
    }
}
