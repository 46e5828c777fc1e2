//! A proxy for sites from which nothing else is reachable: HTTP CONNECT or SOCKS 5.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jackfield_proxy::http::{ConnectRequest, ConnectResponse};
use jackfield_proxy::socks5::{self, Command, Greeting, Reply, Request, code};
use jackfield_proxy::{Target, TargetHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The protocol of a site's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyKind {
    /// HTTP CONNECT (RFC 9110 §9.3.6), to port 443 alone.
    Http,
    /// SOCKS 5 (RFC 1928): TCP to any port, no datagrams.
    Socks,
}

impl ProxyKind {
    /// Both protocols.
    pub const ALL: [Self; 2] = [Self::Http, Self::Socks];

    /// Returns the name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks => "socks",
        }
    }

    /// Returns the protocol of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Returns the port that the proxy listens at.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 3128,
            Self::Socks => 1080,
        }
    }

    /// Returns whether the proxy opens connections to a port.
    #[must_use]
    pub const fn allows(self, port: u16) -> bool {
        match self {
            Self::Http => port == 443,
            Self::Socks => true,
        }
    }
}

/// Serves the clients of a listener for as long as the task lives.
pub(crate) async fn serve(kind: ProxyKind, listener: TcpListener, outside: IpAddr) {
    let room = Arc::new(Semaphore::new(MOST_CLIENTS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                tokio::spawn(async move {
                    if let Err(error) = tunnel(kind, client, outside).await {
                        tracing::debug!(%error, "Connection through the proxy ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                // Out of file descriptors, mostly: it must not become a busy loop.
                tracing::debug!(%error, "The proxy accepts no client");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Opens the connection that a client asks for, and copies bytes between the two.
async fn tunnel(kind: ProxyKind, mut client: TcpStream, outside: IpAddr) -> io::Result<()> {
    let open = async {
        match kind {
            ProxyKind::Http => open_http(&mut client, outside).await,
            ProxyKind::Socks => open_socks(&mut client, outside).await,
        }
    };
    let mut server = timeout(OPEN_TIMEOUT, open).await??;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn open_http(client: &mut TcpStream, outside: IpAddr) -> io::Result<TcpStream> {
    let mut unread = Vec::new();
    let parsed = read(client, &mut unread, ConnectRequest::parse).await;
    let opened = match parsed {
        Ok(request) => dial(ProxyKind::Http, &request.target, outside).await,
        Err(error) => Err(error),
    };
    let status = match &opened {
        Ok(_) => 200,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => 403,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => 400,
        Err(_) => 502,
    };
    client
        .write_all(&ConnectResponse::new(status).to_bytes())
        .await?;
    forward(opened?, &unread).await
}

async fn open_socks(client: &mut TcpStream, outside: IpAddr) -> io::Result<TcpStream> {
    let mut unread = Vec::new();
    let greeting: Greeting = read(client, &mut unread, Greeting::parse).await?;
    if !greeting.methods.contains(&socks5::NO_CREDENTIALS) {
        let none = socks5::choice(socks5::NO_METHOD);
        client.write_all(&none).await?;
        return Err(invalid("the client wants to log in"));
    }
    let choice = socks5::choice(socks5::NO_CREDENTIALS);
    client.write_all(&choice).await?;
    let request: Request = read(client, &mut unread, Request::parse).await?;
    let opened = match request.command {
        Command::Connect => dial(ProxyKind::Socks, &request.target, outside).await,
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    let code = match &opened {
        Ok(_) => code::SUCCEEDED,
        Err(error) => match error.kind() {
            io::ErrorKind::Unsupported => code::UNKNOWN_COMMAND,
            io::ErrorKind::PermissionDenied => code::NOT_ALLOWED,
            io::ErrorKind::ConnectionRefused => code::REFUSED,
            io::ErrorKind::NetworkUnreachable => code::NETWORK_UNREACHABLE,
            io::ErrorKind::HostUnreachable => code::HOST_UNREACHABLE,
            _ => code::FAILED,
        },
    };
    let unspecified = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let bound = opened.as_ref().ok().and_then(|it| it.local_addr().ok());
    let bound = bound.unwrap_or(unspecified).into();
    client.write_all(&Reply { code, bound }.to_bytes()).await?;
    forward(opened?, &unread).await
}

/// Sends on what the client sent behind its request.
async fn forward(mut server: TcpStream, unread: &[u8]) -> io::Result<TcpStream> {
    server.write_all(unread).await?;
    Ok(server)
}

/// Reads until a message is whole, and leaves what follows it.
async fn read<T, E>(
    client: &mut TcpStream,
    unread: &mut Vec<u8>,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, E>,
) -> io::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    loop {
        let parsed =
            parse(unread).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
        if let Some((message, length)) = parsed? {
            unread.drain(..length.min(unread.len()));
            return Ok(message);
        }
        // Every message of either protocol is shorter, or is refused by its parser.
        if unread.len() >= MOST_HEAD || client.read_buf(unread).await? == 0 {
            return Err(invalid("the request does not end"));
        }
    }
}

async fn dial(kind: ProxyKind, target: &Target, outside: IpAddr) -> io::Result<TcpStream> {
    if !kind.allows(target.port) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let to = match &target.host {
        TargetHost::Address(ip) => SocketAddr::new(*ip, target.port),
        TargetHost::Name(name) => {
            let mut found = tokio::net::lookup_host((name.as_str(), target.port)).await?;
            let same_family = |to: &SocketAddr| to.is_ipv4() == outside.is_ipv4();
            found
                .find(same_family)
                .ok_or(io::ErrorKind::HostUnreachable)?
        }
    };
    let socket = match to.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.bind(SocketAddr::new(outside, 0))?;
    socket.connect(to).await
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// How many clients a proxy has at most; the others wait to be accepted.
const MOST_CLIENTS: usize = 1_024;
/// How long a request and the connection that it asks for may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const MOST_HEAD: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_driver::proxy::{Proxy, ProxyError};
    use jackfield_proxy::{ProxyUrl, Scheme};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    async fn proxy(kind: ProxyKind) -> Proxy {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(kind, listener, HERE));
        let scheme = match kind {
            ProxyKind::Http => Scheme::Http,
            ProxyKind::Socks => Scheme::Socks5h,
        };
        Proxy::new(ProxyUrl::new(scheme, at.into()))
    }

    #[tokio::test]
    async fn socks_opens_connections_to_any_port_and_says_which_are_refused() {
        let proxy = proxy(ProxyKind::Socks).await;
        let server = TcpListener::bind((HERE, 0)).await.unwrap();
        let at = server.local_addr().unwrap();
        let mut tunnel = proxy.connect(at.into()).await.unwrap();
        let (mut stream, _) = server.accept().await.unwrap();
        tunnel.write_all(b"ping").await.unwrap();
        let mut room = [0; 4];
        stream.read_exact(&mut room).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
        tunnel.read_exact(&mut room).await.unwrap();
        assert_eq!(&room, b"pong");
        drop(server);
        let refused = proxy.connect(at.into()).await.unwrap_err();
        assert!(matches!(refused, ProxyError::Refused(_)), "{refused}");
    }

    #[tokio::test]
    async fn http_opens_connections_to_port_443_alone() {
        let proxy = proxy(ProxyKind::Http).await;
        let server = TcpListener::bind((HERE, 0)).await.unwrap();
        let refused = proxy.connect(server.local_addr().unwrap().into()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("403"), "{refused}");
    }

    #[tokio::test]
    async fn nonsense_is_answered_and_dropped() {
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(ProxyKind::Http, listener, HERE));
        let mut client = TcpStream::connect(at).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}
