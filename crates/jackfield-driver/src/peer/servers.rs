//! STUN and TURN servers as WebRTC's configuration names them.

use std::sync::Arc;
use std::time::Duration;

use jackfield_ice::gather::{IceServer, ServerKind};
use jackfield_sansio::Transport;
use jackfield_stun::uri::{Host, Scheme, Uri, UriTransport};
use jackfield_turn::client::Credential;
use tokio::net::lookup_host;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A STUN or TURN server with the members of WebRTC's `RTCIceServer`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RtcIceServer {
    /// Where it is, each by another transport ([RFC 7064], [RFC 7065]).
    ///
    /// [RFC 7064]: https://www.rfc-editor.org/rfc/rfc7064
    /// [RFC 7065]: https://www.rfc-editor.org/rfc/rfc7065
    pub urls: Vec<String>,
    /// The user name for TURN.
    pub username: Option<String>,
    /// The password for TURN.
    pub credential: Option<String>,
}

impl std::fmt::Debug for RtcIceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RtcIceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// Returns the servers that a peer can ask, for [`PeerOptions::servers`]: STUN over UDP, and TURN
/// over UDP, TCP and TLS.
///
/// [`PeerOptions::servers`]: super::PeerOptions::servers
///
/// A `turn:` without `?transport=` is asked by UDP and a `turns:` by TLS, as browsers do. STUN over
/// TLS would tell the address of another connection, and TURN over DTLS (`turns:` with
/// `?transport=udp`) is not spoken: both are left out.
///
/// A name with several addresses is several servers. What is no URI of STUN or TURN, has no
/// credential where TURN needs one, or has a name that does not resolve within 5 s is left out with
/// a warning, as a peer with fewer servers may still connect. Names are looked up at the same time,
/// and servers keep the order of the list.
pub async fn resolve_servers(servers: &[RtcIceServer]) -> Vec<IceServer> {
    let places = Arc::new(Semaphore::new(LOOKUPS));
    let mut lookups = JoinSet::new();
    for server in servers {
        for url in &server.urls {
            match read(server, url) {
                Ok(Some(asked)) => {
                    let (place, places) = (lookups.len(), Arc::clone(&places));
                    lookups.spawn(async move {
                        // Nobody closes the semaphore.
                        let _permit = places.acquire_owned().await;
                        (place, asked.look_up().await)
                    });
                }
                Ok(None) => tracing::debug!(%url, "A peer has no use for such a server"),
                Err(why) => tracing::warn!(%url, why, "An ICE server is left out"),
            }
        }
    }
    let mut found = lookups.join_all().await;
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().flat_map(|(_, servers)| servers).collect()
}

/// A server that a URL names.
struct Named {
    uri: Uri,
    transport: Transport,
    kind: ServerKind,
}

/// Returns what server a URL names, or nothing if a peer has no use for it.
fn read(server: &RtcIceServer, url: &str) -> Result<Option<Named>, &'static str> {
    let uri: Uri = url.parse().map_err(|_| "it is no URI of STUN or TURN")?;
    let transport = match (uri.scheme, uri.transport) {
        (Scheme::Stun, _) | (Scheme::Turn, None | Some(UriTransport::Udp)) => Transport::Udp,
        (Scheme::Turn, Some(UriTransport::Tcp)) => Transport::Tcp,
        (Scheme::Turns, None | Some(UriTransport::Tcp)) => Transport::Tls,
        (Scheme::Turns, Some(UriTransport::Udp)) | (Scheme::Stuns, _) => return Ok(None),
    };
    let kind = match uri.scheme {
        Scheme::Stun | Scheme::Stuns => ServerKind::Stun,
        Scheme::Turn | Scheme::Turns => {
            let credential = server.username.as_deref().zip(server.credential.as_deref());
            let (username, password) = credential.ok_or("it has no username and credential")?;
            let credential = Credential::new(username, password);
            ServerKind::Turn(Some(credential.map_err(|_| "its credential is too long")?))
        }
    };
    Ok(Some(Named {
        uri,
        transport,
        kind,
    }))
}

impl Named {
    async fn look_up(&self) -> Vec<IceServer> {
        let Self {
            uri,
            transport,
            kind,
        } = self;
        let (host, name) = match &uri.host {
            Host::Name(name) => (name.clone(), name.parse::<std::net::IpAddr>().is_err()),
            Host::Ipv6(ip) => (ip.to_string(), false),
        };
        let addresses = match timeout(PATIENCE, lookup_host((host.as_str(), uri.port()))).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(error)) => {
                tracing::warn!(%host, %error, "An ICE server's name has no address");
                return Vec::new();
            }
            Err(_) => {
                tracing::warn!(%host, "No resolver has answered in time for an ICE server's name");
                return Vec::new();
            }
        };
        addresses
            .map(|address| IceServer {
                transport: *transport,
                address,
                name: name.then(|| host.as_str().into()),
                kind: kind.clone(),
            })
            .collect()
    }
}

/// Names that are looked up at the same time: each takes a thread of the runtime.
const LOOKUPS: usize = 16;

/// How long a name may take to resolve: a call should not wait for a server that is out of reach.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn server(urls: &[&str], credential: Option<&str>) -> RtcIceServer {
        RtcIceServer {
            urls: urls.iter().map(|&url| url.to_owned()).collect(),
            username: credential.map(|_| "alice".to_owned()),
            credential: credential.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn each_url_says_how_its_server_is_asked_and_bad_ones_are_left_out() {
        let servers = [
            server(
                &["stun:192.0.2.1:3478", "turn:[2001:db8::1]"],
                Some("secret"),
            ),
            server(
                &[
                    "turn:192.0.2.2?transport=tcp",
                    "turns:192.0.2.2",
                    "turns:192.0.2.2:443?transport=tcp",
                    "turns:192.0.2.2?transport=udp",
                    "stuns:192.0.2.2",
                ],
                Some("secret"),
            ),
            server(&["turn:192.0.2.3"], None),
            server(&["http://192.0.2.4", ""], Some("secret")),
        ];
        let found = resolve_servers(&servers).await;
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "stun:192.0.2.1:3478",
                "turn:[2001:db8::1]:3478?transport=udp",
                "turn:192.0.2.2:3478?transport=tcp",
                "turns:192.0.2.2:5349?transport=tcp",
                "turns:192.0.2.2:443?transport=tcp",
            ]
        );
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", server(&["turn:192.0.2.1"], Some("hunter2")));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
