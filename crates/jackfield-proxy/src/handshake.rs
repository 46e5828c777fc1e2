//! The client side of a proxy.

use super::http::{ConnectRequest, ConnectResponse, HeadError};
use super::socks5::{self, Command, Failure, Greeting, Reply, Request, SocksError};
use super::{Credentials, ProxyUrl, Scheme, Target};

/// The messages between a client and a proxy until the tunnel is open.
#[derive(Debug, Clone)]
pub struct Handshake {
    target: Target,
    credentials: Option<Credentials>,
    stage: Stage,
    /// The received data that is not read yet.
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Http,
    Method(Command),
    Verdict(Command),
    Reply(Command),
    Over,
}

/// The progress of a [`Handshake`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Wait for more data.
    Wait,
    /// Send this, and wait for more data.
    Send(Vec<u8>),
    /// The tunnel is open.
    Done {
        /// The end of the proxy, as it states it; for UDP the address to send datagrams to.
        bound: Option<Target>,
        /// The data that has already come through the tunnel.
        rest: Vec<u8>,
    },
}

/// Why there is no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The proxy requires credentials, and there are none.
    #[error("the proxy requires a name and a password")]
    CredentialsRequired,
    /// The proxy refused the credentials.
    #[error("the proxy refused the name and the password")]
    CredentialsRefused,
    /// The proxy authenticates in other ways than by name and password.
    #[error("the proxy requires a kind of authentication that is not supported")]
    UnsupportedAuthentication,
    /// The proxy answered with this HTTP status, which is not of success.
    #[error("{}", status_in_words(*.0))]
    Status(u16),
    /// The SOCKS proxy refused.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The proxy closed the connection too early.
    #[error("the proxy closed the connection before the tunnel was open")]
    Closed,
    /// The proxy does not speak HTTP.
    #[error("the proxy does not speak HTTP: {0}")]
    Http(#[from] HeadError),
    /// The proxy does not speak SOCKS.
    #[error("the proxy does not speak SOCKS 5: {0}")]
    Socks(#[from] SocksError),
}

impl Handshake {
    /// Requests a tunnel from a proxy, in the protocol that its URL names; returns the first
    /// message.
    #[must_use]
    pub fn new(proxy: &ProxyUrl, target: Target) -> (Self, Vec<u8>) {
        let credentials = proxy.credentials().cloned();
        match proxy.scheme() {
            Scheme::Http | Scheme::Https => Self::http(target, credentials),
            Scheme::Socks5 | Scheme::Socks5h => Self::socks5(Command::Connect, target, credentials),
        }
    }

    /// Requests a tunnel by HTTP CONNECT; returns the first message.
    #[must_use]
    pub fn http(target: Target, credentials: Option<Credentials>) -> (Self, Vec<u8>) {
        let request = ConnectRequest {
            target: target.clone(),
            credentials: credentials.clone(),
        };
        (
            Self::at(target, credentials, Stage::Http),
            request.to_bytes(),
        )
    }

    /// Requests a tunnel, or a relay of datagrams, by SOCKS 5; returns the first message.
    ///
    /// For [`Command::UdpAssociate`] the target is the address that the client sends its datagrams
    /// from, all zeros if it does not know.
    #[must_use]
    pub fn socks5(
        command: Command,
        target: Target,
        credentials: Option<Credentials>,
    ) -> (Self, Vec<u8>) {
        // The first method stands with credentials, too: a proxy that needs none may know no
        // other.
        let mut methods = vec![socks5::NO_CREDENTIALS];
        if credentials.is_some() {
            methods.push(socks5::USER_AND_PASSWORD);
        }
        let stage = Stage::Method(command);
        (
            Self::at(target, credentials, stage),
            Greeting { methods }.to_bytes(),
        )
    }

    fn at(target: Target, credentials: Option<Credentials>, stage: Stage) -> Self {
        Self {
            target,
            credentials,
            stage,
            buffer: Vec::new(),
        }
    }

    /// Takes data from the proxy.
    ///
    /// # Errors
    /// Fails when there will be no tunnel; the connection is then useless.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        if self.stage == Stage::Over {
            return Ok(Progress::Wait);
        }
        self.buffer.extend(bytes);
        match self.stage {
            Stage::Http => self.http_response(),
            Stage::Method(command) => self.method(command),
            Stage::Verdict(command) => self.verdict(command),
            Stage::Reply(_) => self.reply(),
            Stage::Over => Ok(Progress::Wait),
        }
    }

    /// Takes notice that the proxy has closed the connection.
    ///
    /// # Errors
    /// Fails when the tunnel was not open yet.
    pub fn handle_closed(&mut self) -> Result<(), HandshakeError> {
        match self.stage {
            Stage::Over => Ok(()),
            _ => Err(HandshakeError::Closed),
        }
    }

    fn http_response(&mut self) -> Result<Progress, HandshakeError> {
        while let Some((response, length)) = ConnectResponse::parse(&self.buffer)? {
            match response.status {
                // After an interim response the final one follows.
                100..200 => {
                    self.buffer.drain(..length);
                }
                200..300 => return Ok(self.done(length, None)),
                // tinyproxy answers so to wrong credentials, although 401 is for servers.
                401 if self.credentials.is_some() => {
                    return Err(HandshakeError::CredentialsRefused);
                }
                407 => return Err(self.unauthenticated(response.offers_basic)),
                status => return Err(HandshakeError::Status(status)),
            }
        }
        Ok(Progress::Wait)
    }

    /// Returns what a response with status 407 means.
    fn unauthenticated(&self, offers_basic: bool) -> HandshakeError {
        match (&self.credentials, offers_basic) {
            (_, false) => HandshakeError::UnsupportedAuthentication,
            (None, true) => HandshakeError::CredentialsRequired,
            // The first request carried the credentials, so that this is no mere demand for them.
            (Some(_), true) => HandshakeError::CredentialsRefused,
        }
    }

    fn method(&mut self, command: Command) -> Result<Progress, HandshakeError> {
        let Some((method, length)) = socks5::parse_choice(&self.buffer)? else {
            return Ok(Progress::Wait);
        };
        self.buffer.drain(..length);
        match (method, &self.credentials) {
            (socks5::NO_CREDENTIALS, _) => Ok(self.request(command)),
            (socks5::USER_AND_PASSWORD, Some(credentials)) => {
                self.stage = Stage::Verdict(command);
                Ok(Progress::Send(socks5::credentials(credentials)))
            }
            _ => Err(match self.credentials {
                None => HandshakeError::CredentialsRequired,
                Some(_) => HandshakeError::UnsupportedAuthentication,
            }),
        }
    }

    fn verdict(&mut self, command: Command) -> Result<Progress, HandshakeError> {
        match socks5::parse_verdict(&self.buffer)? {
            None => Ok(Progress::Wait),
            Some((false, _)) => Err(HandshakeError::CredentialsRefused),
            Some((true, length)) => {
                self.buffer.drain(..length);
                Ok(self.request(command))
            }
        }
    }

    fn request(&mut self, command: Command) -> Progress {
        self.stage = Stage::Reply(command);
        let target = self.target.clone();
        Progress::Send(Request { command, target }.to_bytes())
    }

    fn reply(&mut self) -> Result<Progress, HandshakeError> {
        match Reply::parse(&self.buffer)? {
            None => Ok(Progress::Wait),
            Some((reply, length)) => match reply.failure() {
                None => Ok(self.done(length, Some(reply.bound))),
                Some(failure) => Err(failure.into()),
            },
        }
    }

    fn done(&mut self, length: usize, bound: Option<Target>) -> Progress {
        self.stage = Stage::Over;
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        self.buffer.clear();
        Progress::Done { bound, rest }
    }
}

/// Says what a proxy means by a status in answer to CONNECT.
fn status_in_words(status: u16) -> String {
    let words = match status {
        400 => "the proxy did not understand the request",
        403 => "the proxy does not allow the connection",
        404 | 405 | 501 => "the server is not a proxy for CONNECT",
        429 => "the proxy has too many requests from here",
        502 | 503 => "the proxy cannot connect to the target",
        504 => "the target does not answer the proxy",
        _ => "the proxy refused the connection",
    };
    format!("{words} (HTTP status {status})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(credentials: bool) -> Handshake {
        let credentials = Credentials::new(b"ann", b"secret").filter(|_| credentials);
        Handshake::http("example.org:443".parse().unwrap(), credentials).0
    }

    fn socks(credentials: bool) -> Handshake {
        let credentials = Credentials::new(b"ann", b"secret").filter(|_| credentials);
        let target = "[2001:db8::1]:443".parse().unwrap();
        Handshake::socks5(Command::Connect, target, credentials).0
    }

    #[test]
    fn status_407_says_whose_credentials_are_missing() {
        let basic = b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
        let digest = b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Digest realm=\"x\"\r\n\r\n";
        let cases: [(bool, &[u8], HandshakeError); 4] = [
            (false, basic, HandshakeError::CredentialsRequired),
            (true, basic, HandshakeError::CredentialsRefused),
            (false, digest, HandshakeError::UnsupportedAuthentication),
            (true, digest, HandshakeError::UnsupportedAuthentication),
        ];
        for (credentials, bytes, error) in cases {
            assert_eq!(http(credentials).handle(bytes), Err(error));
        }
    }

    #[test]
    fn status_401_is_about_credentials_where_some_were_sent() {
        let bytes = b"HTTP/1.0 401 Unauthorized\r\n\r\n";
        let refused = Err(HandshakeError::CredentialsRefused);
        assert_eq!(http(true).handle(bytes), refused);
        let status = Err(HandshakeError::Status(401));
        assert_eq!(http(false).handle(bytes), status);
    }

    #[test]
    fn interim_responses_are_passed_over_and_data_after_the_head_is_kept() {
        let answer = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.0 200\r\nContent-Length: 3\r\n\r\nabcdef";
        let rest = b"abcdef".to_vec();
        let done = Progress::Done { bound: None, rest };
        assert_eq!(http(false).handle(answer), Ok(done));
    }

    #[test]
    fn every_reply_code_is_an_error_in_words_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for code in 1..=9 {
            let mut handshake = socks(false);
            assert!(matches!(handshake.handle(&[5, 0]), Ok(Progress::Send(_))));
            let reply = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
            let error = handshake.handle(&reply).unwrap_err();
            assert!(seen.insert(error.to_string()), "{error}");
        }
    }

    #[test]
    fn a_method_that_was_not_offered_is_refused() {
        let required = Err(HandshakeError::CredentialsRequired);
        assert_eq!(socks(false).handle(&[5, 255]), required);
        assert_eq!(socks(false).handle(&[5, 2]), required);
        let unsupported = Err(HandshakeError::UnsupportedAuthentication);
        assert_eq!(socks(true).handle(&[5, 255]), unsupported);
        assert_eq!(socks(true).handle(&[5, 1]), unsupported);
    }

    #[test]
    fn a_proxy_that_hangs_up_early_is_an_error_and_later_is_not() {
        let mut handshake = http(false);
        assert_eq!(handshake.handle_closed(), Err(HandshakeError::Closed));
        handshake.handle(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        assert_eq!(handshake.handle_closed(), Ok(()));
    }

    #[test]
    fn a_head_without_an_end_is_given_up() {
        let mut handshake = http(false);
        handshake.handle(b"HTTP/1.1 200 OK\r\n").unwrap();
        let endless = [b'x'; crate::http::MOST_HEAD_BYTES];
        let error = HandshakeError::Http(HeadError::TooLong);
        assert_eq!(handshake.handle(&endless), Err(error));
    }
}
