//! The ICE servers that clients are told: where STUN and TURN are, with fresh credentials.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

pub use super::tls_relay::TlsRelayObstacle;
use crate::config::{Certificate, Config};

/// Knows this server's ports and secret, and makes `RTCIceServer` lists from them.
#[derive(Debug, Clone)]
pub struct IceMinter {
    secret: String,
    labels: Arc<Labels>,
    ttl: Duration,
    public_host: Option<String>,
    ports: Vec<u16>,
    tls_ports: Vec<u16>,
    certificate: Option<Certificate>,
}

/// An `RTCIceServer`, as browsers take it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceServer {
    /// Where it is (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// The user name of time-limited credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What `GET /ice` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IceAnswer {
    /// The servers.
    #[serde(rename = "iceServers")]
    pub ice_servers: Vec<IceServer>,
    /// Seconds that the credentials last.
    pub ttl: u64,
    /// What people should know of the servers; programs need not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<TlsRelayObstacle>,
}

/// How a client reached us: which host it named and whether inside TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The `Host` header or `:authority`, with or without a port.
    pub authority: String,
    /// Whether the client came inside TLS.
    pub secure: bool,
}

impl Reached {
    /// Returns how a client reached us that named `authority`; user information in it is left out.
    pub fn new(authority: &http::uri::Authority, secure: bool) -> Self {
        let port = authority
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Self {
            authority: format!("{}{port}", authority.host()),
            secure,
        }
    }

    /// Reads `http://AUTHORITY` or `https://AUTHORITY`.
    #[must_use]
    pub fn from_url(url: &str) -> Option<Self> {
        let (secure, authority) = match url.strip_prefix("https://") {
            Some(authority) => (true, authority),
            None => (false, url.strip_prefix("http://")?),
        };
        Some(Self {
            authority: authority.to_owned(),
            secure,
        })
    }

    /// Writes what [`Reached::from_url`] reads.
    #[must_use]
    pub fn to_url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

impl IceMinter {
    /// Returns a minter for the listeners of `config`; `secret` is the first of the shared ones.
    #[must_use]
    pub fn new(config: &Config, secret: String) -> Self {
        let ports = |addresses: &[std::net::SocketAddr]| {
            let mut ports: Vec<u16> = Vec::new();
            for port in addresses.iter().map(std::net::SocketAddr::port) {
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
            ports
        };
        let mut tls_ports = ports(&config.listen_tls);
        if tls_ports.is_empty() && config.certificate.is_some() {
            tls_ports = ports(&config.listen);
        }
        Self {
            secret,
            labels: Arc::default(),
            ttl: config.credentials_ttl,
            public_host: config.public_host.clone(),
            ports: ports(&config.listen),
            tls_ports,
            certificate: config.certificate.clone(),
        }
    }

    /// Makes the list for a client; `unix` is the time since 1970.
    ///
    /// `user` is the name that the relay's quota counts. Without one, each list has a random name
    /// of its own: nobody can spend another's quota by taking a name, and a person's name, which
    /// would travel in the clear, is not for everyone on the way.
    #[must_use]
    pub fn mint(&self, unix: Duration, user: Option<&str>, reached: Option<&Reached>) -> IceAnswer {
        let user = user.map_or_else(|| self.labels.next(), str::to_owned);
        let credentials = jackfield_turn::credential::mint(&self.secret, &user, self.ttl, unix);
        let authority = match (&self.public_host, reached) {
            (Some(host), _) => host.as_str(),
            (None, Some(reached)) => reached.authority.as_str(),
            (None, None) => "localhost",
        };
        let (host, port) = split_authority(authority);
        let secure = reached.is_some_and(|reached| reached.secure);
        let port = port.or_else(|| secure.then_some(443));
        // A port that we do not listen on is a proxy's; it forwards HTTP, hardly TURN.
        let choose = |ports: &[u16]| match port {
            Some(port) if ports.contains(&port) => Some(port),
            _ => ports.first().copied(),
        };
        let plain = match (&self.public_host, port) {
            (Some(_), Some(port)) => Some(port),
            _ => choose(&self.ports),
        };
        let mut stun = Vec::new();
        let mut turn = Vec::new();
        if let Some(port) = plain {
            stun.push(format!("stun:{host}:{port}"));
            turn.push(format!("turn:{host}:{port}?transport=udp"));
            turn.push(format!("turn:{host}:{port}?transport=tcp"));
        }
        let mut note = None;
        if let Some(port) = choose(&self.tls_ports) {
            let certificate = self.certificate.as_ref();
            note = certificate.and_then(|it| TlsRelayObstacle::of(it, Some(host)));
            turn.push(format!("turns:{host}:{port}?transport=tcp"));
        }
        let mut ice_servers = Vec::new();
        if !stun.is_empty() {
            ice_servers.push(IceServer {
                urls: stun,
                username: None,
                credential: None,
            });
        }
        if !turn.is_empty() {
            ice_servers.push(IceServer {
                urls: turn,
                username: Some(credentials.username),
                credential: Some(credentials.password),
            });
        }
        IceAnswer {
            ice_servers,
            ttl: self.ttl.as_secs(),
            note,
        }
    }
}

/// Makes names that nobody can foresee, each once.
#[derive(Debug, Default)]
struct Labels {
    /// The system's randomness, by way of the standard library's keys.
    key: RandomState,
    made: AtomicU64,
}

impl Labels {
    fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.key.hash_one(number))
    }
}

/// Parts `HOST:PORT`; the brackets of an IPv6 address stay.
pub(super) fn split_authority(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
            (host, port.parse().ok())
        }
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Key, Low, Source};

    #[test]
    fn urls_name_the_host_that_the_client_used() {
        let minter = minter(&[("listen", "0.0.0.0:3478")]);
        let urls = urls(&minter, "call.example.org:3478", false);
        assert_eq!(
            urls,
            [
                "stun:call.example.org:3478",
                "turn:call.example.org:3478?transport=udp",
                "turn:call.example.org:3478?transport=tcp",
            ]
        );
    }

    #[test]
    fn a_tls_listener_adds_turns_at_its_port() {
        let minter = minter(&[
            ("listen", "0.0.0.0:3478"),
            ("listen-tls", "0.0.0.0:443"),
            ("tls-self-signed", "true"),
        ]);
        let urls = urls(&minter, "call.example.org", true);
        assert_eq!(
            urls.last().unwrap(),
            "turns:call.example.org:443?transport=tcp"
        );
        assert_eq!(urls.first().unwrap(), "stun:call.example.org:3478");
    }

    #[test]
    fn the_port_of_a_proxy_in_front_is_not_taken_for_ours() {
        let minter = minter(&[("listen", "0.0.0.0:3478")]);
        assert_eq!(
            urls(&minter, "call.example.org:8443", true)[0],
            "stun:call.example.org:3478"
        );
    }

    #[test]
    fn a_public_host_is_believed_with_its_port() {
        let minter = minter(&[
            ("listen", "0.0.0.0:3478"),
            ("public-host", "turn.example.org:5000"),
        ]);
        assert_eq!(
            urls(&minter, "localhost:3478", false)[0],
            "stun:turn.example.org:5000"
        );
    }

    #[test]
    fn turns_is_offered_where_there_is_tls_and_nowhere_else() {
        let public = ("public-host", "turn.example.org:5000");
        let all = urls(&minter(&[public]), "localhost:3478", false);
        assert!(all.iter().all(|url| !url.starts_with("turns:")), "{all:?}");
        let tls = [
            public,
            ("listen-tls", "0.0.0.0:5349"),
            ("tls-self-signed", "true"),
        ];
        let all = urls(&minter(&tls), "localhost:3478", false);
        assert_eq!(
            all.last().unwrap(),
            "turns:turn.example.org:5349?transport=tcp"
        );
    }

    #[test]
    fn a_note_says_why_browsers_do_not_use_the_relay_inside_tls() {
        let note = |pairs: &[(&str, &str)], host: &str| {
            let answer = minter(pairs).mint(Duration::ZERO, None, Reached::from_url(host).as_ref());
            serde_json::to_value(answer).unwrap().get("note").cloned()
        };
        let tls = ("listen-tls", "0.0.0.0:443");
        let files = [tls, ("tls-cert", "chain.pem"), ("tls-key", "key.pem")];
        assert_eq!(note(&[], "http://192.0.2.1:3478"), None);
        assert_eq!(note(&files, "https://call.example.org"), None);
        let at_ip = note(&files, "https://192.0.2.1").unwrap();
        assert!(at_ip.as_str().unwrap().contains("Firefox"), "{at_ip}");
        let self_signed = note(
            &[tls, ("tls-self-signed", "true")],
            "https://call.example.org",
        );
        let self_signed = self_signed.unwrap();
        assert!(
            self_signed.as_str().unwrap().contains("self-signed"),
            "{self_signed}"
        );
    }

    #[test]
    fn lists_have_user_names_of_their_own_unless_one_is_given() {
        let minter = minter(&[]);
        let name = |user| {
            let answer = minter.mint(Duration::from_secs(1_000), user, None);
            let mut names = answer.ice_servers.into_iter().filter_map(|it| it.username);
            names.next().unwrap()
        };
        let (first, second) = (name(None), name(None));
        assert_ne!(first, second);
        let label = first.strip_prefix("4600:").unwrap();
        assert_eq!(label.len(), 16);
        assert_eq!(name(Some("ann")), "4600:ann");
    }

    #[test]
    fn ipv6_hosts_keep_their_brackets() {
        let minter = minter(&[("listen", "[::]:3478")]);
        assert_eq!(
            urls(&minter, "[2001:db8::1]:3478", false)[0],
            "stun:[2001:db8::1]:3478"
        );
    }

    fn minter(pairs: &[(&str, &str)]) -> IceMinter {
        let mut low = Low::default();
        for (name, value) in pairs {
            low.set(
                Key::find(name).unwrap(),
                Source::Flag,
                vec![(*value).to_owned()],
            );
        }
        IceMinter::new(
            &Config::resolve(&low).unwrap(),
            "0123456789abcdef".to_owned(),
        )
    }

    fn urls(minter: &IceMinter, authority: &str, secure: bool) -> Vec<String> {
        let reached = Reached {
            authority: authority.to_owned(),
            secure,
        };
        let answer = minter.mint(Duration::from_secs(1_000), None, Some(&reached));
        answer
            .ice_servers
            .into_iter()
            .flat_map(|server| server.urls)
            .collect()
    }
}
