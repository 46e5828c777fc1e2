//! Whether a proxy leads to the server: the one that was asked for, or that the environment names.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use jackfield_driver::proxy::{self as driver, Tunnel};
use jackfield_proxy::{HandshakeError, HostName, NoProxy, ProxyUrl, TargetHost};
use jackfield_sansio::{FiveTuple, Transport};
use jackfield_stun::uri::{Host, Scheme, Uri};

use super::http::Site;
use crate::facts::{Ice, NetworkError, Proxy, ProxyError, TlsError, WebError};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

/// A proxy, and which variable names it, or which argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) variable: &'static str,
    url: ProxyUrl,
}

/// What the environment says of proxies.
#[derive(Debug)]
pub(super) enum Setting {
    /// A proxy is named.
    Proxy(Named, /* whether the server is exempt */ bool),
    /// This variable does not hold the URL of a proxy.
    Bad(&'static str),
}

/// Returns what is said about this server: a proxy that was asked for, or what the environment
/// names; nothing if there is neither. `no_proxy` holds for both.
pub(super) fn setting(target: &Target, asked: Option<&ProxyUrl>) -> Option<Setting> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = asked else {
        return setting_in(target, variable);
    };
    if target.scheme == TargetScheme::Stun {
        return None;
    }
    let named = Named {
        variable: ARGUMENT,
        url: url.clone(),
    };
    Some(Setting::Proxy(named, is_exempt(target, variable)))
}

fn is_exempt(target: &Target, variable: impl Fn(&str) -> Option<String>) -> bool {
    let exempt = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    exempt
        .zip(host_of(target))
        .is_some_and(|(list, host)| NoProxy::new(&list).contains(&host))
}

/// The same with variables from elsewhere.
///
/// [`ProxyRules`](jackfield_proxy::ProxyRules) is about tunnels alone, so it does not read the
/// variable of `http:` URLs and does not say which variable it took.
fn setting_in(target: &Target, variable: impl Fn(&str) -> Option<String>) -> Option<Setting> {
    let names: &[&'static str] = match target.scheme {
        TargetScheme::Https => &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        // A program that CGI starts gets a request's `Proxy:` field as HTTP_PROXY, so clients do
        // not read that variable (CVE-2016-5385, "httpoxy").
        TargetScheme::Http => &["http_proxy", "all_proxy", "ALL_PROXY"],
        TargetScheme::Stun => return None,
    };
    let (name, value) = names
        .iter()
        .find_map(|name| Some((*name, variable(name)?)))?;
    let is_exempt = is_exempt(target, variable);
    Some(match value.parse() {
        Ok(url) => Setting::Proxy(
            Named {
                variable: name,
                url,
            },
            is_exempt,
        ),
        Err(_) => Setting::Bad(name),
    })
}

/// Returns the server's host as a proxy gets it; nothing if no proxy could take the name.
fn host_of(target: &Target) -> Option<TargetHost> {
    match target.host.parse::<IpAddr>() {
        Ok(ip) => Some(TargetHost::Address(ip)),
        Err(_) => HostName::new(&target.host).map(TargetHost::Name),
    }
}

impl Named {
    /// Returns the proxy's host and port, without its scheme and login.
    pub(super) fn authority(&self) -> String {
        self.url.target().to_string()
    }

    /// Has the proxy connect to a server; `trust` is for a proxy that is itself inside TLS.
    pub(super) async fn connect(
        &self,
        target: &Target,
        trust: &Trust,
    ) -> Result<(Tunnel, FiveTuple), ProxyError> {
        let unnameable = ProxyError::Behind(WebError::Unreachable(NetworkError::NoRoute));
        let to = jackfield_proxy::Target {
            host: host_of(target).ok_or(unnameable)?,
            port: target.port,
        };
        let mut proxy = driver::Proxy::new(self.url.clone());
        proxy.tls = Some(trust.config().clone());
        proxy.timeout = PATIENCE;
        let tunnel = proxy.connect(to).await.map_err(ProxyError::of)?;
        let path = FiveTuple {
            transport: Transport::Tcp,
            local: tunnel.local_addr(),
            remote: tunnel.proxy_addr(),
        };
        Ok((tunnel, path))
    }
}

impl ProxyError {
    fn of(error: driver::ProxyError) -> Self {
        use driver::ProxyError as Error;
        match error {
            Error::NameNotFound(_) => Self::NameNotFound,
            Error::Unreachable(error) => Self::Unreachable(NetworkError::of(&error)),
            Error::Tls(error) => Self::Tls(TlsError::of(&error)),
            Error::Refused(error) => Self::of_handshake(error),
            // `TimedOut`, and what a later version may add.
            _ => Self::Unreachable(NetworkError::TimedOut),
        }
    }

    fn of_handshake(error: HandshakeError) -> Self {
        match error {
            HandshakeError::CredentialsRequired
            | HandshakeError::CredentialsRefused
            | HandshakeError::UnsupportedAuthentication => Self::LoginWanted,
            HandshakeError::Status(status) => Self::Refused(status),
            HandshakeError::Refused(failure) => Self::SocksFailed(failure),
            // It closed the connection, or answered in no protocol of proxies.
            _ => Self::NotProxy,
        }
    }
}

/// Asks the server through the proxy.
pub(super) async fn examine(
    target: &Target,
    trust: &Trust,
    asked: Option<&ProxyUrl>,
) -> Option<Proxy> {
    let (named, is_bypassed) = match setting(target, asked)? {
        Setting::Proxy(named, is_bypassed) => (named, is_bypassed),
        Setting::Bad(variable) => {
            return Some(Proxy {
                variable,
                authority: String::new(),
                is_bypassed: false,
                result: Err(ProxyError::BadUrl),
                relay: None,
            });
        }
    };
    let site = Site {
        target,
        addresses: &[],
        trust,
        proxy: Some(&named),
    };
    let page = site.get("/ice").await;
    let relay = match &page {
        Ok(page) => match super::read_ice(&page.body) {
            Some(ice) => try_relay(&named, &ice, trust).await,
            None => None,
        },
        Err(_) => None,
    };
    let result = match page {
        Ok(page) if super::read_ice(&page.body).is_some() => Ok(page.took),
        Ok(_) => Err(ProxyError::Behind(WebError::Unexpected)),
        Err(error) => Err(proxy_error(error)),
    };
    Some(Proxy {
        variable: named.variable,
        authority: named.authority(),
        is_bypassed,
        result,
        relay,
    })
}

fn proxy_error(error: WebError) -> ProxyError {
    match error {
        WebError::Proxy(error) => *error,
        error => ProxyError::Behind(error),
    }
}

/// Tries TLS with a relay through the proxy, as browsers do where nothing else gets out.
async fn try_relay(
    named: &Named,
    ice: &Ice,
    trust: &Trust,
) -> Option<Result<Duration, ProxyError>> {
    let mut uris = ice.urls.iter().filter_map(|url| url.parse::<Uri>().ok());
    let uri = uris.find(|uri| uri.scheme == Scheme::Turns)?;
    let target = Target {
        host: match &uri.host {
            Host::Ipv6(ip) => ip.to_string(),
            Host::Name(name) => name.clone(),
        },
        port: uri.port(),
        scheme: TargetScheme::Https,
    };
    let start = Instant::now();
    let site = Site {
        target: &target,
        addresses: &[],
        trust,
        proxy: Some(named),
    };
    let connected = site.connect(TargetScheme::Https, trust).await;
    Some(match connected {
        Ok(_) => Ok(start.elapsed()),
        Err(error) => Err(proxy_error(error)),
    })
}

/// What names a proxy that was asked for.
const ARGUMENT: &str = "--proxy";

/// How long a proxy may take to make a connection.
const PATIENCE: Duration = Duration::from_secs(6);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(target: &str, variables: &[(&str, &str)]) -> Option<Setting> {
        let value = |name: &str| {
            let found = variables.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        setting_in(&target.parse().unwrap(), value)
    }

    #[test]
    fn the_variable_of_the_scheme_names_the_proxy() {
        let https = "https://call.example";
        let Some(Setting::Proxy(named, false)) = set(
            https,
            &[("https_proxy", "http://a%40b:p@proxy.example:3128/")],
        ) else {
            panic!("no proxy");
        };
        assert_eq!(named.authority(), "proxy.example:3128");
        let login = jackfield_proxy::Credentials::new(b"a@b", b"p");
        assert_eq!(named.url.credentials(), login.as_ref());
        assert!(!format!("{named:?}").contains("a@b"));
        assert!(set(https, &[("http_proxy", "http://p:1")]).is_none());
        assert!(set("http://call.example", &[("HTTP_PROXY", "http://p:1")]).is_none());
        assert!(set("stun:call.example", &[("all_proxy", "http://p:1")]).is_none());
        let socks = set(https, &[("all_proxy", "socks5h://p")]);
        assert!(matches!(socks, Some(Setting::Proxy(named, _)) if named.authority() == "p:1080"));
        let bad = set(https, &[("HTTPS_PROXY", "socks4://p:1")]);
        assert!(matches!(bad, Some(Setting::Bad("HTTPS_PROXY"))));
    }

    #[test]
    fn no_proxy_lists_suffixes() {
        for (list, is_exempt) in [
            ("call.example", true),
            ("localhost, .example", true),
            ("example", true),
            ("*", true),
            ("ample", false),
            ("", false),
        ] {
            let variables = [("https_proxy", "p:1"), ("no_proxy", list)];
            let found = set("https://call.example", &variables);
            assert!(
                matches!(found, Some(Setting::Proxy(_, it)) if it == is_exempt),
                "{list}"
            );
        }
    }
}
