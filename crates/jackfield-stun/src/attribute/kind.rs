//! The numbers of attributes.

use std::fmt;

/// The number that says what an attribute is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(u16);

impl AttributeType {
    /// Returns the type of this number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Returns whether a receiver that does not know the attribute refuses the message
    /// ([RFC 8489 §14]).
    ///
    /// [RFC 8489 §14]: https://www.rfc-editor.org/rfc/rfc8489#section-14
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

macro_rules! types {
    ($($name:ident = $number:literal, $text:literal;)+) => {
        impl AttributeType {
            $(#[doc = $text] pub const $name: Self = Self($number);)+
        }

        impl fmt::Display for AttributeType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$name => f.write_str($text),)+
                    Self(number) => write!(f, "{number:#06x}"),
                }
            }
        }
    };
}

types! {
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST";
    SOURCE_ADDRESS = 0x0004, "SOURCE-ADDRESS";
    CHANGED_ADDRESS = 0x0005, "CHANGED-ADDRESS";
    USERNAME = 0x0006, "USERNAME";
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    ERROR_CODE = 0x0009, "ERROR-CODE";
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES";
    REFLECTED_FROM = 0x000B, "REFLECTED-FROM";
    REALM = 0x0014, "REALM";
    NONCE = 0x0015, "NONCE";
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256";
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM";
    USERHASH = 0x001E, "USERHASH";
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    PRIORITY = 0x0024, "PRIORITY";
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE";
    PADDING = 0x0026, "PADDING";
    RESPONSE_PORT = 0x0027, "RESPONSE-PORT";
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    SOFTWARE = 0x8022, "SOFTWARE";
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    CACHE_TIMEOUT = 0x8027, "CACHE-TIMEOUT";
    FINGERPRINT = 0x8028, "FINGERPRINT";
    RESPONSE_ORIGIN = 0x802B, "RESPONSE-ORIGIN";
    OTHER_ADDRESS = 0x802C, "OTHER-ADDRESS";
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
