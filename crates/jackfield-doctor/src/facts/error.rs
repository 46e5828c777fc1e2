//! Why something did not work, by kind: what to do about it follows from the kind.

use std::io;
use std::time::{Duration, SystemTime};

use jackfield_proxy::socks5;
use jackfield_turn::client::Failure;

use crate::target::Target;

/// Why a connection did not come about, or broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// The machine answered that no program listens on that port.
    #[error("refused")]
    Refused,
    /// Nothing came back.
    #[error("timed out")]
    TimedOut,
    /// This machine, or a router, knows no way there.
    #[error("no route")]
    NoRoute,
    /// The other side, or something on the way, cut the connection.
    #[error("reset")]
    Reset,
    /// The system forbids it, as a local firewall does.
    #[error("forbidden on this machine")]
    Forbidden,
    /// Something else.
    #[error("{0}")]
    Other(io::ErrorKind),
}

impl NetworkError {
    /// Returns the kind of an error of the system.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused => Self::Refused,
            Kind::TimedOut => Self::TimedOut,
            Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown => Self::NoRoute,
            Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof => Self::Reset,
            Kind::PermissionDenied => Self::Forbidden,
            kind => Self::Other(kind),
        }
    }
}

/// Why TLS did not come about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate is not to be trusted.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// What answered was no TLS.
    #[error("the other side speaks no TLS")]
    NotTls,
    /// The server refused with a TLS alert.
    #[error("the server refused the handshake")]
    Refused,
    /// The connection was closed during the handshake.
    #[error("the connection was closed during the handshake")]
    Closed,
    /// The host's name cannot be on any certificate.
    #[error("no certificate can be for such a name")]
    BadName,
    /// The TLS library found another fault.
    #[error("the handshake failed")]
    Failed,
}

impl TlsError {
    /// Returns the kind of an error that `tokio_rustls` gave.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let Some(inside) = error.get_ref() else {
            // The stream itself failed, which rustls passes on.
            return Self::Closed;
        };
        match inside.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(error)) => {
                Self::Certificate(CertificateError::of(error))
            }
            Some(rustls::Error::InvalidMessage(_)) => Self::NotTls,
            Some(rustls::Error::AlertReceived(_)) => Self::Refused,
            Some(_) => Self::Failed,
            None if error.kind() == io::ErrorKind::UnexpectedEof => Self::Closed,
            None => Self::Failed,
        }
    }
}

/// Why a certificate is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired {
        /// Its last moment.
        since: SystemTime,
    },
    /// Its time has not come, or this machine's clock is slow.
    #[error("the certificate is not valid yet")]
    NotYetValid {
        /// Its first moment.
        from: SystemTime,
    },
    /// It is for other names.
    #[error("the certificate is for another name")]
    WrongName {
        /// The names on it.
        names: Vec<String>,
    },
    /// The server made it itself.
    #[error("the certificate is self-signed")]
    SelfSigned,
    /// The authority that signed it is not among the trusted ones.
    #[error("the certificate is from an unknown authority")]
    UnknownAuthority {
        /// Whether the server sent that certificate alone, without one of an authority. A public
        /// authority's certificate then lacks the link to its root.
        is_alone: bool,
    },
    /// This machine has no list of trusted authorities.
    #[error("this machine trusts no authority")]
    NoAuthorities,
    /// It was revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// It is broken, or not made for servers.
    #[error("the certificate is not fit for a server")]
    Unfit,
}

impl CertificateError {
    /// Returns the kind of an error of rustls; [`Trust`](crate::Trust) puts its own ones inside.
    #[must_use]
    pub fn of(error: &rustls::CertificateError) -> Self {
        use rustls::CertificateError as Theirs;
        let moment = |unix: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(unix);
        match error {
            Theirs::Other(other) => match other.0.downcast_ref::<Self>() {
                Some(ours) => ours.clone(),
                None => Self::Unfit,
            },
            Theirs::ExpiredContext { not_after, .. } => Self::Expired {
                since: moment(not_after.as_secs()),
            },
            Theirs::NotValidYetContext { not_before, .. } => Self::NotYetValid {
                from: moment(not_before.as_secs()),
            },
            Theirs::NotValidForNameContext { presented, .. } => Self::WrongName {
                names: presented.iter().filter_map(|it| name(it)).collect(),
            },
            Theirs::UnknownIssuer => Self::UnknownAuthority { is_alone: false },
            Theirs::Revoked => Self::Revoked,
            _ => Self::Unfit,
        }
    }
}

/// Reads a name as rustls writes it: `DnsName("a.example")` or `IpAddress(192.0.2.1)`.
///
/// Clients ask for servers by these two kinds alone. The text is the certificate's, so only what
/// may stand in a name gets to a terminal.
fn name(written: &str) -> Option<String> {
    let between = |start, end| written.strip_prefix(start)?.strip_suffix(end);
    if let Some(name) = between("DnsName(\"", "\")") {
        let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*');
        return name.chars().all(is_fit).then(|| name.to_owned());
    }
    let ip: std::net::IpAddr = between("IpAddress(", ")")?.parse().ok()?;
    Some(ip.to_string())
}

/// Why the web server did not give what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// No TCP connection came about.
    #[error("no connection: {0}")]
    Unreachable(NetworkError),
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection was accepted, and no answer came.
    #[error("no answer")]
    Silent,
    /// The connection was accepted, and closed without an answer.
    #[error("closed without an answer")]
    Closed,
    /// The answer was not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// The answer was an HTTP status that means failure.
    #[error("status {0}")]
    Status(u16),
    /// The answer sends clients to another address.
    #[error("redirected to {0}")]
    Redirected(Target),
    /// The answer was a page for people, where Jackfield answers with data.
    #[error("a page for people")]
    Page,
    /// The answer was HTTP, but not what Jackfield answers there.
    #[error("not an answer of Jackfield")]
    Unexpected,
    /// The proxy on the way made no connection.
    #[error("by the proxy: {0}")]
    Proxy(Box<ProxyError>),
}

/// Why there is no allocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// The relay's name stands for no address.
    #[error("the relay's name is not found")]
    NameNotFound,
    /// No connection came about.
    #[error("no connection: {0}")]
    Unreachable(NetworkError),
    /// No answer came in time.
    #[error("no answer")]
    Silent,
    /// TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server answered, and made no allocation.
    #[error(transparent)]
    Refused(#[from] Failure),
    /// The credentials from `/ice` cannot be used.
    #[error("the credentials cannot be used")]
    Unusable,
}

/// Why nothing came through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The variable does not hold the URL of an HTTP or SOCKS 5 proxy.
    #[error("not the URL of a proxy")]
    BadUrl,
    /// The proxy's name stands for no address.
    #[error("the proxy's name is not found")]
    NameNotFound,
    /// No connection to the proxy came about.
    #[error("no connection: {0}")]
    Unreachable(NetworkError),
    /// TLS with the proxy failed.
    #[error("TLS with the proxy: {0}")]
    Tls(TlsError),
    /// The proxy wants a user name and a password, or others.
    #[error("the proxy wants a login")]
    LoginWanted,
    /// The proxy refused to connect there, with this HTTP status.
    #[error("status {0}")]
    Refused(u16),
    /// The SOCKS proxy made no connection there.
    #[error(transparent)]
    SocksFailed(#[from] socks5::Failure),
    /// The proxy did not answer as proxies do.
    #[error("no answer of a proxy")]
    NotProxy,
    /// The proxy made the connection, and the server did not answer as it should.
    #[error("behind the proxy: {0}")]
    Behind(WebError),
}
