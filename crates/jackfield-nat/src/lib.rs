//! NAT behaviours, sans-IO: one core that acts as any NAT in the field does, on real IPv4 and IPv6 packets.
//!
//! A [`Nat`] is told the time and handed packets; it changes them in place or says why it drops them. It has no socket,
//! no clock and no randomness but its seed, so the same NAT runs in unit tests, in a virtual internet, under a fuzzer
//! and on a TUN device.
//!
//! ```
//! use jackfield_nat::packet::{Headers, Packet, build};
//! use jackfield_nat::{Config, Nat, Verdict};
//!
//! let config = Config { externals: vec!["203.0.113.1".parse()?], ..Config::default() };
//! let mut nat = Nat::new(config, [7; 32]);
//!
//! let mut bytes = build::udp("192.168.1.2:5000".parse()?, "198.51.100.9:3478".parse()?, b"hello");
//! # #[expect(clippy::disallowed_methods)]
//! let verdict = nat.outbound(std::time::Instant::now(), &mut Packet::new(&mut bytes));
//! assert_eq!(verdict, Verdict::Forward);
//! assert_eq!(Headers::parse(&bytes)?.source.to_string(), "203.0.113.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod nat;
pub mod net;
pub mod oracle;
pub mod packet;
pub mod profile;

pub use address::{Address, Endpoint, Prefix, PrefixError};
pub use nat::config::{
    Assignment, Behaviour, Config, Conflict, Conntrack, Filtering, Forward, Fragments, Hairpinning,
    IcmpErrors, Limits, Mapping, Pooling, Ports, Protocol, Refresh, Refusal, Timers,
    UnsolicitedSyn,
};
pub use nat::{
    Counters, DropReason, ForwardError, Hold, MappingView, Nat, Policy, Rule, Side, Translation,
    Transmit, Verdict,
};
