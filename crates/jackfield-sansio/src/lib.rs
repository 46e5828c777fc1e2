//! The nouns that Jackfield's protocol cores share.
//!
//! A core knows a protocol and is told the time; it has no socket, no task, no clock and no global randomness. What it
//! shares with its driver is small: where bytes came from and go to ([`FiveTuple`]), bytes to send ([`Transmit`]),
//! what is due when ([`Timers`]), and how its monotonic time maps to the calendar ([`Epoch`]).
//!
//! ```
//! use std::time::{Duration, Instant};
//! use jackfield_sansio::Timers;
//!
//! # let start = Instant::now();
//! let mut timers = Timers::new();
//! timers.set("refresh", start + Duration::from_secs(60));
//! timers.set("refresh", start + Duration::from_secs(30)); // a key has one deadline: the last one set
//! assert_eq!(timers.next(), Some(start + Duration::from_secs(30)));
//! assert_eq!(timers.expire(start + Duration::from_secs(29)), None);
//! assert_eq!(timers.expire(start + Duration::from_secs(30)), Some("refresh"));
//! assert_eq!(timers.next(), None);
//! ```

mod behaviour;
mod duration;
mod epoch;
mod five_tuple;
mod timers;

pub use behaviour::{Behaviour, BehaviourError, Filtering, Mapping};
pub use duration::parse_duration;
pub use epoch::Epoch;
pub use five_tuple::{FiveTuple, Transmit, Transport};
pub use timers::Timers;
