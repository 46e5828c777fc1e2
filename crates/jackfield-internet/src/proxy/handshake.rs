//! The client side of a proxy.

use super::http::{ConnectRequest, ConnectResponse, HeadError};
use super::socks5::{self, Command, Greeting, Reply, Request, SocksError};
use super::{Credentials, Target};

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
    /// The proxy requires a name and a password, or refuses these.
    #[error("the proxy wants other credentials")]
    Credentials,
    /// The proxy answered with this HTTP status.
    #[error("the proxy answered with status {0}")]
    Status(u16),
    /// The proxy answered with this SOCKS reply code.
    #[error("the proxy answered with code {0}")]
    Code(u8),
    /// The proxy does not speak HTTP.
    #[error(transparent)]
    Http(#[from] HeadError),
    /// The proxy does not speak SOCKS.
    #[error(transparent)]
    Socks(#[from] SocksError),
}

impl Handshake {
    /// Requests a tunnel by HTTP CONNECT; returns the first message.
    #[must_use]
    pub fn http(target: Target, credentials: Option<Credentials>) -> (Self, Vec<u8>) {
        let request = ConnectRequest {
            target: target.clone(),
            credentials: credentials.clone(),
        };
        (
            Self::new(target, credentials, Stage::Http),
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
        let mut methods = vec![socks5::NO_CREDENTIALS];
        if credentials.is_some() {
            methods.push(socks5::USER_AND_PASSWORD);
        }
        let stage = Stage::Method(command);
        (
            Self::new(target, credentials, stage),
            Greeting { methods }.to_bytes(),
        )
    }

    fn new(target: Target, credentials: Option<Credentials>, stage: Stage) -> Self {
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

    fn http_response(&mut self) -> Result<Progress, HandshakeError> {
        while let Some((response, length)) = ConnectResponse::parse(&self.buffer)? {
            match response.status {
                // After an interim response the final one follows.
                100..200 => {
                    self.buffer.drain(..length);
                }
                200..300 => return Ok(self.done(length, None)),
                407 => return Err(HandshakeError::Credentials),
                status => return Err(HandshakeError::Status(status)),
            }
        }
        Ok(Progress::Wait)
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
            _ => Err(HandshakeError::Credentials),
        }
    }

    fn verdict(&mut self, command: Command) -> Result<Progress, HandshakeError> {
        match socks5::parse_verdict(&self.buffer)? {
            None => Ok(Progress::Wait),
            Some((false, _)) => Err(HandshakeError::Credentials),
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
            Some((reply, length)) if reply.code == socks5::code::SUCCEEDED => {
                Ok(self.done(length, Some(reply.bound)))
            }
            Some((reply, _)) => Err(HandshakeError::Code(reply.code)),
        }
    }

    fn done(&mut self, length: usize, bound: Option<Target>) -> Progress {
        self.stage = Stage::Over;
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        self.buffer.clear();
        Progress::Done { bound, rest }
    }
}
