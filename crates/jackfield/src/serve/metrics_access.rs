//! Who may read the metrics.

use http::HeaderMap;
use http::header;
use jackfield_turn::Cidr;

use super::site_policy::Head;
use crate::config::Config;

/// Decides who may read the metrics: this machine, some networks, and who shows a token.
#[derive(Debug)]
pub(super) struct MetricsAccess {
    networks: Vec<Cidr>,
    tokens: Vec<String>,
}

impl MetricsAccess {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            networks: config.metrics_from.clone(),
            tokens: config.metrics_tokens.clone(),
        }
    }

    /// Returns whether a request may be answered.
    pub(super) fn admits(&self, head: Head<'_>) -> bool {
        let is_near = || {
            let client = head.path.remote.ip().to_canonical();
            let is_this_machine = client == head.path.local.ip().to_canonical();
            is_this_machine || self.networks.iter().any(|network| network.contains(client))
        };
        // The address of a proxy says nothing of its clients.
        (!is_forwarded(head.headers) && is_near()) || self.shows_token(head.headers)
    }

    fn shows_token(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION).map(|it| it.as_bytes());
        let shown = shown.and_then(|it| it.split_at_checked(BEARER.len()));
        shown.is_some_and(|(scheme, shown)| {
            let is_token = |token: &String| is_same(token.as_bytes(), shown);
            scheme.eq_ignore_ascii_case(BEARER) && self.tokens.iter().any(is_token)
        })
    }
}

/// Returns whether a proxy says that it passes a request on.
fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDED.iter().any(|name| headers.contains_key(*name))
}

/// Compares without telling by the time where the first difference is.
fn is_same(token: &[u8], shown: &[u8]) -> bool {
    let differences = token.iter().zip(shown).fold(0, |all, (a, b)| all | (a ^ b));
    token.len() == shown.len() && differences == 0
}

const BEARER: &[u8] = b"Bearer ";
const FORWARDED: &[&str] = &["forwarded", "via", "x-forwarded-for", "x-real-ip"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Key, Low, Source};
    use http::header::{HeaderName, HeaderValue};
    use jackfield_sansio::{FiveTuple, Transport};

    #[test]
    fn this_machine_and_private_networks_read_the_metrics_and_nobody_else() {
        for (client, is_admitted) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("10.1.2.3", true),
            ("192.168.1.7", true),
            ("::ffff:172.16.0.9", true),
            ("fd00::7", true),
            ("198.51.100.1", true), // the server's own
            ("8.8.8.8", false),
            ("::ffff:8.8.8.8", false),
            ("2001:4860::8888", false),
            ("100.64.0.1", false),
        ] {
            assert_eq!(admits(&[], client, &[]), is_admitted, "{client}");
        }
        let own = [("metrics-from", "100.64.0.0/10")];
        assert!(admits(&own, "100.64.0.1", &[]));
        assert!(!admits(&own, "10.1.2.3", &[]));
    }

    #[test]
    fn a_proxy_on_this_machine_does_not_show_them_to_the_world() {
        for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
            assert!(!admits(&[], "127.0.0.1", &[(name, "8.8.8.8")]), "{name}");
        }
    }

    #[test]
    fn a_token_opens_them_from_anywhere() {
        let token = [("metrics-token", "0123456789abcdef")];
        for (shown, is_admitted) in [
            ("Bearer 0123456789abcdef", true),
            ("bearer 0123456789abcdef", true),
            ("Bearer 0123456789abcdeX", false),
            ("Bearer 0123456789abcde", false),
            ("Bearer 0123456789abcdef0", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic 0123456789abcdef", false),
            ("0123456789abcdef", false),
        ] {
            let headers = [("authorization", shown), ("via", "1.1 proxy")];
            assert_eq!(admits(&token, "8.8.8.8", &headers), is_admitted, "{shown}");
        }
        assert!(!admits(&[], "8.8.8.8", &[("authorization", "Bearer ")]));
    }

    fn admits(pairs: &[(&str, &str)], client: &str, headers: &[(&'static str, &str)]) -> bool {
        let mut low = Low::default();
        for (name, value) in pairs {
            let key = Key::find(name).unwrap();
            low.set(key, Source::Flag, vec![(*value).to_owned()]);
        }
        let access = MetricsAccess::new(&Config::resolve(&low).unwrap());
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        access.admits(Head {
            headers: &headers.collect(),
            authority: None,
            path: FiveTuple {
                transport: Transport::Tcp,
                local: "198.51.100.1:3478".parse().unwrap(),
                remote: std::net::SocketAddr::new(client.parse().unwrap(), 50_000),
            },
        })
    }
}
