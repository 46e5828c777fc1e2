//! The requirements that bind a NAT, number by number, for every profile.
//!
//! A profile has to meet each requirement that it does not list as a deviation, and has to break
//! each that it does.
//!
//! | document | what it binds | requirements | file |
//! |---|---|---|---|
//! | RFC 4787 | UDP | REQ-1 to REQ-14 | `rfc4787.rs`; REQ-5a in `limits.rs` |
//! | RFC 5382 | TCP | REQ-1 to REQ-10 | `rfc5382.rs` |
//! | RFC 5508 | ICMP | REQ-1 to REQ-11 | `rfc5508.rs` |
//! | RFC 6888 | carrier-grade NATs | REQ-1 to REQ-15 | `rfc6888.rs`; floods in `starvation.rs` |
//! | RFC 7857 | updates of the first three | its sections 2 to 12 | `rfc7857.rs` |
//! | RFC 6146, 7915, 6052 | NAT64 | section by section | `rfc6146.rs` |
//!
//! The text of a requirement stands above its test. `coverage.rs` has the list of all of them,
//! letter by letter, and fails when one is quoted above no test, or when a profile deviates from
//! what is not in the list.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic on what it does not expect"
)]

#[macro_use]
mod rig;
mod coverage;
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
