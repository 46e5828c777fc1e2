//! The HTTP proxy that the environment names: whether it leads to the server.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{Method, Request};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use jackfield_driver::discovery::race;
use jackfield_sansio::FiveTuple;
use jackfield_stun::uri::{Host, Scheme, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::http::{Site, Stream, path_of};
use crate::facts::{Ice, NetworkError, Proxy, ProxyError, WebError};
use crate::target::{Target, TargetScheme};
use crate::trust::Trust;

/// An HTTP proxy, as a variable names it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) variable: &'static str,
    host: String,
    port: u16,
    /// The value of `Proxy-Authorization`, if the variable has a user name.
    login: Option<String>,
}

impl std::fmt::Debug for Named {
    // The login stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Named")
            .field("variable", &self.variable)
            .field("authority", &self.authority())
            .finish_non_exhaustive()
    }
}

/// What the environment says of proxies.
#[derive(Debug)]
pub(super) enum Setting {
    /// A proxy is named.
    Proxy(Named, /* whether the server is exempt */ bool),
    /// This variable does not name an HTTP proxy.
    Bad(&'static str),
}

/// Returns what the environment says about this server; nothing if it names no proxy.
pub(super) fn setting(target: &Target) -> Option<Setting> {
    setting_in(target, |name| {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    })
}

/// The same with variables from elsewhere.
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
    let exempt = variable("no_proxy").or_else(|| variable("NO_PROXY"));
    let is_exempt = exempt.is_some_and(|list| is_in(&target.host, &list));
    Some(match Named::parse(name, &value) {
        Some(named) => Setting::Proxy(named, is_exempt),
        None => Setting::Bad(name),
    })
}

/// Returns whether a list of suffixes, parted by commas, has a host.
fn is_in(host: &str, list: &str) -> bool {
    let mut entries = list.split(',').map(str::trim).filter(|it| !it.is_empty());
    entries.any(|entry| {
        let entry = entry.trim_start_matches('.');
        entry == "*"
            || host == entry
            || host
                .strip_suffix(entry)
                .is_some_and(|rest| rest.ends_with('.'))
    })
}

impl Named {
    fn parse(variable: &'static str, value: &str) -> Option<Self> {
        let rest = match value.split_once("://") {
            Some(("http", rest)) => rest,
            Some(_) => return None,
            None => value,
        };
        let authority = rest.split('/').next()?;
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, authority),
        };
        let target: Target = format!("http://{authority}").parse().ok()?;
        Some(Self {
            variable,
            host: target.host,
            port: target.port,
            login: login.map(|login| format!("Basic {}", base64(&unescape(login)))),
        })
    }

    pub(super) fn authority(&self) -> String {
        let target = Target {
            host: self.host.clone(),
            port: self.port,
            scheme: TargetScheme::Http,
        };
        target.authority()
    }

    /// Has the proxy connect to a host ([RFC 9110 §9.3.6]).
    ///
    /// [RFC 9110 §9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
    pub(super) async fn connect(
        &self,
        authority: &str,
    ) -> Result<(Box<dyn Stream>, FiveTuple), ProxyError> {
        timeout(PATIENCE, self.tunnel(authority))
            .await
            .unwrap_or(Err(ProxyError::Unreachable(NetworkError::TimedOut)))
    }

    async fn tunnel(&self, authority: &str) -> Result<(Box<dyn Stream>, FiveTuple), ProxyError> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|_| ProxyError::NameNotFound)?.collect();
        let stream = race(&addresses, TcpStream::connect).await;
        let stream = stream.map_err(|error| match error {
            Some(error) => ProxyError::Unreachable(NetworkError::of(&error)),
            None => ProxyError::NameNotFound,
        })?;
        let path = path_of(&stream).map_err(ProxyError::Unreachable)?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|_| ProxyError::NotProxy)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "A connection to a proxy broke");
            }
        });
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(authority)
            .header(HOST, authority);
        if let Some(login) = &self.login {
            request = request.header(PROXY_AUTHORIZATION, login);
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|_| ProxyError::NotProxy)?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|_| ProxyError::NotProxy)?;
        match answer.status().as_u16() {
            200..300 => {}
            407 => return Err(ProxyError::LoginWanted),
            status => return Err(ProxyError::Refused(status)),
        }
        let upgraded = hyper::upgrade::on(answer).await;
        let upgraded = upgraded.map_err(|_| ProxyError::NotProxy)?;
        Ok((Box::new(TokioIo::new(upgraded)), path))
    }
}

/// Asks the server through the proxy.
pub(super) async fn examine(target: &Target, trust: &Trust) -> Option<Proxy> {
    let (named, is_bypassed) = match setting(target)? {
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

/// Undoes percent-encoding ([RFC 3986 §2.1]); what is none stays.
///
/// [RFC 3986 §2.1]: https://www.rfc-editor.org/rfc/rfc3986#section-2.1
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (b'%', [high, low, ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high).zip(digit(*low))
            }
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                out.push((high * 16 + low) as u8);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

/// Writes bytes in base64 ([RFC 4648 §4]).
///
/// [RFC 4648 §4]: https://www.rfc-editor.org/rfc/rfc4648#section-4
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

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
        assert_eq!(named.login.as_deref(), Some("Basic YUBiOnA="));
        assert!(!format!("{named:?}").contains("YUBi"));
        assert!(set(https, &[("http_proxy", "http://p:1")]).is_none());
        assert!(set("http://call.example", &[("HTTP_PROXY", "http://p:1")]).is_none());
        assert!(set("stun:call.example", &[("all_proxy", "http://p:1")]).is_none());
        let bad = set(https, &[("HTTPS_PROXY", "socks5://p:1")]);
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
