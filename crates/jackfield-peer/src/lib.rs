//! WebRTC data channels without sockets, clocks or tasks.
//!
//! A [`Peer`] is the whole of it, `RTCPeerConnection` without audio and video: an ICE agent, an
//! [`Association`], and the offers and answers ([`sdp`]) that make them. The association is what
//! two peers have once a path connects them: DTLS, SCTP in it, and data channels in that. It takes
//! datagrams and the time, and says what to send and what happened.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_peer::{
//!     Association, AssociationConfig, Certificate, ChannelConfig, DtlsRole, Event, Message,
//!     Output, RemoteParameters,
//! };
//!
//! # let now = Instant::now();
//! // Two peers that know each other's fingerprints, from signaling.
//! let (one, two) = (Certificate::from_seed([1; 32]), Certificate::from_seed([2; 32]));
//! let mut alice = Association::new(AssociationConfig::new(one.clone()), now);
//! let mut bob = Association::new(AssociationConfig::new(two.clone()), now);
//! alice.start(now, DtlsRole::Client, RemoteParameters::new(two.fingerprint().clone()));
//! bob.start(now, DtlsRole::Server, RemoteParameters::new(one.fingerprint().clone()));
//!
//! let chat = alice.open_channel(now, ChannelConfig::new("chat")).unwrap();
//! let mut heard = None;
//! while heard.is_none() {
//!     match alice.poll_output() {
//!         Output::Transmit(datagram) => bob.handle_datagram(now, &datagram),
//!         Output::Event(Event::ChannelOpened { id, .. }) => {
//!             alice.write(now, id, Message::Text("hello")).unwrap();
//!         }
//!         _ => {}
//!     }
//!     match bob.poll_output() {
//!         Output::Transmit(datagram) => alice.handle_datagram(now, &datagram),
//!         Output::Event(Event::Message(_, message)) => heard = Some(message),
//!         _ => {}
//!     }
//! }
//! assert_eq!(heard.unwrap().as_bytes(), b"hello");
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 8831] data channels: reliable and partly reliable, ordered or not, text and binary,
//!   empty messages, the deprecated partial messages when they come
//! - [x] [RFC 8832] DCEP, and channels that are negotiated without it
//! - [x] [RFC 8261] SCTP in DTLS 1.2 or 1.3, with ECDSA certificates
//! - [x] [RFC 8122] fingerprints of SHA-256, SHA-384 and SHA-512; weaker ones are refused
//! - [x] [RFC 8829], [RFC 8841], [RFC 8842] the part of JSEP and SDP that data channels need, and
//!   the form of `m=application` before them
//! - [x] [RFC 7983] DTLS told from STUN by its first byte, and taken from addresses alone that ICE
//!   has validated
//! - [x] [SNAP], SCTP's INIT chunks in the signaling
//! - [ ] [RFC 8260] message interleaving: the SCTP library does not have it
//!
//! [RFC 8831]: https://www.rfc-editor.org/rfc/rfc8831
//! [RFC 8832]: https://www.rfc-editor.org/rfc/rfc8832
//! [RFC 8261]: https://www.rfc-editor.org/rfc/rfc8261
//! [RFC 8122]: https://www.rfc-editor.org/rfc/rfc8122
//! [RFC 8829]: https://www.rfc-editor.org/rfc/rfc8829
//! [RFC 8841]: https://www.rfc-editor.org/rfc/rfc8841
//! [RFC 8842]: https://www.rfc-editor.org/rfc/rfc8842
//! [RFC 7983]: https://www.rfc-editor.org/rfc/rfc7983
//! [RFC 8260]: https://www.rfc-editor.org/rfc/rfc8260
//! [SNAP]: https://datatracker.ietf.org/doc/draft-hancke-tsvwg-snap/
//!
//! # What the other side can make us hold
//!
//! | what | at most | set by |
//! |---|---|---|
//! | its candidates, those that its checks show included, and pairs of them | 64, 100 | `remote_candidates` and `pairs` of [`jackfield_ice::Limits`] |
//! | its `.local` names | 8 in a generation of ICE | `names` there |
//! | checks before its description, and data right behind them | 16, 4,096 bytes | `early_checks` and `early_bytes` there |
//! | TCP connections | 16 | `connections` there |
//! | datagrams before DTLS begins | 8 of 2,048 bytes | - |
//! | parts of a handshake | 30 records of DTLS: 0.35 MB, measured with the longest | - |
//! | messages that are not whole, out of turn, or not read | 4 MiB of their bytes | [`AssociationConfig::receive_buffer`] |
//! | one message | 256 KiB | [`AssociationConfig::max_message_size`] |
//! | channels, and those that wait to be accepted | 1,024 | [`AssociationConfig::max_channels`] |
//!
//! The receive window counts the bytes of messages, as SCTP does, and what the library needs for
//! each of them comes on top: a window of unread messages of 16,000 bytes takes 1.5 times as much
//! memory, one of 100 bytes 7 times. Who does not trust the other side gives a smaller window. A
//! channel past the limit is reset, and half a kilobyte stays for its stream, of which there are
//! 65,535.
//!
//! # Randomness
//!
//! The keys of a DTLS handshake and the tags of SCTP come from the system's randomness, through the
//! two libraries: this core is not the same each time. A [`Certificate`] is, for its seed.

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod association;
mod certificate;
mod channel;
pub mod dcep;
mod dtls;
mod fingerprint;
#[cfg(feature = "internals")]
pub mod internals;
mod peer;
mod sctp;
pub mod sdp;

pub use association::{
    Association, AssociationConfig, ChannelStats, CloseReason, Counters, Event, OpenError, Output,
    RemoteParameters, State, WriteError,
};
pub use certificate::Certificate;
pub use channel::{ChannelConfig, ChannelId, Message, ReceivedMessage, Reliability};
pub use dtls::{DtlsError, DtlsRole};
pub use fingerprint::{Fingerprint, FingerprintError, Hash};
pub use peer::{
    CandidateRefused, ConnectionState, Peer, PeerConfig, PeerCounters, PeerEvent, PeerOutput,
    PeerStats,
};
