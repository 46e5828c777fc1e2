//! Which web pages may use the server.
//!
//! A browser sends the requests of any page to any server that it reaches. Two headers say whose
//! page it is, and no page can change them: `Origin`, and the `Host` that the browser looked up.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use jackfield_sansio::{FiveTuple, Transport};

use super::addresses::is_private;
use super::ice::split_authority;
use crate::config::Config;

/// Decides which web pages may use the server. Programs may: they send neither header.
#[derive(Debug)]
pub(super) struct SitePolicy {
    /// Origins of other sites' pages that may; `*` stands for all.
    origins: Vec<String>,
    /// DNS names that are this server's; `*` stands for all.
    hosts: Vec<String>,
    /// The name that clients are told, whatever a proxy makes of `Host`.
    public_host: Option<String>,
}

/// The head of a request, as far as it says whose page sent it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) headers: &'a HeaderMap,
    /// The `Host` header or `:authority`.
    pub(super) authority: Option<&'a str>,
    /// The connection that it came by.
    pub(super) path: FiveTuple,
}

/// The page is another site's, and its origin is not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForeignOrigin;

/// The browser looked up a name that may be anyone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownHost;

impl SitePolicy {
    pub(super) fn new(config: &Config) -> Self {
        let host = config.public_host.as_deref();
        let public_host = host.map(|authority| split_authority(authority).0.to_owned());
        let mut hosts = config.allow_hosts.clone();
        hosts.extend(public_host.clone());
        hosts.extend(own_host_name());
        Self {
            origins: config.cors_origins.clone(),
            hosts,
            public_host,
        }
    }

    /// Returns whether an origin is listed.
    pub(super) fn lists(&self, origin: &HeaderValue) -> bool {
        let listed = |item: &String| item == "*" || item.as_bytes() == origin.as_bytes();
        self.origins.iter().any(listed)
    }

    /// Decides whether a page may have what needs no CORS: WebSockets, and sessions of Socket.IO.
    ///
    /// The own origin is the host that the request names, at the scheme of the page: a proxy may
    /// have taken TLS off. [`Self::judge_host`] has decided whether that host is this server.
    pub(super) fn judge_origin(&self, head: Head<'_>) -> Result<(), ForeignOrigin> {
        let mut origins = head.headers.get_all(header::ORIGIN).into_iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None) if self.lists(origin) || self.is_own(origin, head) => Ok(()),
            _ => Err(ForeignOrigin),
        }
    }

    fn is_own(&self, origin: &HeaderValue, head: Head<'_>) -> bool {
        let Some((scheme, site)) = origin.to_str().ok().and_then(|it| it.split_once("://")) else {
            return false; // `null`, the origin of sandboxed frames and of files.
        };
        let port = match scheme {
            "https" => 443,
            // Who can change what travels in the clear must not reach what TLS protects.
            "http" if head.path.transport != Transport::Tls => 80,
            _ => return false,
        };
        let asked = head
            .authority
            .map(|authority| match split_authority(authority) {
                (host, Some(named)) if named == port => host,
                _ => authority,
            });
        let is_site = |host: &str| host.eq_ignore_ascii_case(site);
        asked.is_some_and(is_site) || self.public_host.as_deref().is_some_and(is_site)
    }

    /// Decides whether a browser may use the server by the host that it named.
    ///
    /// The owner of a DNS name can point it at any address, that of a server in the visitor's own
    /// network included; the pages of that name then have the server's origin (DNS rebinding). That
    /// gains nothing where the owner reaches the server anyway. It takes a name that the owner can
    /// register, no TLS, and a server in a private network, reached from inside.
    pub(super) fn judge_host(&self, head: Head<'_>) -> Result<(), UnknownHost> {
        let is_inside = is_private(head.path.local.ip()) && is_private(head.path.remote.ip());
        let named = head.authority.map(|authority| split_authority(authority).0);
        let is_known = named.is_none_or(|host| self.knows(host));
        if is_known || !is_inside || is_inside_tls(head) || !is_browser(head.headers) {
            Ok(())
        } else {
            Err(UnknownHost)
        }
    }

    fn knows(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if bare.unwrap_or(host).parse::<IpAddr>().is_ok() {
            return true; // Nothing was looked up.
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_local = match host.rsplit_once('.') {
            // A name of one label is of the visitor's own network.
            None => true,
            Some((_, last)) => LOCAL.iter().any(|local| last.eq_ignore_ascii_case(local)),
        };
        let is_home = host.to_ascii_lowercase().ends_with(".home.arpa");
        let is_listed = |known: &String| known == "*" || known.eq_ignore_ascii_case(host);
        is_local || is_home || self.hosts.iter().any(is_listed)
    }
}

/// Returns whether the browser has checked a certificate for the host, here or at a proxy.
fn is_inside_tls(head: Head<'_>) -> bool {
    let origin = head.headers.get(header::ORIGIN);
    head.path.transport == Transport::Tls
        // Browsers send it to secure origins alone, and scripts cannot.
        || head.headers.contains_key(FETCH_SITE)
        // A page over HTTPS cannot open a connection without TLS.
        || origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"))
}

/// Returns whether a browser sent a request. A page's requests to its own origin may have no
/// `Origin`; but each says the person's languages, and a script can change them but not leave them
/// out.
fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key(header::ACCEPT_LANGUAGE)
}

/// Returns the name that the system gives this machine.
fn own_host_name() -> Option<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_str().ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Where the request's page comes from, as the browser sees it ([Fetch
/// Metadata](https://www.w3.org/TR/fetch-metadata/)).
pub(super) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Top-level domains in which nobody can register a name: reserved (RFC 2606, RFC 6761, RFC 6762
/// and its appendix G), or for private use (`internal`, reserved by ICANN in 2024).
const LOCAL: &[&str] = &[
    "corp",
    "home",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "private",
    "test",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Key, Low, Source};

    #[test]
    fn a_page_of_the_own_host_may_use_the_server_at_the_scheme_of_its_connection() {
        let policy = policy(&[]);
        for (origin, host, transport, own) in [
            ("http://192.0.2.1:3478", "192.0.2.1:3478", PLAIN, true),
            ("http://Call.example.org", "call.example.org", PLAIN, true),
            (
                "http://call.example.org",
                "call.example.org:80",
                PLAIN,
                true,
            ),
            (
                "https://call.example.org",
                "call.example.org:443",
                PLAIN,
                true,
            ),
            (
                "https://call.example.org:8443",
                "call.example.org:8443",
                PLAIN,
                true,
            ),
            (
                "http://[2001:db8::1]:3478",
                "[2001:db8::1]:3478",
                PLAIN,
                true,
            ),
            ("https://call.example.org", "call.example.org", TLS, true),
            ("http://call.example.org", "call.example.org", TLS, false),
            (
                "http://call.example.org:3478",
                "call.example.org:3478",
                TLS,
                false,
            ),
            (
                "http://call.example.org",
                "call.example.org:3478",
                PLAIN,
                false,
            ),
            (
                "http://call.example.org:3478",
                "call.example.org",
                PLAIN,
                false,
            ),
            ("http://other.example.org", "call.example.org", PLAIN, false),
            (
                "http://call.example.org.evil.example",
                "call.example.org",
                PLAIN,
                false,
            ),
            (
                "https://call.example.org:80",
                "call.example.org:80",
                PLAIN,
                true,
            ),
            ("ftp://call.example.org", "call.example.org", PLAIN, false),
            ("null", "null", PLAIN, false),
            ("", "", PLAIN, false),
        ] {
            let headers = headers(&[("origin", origin)]);
            let head = head(&headers, Some(host), "8.8.8.8", transport);
            assert_eq!(policy.judge_origin(head).is_ok(), own, "{origin} at {host}");
        }
    }

    #[test]
    fn a_page_of_another_site_needs_its_origin_in_the_list() {
        let listed = policy(&[("cors-origin", "https://app.example.org")]);
        let any = policy(&[("cors-origin", "*")]);
        for (origin, is_listed) in [
            ("https://app.example.org", true),
            ("http://app.example.org", false),
            ("https://app.example.org.evil.example", false),
            ("null", false),
        ] {
            let headers = headers(&[("origin", origin)]);
            let head = head(&headers, Some("call.example.org"), "8.8.8.8", PLAIN);
            assert_eq!(listed.judge_origin(head).is_ok(), is_listed, "{origin}");
            assert!(any.judge_origin(head).is_ok(), "{origin}");
        }
        let two = headers(&[
            ("origin", "https://app.example.org"),
            ("origin", "https://evil.example"),
        ]);
        let head = head(&two, Some("call.example.org"), "8.8.8.8", PLAIN);
        assert_eq!(listed.judge_origin(head), Err(ForeignOrigin));
    }

    #[test]
    fn a_program_sends_no_origin_and_is_let_in() {
        let headers = HeaderMap::new();
        let head = head(&headers, Some("call.example.org"), "8.8.8.8", PLAIN);
        assert_eq!(policy(&[]).judge_origin(head), Ok(()));
    }

    #[test]
    fn the_public_host_is_own_behind_a_proxy_that_names_another() {
        let policy = policy(&[("public-host", "call.example.org:3478")]);
        let judge = |origin| {
            let headers = headers(&[("origin", origin)]);
            policy.judge_origin(head(&headers, Some("127.0.0.1:3478"), "127.0.0.1", PLAIN))
        };
        assert_eq!(judge("https://call.example.org"), Ok(()));
        assert_eq!(judge("https://call.example.org:8443"), Err(ForeignOrigin));
        assert_eq!(judge("https://evil.example"), Err(ForeignOrigin));
    }

    #[test]
    fn a_name_that_anyone_can_register_is_no_way_into_a_private_network() {
        let policy = policy(&[]);
        for (host, is_known) in [
            ("127.0.0.1:3478", true),
            ("[::1]:3478", true),
            ("[fe80::1]", true),
            ("localhost:3478", true),
            ("LOCALHOST.", true),
            ("call.localhost:3478", true),
            ("nas:3478", true),
            ("nas.local", true),
            ("nas.home.arpa:3478", true),
            ("call.corp.internal", true),
            ("evil.example:3478", false),
            ("evil.example", false),
            ("evil.example.", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("local.evil.example", false),
            ("evilhome.arpa", false),
        ] {
            let headers = headers(&[("accept-language", "en")]);
            for address in ["127.0.0.1", "192.168.1.7", "100.64.3.4", "fd00::7"] {
                let head = head(&headers, Some(host), address, PLAIN);
                assert_eq!(
                    policy.judge_host(head).is_ok(),
                    is_known,
                    "{host} at {address}"
                );
            }
        }
    }

    #[test]
    fn any_name_will_do_where_its_owner_gains_nothing_by_it() {
        let policy = policy(&[]);
        let browser = headers(&[("accept-language", "en")]);
        let judge = |headers: &HeaderMap, client: &str, transport| {
            policy.judge_host(head(headers, Some("call.example.org"), client, transport))
        };
        assert_eq!(judge(&browser, "192.168.1.7", PLAIN), Err(UnknownHost));
        assert_eq!(
            judge(&browser, "8.8.8.8", PLAIN),
            Ok(()),
            "from the internet"
        );
        assert_eq!(judge(&browser, "192.168.1.7", TLS), Ok(()), "inside TLS");
        for (name, value, is_let_in) in [
            ("sec-fetch-site", "none", true),
            ("origin", "https://call.example.org", true),
            ("origin", "http://call.example.org", false),
        ] {
            let headers = headers(&[("accept-language", "en"), (name, value)]);
            let judged = judge(&headers, "127.0.0.1", PLAIN);
            assert_eq!(judged.is_ok(), is_let_in, "{name}: {value}");
        }
        let program = headers(&[("user-agent", "curl")]);
        assert_eq!(judge(&program, "192.168.1.7", PLAIN), Ok(()));
        // A script that leaves the languages empty is a script of a browser.
        let empty = headers(&[("accept-language", "")]);
        assert_eq!(judge(&empty, "192.168.1.7", PLAIN), Err(UnknownHost));
    }

    #[test]
    fn names_that_are_configured_are_known() {
        let headers = headers(&[("origin", "http://call.example.org:3478")]);
        let head = head(&headers, Some("call.example.org:3478"), "10.0.0.7", PLAIN);
        for pair in [
            ("public-host", "call.example.org:3478"),
            ("public-host", "call.example.org"),
            ("allow-host", "Call.example.org"),
            ("allow-host", "*"),
        ] {
            assert_eq!(policy(&[pair]).judge_host(head), Ok(()), "{pair:?}");
        }
        let other = policy(&[("allow-host", "example.org")]);
        assert_eq!(other.judge_host(head), Err(UnknownHost));
    }

    const PLAIN: Transport = Transport::Tcp;
    const TLS: Transport = Transport::Tls;

    fn policy(pairs: &[(&str, &str)]) -> SitePolicy {
        let mut low = Low::default();
        for (name, value) in pairs {
            let key = Key::find(name).unwrap();
            low.set(key, Source::Flag, vec![(*value).to_owned()]);
        }
        SitePolicy::new(&Config::resolve(&low).unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        HeaderMap::from_iter(pairs.iter().map(pair))
    }

    /// A request from `client` to a server in a private network.
    fn head<'a>(
        headers: &'a HeaderMap,
        authority: Option<&'a str>,
        client: &str,
        transport: Transport,
    ) -> Head<'a> {
        Head {
            headers,
            authority,
            path: FiveTuple {
                transport,
                local: "192.168.1.2:3478".parse().unwrap(),
                remote: (client.parse::<IpAddr>().unwrap(), 50_000).into(),
            },
        }
    }
}
