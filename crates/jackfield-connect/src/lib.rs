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
mod connection;
mod control;
mod error;
mod event;
pub mod files;
mod forward;
mod negotiation;
mod pipe;
mod reach;
mod room;
mod server;
mod session;
mod signaling;
mod stop;
pub mod stream;
mod transfer;
mod trust;
mod webrtc;

pub use channel::{CHANNEL_BYTES, Channel, ChannelEnded, ChannelReceiver, ChannelSender, Message};
pub use connection::{
    Connection, ConnectionError, ConnectionEvent, ConnectionState, Connector, Events, Path,
    Preparation, Relay,
};
pub use error::Error;
pub use event::{Event, Observer};
pub use forward::{Forward, ForwardError, Forwarding, TcpTarget, forward};
pub use pipe::{Ends, pipe};
pub use room::{PeerId, Room, RoomEvent, RoomHandle, RoomOptions};
pub use server::{RoomAddress, RoomName, RoomNameError, Server, ServerError};
pub use session::Stay;
pub use signaling::SignalingError;
pub use stop::Stop;
pub use transfer::{receive, send};
pub use trust::{Trust, TrustError};
pub use webrtc::{WebRtc, WebRtcConnection};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
