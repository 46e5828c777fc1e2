//! The requirements that bind a NAT, number by number, for every profile.
//!
//! A profile has to meet each requirement that it does not list as a deviation, and has to break each that it does.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

#[macro_use]
mod rig;
mod floods;
mod knobs;
mod limits;
mod one_to_one;
mod rfc4787;
mod rfc5382;
mod rfc5508;
mod rfc6146;
mod rfc6888;
mod rfc7857;
mod starvation;
