//! The driver of ICE: interfaces that come and go, one port for any number of agents over UDP and
//! TCP, STUN servers, connections to TURN servers.
//!
//! ```
//! use jackfield_driver::ice::{EndpointConfig, IceEndpoint, InterfaceFilter};
//! use jackfield_ice::{AgentConfig, Event, RemotePolicy, Role};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Both ends are on this machine here, so that loopback addresses will do.
//! let config = || EndpointConfig {
//!     interfaces: InterfaceFilter { loopback: true, only: vec!["lo".into()], ..Default::default() },
//!     ..EndpointConfig::default()
//! };
//! let (alice, bob) = (IceEndpoint::bind(config())?, IceEndpoint::bind(config())?);
//! let agent = |role| AgentConfig {
//!     role,
//!     remote: RemotePolicy { loopback: true, ..RemotePolicy::default() },
//!     ..AgentConfig::default()
//! };
//! let alice = alice.agent(agent(Role::Controlling))?;
//! let bob = bob.agent(agent(Role::Controlled))?;
//!
//! // Signaling carries parameters and candidates; here both are in one place.
//! alice.set_remote_parameters(bob.local_parameters())?;
//! bob.set_remote_parameters(alice.local_parameters())?;
//! while let Some(event) = alice.event().await {
//!     match event {
//!         Event::LocalCandidate(candidate) => bob.add_remote_candidate(candidate)?,
//!         Event::StateChanged(state) if state.is_connected() => break,
//!         _ => {}
//!     }
//! }
//! alice.send(b"hello").await?;
//! assert_eq!(bob.recv().await.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! # How packets find their session
//! A connectivity check carries the username fragment of its receiver; an answer and data come from
//! an address that the session has sent to. What is neither is dropped, counted, and not answered.
//! A TCP connection belongs to the session that its first packet names.
//!
//! Where both sides share ports, two sessions would have the same two addresses, and data says
//! nothing of its session. Such a path belongs to the session that came first; the other gets a UDP
//! socket of its own ([`EndpointLimits::own_sockets`]), which is one more candidate.
//!
//! # What runs
//! One task wakes all sessions, by a queue of their deadlines; one follows the interfaces; one asks
//! STUN servers, once for each address and not for each agent; one maps a port at the gateway, if
//! that is wanted ([`EndpointConfig::port_mapping`]). Each socket, listener and connection
//! has a task of its own. A session has none.

mod bindings;
mod config;
mod core;
mod counters;
mod endpoint;
mod interfaces;
mod mapping;
mod mdns;
mod own;
mod packets;
mod routes;
mod session;
mod shared;
mod stream;
mod topology;
mod udp;

pub use config::{EndpointConfig, EndpointLimits};
pub use core::{Core, CoreOutput};
pub use counters::{Count, EndpointCounters};
pub use endpoint::{IceEndpoint, OpenError};
pub use interfaces::{InterfaceAddress, InterfaceFilter, interface_addresses};
pub use session::Session;
