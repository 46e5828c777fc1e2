//! Port mapping: what the gateway grants and refuses, and how clients live with it.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that goes wrong should stop"
)]

mod client;
mod nat_pmp;
mod pcp;
mod rig;
mod upnp;
mod world;
