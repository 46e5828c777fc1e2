//! What Jackfield's protocol cores share.
//!
//! A core knows a protocol. It takes bytes and the time as arguments, and has no socket, no task,
//! no clock and no global randomness. What cores and drivers have in common is small:
//!
//! | what | for |
//! |---|---|
//! | [`FiveTuple`], [`Transport`], [`Transmit`] | where bytes come from and go to |
//! | [`Timers`] | deadlines by key |
//! | [`Epoch`] | the calendar, from monotonic time |
//! | [`ClientNetwork`] | the network that an address is counted by |
//! | [`Budget`], [`Account`], [`Charge`] | memory that waits for clients, in all and by network |
//! | [`Rate`], [`TokenBucket`], [`RateLimiter`] | how often something may happen |
//! | [`SeededMap`] | hash maps that no stranger can slow down, the same each time |
//! | [`PacketType`] | the protocol of a packet, by its first byte (RFC 7983, RFC 9443) |
//! | [`Behaviour`] | how a NAT maps and filters (RFC 4787) |
//!
//! ```
//! use std::time::{Duration, Instant};
//! use jackfield_sansio::Timers;
//!
//! # let start = Instant::now();
//! let mut timers = Timers::new();
//! timers.set("refresh", start + Duration::from_secs(60));
//! timers.set("refresh", start + Duration::from_secs(30)); // the last one set
//! assert_eq!(timers.next(), Some(start + Duration::from_secs(30)));
//! assert_eq!(timers.expire(start + Duration::from_secs(29)), None);
//! assert_eq!(timers.expire(start + Duration::from_secs(30)), Some("refresh"));
//! assert_eq!(timers.next(), None);
//! ```

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod behaviour;
mod budget;
mod client_network;
mod demux;
mod duration;
mod epoch;
mod five_tuple;
mod rate;
mod seeded_map;
mod timers;

pub use behaviour::{Behaviour, BehaviourError, Filtering, Mapping};
pub use budget::{Account, Budget, BudgetFull, BudgetLimits, BudgetStats, Charge};
pub use client_network::ClientNetwork;
pub use demux::PacketType;
pub use duration::parse_duration;
pub use epoch::Epoch;
pub use five_tuple::{FiveTuple, Transmit, Transport};
pub use rate::{Rate, RateLimiter, TokenBucket};
pub use seeded_map::{Seed, SeededHasher, SeededMap, fold};
pub use timers::Timers;
