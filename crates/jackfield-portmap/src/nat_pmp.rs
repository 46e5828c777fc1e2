//! NAT-PMP messages ([RFC 6886](https://www.rfc-editor.org/rfc/rfc6886)), both directions.

use std::net::Ipv4Addr;

use jackfield_nat::packet::bytes::{u8_at, u16_at, u32_at};

use super::TransportProtocol;

/// A request of a host to its gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Asks for the outside address of the host
    /// ([RFC 6886 §3.2](https://www.rfc-editor.org/rfc/rfc6886#section-3.2)).
    ExternalAddress,
    /// Asks to map a port ([RFC 6886 §3.3](https://www.rfc-editor.org/rfc/rfc6886#section-3.3)). A
    /// lifetime of zero ends the mapping, and with an internal port of zero all mappings of the
    /// protocol (§3.4).
    Map {
        /// The transport protocol.
        protocol: TransportProtocol,
        /// The inside port.
        internal_port: u16,
        /// The suggested outside port; zero for any.
        suggested_port: u16,
        /// The lifetime in seconds.
        lifetime: u32,
    },
}

/// A response of a gateway, or an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// The result code.
    pub result: ResultCode,
    /// Seconds since the gateway's table of mappings was empty.
    pub epoch: u32,
    /// The answer. In an error its numbers are meaningless.
    pub answer: Answer,
}

/// The content of a [`Response`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The outside address.
    ExternalAddress(Ipv4Addr),
    /// A mapping.
    Map {
        /// The transport protocol.
        protocol: TransportProtocol,
        /// The inside port.
        internal_port: u16,
        /// The outside port; zero when a mapping was ended.
        external_port: u16,
        /// The lifetime in seconds; zero when a mapping was ended.
        lifetime: u32,
    },
    /// An error about the request with this opcode.
    Refusal(u8),
}

/// The result of a request ([RFC 6886 §3.5](https://www.rfc-editor.org/rfc/rfc6886#section-3.5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResultCode {
    /// The request succeeded.
    Success,
    /// The gateway does not support this version.
    UnsupportedVersion,
    /// The gateway refuses this host.
    NotAuthorized,
    /// The gateway has no outside address.
    NetworkFailure,
    /// The gateway has no resources for another mapping.
    OutOfResources,
    /// The gateway does not support this opcode.
    UnsupportedOpcode,
    /// A result that the RFC does not define.
    Other(u16),
}

/// Why bytes are not a valid request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The bytes end too early.
    #[error("request ends too early")]
    Truncated,
    /// The bytes are a response.
    #[error("this is a response")]
    Response,
    /// The bytes are of another version of the protocol.
    #[error("version is {0}, not 0")]
    Version(u8),
    /// The opcode is unknown.
    #[error("opcode {0} is unknown")]
    Opcode(u8),
}

/// An error: the bytes are not a NAT-PMP response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a NAT-PMP response")]
pub struct ResponseError;

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// Fails when the bytes are not a valid request; [`refusal`] writes the answer to those that
    /// get one.
    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        let byte = |at| u8_at(bytes, at).ok_or(RequestError::Truncated);
        let word = |at| u16_at(bytes, at).ok_or(RequestError::Truncated);
        let (version, opcode) = (byte(0)?, byte(1)?);
        if opcode & RESPONSE != 0 {
            return Err(RequestError::Response);
        }
        if version != VERSION {
            return Err(RequestError::Version(version));
        }
        if opcode == EXTERNAL_ADDRESS {
            return Ok(Self::ExternalAddress);
        }
        let protocol = protocol(opcode).ok_or(RequestError::Opcode(opcode))?;
        Ok(Self::Map {
            protocol,
            internal_port: word(4)?,
            suggested_port: word(6)?,
            lifetime: u32_at(bytes, 8).ok_or(RequestError::Truncated)?,
        })
    }

    /// Writes the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::ExternalAddress => vec![VERSION, EXTERNAL_ADDRESS],
            Self::Map {
                protocol,
                internal_port,
                suggested_port,
                lifetime,
            } => {
                let mut bytes = vec![VERSION, opcode(protocol), 0, 0];
                bytes.extend(internal_port.to_be_bytes());
                bytes.extend(suggested_port.to_be_bytes());
                bytes.extend(lifetime.to_be_bytes());
                bytes
            }
        }
    }
}

impl Response {
    /// Reads a response. An error response may end after its result code.
    ///
    /// # Errors
    /// Fails when the bytes are not a response.
    pub fn decode(bytes: &[u8]) -> Result<Self, ResponseError> {
        Self::parse(bytes).ok_or(ResponseError)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, opcode) = (u8_at(bytes, 0)?, u8_at(bytes, 1)?);
        let result = ResultCode::from(u16_at(bytes, 2)?);
        // The RFC draws the answer to another version with an opcode of 0, as if it were no
        // response.
        let of_version = opcode == 0 && result == ResultCode::UnsupportedVersion;
        if version != VERSION || opcode & RESPONSE == 0 && !of_version {
            return None;
        }
        let opcode = opcode & !RESPONSE;
        let answer = match (opcode, protocol(opcode)) {
            (EXTERNAL_ADDRESS, _) => {
                u32_at(bytes, 8).map(|bits| Answer::ExternalAddress(Ipv4Addr::from_bits(bits)))
            }
            (_, Some(protocol)) => parse_map(protocol, bytes),
            (_, None) => None,
        };
        let answer = match (answer, result) {
            (Some(answer), _) => answer,
            (None, ResultCode::Success) => return None,
            (None, _) => Answer::Refusal(opcode),
        };
        Some(Self {
            result,
            epoch: u32_at(bytes, 4)?,
            answer,
        })
    }

    /// Writes the response.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let op = match self.answer {
            Answer::ExternalAddress(_) => EXTERNAL_ADDRESS,
            Answer::Map { protocol, .. } => opcode(protocol),
            Answer::Refusal(opcode) => opcode & !RESPONSE,
        };
        let mut bytes = vec![VERSION, op | RESPONSE];
        bytes.extend(u16::from(self.result).to_be_bytes());
        bytes.extend(self.epoch.to_be_bytes());
        match self.answer {
            Answer::ExternalAddress(ip) => bytes.extend(ip.octets()),
            Answer::Map {
                internal_port,
                external_port,
                lifetime,
                ..
            } => {
                bytes.extend(internal_port.to_be_bytes());
                bytes.extend(external_port.to_be_bytes());
                bytes.extend(lifetime.to_be_bytes());
            }
            Answer::Refusal(_) => {}
        }
        bytes
    }
}

fn parse_map(protocol: TransportProtocol, bytes: &[u8]) -> Option<Answer> {
    Some(Answer::Map {
        protocol,
        internal_port: u16_at(bytes, 8)?,
        external_port: u16_at(bytes, 10)?,
        lifetime: u32_at(bytes, 12)?,
    })
}

/// Writes the answer to bytes that are not a valid request; `None` for errors that get no answer
/// ([RFC 6886 §3.5](https://www.rfc-editor.org/rfc/rfc6886#section-3.5)).
///
/// The answer to an unknown opcode repeats the whole request with the result code in it.
/// The answer to another version has the request's opcode with the bit of a response, where the RFC
/// draws a zero: a PCP client, which it is for, drops what lacks the bit
/// ([RFC 6887 §8.3](https://www.rfc-editor.org/rfc/rfc6887#section-8.3)).
#[must_use]
pub fn refusal(error: RequestError, request: &[u8], epoch: u32) -> Option<Vec<u8>> {
    let opcode = u8_at(request, 1)?;
    match error {
        RequestError::Version(_) => {
            let response = Response {
                result: ResultCode::UnsupportedVersion,
                epoch,
                answer: Answer::Refusal(opcode),
            };
            Some(response.encode())
        }
        RequestError::Opcode(_) => {
            let result = u16::from(ResultCode::UnsupportedOpcode).to_be_bytes();
            let mut bytes = vec![VERSION, opcode | RESPONSE];
            bytes.extend(result);
            bytes.extend(request.iter().skip(4).take(LONGEST_ECHO));
            Some(bytes)
        }
        RequestError::Truncated | RequestError::Response => None,
    }
}

/// Returns whether an epoch shows that the gateway has lost its mappings since an earlier one
/// ([RFC 6886 §3.6](https://www.rfc-editor.org/rfc/rfc6886#section-3.6)): it is more than two
/// seconds less than the earlier epoch plus seven eighths of the time between.
#[must_use]
pub fn has_lost_state(earlier: u32, later: u32, between: std::time::Duration) -> bool {
    let passed = between.as_secs().saturating_mul(7) / 8;
    let expected = u64::from(earlier).saturating_add(passed);
    u64::from(later).saturating_add(2) < expected
}

impl From<u16> for ResultCode {
    fn from(number: u16) -> Self {
        match number {
            0 => Self::Success,
            1 => Self::UnsupportedVersion,
            2 => Self::NotAuthorized,
            3 => Self::NetworkFailure,
            4 => Self::OutOfResources,
            5 => Self::UnsupportedOpcode,
            number => Self::Other(number),
        }
    }
}

impl From<ResultCode> for u16 {
    fn from(code: ResultCode) -> Self {
        match code {
            ResultCode::Success => 0,
            ResultCode::UnsupportedVersion => 1,
            ResultCode::NotAuthorized => 2,
            ResultCode::NetworkFailure => 3,
            ResultCode::OutOfResources => 4,
            ResultCode::UnsupportedOpcode => 5,
            ResultCode::Other(number) => number,
        }
    }
}

fn opcode(protocol: TransportProtocol) -> u8 {
    match protocol {
        TransportProtocol::Udp => 1,
        TransportProtocol::Tcp => 2,
    }
}

fn protocol(opcode: u8) -> Option<TransportProtocol> {
    match opcode {
        1 => Some(TransportProtocol::Udp),
        2 => Some(TransportProtocol::Tcp),
        _ => None,
    }
}

const VERSION: u8 = 0;
const RESPONSE: u8 = 0x80;
const EXTERNAL_ADDRESS: u8 = 0;
/// The longest request of any version, which bounds what a refusal repeats.
const LONGEST_ECHO: usize = 1096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_rfc() {
        assert_eq!(Request::ExternalAddress.encode(), [0, 0]);
        let map = Request::Map {
            protocol: TransportProtocol::Tcp,
            internal_port: 80,
            suggested_port: 8080,
            lifetime: 7200,
        };
        let bytes = [0, 2, 0, 0, 0, 80, 0x1f, 0x90, 0, 0, 0x1c, 0x20];
        assert_eq!(map.encode(), bytes);
        let response = Response {
            result: ResultCode::Success,
            epoch: 1,
            answer: Answer::ExternalAddress([203, 0, 113, 1].into()),
        };
        assert_eq!(
            response.encode(),
            [0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 1]
        );
    }

    #[test]
    fn what_is_no_request_is_refused_as_the_rfc_says() {
        let refused = |bytes: &[u8]| {
            let error = Request::decode(bytes).unwrap_err();
            refusal(error, bytes, 7)
        };
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&[0]), None);
        assert_eq!(refused(&[0, 1, 0, 0, 0, 80]), None);
        assert_eq!(refused(&[0, 129, 0, 0]), None, "responses are not answered");
        assert_eq!(refused(&[9, 1]).unwrap(), [0, 129, 0, 1, 0, 0, 0, 7]);
        let unknown = [0, 77, 1, 2, 3, 4, 5];
        assert_eq!(refused(&unknown).unwrap(), [0, 205, 0, 5, 3, 4, 5]);
    }

    //= https://www.rfc-editor.org/rfc/rfc6886#section-3.5
    //# If the version in the request is not zero, then the NAT-PMP server
    //# MUST return the following "Unsupported Version" error response to the
    //# client:
    #[test]
    fn the_answer_to_another_version_is_known_with_and_without_the_bit_of_a_response() {
        for opcode in [0, 128, 129] {
            let bytes = [0, opcode, 0, 1, 0, 0, 0, 9];
            let response = Response::decode(&bytes).unwrap();
            assert_eq!(response.result, ResultCode::UnsupportedVersion);
            assert_eq!(response.epoch, 9);
        }
        assert!(Response::decode(&[0, 1, 0, 1, 0, 0, 0, 9]).is_err());
        assert!(Response::decode(&[0, 0, 0, 0, 0, 0, 0, 9]).is_err());
    }

    #[test]
    fn an_epoch_that_falls_behind_shows_lost_state() {
        let lost = |earlier, later, s| has_lost_state(earlier, later, Duration::from_secs(s));
        assert!(!lost(100, 900, 800));
        assert!(!lost(100, 798, 800), "a clock that is an eighth slow");
        assert!(lost(100, 797, 800));
        assert!(!lost(100, 98, 0));
        assert!(lost(100, 0, 10));
        assert!(!lost(u32::MAX, u32::MAX, 0));
    }

    fn any_protocol() -> impl Strategy<Value = TransportProtocol> {
        prop_oneof![Just(TransportProtocol::Udp), Just(TransportProtocol::Tcp)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            protocol in any_protocol(),
            ports in any::<(u16, u16)>(),
            numbers in any::<(u32, u32, u32)>(),
            result in any::<u16>(),
        ) {
            let request = Request::Map {
                protocol,
                internal_port: ports.0,
                suggested_port: ports.1,
                lifetime: numbers.0,
            };
            prop_assert_eq!(Request::decode(&request.encode()), Ok(request));
            let answers = [
                Answer::ExternalAddress(Ipv4Addr::from_bits(numbers.1)),
                Answer::Map {
                    protocol,
                    internal_port: ports.0,
                    external_port: ports.1,
                    lifetime: numbers.0,
                },
            ];
            for answer in answers {
                let response = Response { result: result.into(), epoch: numbers.2, answer };
                prop_assert_eq!(Response::decode(&response.encode()), Ok(response));
            }
        }
    }
}
