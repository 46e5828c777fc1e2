//! A TURN server core ([RFC 8656]) without sockets, clocks or tasks, and the credentials that go with it.
//!
//! [RFC 8656]: https://www.rfc-editor.org/rfc/rfc8656

mod allocation;
mod allocations;
pub mod attribute;
mod authenticator;
mod bucket;
mod channel_number;
mod channels;
mod cidr;
mod config;
pub mod credential;
mod hash;
mod nonce;
mod output;
mod peer_policy;
mod permissions;
mod registry;
mod relay;
mod relay_addresses;
mod server;
mod source_limiter;
mod stats;

pub use channel_number::ChannelNumber;
pub use cidr::{Cidr, CidrError};
pub use config::{Config, DefaultFamily, Limits, NonceKey, Rate, RelayAddress};
pub use credential::Credentials;
pub use output::{AllocationId, BindError, EndReason, Event, Output, Relayed, Traffic};
pub use peer_policy::{PeerDenied, PeerPolicy, PeerRules};
pub use registry::Registry;
pub use relay::{Header, Relay};
pub use server::Server;
pub use stats::{DropReason, Stats};
