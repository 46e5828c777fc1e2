use super::http::{ConnectRequest, ConnectResponse, HeadError};
use super::socks5::{self, Command, Greeting, Reply, Request, SocksError};
use super::{Credentials, Target};

/// A client's conversation with a proxy until the tunnel stands.
#[derive(Debug, Clone)]
pub struct Handshake {
    target: Target,
    credentials: Option<Credentials>,
    stage: Stage,
    /// What came and is not read yet.
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

/// How far a [`Handshake`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Wait for more.
    Wait,
    /// Send this, and wait for more.
    Send(Vec<u8>),
    /// The proxy has done it.
    Done {
        /// The proxy's end, as it says; for UDP where to send datagrams to.
        bound: Option<Target>,
        /// What has come through the tunnel already.
        rest: Vec<u8>,
    },
}

/// Why there is no tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The proxy wants a name and a password, or others than those.
    #[error("the proxy wants other credentials")]
    Credentials,
    /// The proxy answered with this status of HTTP.
    #[error("the proxy answered with status {0}")]
    Status(u16),
    /// The proxy answered with this code of SOCKS.
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
    /// Asks for a tunnel by HTTP CONNECT; returns what to send first.
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

    /// Asks for a tunnel, or for a relay of datagrams, by SOCKS 5; returns what to send first.
    ///
    /// For [`Command::UdpAssociate`] the target is where the client's datagrams will come from, all zeros if it does
    /// not know.
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

    /// Takes what the proxy sent.
    ///
    /// # Errors
    /// Says why there will be no tunnel; the connection is of no more use then.
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
                // An interim response: the final one follows.
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
