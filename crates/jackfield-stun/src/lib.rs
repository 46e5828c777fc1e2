//! STUN ([RFC 8489]) without sockets: messages, attributes, credentials, a Binding answer, client
//! transactions, behaviour discovery, stream framing and URIs.
//!
//! ```
//! use jackfield_stun::attribute::XorMappedAddress;
//! use jackfield_stun::{Class, Message, MessageWriter, Method, TransactionId};
//!
//! let id = TransactionId::new(*b"twelve bytes");
//! let mut bytes = Vec::new();
//! let mut writer = MessageWriter::new(&mut bytes, Class::Success, Method::BINDING, id);
//! writer.attribute(&XorMappedAddress("192.0.2.1:32853".parse().unwrap()));
//! writer.fingerprint();
//! writer.finish().unwrap();
//!
//! let message = Message::parse(&bytes).unwrap();
//! let mapped: XorMappedAddress = message.get().unwrap().unwrap();
//! assert_eq!(mapped.0.to_string(), "192.0.2.1:32853");
//! ```
//!
//! # Standards
//! - [x] [RFC 8489] messages, FINGERPRINT, both integrity attributes, short- and long-term
//!   credentials, USERHASH, password algorithms and the nonce cookie that guards them,
//!   retransmission, streams
//! - [x] [RFC 5769] test vectors, and those of RFC 8489 appendix B
//! - [x] [RFC 7064], [RFC 7065] URIs
//! - [x] [RFC 5780] behaviour discovery, the client and the server ([`behaviour`]); CACHE-TIMEOUT
//!   is ignored
//!
//! # Where we differ
//! - [RFC 8489 §9.2.2], §14.3: names and passwords are used as given, without OpaqueString (RFC
//!   8265). That is the same for ASCII, and the tables of Unicode would be the largest part of this
//!   crate.
//! - [RFC 8489 §12] wants servers to answer clients of RFC 3489, which send no magic cookie.
//!   [`binding::ClassicRequest`] takes those without attributes, as libnice sends them, and no
//!   others: they look like any other protocol.
//! - [RFC 8489 §6.3.1.1] wants SOFTWARE in every answer. [`binding::answer`] leaves it out, as it
//!   leaves out reason phrases: the source of such a request may be forged, and an answer larger
//!   than necessary would amplify an attack.
//! - [RFC 5780 §6.1]: an answer is never longer than a request with PADDING, so PADDING may be
//!   shorter than asked for, or missing; the second address does not name the first one; and a
//!   change of the port alone is done with one address too ([`behaviour::answer`] says why).
//! - [RFC 5780 §5] asks clients for at most ten new transactions a second. [`behaviour::Discovery`]
//!   starts about twenty in its first second, each from a socket of its own, because silence is an
//!   answer to half of them and takes four seconds.
//! - [RFC 5780 §5.2]: no credentials, on either side.
//!
//! [RFC 5780 §5]: https://www.rfc-editor.org/rfc/rfc5780#section-5
//! [RFC 5780 §5.2]: https://www.rfc-editor.org/rfc/rfc5780#section-5.2
//! [RFC 5780 §6.1]: https://www.rfc-editor.org/rfc/rfc5780#section-6.1
//! [RFC 8489 §6.3.1.1]: https://www.rfc-editor.org/rfc/rfc8489#section-6.3.1.1
//! [RFC 8489 §9.2.2]: https://www.rfc-editor.org/rfc/rfc8489#section-9.2.2
//! [RFC 8489 §12]: https://www.rfc-editor.org/rfc/rfc8489#section-12
//! [RFC 5769]: https://www.rfc-editor.org/rfc/rfc5769
//! [RFC 5780]: https://www.rfc-editor.org/rfc/rfc5780
//! [RFC 7064]: https://www.rfc-editor.org/rfc/rfc7064
//! [RFC 7065]: https://www.rfc-editor.org/rfc/rfc7065
//! [RFC 8489]: https://www.rfc-editor.org/rfc/rfc8489

pub mod attribute;
pub mod behaviour;
pub mod binding;
pub mod credential;
mod error;
mod error_code;
pub mod framing;
mod integrity;
mod message;
pub mod transaction;
pub mod uri;

pub use credential::Key;
pub use error::{DecodeError, MessageTooLong};
pub use error_code::ErrorCode;
pub use integrity::IntegrityError;
pub use message::{
    Attributes, Class, HEADER_LENGTH, MAGIC_COOKIE, Message, MessageHeader, MessageWriter, Method,
    TransactionId, looks_like_stun,
};

// The README's code is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
