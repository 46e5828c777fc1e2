//! What kind of NAT is on the way, found out by asking servers outside ([RFC 5780], in the words of
//! [RFC 4787]).
//!
//! [`Discovery`] is the client: it wants sockets bound and requests sent, takes what arrives, and
//! ends with a [`Report`]. Each line of a report is a [`Finding`]: known because it was seen, or
//! unknown for a [`Reason`]. [`answer`] is the server's side.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_stun::behaviour::{DiscoveryConfig, Discovery, Finding, Output, Reason};
//!
//! let mut now = Instant::now();
//! let server = "192.0.2.1:3478".parse().unwrap();
//! let mut discovery = Discovery::new(DiscoveryConfig::new(vec![server]), [7; 32]);
//! loop {
//!     match discovery.poll_output() {
//!         Output::Bind(socket) => {
//!             // A driver binds a UDP socket to any port, and says to which.
//!             let local = format!("10.0.0.2:{}", 40_000 + socket.index()).parse().unwrap();
//!             discovery.handle_bound(now, socket, Ok(local));
//!         }
//!         Output::Transmit { destination, .. } => assert_eq!(destination, server), // no answer comes
//!         Output::Wait(Some(then)) => {
//!             now = then;
//!             discovery.handle_timeout(now);
//!         }
//!         Output::Wait(None) => break,
//!     }
//! }
//! assert_eq!(discovery.report().mapping, Finding::Unknown(Reason::NoAnswer));
//! ```
//!
//! [RFC 4787]: https://www.rfc-editor.org/rfc/rfc4787
//! [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780

pub mod answer;
mod config;
mod discovery;
mod exchange;
mod filtering;
mod finding;
mod fragments;
mod hairpinning;
pub mod helper;
pub mod layers;
mod lifetime;
mod mapping;
mod ports;
mod report;

pub use config::{DiscoveryConfig, LifetimeSearch};
pub use discovery::{Discovery, NotBound, Output, SocketId};
pub use finding::{Finding, Reason};
pub use jackfield_sansio::{Filtering, Mapping};
pub use report::{Fragments, Label, Lifetime, Observation, PortAssignment, Report, Stability};
