//! How a server and a room are named: by a URL, a host, or the link of a room's page.

use std::fmt;
use std::str::FromStr;

/// A Jackfield server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    is_secure: bool,
    host: String,
    port: u16,
}

/// The text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no server; accepted is an http: or https: URL, HOST or HOST:PORT")]
pub struct ServerError(String);

/// The name of a room; who knows it can enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomName(String);

/// The text is no room's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no room; accepted is 1 to 128 visible characters without a space at an end, or \
     the link of a room's page"
)]
pub struct RoomNameError(String);

/// A room, and the server that a link to it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAddress {
    /// The server, if the room was named by a link.
    pub server: Option<Server>,
    /// The room.
    pub room: RoomName,
}

impl Server {
    /// The server that `jackfield serve` is on this machine without any flag.
    #[must_use]
    pub fn local() -> Self {
        Self {
            is_secure: false,
            host: "localhost".to_owned(),
            port: 3478,
        }
    }

    /// Returns whether the connection is inside TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the name or address; an IPv6 address has no brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the server is on this machine by its name or address.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        let ip = self.host.parse::<std::net::IpAddr>();
        ip.map_or(self.host == "localhost", |ip| ip.is_loopback())
    }

    /// Returns the host and port as a URL has them.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let default = if self.is_secure { 443 } else { 80 };
        if self.port == default {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Returns the address of the page of a room.
    #[must_use]
    pub fn page(&self, room: &RoomName) -> String {
        format!("{self}/r/{}", encoded(room.as_str()))
    }
}

impl FromStr for Server {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        let refuse = || ServerError(text.to_owned());
        let (rest, is_secure, default) = match text.split_once("://") {
            Some(("http" | "ws", rest)) => (rest, false, 80),
            Some(("https" | "wss", rest)) => (rest, true, 443),
            Some(_) => return Err(refuse()),
            None => (text, false, 3478),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        if authority.contains('@') {
            return Err(refuse());
        }
        let authority: http::uri::Authority = match authority.parse::<std::net::Ipv6Addr>() {
            Ok(ip) => format!("[{ip}]").parse(),
            Err(_) => authority.parse(),
        }
        .map_err(|_| refuse())?;
        let port = match authority.port() {
            Some(port) => port
                .as_str()
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(refuse)?,
            // What follows the host is no port.
            None if authority.as_str().len() != authority.host().len() => return Err(refuse()),
            None => default,
        };
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        if host.is_empty() {
            return Err(refuse());
        }
        Ok(Self {
            is_secure,
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority())
    }
}

impl RoomName {
    /// Returns a name that is not guessed: 75 of the random bits, as three groups of letters and
    /// digits that are not mistaken for each other.
    #[must_use]
    pub fn random(random: u128) -> Self {
        let mut name = String::new();
        for place in 0..15 {
            if place > 0 && place % 5 == 0 {
                name.push('-');
            }
            let index = (random >> (place * 5)) & 31;
            let letter = usize::try_from(index)
                .ok()
                .and_then(|index| ALPHABET.get(index));
            name.extend(letter.map(|letter| char::from(*letter)));
        }
        Self(name)
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoomName {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, RoomNameError> {
        let length = text.chars().count();
        let is_fit = (1..=MAX_ROOM_CHARS).contains(&length)
            && text.trim() == text
            && !text.chars().any(char::is_control);
        if is_fit {
            Ok(Self(text.to_owned()))
        } else {
            Err(RoomNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoomAddress {
    type Err = RoomNameError;

    fn from_str(text: &str) -> Result<Self, RoomNameError> {
        let refuse = || RoomNameError(text.to_owned());
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return Ok(Self {
                server: None,
                room: text.parse()?,
            });
        }
        let server = text.parse::<Server>().map_err(|_| refuse())?;
        let (_, path) = text.split_once("://").ok_or_else(refuse)?;
        let (_, path) = path.split_once("/r/").ok_or_else(refuse)?;
        let name = path.split(['?', '#', '/']).next().unwrap_or(path);
        let room = decoded(name).ok_or_else(refuse)?.parse()?;
        Ok(Self {
            server: Some(server),
            room,
        })
    }
}

/// Writes what is not plain in a URL as `%XX`.
fn encoded(text: &str) -> String {
    use fmt::Write;
    let mut written = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            written.push(char::from(byte));
        } else {
            write!(written, "%{byte:02X}").expect("a string takes everything");
        }
    }
    written
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

/// Without i, l, o and u: what is read out aloud or typed from a screen is not mistaken.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// What the signaling server takes by default.
const MAX_ROOM_CHARS: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_are_named_in_many_ways() {
        for (text, shown) in [
            ("call.example.org", "http://call.example.org:3478"),
            ("call.example.org:80", "http://call.example.org"),
            ("wss://call.example.org/signal", "https://call.example.org"),
            ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
            ("2001:db8::1", "http://[2001:db8::1]:3478"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), shown);
        }
        for text in ["", ":80", "a:0", "a:x", "ftp://a", "u@a", "a b"] {
            assert!(text.parse::<Server>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_room_is_named_by_its_name_or_by_the_link_of_its_page() {
        let named: RoomAddress = "a room".parse().unwrap();
        assert_eq!((named.server, named.room.as_str()), (None, "a room"));
        let linked: RoomAddress = "https://example.org/r/a%20r%C3%BCm?name=x".parse().unwrap();
        assert_eq!(linked.room.as_str(), "a rüm");
        assert_eq!(linked.server.unwrap().to_string(), "https://example.org");
        for text in [
            "",
            " a",
            "a\n",
            "https://example.org/",
            "https://example.org/r/%zz",
        ] {
            assert!(text.parse::<RoomAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_random_name_holds_75_bits() {
        assert_eq!(RoomName::random(0).as_str(), "00000-00000-00000");
        assert_eq!(RoomName::random(u128::MAX).as_str(), "zzzzz-zzzzz-zzzzz");
        let names: std::collections::BTreeSet<String> = (0..75)
            .map(|bit| RoomName::random(1 << bit).to_string())
            .collect();
        assert_eq!(names.len(), 75);
    }

    proptest! {
        #[test]
        fn a_link_names_its_room(
            // A name has no white space at its ends.
            name in "[^\\p{C}\\p{Z}/]([^\\p{C}/]{0,18}[^\\p{C}\\p{Z}/])?",
        ) {
            let room: RoomName = name.parse().unwrap();
            let page = Server::local().page(&room);
            let read: RoomAddress = page.parse().unwrap();
            prop_assert_eq!(read, RoomAddress { server: Some(Server::local()), room });
        }
    }
}
