//! Which targets need a proxy, by the variables that curl follows.

use std::net::IpAddr;

use super::{ProxyUrl, ProxyUrlError, TargetHost};

/// The proxy for TCP connections, and the targets that need none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProxyRules {
    /// The proxy; `None` stands for direct connections.
    pub proxy: Option<ProxyUrl>,
    /// The targets that are connected to directly.
    pub no_proxy: NoProxy,
}

/// The targets of `no_proxy`: a list of host names, addresses and CIDR blocks, or `*` for all.
///
/// A name stands for itself and for every name below it, with or without a dot in front. Entries
/// are separated by commas or spaces; what is neither a name nor an address matches nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    All,
    /// In lower case, without dots at its ends.
    Domain(String),
    Block(IpAddr, u8),
}

/// An error: a variable does not hold the URL of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {error}")]
pub struct RulesError {
    /// The name of the variable.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub error: ProxyUrlError,
}

impl ProxyRules {
    /// Reads the rules for tunnels from variables: `https_proxy` or else `all_proxy`, and
    /// `no_proxy`; each in lower case or else in upper case, and as unset when empty.
    ///
    /// `http_proxy` is for requests that a proxy makes itself, and says nothing of tunnels.
    ///
    /// # Errors
    /// Fails when the variable that counts does not hold the URL of a proxy: a program that went
    /// on without its proxy could show its address to all the world.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, RulesError> {
        let value = |name: &str| lookup(name).filter(|it| !it.is_empty());
        let mut proxies = PROXY_VARIABLES.into_iter();
        let found = proxies.find_map(|variable| value(variable).map(|text| (variable, text)));
        let proxy = found.map(|(variable, text)| {
            let url = text.parse();
            url.map_err(|error| RulesError { variable, error })
        });
        let no_proxy = NO_PROXY_VARIABLES.into_iter().find_map(value);
        Ok(Self {
            proxy: proxy.transpose()?,
            no_proxy: NoProxy::new(&no_proxy.unwrap_or_default()),
        })
    }

    /// Returns the proxy for connections to a host, or `None` if they are direct.
    #[must_use]
    pub fn proxy_for(&self, host: &TargetHost) -> Option<&ProxyUrl> {
        let proxy = self.proxy.as_ref()?;
        (!self.no_proxy.contains(host)).then_some(proxy)
    }
}

impl NoProxy {
    /// Reads a list as `no_proxy` has it.
    #[must_use]
    pub fn new(list: &str) -> Self {
        // The star is no wildcard: curl knows it alone.
        if list.trim() == "*" {
            return Self {
                entries: vec![Entry::All],
            };
        }
        let texts = list.split([',', ' ', '\t']).filter(|it| !it.is_empty());
        Self {
            entries: texts.filter_map(Entry::new).collect(),
        }
    }

    /// Returns whether connections to a host are direct.
    #[must_use]
    pub fn contains(&self, host: &TargetHost) -> bool {
        self.entries.iter().any(|entry| entry.contains(host))
    }
}

impl Entry {
    fn new(text: &str) -> Option<Self> {
        // An IPv6 address may be in brackets, as in a URL.
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let (ip, length) = match bare.split_once('/') {
            Some((ip, length)) => (ip, Some(length.parse::<u8>().ok()?)),
            None => (bare, None),
        };
        if let Ok(ip) = ip.parse::<IpAddr>() {
            let whole = if ip.is_ipv4() { 32 } else { 128 };
            let length = length.unwrap_or(whole);
            return (length <= whole).then_some(Self::Block(ip, length));
        }
        let name = text.trim_matches('.').to_ascii_lowercase();
        (!name.is_empty()).then_some(Self::Domain(name))
    }

    fn contains(&self, host: &TargetHost) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Domain(domain), TargetHost::Name(name)) => {
                let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
                let above = name.strip_suffix(domain.as_str());
                // The dot keeps `badexample.com` out of `example.com`.
                above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (Self::Block(block, length), TargetHost::Address(ip)) => {
                let differing = match (block, ip) {
                    (IpAddr::V4(block), IpAddr::V4(ip)) => {
                        (block.to_bits() ^ ip.to_bits()).leading_zeros()
                    }
                    (IpAddr::V6(block), IpAddr::V6(ip)) => {
                        (block.to_bits() ^ ip.to_bits()).leading_zeros()
                    }
                    _ => return false,
                };
                differing >= u32::from(*length)
            }
            _ => false,
        }
    }
}

const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const NO_PROXY_VARIABLES: [&str; 2] = ["no_proxy", "NO_PROXY"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostName, Target};

    fn host(text: &str) -> TargetHost {
        match text.parse() {
            Ok(ip) => TargetHost::Address(ip),
            Err(_) => TargetHost::Name(HostName::new(text).unwrap()),
        }
    }

    fn rules(variables: &[(&str, &str)]) -> Result<ProxyRules, RulesError> {
        ProxyRules::from_environment(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_proxy_matches_names_below_a_domain_and_addresses_in_a_block() {
        let list =
            NoProxy::new("example.com, .local,192.0.2.0/24 2001:db8::/32,198.51.100.7,[::1]");
        for inside in [
            "example.com",
            "EXAMPLE.com.",
            "turn.example.com",
            "printer.local",
            "local",
            "192.0.2.200",
            "2001:db8:1::2",
            "198.51.100.7",
            "::1",
        ] {
            assert!(list.contains(&host(inside)), "{inside}");
        }
        for outside in [
            "badexample.com",
            "example.com.evil",
            "192.0.3.1",
            "2001:db9::1",
            "198.51.100.8",
            "example.org",
        ] {
            assert!(!list.contains(&host(outside)), "{outside}");
        }
    }

    #[test]
    fn a_star_alone_means_everything_and_otherwise_nothing() {
        assert!(NoProxy::new(" * ").contains(&host("example.org")));
        assert!(NoProxy::new("*").contains(&host("192.0.2.1")));
        assert!(!NoProxy::new("*,example.com").contains(&host("example.org")));
        assert!(!NoProxy::new("*.example.com").contains(&host("www.example.com")));
        assert!(!NoProxy::new("").contains(&host("example.org")));
        assert!(NoProxy::new("0.0.0.0/0").contains(&host("192.0.2.1")));
        assert!(!NoProxy::new("0.0.0.0/33, ., /8").contains(&host("192.0.2.1")));
    }

    #[test]
    fn lower_case_counts_before_upper_case_and_https_before_all() {
        let of = |variables: &[(&str, &str)]| {
            let rules = rules(variables).unwrap();
            rules.proxy.map(|proxy| proxy.target().to_string())
        };
        let all = ("ALL_PROXY", "socks5://c");
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("http_proxy", "x"), ("HTTP_PROXY", "x")]), None);
        assert_eq!(of(&[all]).as_deref(), Some("c:1080"));
        assert_eq!(of(&[all, ("HTTPS_PROXY", "b")]).as_deref(), Some("b:1080"));
        let both = [all, ("HTTPS_PROXY", "b"), ("https_proxy", "a:1")];
        assert_eq!(of(&both).as_deref(), Some("a:1"));
        assert_eq!(of(&[("https_proxy", ""), all]).as_deref(), Some("c:1080"));
    }

    #[test]
    fn a_wrong_url_is_an_error_that_names_its_variable() {
        let error = rules(&[("https_proxy", "socks4://a")]).unwrap_err();
        assert_eq!(error.variable, "https_proxy");
        assert!(
            error
                .to_string()
                .starts_with("https_proxy: the scheme of a proxy")
        );
    }

    #[test]
    fn a_target_outside_the_list_goes_through_the_proxy() {
        let rules = rules(&[("all_proxy", "p"), ("NO_PROXY", "example.com")]).unwrap();
        let target = |text: &str| text.parse::<Target>().unwrap().host;
        assert!(rules.proxy_for(&target("example.com:443")).is_none());
        assert!(rules.proxy_for(&target("example.org:443")).is_some());
    }
}
