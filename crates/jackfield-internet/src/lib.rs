//! A virtual internet: hosts, NATs, firewalls and routers on networks with real packets and
//! virtual time.
//!
//! Everything happens in [`World::step`]: the next packet arrives or the next timer fires, and the
//! clock jumps there, so a day takes milliseconds. One seed gives one trace, byte for byte. A
//! world is `Clone`: a clone is a snapshot, and an assignment goes back to it.
//!
//! ```
//! use std::time::Duration;
//! use jackfield_internet::{Echo, Link, World};
//! use jackfield_nat::profile::Profile;
//!
//! let mut world = World::new(std::time::Instant::now(), 7);
//! let internet = world.network("internet", Link::latency(Duration::from_millis(10)));
//! let server = world.host("server", internet, "198.51.100.9".parse()?, Echo::default());
//! let config = Profile::LINUX.config(&["203.0.113.1".parse()?]);
//! let home = world.nat("home", internet, "192.168.1.0/24".parse()?, config);
//! let alice = world.host("alice", home.inside, "192.168.1.2".parse()?, Echo::default());
//!
//! world.send(alice, 5000, "198.51.100.9:7".parse()?, b"hello");
//! world.run_for(Duration::from_secs(1));
//! assert_eq!(world.app::<Echo>(server).unwrap().received[0].0.to_string(), "203.0.113.1:5000");
//! assert_eq!(world.app::<Echo>(alice).unwrap().received.len(), 1);
//! println!("{}", world.diagram());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Standards
//!
//! - [x] [RFC 791](https://www.rfc-editor.org/rfc/rfc791) IPv4 and
//!   [RFC 8200](https://www.rfc-editor.org/rfc/rfc8200) IPv6 between hosts: addresses, time to
//!   live, fragments put together again
//! - [x] [RFC 792](https://www.rfc-editor.org/rfc/rfc792) and
//!   [RFC 4443](https://www.rfc-editor.org/rfc/rfc4443) ICMP: echo replies of hosts and routers;
//!   Time Exceeded, Packet Too Big and Fragmentation Needed from routers
//! - [ ] Port Unreachable: a host says nothing where nothing listens, as behind most firewalls
//! - [x] [RFC 9293](https://www.rfc-editor.org/rfc/rfc9293) TCP, by `jackfield-tcp`
//! - [x] NATs and NAT64, by `jackfield-nat`; port mapping, by `jackfield-portmap`
//! - [x] [RFC 1928](https://www.rfc-editor.org/rfc/rfc1928) SOCKS 5, with UDP, and HTTP CONNECT
//!   ([RFC 9110 §9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6)): [`proxy`]
//!
//! Left out on purpose: DNS, DHCP, ARP and neighbour discovery, since addresses are known from the
//! start; and routing protocols, since a network knows who is on it. Routers have no queue of their
//! own, since a [`Link`] has one.

mod app;
mod build;
mod capture;
mod diagram;
mod drawing;
mod forward;
mod host;
mod link;
mod port_mapping;
mod program;
pub mod proxy;
mod reassembly;
mod site;
mod tcp;
mod trace;
mod world;

pub use app::{App, CloneApp, Echo};
pub use build::NatBox;
pub use drawing::Drawing;
pub use jackfield_nat::packet::Datagram;
pub use link::{Link, Loss, Passage, Pipe};
pub use program::{TcpApp, TcpProgram};
pub use site::{AttachmentPoint, Site, UnknownSite};
pub use tcp::{Outcome, TcpClient, TcpEcho};
pub use trace::{HopOutcome, Trace, TraceEvent, TraceKind};
pub use world::{HostId, InterfaceId, NetworkId, NodeId, World};

// The code of the README is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
