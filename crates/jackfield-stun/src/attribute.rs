//! Attributes ([RFC 8489 §14], [RFC 5780 §7]): one file each.
//!
//! [RFC 5780 §7]: https://www.rfc-editor.org/rfc/rfc5780#section-7
//! [RFC 8489 §14]: https://www.rfc-editor.org/rfc/rfc8489#section-14

pub mod address;
mod alternate_domain;
mod alternate_server;
mod change_request;
mod error_code;
pub(crate) mod fingerprint;
mod kind;
mod mapped_address;
mod nonce;
mod other_address;
mod padding;
mod password_algorithm;
mod password_algorithms;
mod realm;
mod response_origin;
mod response_port;
mod software;
mod text;
mod unknown_attributes;
mod userhash;
mod username;
mod xor_mapped_address;

pub use alternate_domain::AlternateDomain;
pub use alternate_server::AlternateServer;
pub use change_request::ChangeRequest;
pub use error_code::ErrorCodeAttribute;
pub use kind::AttributeType;
pub use mapped_address::MappedAddress;
pub use nonce::{Nonce, SecurityFeatures};
pub use other_address::OtherAddress;
pub use padding::Padding;
pub use password_algorithm::{Algorithm, PasswordAlgorithm};
pub use password_algorithms::PasswordAlgorithms;
pub use realm::Realm;
pub use response_origin::ResponseOrigin;
pub use response_port::ResponsePort;
pub use software::Software;
pub use unknown_attributes::UnknownAttributes;
pub use userhash::Userhash;
pub use username::Username;
pub use xor_mapped_address::XorMappedAddress;

use crate::{DecodeError, TransactionId};

/// An attribute that can be read from a message and written to one.
///
/// MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT depend on what is before them, so
/// they are methods of [`Message`](crate::Message) and [`MessageWriter`](crate::MessageWriter).
pub trait Attribute<'a>: Sized {
    /// The type.
    const TYPE: AttributeType;

    /// Reads a value, without padding.
    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, DecodeError>;

    /// Appends the value, without padding.
    fn encode(&self, transaction: &TransactionId, out: &mut Vec<u8>);
}
