//! ICE ([RFC 8445]) without sockets, clocks or tasks.
//!
//! ```
//! use jackfield_ice::candidate::{Candidate, CandidateKind};
//!
//! let line = "candidate:1 1 udp 2130706431 192.0.2.3 45664 typ host";
//! let candidate: Candidate = line.parse().unwrap();
//! assert_eq!(candidate.kind, CandidateKind::Host);
//! assert_eq!(candidate.to_string(), line);
//! ```
//!
//! # Standards
//! - [x] [RFC 8839] candidates and parameters in SDP ([`candidate`], [`sdp`])
//! - [x] [RFC 8445 §5.1.2] priorities and foundations, with the rules of [RFC 6544] for TCP and of
//!   [RFC 8421] for two address families ([`candidate::priority`])
//! - [x] [RFC 4571] packets on a stream ([`framing`])
//! - [x] `.local` names (draft-ietf-mmusic-mdns-ice-candidates)
//!
//! # Where we differ
//! - [RFC 8839 §5.1] wants candidates with domain names to be ignored. Those that end in `.local`
//!   are read, because browsers hide addresses behind them; others are an error.
//! - [RFC 8839 §5.4]: in what is read, a username fragment or a password may have the characters
//!   `-`, `=`, `#` and `_`, as in libwebrtc. What is written has none of them.
//! - [RFC 8839 §5.1] wants a foundation of at least one character. None at all is read, because
//!   some agents send that, and is a foundation of its own.
//!
//! [RFC 4571]: https://www.rfc-editor.org/rfc/rfc4571
//! [RFC 6544]: https://www.rfc-editor.org/rfc/rfc6544
//! [RFC 8421]: https://www.rfc-editor.org/rfc/rfc8421
//! [RFC 8445 §5.1.2]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.2
//! [RFC 8445]: https://www.rfc-editor.org/rfc/rfc8445
//! [RFC 8839 §5.1]: https://www.rfc-editor.org/rfc/rfc8839#section-5.1
//! [RFC 8839 §5.4]: https://www.rfc-editor.org/rfc/rfc8839#section-5.4
//! [RFC 8839]: https://www.rfc-editor.org/rfc/rfc8839

pub mod candidate;
pub mod framing;
mod parameters;
pub mod sdp;
mod username;

pub use candidate::{
    Candidate, CandidateAddress, CandidateError, CandidateKind, CandidateTransport, Foundation,
    MdnsName,
};
pub use parameters::{Credentials, CredentialsError, IceOptions, IceParameters};
pub use username::username;

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
