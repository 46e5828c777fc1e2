use std::time::Duration;

macro_rules! result_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Whether a request worked ([RFC 6887 §7.4](https://www.rfc-editor.org/rfc/rfc6887#section-7.4)).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ResultCode {
            $($(#[$doc])* $name,)*
            /// A number that the RFC does not have.
            Other(u8),
        }

        impl ResultCode {
            /// Returns the name that the RFC gives it.
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
    /// It did.
    Success = 0, "SUCCESS";
    /// The server does not speak this version.
    UnsuppVersion = 1, "UNSUPP_VERSION";
    /// The server does not do that for this client.
    NotAuthorized = 2, "NOT_AUTHORIZED";
    /// The request could not be parsed.
    MalformedRequest = 3, "MALFORMED_REQUEST";
    /// The server does not know this opcode.
    UnsuppOpcode = 4, "UNSUPP_OPCODE";
    /// The server does not know an option that it has to.
    UnsuppOption = 5, "UNSUPP_OPTION";
    /// An option could not be parsed, or is there too often.
    MalformedOption = 6, "MALFORMED_OPTION";
    /// The NAT has no network outside.
    NetworkFailure = 7, "NETWORK_FAILURE";
    /// The server can map nothing more at present.
    NoResources = 8, "NO_RESOURCES";
    /// The NAT cannot map this protocol.
    UnsuppProtocol = 9, "UNSUPP_PROTOCOL";
    /// The host has all the mappings that it may have.
    UserExQuota = 10, "USER_EX_QUOTA";
    /// What PREFER_FAILURE insists on cannot be had.
    CannotProvideExternal = 11, "CANNOT_PROVIDE_EXTERNAL";
    /// The request came from another address than the client says it has: there is a NAT in between.
    AddressMismatch = 12, "ADDRESS_MISMATCH";
    /// There are more filters than the server applies.
    ExcessiveRemotePeers = 13, "EXCESSIVE_REMOTE_PEERS";
}

impl ResultCode {
    /// Returns for how long the answer will stay the same, as the RFC groups errors into those of short and of long
    /// lifetime; zero for a success, which says so itself.
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
