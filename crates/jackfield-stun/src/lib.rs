//! STUN ([RFC 8489]) without sockets: messages, attributes, credentials, a Binding answer, client transactions,
//! behaviour discovery, stream framing and URIs.
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
//! - [x] [RFC 8489] messages, FINGERPRINT, both integrity attributes, short- and long-term credentials, USERHASH,
//!   password algorithms and the nonce cookie that guards them, retransmission, streams
//! - [x] [RFC 5769] test vectors, and those of RFC 8489 appendix B
//! - [x] [RFC 7064], [RFC 7065] URIs
//! - [x] [RFC 5780] behaviour discovery, the client and the server ([`behaviour`]); CACHE-TIMEOUT is ignored
//! - [ ] SASLprep and OpaqueString (RFC 8265): left out on purpose; names and passwords are used as given, which is the
//!   same for ASCII
//! - [ ] RFC 3489 messages without a magic cookie: left out on purpose; no living client needs them
//!
//! # Features
//! | feature | what |
//! |---|---|
//! | `fuzzing` | the bodies of the fuzz targets |
//!
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
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
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
