//! TURN ([RFC 8656]) without sockets, clocks or tasks: a server core, a client core ([`client`]),
//! and the credentials that go with them.
//!
//! A [`Server`] takes the time and bytes; it answers with [`Output`]s, and data goes straight
//! through as a borrowed [`Relay`]. Which peers clients may reach is decided in one place,
//! [`PeerPolicy::judge`], and by default that is the public internet and nothing else.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use jackfield_sansio::{Epoch, FiveTuple, Transport};
//! use jackfield_turn::{Credentials, NonceKey, Output, Registry, Server, ServerConfig};
//!
//! let credentials = Credentials::new().with_secret("north star");
//! let config = ServerConfig::new("example.org", credentials, NonceKey::new([7; 32]), Arc::new(Registry::new()));
//! let now = Instant::now();
//! let epoch = Epoch::new(now, Duration::from_secs(1_700_000_000));
//! let mut server = Server::new(config, epoch, [42; 32]);
//!
//! let path = FiveTuple {
//!     transport: Transport::Udp,
//!     local: "198.51.100.1:3478".parse().unwrap(),
//!     remote: "203.0.113.5:4000".parse().unwrap(),
//! };
//! // A Binding request; an Allocate request goes the same way, and asks for a socket by `Output::Bind` on its way.
//! let request = b"\x00\x01\x00\x00\x21\x12\xa4\x42twelve bytes";
//! if let Some(relay) = server.handle_client(now, path, request) {
//!     unreachable!("{relay:?} would be sent at once");
//! }
//! let Output::Transmit(answer) = server.poll_output() else { panic!("no answer") };
//! assert_eq!(answer.path, path);
//! assert_eq!(answer.bytes.len(), 32);
//! assert_eq!(server.poll_output(), Output::Wait(None));
//! ```
//!
//! # Standards
//! - [x] [RFC 8656] TURN over datagrams and streams: IPv4, IPv6 and both at once
//!   (ADDITIONAL-ADDRESS-FAMILY), EVEN-PORT, RESERVATION-TOKEN, DONT-FRAGMENT (the driver sets the
//!   bit)
//! - [x] [RFC 8489] long-term credentials: MD5 and SHA-256, USERHASH where no secret mints names,
//!   nonce cookie
//! - [x] The client's side of both: allocations, permissions and channels kept alive,
//!   ALTERNATE-SERVER, protection against stripped offers
//! - [x] Time-limited credentials of the "TURN REST API" ([`credential`]), several secrets at a
//!   time
//! - [x] [RFC 5766] channel numbers above 0x4FFF, which Debian's coturn tools use (can be switched
//!   off)
//! - [x] [RFC 5780] behaviour discovery, with a helper in place of a second address ([`Discovery`])
//! - [ ] [RFC 6062] TCP allocations: left out on purpose for now; they make a server a general
//!   proxy
//! - [ ] [RFC 8016] mobility, RFC 7635 OAuth, the ICMP attribute of RFC 8656
//!
//! # Where we differ
//! The server; the client's part is in [`client`]:
//! - [RFC 8656 §7.2]: an Allocate request that names no family gets the client's own if it can,
//!   else the other ([`DefaultFamily`]).
//! - [RFC 8656 §7.2] wants quotas by username, which is what 486 stands for. Names of time-limited
//!   credentials cost nothing, so that allocations are counted by client network, too.
//! - [RFC 8656 §7.2] lets anyone redeem a RESERVATION-TOKEN; here it is good only for the user who
//!   got it.
//! - [RFC 8656 §12]: channel numbers from 0x5000 to 0x7FFF are accepted
//!   ([`ServerConfig::rfc5766_channels`]), because Debian's coturn client counts into them.
//! - [RFC 8656 §14], §15: DSCP, ECN and DF are not copied from packet to packet, which is the RFC's
//!   alternate behaviour; DONT-FRAGMENT in a Send indication is obeyed.
//! - [RFC 8656 §11.5]: ICMP errors of peers are not passed on.
//! - [RFC 8656 §5] wants SOFTWARE in answers to Allocate and Refresh: it is off by default, and
//!   unauthenticated clients do not get it.
//! - [RFC 8489 §9.2]: without [`ServerConfig::password_algorithms`] nonces have no cookie, as those
//!   of a server of RFC 5389.
//! - Above a rate of wrong passwords ([`ServerLimits::wrong_passwords`]) a network's requests in
//!   the name of static users are not answered, whatever password they have; without a fresh nonce,
//!   so that the address may be forged, they get 438. Allocations that live go on, and so do
//!   time-limited credentials of a strong secret ([`credential::weakness`]), as nobody can guess
//!   them.
//! - A nonce is bound to the client's IP address and not to its port, which NATs change.
//! - After a minted credential has expired, its allocation may be refreshed once, and used until it
//!   ends.
//! - A message from a client that would cost an answer to a source it may have forged is limited by
//!   source network.
//!
//! # Features
//! | feature | what |
//! |---|---|
//! | `internals` | a check of a client's limits, hidden and for the fuzz harness alone |
//!
//! [RFC 8489 §9.2]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2
//! [RFC 8656 §5]: https://www.rfc-editor.org/rfc/rfc8656#section-5
//! [RFC 8656 §7.2]: https://www.rfc-editor.org/rfc/rfc8656#section-7.2
//! [RFC 8656 §11.5]: https://www.rfc-editor.org/rfc/rfc8656#section-11.5
//! [RFC 8656 §12]: https://www.rfc-editor.org/rfc/rfc8656#section-12
//! [RFC 8656 §14]: https://www.rfc-editor.org/rfc/rfc8656#section-14
//! [RFC 5766]: https://www.rfc-editor.org/rfc/rfc5766
//! [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780
//! [RFC 6062]: https://www.rfc-editor.org/rfc/rfc6062
//! [RFC 8016]: https://www.rfc-editor.org/rfc/rfc8016
//! [RFC 8489]: https://www.rfc-editor.org/rfc/rfc8489
//! [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656

mod allocation;
mod allocations;
pub mod attribute;
mod authenticator;
mod channel_number;
mod channels;
mod cidr;
pub mod client;
mod config;
mod counters;
pub mod credential;
mod guesses;
mod nonce;
mod output;
mod peer_policy;
mod permissions;
mod registry;
mod relay;
mod relay_addresses;
mod server;
mod shared_bucket;
mod source_limiter;

pub use channel_number::ChannelNumber;
pub use cidr::{Cidr, CidrError};
pub use config::{DefaultFamily, Discovery, NonceKey, RelayAddress, ServerConfig, ServerLimits};
pub use counters::{DropReason, Limit, ServerCounters};
pub use credential::Credentials;
pub use jackfield_sansio::Rate;
pub use output::{AllocationId, BindError, EndReason, Event, Output, Relayed, Traffic};
pub use peer_policy::{PeerDenied, PeerPolicy, PeerRules};
pub use registry::Registry;
pub use relay::{Header, Relay};
pub use server::Server;

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
