//! The result codes of PCP (RFC 6887 §7.4).

use std::time::Duration;

macro_rules! result_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The result of a request
        /// ([RFC 6887 §7.4](https://www.rfc-editor.org/rfc/rfc6887#section-7.4)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ResultCode {
            $($(#[$doc])* $name,)*
            /// A result that the RFC does not define.
            Other(u8),
        }

        impl ResultCode {
            /// Returns the name in the RFC.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(_) => "unknown",
                }
            }
        }

        impl From<u8> for ResultCode {
            fn from(number: u8) -> Self {
                match number {
                    $($number => Self::$name,)*
                    number => Self::Other(number),
                }
            }
        }

        impl From<ResultCode> for u8 {
            fn from(code: ResultCode) -> Self {
                match code {
                    $(ResultCode::$name => $number,)*
                    ResultCode::Other(number) => number,
                }
            }
        }
    };
}

result_codes! {
    /// The request succeeded.
    Success = 0, "SUCCESS";
    /// The server does not support this version.
    UnsuppVersion = 1, "UNSUPP_VERSION";
    /// The server refuses this client.
    NotAuthorized = 2, "NOT_AUTHORIZED";
    /// The request is malformed.
    MalformedRequest = 3, "MALFORMED_REQUEST";
    /// The server does not support this opcode.
    UnsuppOpcode = 4, "UNSUPP_OPCODE";
    /// The server does not support a mandatory option.
    UnsuppOption = 5, "UNSUPP_OPTION";
    /// An option is malformed, or occurs too often.
    MalformedOption = 6, "MALFORMED_OPTION";
    /// The NAT has no outside network.
    NetworkFailure = 7, "NETWORK_FAILURE";
    /// The server has no resources for another mapping.
    NoResources = 8, "NO_RESOURCES";
    /// The NAT cannot map this protocol.
    UnsuppProtocol = 9, "UNSUPP_PROTOCOL";
    /// The host has reached its limit of mappings.
    UserExQuota = 10, "USER_EX_QUOTA";
    /// The outside endpoint that PREFER_FAILURE insists on is not available.
    CannotProvideExternal = 11, "CANNOT_PROVIDE_EXTERNAL";
    /// The request came from another address than it states, so there is a NAT in between.
    AddressMismatch = 12, "ADDRESS_MISMATCH";
    /// The request has more filters than the server supports.
    ExcessiveRemotePeers = 13, "EXCESSIVE_REMOTE_PEERS";
}

impl ResultCode {
    /// Returns the lifetime of an error, which the RFC groups into short and long ones; zero for a
    /// success, which has a lifetime of its own.
    #[must_use]
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::Success => Duration::ZERO,
            Self::NetworkFailure
            | Self::NoResources
            | Self::UserExQuota
            | Self::CannotProvideExternal => SHORT,
            _ => LONG,
        }
    }
}

const SHORT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_a_code_and_back() {
        for number in 0..=u8::MAX {
            assert_eq!(u8::from(ResultCode::from(number)), number);
        }
        assert_eq!(ResultCode::from(13), ResultCode::ExcessiveRemotePeers);
    }
}
