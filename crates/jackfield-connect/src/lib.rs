//! Files, pipes and TCP ports over channels that carry whole messages in order, such as WebRTC's
//! data channels.
//!
//! A channel may end at any time: an address changes, a NAT restarts, a process is killed. The
//! protocols here go on over the next channel where the last one ended.
//!
//! - [`files`]: files and folders, with checksums;
//! - [`stream`]: bytes each way, of which each direction ends by itself.
//!
//! Both are JSON objects in text messages, and content in binary messages, so that a browser
//! speaks them with little code.

mod channel;
pub mod files;
pub mod stream;

pub use channel::{Channel, ChannelEnded, Message};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
