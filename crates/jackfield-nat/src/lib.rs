//! NAT behaviours, sans-IO: one core that behaves like any NAT in the field, on real IPv4 and IPv6
//! packets.
//!
//! A [`Nat`] takes the time and packets; it changes a packet in place or returns why it drops it.
//! It has no socket, no clock and no randomness except its seed, so the same NAT runs in unit
//! tests, in a virtual internet, under a fuzzer and on a TUN device.
//!
//! ```
//! use jackfield_nat::packet::{Headers, Packet, build};
//! use jackfield_nat::{NatConfig, Nat, Verdict};
//!
//! let config = NatConfig { externals: vec!["203.0.113.1".parse()?], ..NatConfig::default() };
//! let mut nat = Nat::new(config, [7; 32]);
//!
//! let mut bytes = build::udp("192.168.1.2:5000".parse()?, "198.51.100.9:3478".parse()?, b"hello");
//! let verdict = nat.outbound(std::time::Instant::now(), &mut Packet::new(&mut bytes));
//! assert_eq!(verdict, Verdict::Forward);
//! assert_eq!(Headers::parse(&bytes)?.source.to_string(), "203.0.113.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Parts
//!
//! - [`Nat`] and its [`NatConfig`]: the core. Every drop has a [`DropReason`] and a counter.
//! - [`profile`]: NATs by name, each with the requirements that it violates.
//! - [`oracle`]: predicts whether two hosts behind given NATs find a direct path, and why.
//! - [`pcapng`]: captures for Wireshark.
//! - [`packet`]: packets as bytes: parse, build, change in place.
//!
//! # Standards
//!
//! - [x] [RFC 4787](https://www.rfc-editor.org/rfc/rfc4787) UDP, REQ-1 to REQ-14
//! - [x] [RFC 5382](https://www.rfc-editor.org/rfc/rfc5382) TCP, REQ-1 to REQ-10
//! - [x] [RFC 5508](https://www.rfc-editor.org/rfc/rfc5508) ICMP, REQ-1 to REQ-8 and REQ-10
//! - [x] [RFC 6888](https://www.rfc-editor.org/rfc/rfc6888) carrier-grade NATs; of REQ-9 and
//!   REQ-10 the NAT's part
//! - [x] [RFC 7857](https://www.rfc-editor.org/rfc/rfc7857) updates to the first three
//! - [x] [RFC 6296](https://www.rfc-editor.org/rfc/rfc6296) NPTv6
//! - [x] [RFC 6146](https://www.rfc-editor.org/rfc/rfc6146) NAT64, with the addresses of
//!   [RFC 6052](https://www.rfc-editor.org/rfc/rfc6052) and the packets of
//!   [RFC 7915](https://www.rfc-editor.org/rfc/rfc7915)
//! - [x] [RFC 6877](https://www.rfc-editor.org/rfc/rfc6877) 464XLAT, the customer's side: [`Clat`]
//!
//! Left out on purpose: protocols without ports, because a NAT cannot share an address among their
//! users, and application-level gateways. [`NatConfig::alg`] is an exception that shows why they
//! do harm.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `internals` | checks of a [`Nat`]'s tables, hidden and for the fuzz harness alone |

mod address;
mod clat;
mod nat;
pub mod oracle;
pub mod packet;
pub mod pcapng;
mod pref64;
pub mod profile;

pub use address::{Address, Endpoint, Prefix, PrefixError};
pub use clat::Clat;
pub use jackfield_sansio::{Behaviour, Filtering, Mapping};
pub use nat::config::{
    Assignment, Conflict, Conntrack, Forward, Fragments, Hairpinning, IcmpErrors, NatConfig,
    NatLimits, Pooling, Ports, Protocol, Refresh, Refusal, Timers, UnsolicitedSyn,
};
pub use nat::{
    DropReason, ForwardError, HoldReason, MappingView, Nat, NatCounters, OriginatedPacket, Policy,
    RemoteFilter, Rule, Side, Translation, Verdict,
};

// The code of the README is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
