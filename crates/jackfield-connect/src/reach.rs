//! A TCP connection with the server: directly, or by a proxy.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jackfield_driver::discovery::race;
use jackfield_driver::proxy::Proxy;
use jackfield_proxy::{HostName, ProxyRules, ProxyUrl, Target, TargetHost};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use crate::server::Server;
use crate::signaling::SignalingError;
use crate::trust::Trust;

/// A connection with the server, whatever is below it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects to the server as the rules say.
pub(crate) async fn reach(
    server: &Server,
    trust: &Trust,
    proxies: &ProxyRules,
) -> Result<Box<dyn Stream>, SignalingError> {
    let unreachable = |source| SignalingError::Unreachable {
        server: server.clone(),
        source,
    };
    match proxy_for(server, proxies).map_err(unreachable)? {
        Some((url, target)) => {
            let mut proxy = Proxy::new(url.clone());
            proxy.tls = Some(Arc::clone(&trust.0));
            let tunnel = proxy.connect(target).await;
            let tunnel = tunnel.map_err(|source| SignalingError::Proxy {
                server: server.clone(),
                proxy: url.to_string(),
                source,
            })?;
            Ok(Box::new(tunnel))
        }
        None => Ok(Box::new(connect(server).await.map_err(unreachable)?)),
    }
}

/// Returns the proxy for the server, and what it is asked for; nothing if none is to be asked.
fn proxy_for<'a>(
    server: &Server,
    proxies: &'a ProxyRules,
) -> io::Result<Option<(&'a ProxyUrl, Target)>> {
    // A proxy elsewhere would look for it on its own machine.
    if proxies.proxy.is_none() || server.is_on_loopback() {
        return Ok(None);
    }
    let host = match server.host().parse::<IpAddr>() {
        Ok(ip) => TargetHost::Address(ip),
        Err(_) => {
            let name = HostName::new(server.host());
            let error =
                || io::Error::new(io::ErrorKind::InvalidInput, "no proxy takes such a name");
            TargetHost::Name(name.ok_or_else(error)?)
        }
    };
    let port = server.port();
    let proxy = proxies.proxy_for(&host);
    Ok(proxy.map(|proxy| (proxy, Target { host, port })))
}

/// Connects to the first of the server's addresses that answers, as Happy Eyeballs does it
/// ([RFC 8305](https://www.rfc-editor.org/rfc/rfc8305)).
async fn connect(server: &Server) -> io::Result<TcpStream> {
    let found = lookup_host((server.host(), server.port())).await?;
    let addresses: Vec<SocketAddr> = found.collect();
    let connected = race(&addresses, TcpStream::connect).await;
    let tcp = connected.map_err(|error| error.unwrap_or_else(|| io::ErrorKind::NotFound.into()))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

#[cfg(test)]
mod tests {
    use jackfield_proxy::NoProxy;

    use super::*;

    #[test]
    fn a_proxy_is_for_servers_that_are_elsewhere_and_not_exempt() {
        let rules = ProxyRules {
            proxy: Some("socks5h://proxy.example:1080".parse().unwrap()),
            no_proxy: NoProxy::new("example.net, 192.0.2.0/24"),
        };
        let target = |server: &str, rules: &ProxyRules| {
            let found = proxy_for(&server.parse().unwrap(), rules).unwrap();
            found.map(|(_, target)| target.to_string())
        };
        for (server, asked_for) in [
            ("https://call.example.org", "call.example.org:443"),
            ("call.example.org", "call.example.org:3478"),
            ("http://198.51.100.1:80", "198.51.100.1:80"),
            ("https://[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ] {
            assert_eq!(target(server, &rules).as_deref(), Some(asked_for));
            assert_eq!(target(server, &ProxyRules::default()), None);
        }
        for direct in [
            "localhost",
            "127.0.0.1",
            "[::1]:80",
            "a.example.net",
            "192.0.2.7",
        ] {
            assert_eq!(target(direct, &rules), None, "{direct}");
        }
    }
}
