//! The messages of SOCKS version 5 ([RFC 1928](https://www.rfc-editor.org/rfc/rfc1928)), with
//! names and passwords ([RFC 1929](https://www.rfc-editor.org/rfc/rfc1929)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Credentials;
use super::target::{HostName, Target, TargetHost};

/// The first message of a client: the authentication methods that it supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// The method numbers, at most 255.
    pub methods: Vec<u8>,
}

/// The request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The command.
    pub command: Command,
    /// The target.
    pub target: Target,
}

/// The command of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Connects by TCP.
    Connect,
    /// Accepts one TCP connection.
    Bind,
    /// Relays datagrams.
    UdpAssociate,
    /// A command that the RFC does not define.
    Other(u8),
}

/// The reply of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The reply code; 0 is success.
    pub code: u8,
    /// The address of the server end.
    pub bound: Target,
}

/// The header before the data of each datagram between client and relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpHeader {
    /// The fragment number; 0 for a whole datagram.
    pub fragment: u8,
    /// The destination, or the source.
    pub target: Target,
}

/// Why a server does not do what the client asks
/// ([RFC 1928 §6](https://www.rfc-editor.org/rfc/rfc1928#section-6)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Code 1.
    #[error("the proxy failed")]
    General,
    /// Code 2.
    #[error("the rules of the proxy do not allow the connection")]
    NotAllowed,
    /// Code 3.
    #[error("the proxy cannot reach the network of the target")]
    NetworkUnreachable,
    /// Code 4.
    #[error("the proxy cannot reach the target, or does not know its name")]
    HostUnreachable,
    /// Code 5.
    #[error("the target refused the connection of the proxy")]
    ConnectionRefused,
    /// Code 6.
    #[error("the connection of the proxy to the target timed out")]
    TtlExpired,
    /// Code 7.
    #[error("the proxy does not support the command")]
    CommandNotSupported,
    /// Code 8.
    #[error("the proxy does not support this type of address")]
    AddressTypeNotSupported,
    /// A code that the RFC does not assign.
    #[error("the proxy refused the connection with code {0}")]
    Unassigned(u8),
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SocksError {
    /// The version is not 5.
    #[error("version {0} of SOCKS or of its authentication")]
    Version(u8),
    /// The type of the address is unknown, or the name is invalid.
    #[error("an address of unknown type, or an invalid host name")]
    Address,
    /// The name is empty or has a colon, which HTTP could not carry.
    #[error("a user name that is empty or has a colon")]
    Credentials,
    /// Reserved bytes are not zero.
    #[error("reserved bytes are not zero")]
    Reserved,
}

/// A message with its length; `None` if it is incomplete.
type Parsed<T> = Result<Option<(T, usize)>, SocksError>;

impl Greeting {
    /// Reads a greeting.
    ///
    /// # Errors
    /// Fails when the bytes do not begin such a message.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let mut reader = Reader::new(bytes);
        reader.version(VERSION)?;
        let Some(count) = reader.byte() else {
            return Ok(None);
        };
        let Some(methods) = reader.take(usize::from(count)) else {
            return Ok(None);
        };
        let methods = methods.to_vec();
        Ok(Some((Self { methods }, reader.at)))
    }

    /// Writes the greeting; methods past the 255th are left out.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let methods = self.methods.get(..255).unwrap_or(&self.methods);
        let mut bytes = vec![VERSION, methods.len() as u8];
        bytes.extend(methods);
        bytes
    }
}

/// Reads the method that a server has chosen.
///
/// # Errors
/// Fails when the bytes do not begin such a message.
pub fn parse_choice(bytes: &[u8]) -> Parsed<u8> {
    let mut reader = Reader::new(bytes);
    reader.version(VERSION)?;
    Ok(reader.byte().map(|method| (method, reader.at)))
}

/// Writes the method that a server has chosen.
#[must_use]
pub fn choice(method: u8) -> Vec<u8> {
    vec![VERSION, method]
}

/// Reads a name and a password.
///
/// # Errors
/// Fails when the bytes do not begin such a message.
pub fn parse_credentials(bytes: &[u8]) -> Parsed<Credentials> {
    let mut reader = Reader::new(bytes);
    reader.version(CREDENTIALS_VERSION)?;
    let mut part = || {
        let length = reader.byte()?;
        reader.take(usize::from(length)).map(<[u8]>::to_vec)
    };
    let (Some(user), Some(password)) = (part(), part()) else {
        return Ok(None);
    };
    match Credentials::new(&user, &password) {
        Some(credentials) => Ok(Some((credentials, reader.at))),
        None => Err(SocksError::Credentials),
    }
}

/// Writes a name and a password.
#[must_use]
pub fn credentials(credentials: &Credentials) -> Vec<u8> {
    let mut bytes = vec![CREDENTIALS_VERSION];
    for part in [&credentials.user, &credentials.password] {
        bytes.push(part.len() as u8);
        bytes.extend(part);
    }
    bytes
}

/// Reads whether the credentials were accepted.
///
/// # Errors
/// Fails when the bytes do not begin such a message.
pub fn parse_verdict(bytes: &[u8]) -> Parsed<bool> {
    let mut reader = Reader::new(bytes);
    reader.version(CREDENTIALS_VERSION)?;
    Ok(reader.byte().map(|status| (status == 0, reader.at)))
}

/// Writes whether the credentials were accepted.
#[must_use]
pub fn verdict(right: bool) -> Vec<u8> {
    vec![CREDENTIALS_VERSION, u8::from(!right)]
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// Fails when the bytes do not begin such a message.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let parsed = parse_request_or_reply(bytes)?;
        Ok(parsed.map(|(code, target, length)| {
            let command = Command::from(code);
            (Self { command, target }, length)
        }))
    }

    /// Writes the request.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.command.into(), 0];
        write_target(&mut bytes, &self.target);
        bytes
    }
}

impl Reply {
    /// Reads a reply.
    ///
    /// # Errors
    /// Fails when the bytes do not begin such a message.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let parsed = parse_request_or_reply(bytes)?;
        Ok(parsed.map(|(code, bound, length)| (Self { code, bound }, length)))
    }

    /// Writes the reply.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, self.code, 0];
        write_target(&mut bytes, &self.bound);
        bytes
    }
}

impl Reply {
    /// Returns why the server does not do what the client asks; `None` if it does.
    #[must_use]
    pub const fn failure(&self) -> Option<Failure> {
        Some(match self.code {
            code::SUCCEEDED => return None,
            code::FAILED => Failure::General,
            code::NOT_ALLOWED => Failure::NotAllowed,
            code::NETWORK_UNREACHABLE => Failure::NetworkUnreachable,
            code::HOST_UNREACHABLE => Failure::HostUnreachable,
            code::REFUSED => Failure::ConnectionRefused,
            code::TTL_EXPIRED => Failure::TtlExpired,
            code::UNKNOWN_COMMAND => Failure::CommandNotSupported,
            code::UNKNOWN_ADDRESS_TYPE => Failure::AddressTypeNotSupported,
            other => Failure::Unassigned(other),
        })
    }
}

impl UdpHeader {
    /// Reads the header of a datagram and returns where its data begins; `None` if the datagram is
    /// cut short.
    ///
    /// # Errors
    /// Fails when the bytes do not begin such a message.
    pub fn parse(bytes: &[u8]) -> Parsed<Self> {
        let mut reader = Reader::new(bytes);
        let (Some(reserved), Some(fragment)) = (reader.take(2), reader.byte()) else {
            return Ok(None);
        };
        if reserved != [0, 0] {
            return Err(SocksError::Reserved);
        }
        let target = reader.target()?;
        Ok(target.map(|target| (Self { fragment, target }, reader.at)))
    }

    /// Writes the header.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0, 0, self.fragment];
        write_target(&mut bytes, &self.target);
        bytes
    }
}

impl From<u8> for Command {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::Connect,
            2 => Self::Bind,
            3 => Self::UdpAssociate,
            other => Self::Other(other),
        }
    }
}

impl From<Command> for u8 {
    fn from(command: Command) -> Self {
        match command {
            Command::Connect => 1,
            Command::Bind => 2,
            Command::UdpAssociate => 3,
            Command::Other(code) => code,
        }
    }
}

fn parse_request_or_reply(bytes: &[u8]) -> Result<Option<(u8, Target, usize)>, SocksError> {
    let mut reader = Reader::new(bytes);
    reader.version(VERSION)?;
    let (Some(code), Some(reserved)) = (reader.byte(), reader.byte()) else {
        return Ok(None);
    };
    if reserved != 0 {
        return Err(SocksError::Reserved);
    }
    let target = reader.target()?;
    Ok(target.map(|target| (code, target, reader.at)))
}

fn write_target(bytes: &mut Vec<u8>, target: &Target) {
    match &target.host {
        TargetHost::Address(IpAddr::V4(ip)) => {
            bytes.push(IPV4);
            bytes.extend(ip.octets());
        }
        TargetHost::Address(IpAddr::V6(ip)) => {
            bytes.push(IPV6);
            bytes.extend(ip.octets());
        }
        TargetHost::Name(name) => {
            bytes.extend([NAME, name.as_str().len() as u8]);
            bytes.extend(name.as_str().as_bytes());
        }
    }
    bytes.extend(target.port.to_be_bytes());
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + length)?;
        self.at += length;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// Refuses another version; an empty buffer is not an error.
    fn version(&mut self, wanted: u8) -> Result<(), SocksError> {
        match self.byte() {
            Some(other) if other != wanted => Err(SocksError::Version(other)),
            _ => Ok(()),
        }
    }

    fn target(&mut self) -> Result<Option<Target>, SocksError> {
        let host = match self.byte() {
            None => None,
            Some(IPV4) => {
                let octets = self.take(4).and_then(|it| <[u8; 4]>::try_from(it).ok());
                octets.map(|it| TargetHost::Address(Ipv4Addr::from(it).into()))
            }
            Some(IPV6) => {
                let octets = self.take(16).and_then(|it| <[u8; 16]>::try_from(it).ok());
                octets.map(|it| TargetHost::Address(Ipv6Addr::from(it).into()))
            }
            Some(NAME) => match self.byte().map(usize::from) {
                None => None,
                Some(length) => match self.take(length) {
                    None => None,
                    Some(name) => Some(name_or_address(name).ok_or(SocksError::Address)?),
                },
            },
            Some(_) => return Err(SocksError::Address),
        };
        let port = self.take(2).and_then(|it| <[u8; 2]>::try_from(it).ok());
        Ok(host.zip(port).map(|(host, port)| Target {
            host,
            port: u16::from_be_bytes(port),
        }))
    }
}

/// Some clients write an address as a name.
fn name_or_address(bytes: &[u8]) -> Option<TargetHost> {
    let text = std::str::from_utf8(bytes).ok()?;
    match text.parse() {
        Ok(ip) => Some(TargetHost::Address(ip)),
        Err(_) => HostName::new(text).map(TargetHost::Name),
    }
}

/// No authentication.
pub const NO_CREDENTIALS: u8 = 0;
/// The method of RFC 1929: a name and a password.
pub const USER_AND_PASSWORD: u8 = 2;
/// No method is acceptable.
pub const NO_METHOD: u8 = 0xff;

/// The reply codes of [RFC 1928 §6](https://www.rfc-editor.org/rfc/rfc1928#section-6).
pub mod code {
    /// Success.
    pub const SUCCEEDED: u8 = 0;
    /// The server failed.
    pub const FAILED: u8 = 1;
    /// The configuration does not allow it.
    pub const NOT_ALLOWED: u8 = 2;
    /// The network is unreachable.
    pub const NETWORK_UNREACHABLE: u8 = 3;
    /// The host is unreachable, or the name is unknown.
    pub const HOST_UNREACHABLE: u8 = 4;
    /// The host refused the connection.
    pub const REFUSED: u8 = 5;
    /// The connection timed out.
    pub const TTL_EXPIRED: u8 = 6;
    /// The server does not support the command.
    pub const UNKNOWN_COMMAND: u8 = 7;
    /// The server does not support the type of the address.
    pub const UNKNOWN_ADDRESS_TYPE: u8 = 8;
}

const VERSION: u8 = 5;
const CREDENTIALS_VERSION: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_target() -> impl Strategy<Value = Target> {
        let name = "[a-z0-9-]{1,20}(\\.[a-z]{2,6}){1,3}"
            .prop_map(|name| TargetHost::Name(HostName::new(&name).unwrap()));
        let host = prop_oneof![any::<IpAddr>().prop_map(TargetHost::Address), name];
        (host, any::<u16>()).prop_map(|(host, port)| Target { host, port })
    }

    proptest! {
        #[test]
        fn every_message_is_read_as_it_is_written_and_waits_for_its_end(
            methods in proptest::collection::vec(any::<u8>(), 0..256),
            target in any_target(),
            code in any::<u8>(),
            user in proptest::collection::vec(any::<u8>(), 1..256),
            password in proptest::collection::vec(any::<u8>(), 0..256),
        ) {
            fn holds<T: PartialEq + std::fmt::Debug>(
                parse: fn(&[u8]) -> Parsed<T>,
                bytes: &[u8],
                value: T,
            ) -> Result<(), TestCaseError> {
                for end in 0..bytes.len() {
                    prop_assert_eq!(parse(&bytes[..end]), Ok(None));
                }
                let more = [bytes, b"more"].concat();
                prop_assert_eq!(parse(&more), Ok(Some((value, bytes.len()))));
                Ok(())
            }
            let greeting = Greeting { methods };
            holds(Greeting::parse, &greeting.to_bytes(), greeting)?;
            let request = Request { command: code.into(), target: target.clone() };
            holds(Request::parse, &request.to_bytes(), request)?;
            let reply = Reply { code, bound: target.clone() };
            holds(Reply::parse, &reply.to_bytes(), reply)?;
            let header = UdpHeader { fragment: code, target };
            holds(UdpHeader::parse, &header.to_bytes(), header)?;
            let pair = Credentials::new(&user, &password).unwrap_or_else(|| Credentials::new(b"a", b"b").unwrap());
            holds(parse_credentials, &credentials(&pair), pair.clone())?;
            holds(parse_choice, &choice(code), code)?;
            holds(parse_verdict, &verdict(true), true)?;
            holds(parse_verdict, &verdict(false), false)?;
        }
    }

    #[test]
    fn other_versions_and_unknown_kinds_of_address_are_refused() {
        assert_eq!(Greeting::parse(&[4]), Err(SocksError::Version(4)));
        let request = [5, 1, 0, 2, 0, 0];
        assert_eq!(Request::parse(&request), Err(SocksError::Address));
        let empty_name = [5, 1, 0, 3, 0, 0, 80];
        assert_eq!(Request::parse(&empty_name), Err(SocksError::Address));
        let fragment = [1, 0, 0, 1];
        assert_eq!(UdpHeader::parse(&fragment), Err(SocksError::Reserved));
    }
}
