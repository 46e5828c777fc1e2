//! A lab with every name looked up and every address given out; nothing of it exists yet.

mod error;
mod site;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jackfield_nat::profile::Profile;

use super::spec::{SiteSpec, Spec};
use crate::nat::{Change, Routing, Settings};
use crate::proxy::ProxyKind;

pub use error::PlanError;
pub use site::{Ipv6Plan, ProxyPlan, SitePlan};

use error::unknown;
use site::ipv6;
pub(crate) use site::{PREF64, synthesized};

/// The addresses of a lab and the settings of its routers.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The sites; each comes after the one that it is behind.
    pub sites: Vec<SitePlan>,
    /// The hosts, without the server.
    pub hosts: Vec<HostPlan>,
    /// Whether there is IPv6.
    pub ipv6: bool,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPlan {
    /// Its name.
    pub name: String,
    /// The index of its site in [`Plan::sites`].
    pub site: usize,
    /// Its address there: of IPv6 behind a NAT64.
    pub ip: IpAddr,
    /// The address that the internet sees: the first one of the outermost NAT, or its own.
    pub public_ip: IpAddr,
    /// Its IPv6 address, when the lab has IPv6.
    pub ip6: Option<Ipv6Addr>,
}

impl Plan {
    /// Looks up the names of a spec and gives out the addresses.
    ///
    /// The same spec always gets the same addresses, so scripts may rely on them.
    ///
    /// # Errors
    /// Names the key of what does not fit together.
    pub fn new(spec: &Spec) -> Result<Self, PlanError> {
        let mut plan = Self {
            sites: Vec::new(),
            hosts: Vec::new(),
            ipv6: spec.ipv6,
        };
        check_names(spec)?;
        check_externals(spec)?;
        for site in &spec.sites {
            plan.add_site(spec, site, spec.sites.len())?;
        }
        for host in &spec.hosts {
            plan.add_host(host.name.as_str(), host.site.as_deref())?;
        }
        for (index, job) in spec.jobs.iter().enumerate() {
            plan.check_host(index, &job.host)?;
        }
        plan.open_public_sites();
        Ok(plan)
    }

    /// Returns the names of all hosts, the server first.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        let hosts = self.hosts.iter().map(|host| host.name.clone());
        std::iter::once(SERVER.to_owned()).chain(hosts).collect()
    }

    /// Returns a summary for people: a line for the server and one for each site, with its hosts.
    pub fn describe(&self, lab: &str) -> String {
        let [server, second] = SERVER_IPS;
        let mut lines = vec![format!("lab {lab}: server {server}, {second}")];
        let list = |all: Vec<String>| all.join(", ");
        for (place, site) in self.sites.iter().enumerate() {
            let mut line = format!("  {}: {}", site.name, site.about());
            let externals = &site.settings.externals;
            if !externals.is_empty() {
                let externals = externals.iter().map(ToString::to_string);
                line += &format!(" at {}", list(externals.collect()));
            }
            if let Some(parent) = site.parent.and_then(|parent| self.sites.get(parent)) {
                line += &format!(", behind {}", parent.name);
            }
            let hosts = self.hosts_of(place);
            let hosts = list(hosts.map(|it| format!("{} {}", it.name, it.ip)).collect());
            if !hosts.is_empty() {
                line += &format!("; {hosts}");
            }
            lines.push(line);
        }
        lines.join("\n")
    }

    /// Returns the hosts of the site with this index.
    pub fn hosts_of(&self, site: usize) -> impl Iterator<Item = &HostPlan> {
        self.hosts.iter().filter(move |host| host.site == site)
    }

    /// Returns the server and the hosts that have a public IPv4 address of their own.
    pub(super) fn public_ipv4(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        let [server, _] = SERVER_IPS;
        let hosts = self.hosts.iter().filter_map(|host| match host.ip {
            IpAddr::V4(ip) if host.ip == host.public_ip => Some((host.name.as_str(), ip)),
            _ => None,
        });
        std::iter::once((SERVER, server)).chain(hosts)
    }

    /// Adds a site after those that it is behind; returns its index.
    ///
    /// `depth` is how many more sites it may be behind: a cycle has no end, and uses them up.
    fn add_site(&mut self, spec: &Spec, site: &SiteSpec, depth: usize) -> Result<usize, PlanError> {
        if let Some(place) = self.place(&site.name) {
            return Ok(place);
        }
        if depth == 0 {
            return Err(PlanError::Cycle(site.name.clone()));
        }
        let mut parent = match &site.behind {
            None => None,
            Some(name) => {
                let mut all = spec.sites.iter();
                let outer = all.find(|site| site.name == *name).ok_or_else(|| {
                    unknown(
                        format!("site.{}.behind", site.name),
                        name,
                        &names(&spec.sites),
                    )
                })?;
                if outer.nats.is_empty() {
                    return Err(PlanError::BehindPublic {
                        site: site.name.clone(),
                        outer: outer.name.clone(),
                    });
                }
                if outer.proxy.is_some() || outer.nats.iter().any(is_nat64) {
                    return Err(PlanError::BehindClosed {
                        site: site.name.clone(),
                        outer: outer.name.clone(),
                    });
                }
                Some(self.add_site(spec, outer, depth - 1)?)
            }
        };
        let has_nat64 = site.nats.iter().any(is_nat64);
        if site.nats.iter().skip(1).any(is_nat64) || (has_nat64 && site.proxy.is_some()) {
            return Err(PlanError::Nat64(site.name.clone()));
        }
        if site.nats.is_empty() {
            if parent.is_some() {
                return Err(PlanError::PublicBehind(site.name.clone()));
            }
            let place = self.add_network(&site.name, None, &[&site.change], 0)?;
            return Ok(self.add_proxy(place, site.proxy));
        }
        // The outermost NAT comes first: each is a host of the network in front of it.
        for (depth, nat) in site.nats.iter().enumerate().skip(1).rev() {
            let name = network_name(site, depth);
            parent = Some(self.add_network(&name, parent, &[nat], 1)?);
        }
        let innermost = site.nats.first().map_or_else(Change::default, Clone::clone);
        let changes = [&innermost, &site.change];
        let place = self.add_network(&site.name, parent, &changes, site.externals)?;
        Ok(self.add_proxy(place, site.proxy))
    }

    /// Puts a proxy at the gateway of a site; returns the site's index.
    fn add_proxy(&mut self, place: usize, kind: Option<ProxyKind>) -> usize {
        if let (Some(site), Some(kind)) = (self.sites.get_mut(place), kind) {
            let address = SocketAddr::new(site.gateway, kind.port());
            site.proxy = Some(ProxyPlan { kind, address });
        }
        place
    }

    fn add_network(
        &mut self,
        name: &str,
        parent: Option<usize>,
        changes: &[&Change],
        externals: u8,
    ) -> Result<usize, PlanError> {
        let number = u8::try_from(self.sites.len() + 1).ok();
        let number = number
            .filter(|number| *number <= MOST_SITES)
            .ok_or_else(|| PlanError::TooMany {
                what: "sites".into(),
                limit: MOST_SITES.into(),
            })?;
        let externals = self.externals(parent, number, externals)?;
        let is_public = externals.is_empty();
        let mut settings = Settings::new(externals);
        // The source of the NAT's ICMP errors. It is outside of the site's network, whose hosts
        // share a link that the NAT is not on.
        settings.gateway = Some(Ipv4Addr::new(10, number, 1, 1).into());
        for change in changes {
            settings = settings.changed(change)?;
        }
        let network = match is_public {
            true => Ipv4Addr::new(198, 18, number, 0),
            false => Ipv4Addr::new(10, number, 0, 0),
        };
        let mut prefix = (network.into(), 24);
        let mut gateway = offset(network, 254).into();
        if settings.is_nat64() {
            prefix = (ipv6(number, 0).into(), 64);
            gateway = ipv6(number, 0xffff).into();
            settings.gateway = None;
        }
        let ipv6 = self.ipv6.then(|| Ipv6Plan::new(number, &settings));
        self.sites.push(SitePlan {
            name: name.to_owned(),
            number,
            parent,
            settings,
            prefix,
            gateway,
            ipv6,
            proxy: None,
        });
        if let Some(parent) = parent.and_then(|parent| self.sites.get_mut(parent)) {
            // RFC 6598 sets 100.64.0.0/10 aside for the networks between two NATs.
            let shared = Ipv4Addr::new(100, 64, parent.number, 0);
            parent.prefix = (shared.into(), 25);
            parent.gateway = offset(shared, 126).into();
        }
        Ok(self.sites.len() - 1)
    }

    /// Gives out the external addresses of a NAT: of a network of its own on the internet, or of
    /// the upper half of its parent's.
    fn externals(
        &self,
        parent: Option<usize>,
        number: u8,
        count: u8,
    ) -> Result<Vec<IpAddr>, PlanError> {
        let Some(parent) = parent.and_then(|place| Some((place, self.sites.get(place)?))) else {
            let own = Ipv4Addr::new(198, 18, number, 0);
            return Ok((1..=count).map(|n| offset(own, n).into()).collect());
        };
        let children = self.sites.iter();
        let children = children.filter(|site| site.parent == Some(parent.0));
        let taken: usize = children.map(|site| site.settings.externals.len()).sum();
        let shared = Ipv4Addr::new(100, 64, parent.1.number, 0);
        let first = 128 + taken;
        // `check_externals` has seen to it that the count is at least one.
        let last = first + usize::from(count) - 1;
        let too_many = || PlanError::TooMany {
            what: format!("addresses in site.{}", parent.1.name),
            limit: 126,
        };
        let last = u8::try_from(last).ok().filter(|last| *last < 255);
        let last = last.ok_or_else(too_many)?;
        let range = last - (count - 1)..=last;
        Ok(range.map(|n| offset(shared, n).into()).collect())
    }

    fn add_host(&mut self, name: &str, site: Option<&str>) -> Result<(), PlanError> {
        // A host without a site gets a network of its own, so that its router can have a link and
        // a firewall.
        let place = match site {
            None => self.add_network(name, None, &[], 0)?,
            Some(site) => self.place(site).ok_or_else(|| {
                let known: Vec<&str> = self.sites.iter().map(|site| site.name.as_str()).collect();
                unknown(format!("host.{name}.site"), site, &known)
            })?,
        };
        let there = self.hosts_of(place).count();
        let first = u8::try_from(there + 1).ok();
        let place_in_site = first.filter(|n| *n <= MOST_HOSTS);
        let number = place_in_site.ok_or_else(|| PlanError::TooMany {
            what: format!("hosts in site.{}", site.unwrap_or(name)),
            limit: MOST_HOSTS.into(),
        })?;
        let Some(site) = self.sites.get(place) else {
            return Ok(());
        };
        let ip = match site.prefix.0 {
            IpAddr::V4(network) => offset(network, number).into(),
            IpAddr::V6(_) => ipv6(site.number, number.into()).into(),
        };
        self.hosts.push(HostPlan {
            name: name.to_owned(),
            site: place,
            ip,
            public_ip: self.outermost(place).unwrap_or(ip),
            ip6: self.ipv6.then(|| ipv6(site.number, number.into())),
        });
        Ok(())
    }

    /// Returns the first external address of the outermost NAT.
    fn outermost(&self, place: usize) -> Option<IpAddr> {
        let mut site = self.sites.get(place)?;
        while let Some(parent) = site.parent {
            site = self.sites.get(parent)?;
        }
        site.settings.externals.first().copied()
    }

    /// Returns whether `site` is `outer` or is behind it, directly or not.
    pub(super) fn is_within(&self, site: usize, outer: usize) -> bool {
        let parent = self.sites.get(site).and_then(|site| site.parent);
        site == outer || parent.is_some_and(|parent| self.is_within(parent, outer))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.sites.iter().position(|site| site.name == name)
    }

    fn check_host(&self, index: usize, name: &str) -> Result<(), PlanError> {
        let mut known: Vec<&str> = self.hosts.iter().map(|host| host.name.as_str()).collect();
        known.push(SERVER);
        if known.contains(&name) {
            return Ok(());
        }
        Err(unknown(
            format!("the host of command {}", index + 1),
            name,
            &known,
        ))
    }

    /// Gives the routers of public sites the addresses of their hosts, which their firewalls let
    /// remotes reach.
    fn open_public_sites(&mut self) {
        let hosts = &self.hosts;
        for (place, site) in self.sites.iter_mut().enumerate() {
            if site.settings.externals.is_empty() {
                let own = || hosts.iter().filter(|host| host.site == place);
                site.settings.routing = Routing::Public(own().map(|host| host.ip).collect());
                if let Some(ipv6) = &mut site.ipv6 {
                    let own = own().filter_map(|host| host.ip6);
                    ipv6.settings.routing = Routing::Public(own.map(IpAddr::V6).collect());
                }
            }
        }
    }
}

/// Checks that no name is taken, that hosts have different names, and networks, too.
///
/// A host without a site is a network, and so is each NAT of a row; the name of a network is also
/// the one of its router's control socket. A site and a host in it may share a name, as in the
/// grid.
fn check_names(spec: &Spec) -> Result<(), PlanError> {
    let hosts = || spec.hosts.iter().map(|host| host.name.clone());
    let sites = spec.sites.iter().map(|site| site.name.clone());
    if let Some(name) = sites.chain(hosts()).find(|name| is_reserved(name)) {
        return Err(PlanError::Reserved(name));
    }
    let of_sites = spec.sites.iter().flat_map(|site| {
        let depths = 0..site.nats.len().max(1);
        depths.map(|depth| network_name(site, depth))
    });
    let public = spec.hosts.iter().filter(|host| host.site.is_none());
    let networks = of_sites.chain(public.map(|host| host.name.clone()));
    let twice = duplicate(networks).or_else(|| duplicate(hosts()));
    twice.map_or(Ok(()), |name| Err(PlanError::Duplicate(name)))
}

/// Returns whether a NAT of a row is a NAT64.
fn is_nat64(nat: &Change) -> bool {
    nat.profile.as_deref() == Some(Profile::NAT64.name())
}

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Returns the name of the network behind a NAT of a row, of which 0 is the innermost.
fn network_name(site: &SiteSpec, depth: usize) -> String {
    match depth {
        0 => site.name.clone(),
        depth => format!("{}-{}", site.name, depth + 1),
    }
}

/// Checks what files and flags guarantee, and specs made in code do not.
fn check_externals(spec: &Spec) -> Result<(), PlanError> {
    let accepted = 1..=MOST_EXTERNALS;
    let mut sites = spec.sites.iter();
    match sites.find(|site| !accepted.contains(&site.externals)) {
        Some(site) => Err(PlanError::Externals {
            site: site.name.clone(),
            externals: site.externals,
        }),
        None => Ok(()),
    }
}

fn duplicate(names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(name.clone()))
}

fn names(sites: &[SiteSpec]) -> Vec<&str> {
    sites.iter().map(|site| site.name.as_str()).collect()
}

fn offset(network: Ipv4Addr, by: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(network.to_bits() | u32::from(by))
}

/// The name of the host that every lab has, in no site and with public addresses.
pub const SERVER: &str = "server";
/// The server's addresses. 198.18.0.0/15 is set aside for tests between networks (RFC 2544), so
/// no route to a real host is hidden by it.
pub(super) const SERVER_IPS: [Ipv4Addr; 2] =
    [Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2)];
/// The server's IPv6 address, in the range for documentation (RFC 3849).
pub(super) const SERVER_IP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The server's next hop to everywhere else.
pub(super) const SERVER_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 254);
/// The same for IPv6.
pub(super) const SERVER_GATEWAY6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe);
/// The most external addresses that a NAT may have.
pub(super) const MOST_EXTERNALS: u8 = 16;
/// Names that a site or host cannot have, because the lab gives them to something else.
const RESERVED: &[&str] = &[SERVER, "internet", "localhost"];
/// The number of a site is a byte of its addresses.
const MOST_SITES: u8 = 250;
/// The lower half of a site's network is for hosts, less the gateway; the upper one is for the
/// NATs of sites behind it.
const MOST_HOSTS: u8 = 120;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, PlanError> {
        Plan::new(&Spec::from_toml(text).unwrap())
    }

    fn host<'a>(plan: &'a Plan, name: &str) -> &'a HostPlan {
        plan.hosts.iter().find(|host| host.name == name).unwrap()
    }

    #[test]
    fn hosts_have_addresses_of_their_site_and_are_seen_by_that_of_the_nat() {
        let plan = plan("[site.home]\nnat = \"linux\"\n[host.ann]\nsite = \"home\"\n[host.bob]\nsite = \"home\"").unwrap();
        assert_eq!(host(&plan, "ann").ip.to_string(), "10.1.0.1");
        assert_eq!(host(&plan, "bob").ip.to_string(), "10.1.0.2");
        assert_eq!(host(&plan, "bob").public_ip.to_string(), "198.18.1.1");
    }

    #[test]
    fn a_host_without_a_site_is_public_and_open() {
        let plan = plan("[host.ann]").unwrap();
        let ann = host(&plan, "ann");
        assert_eq!(ann.ip, ann.public_ip);
        assert_eq!(plan.sites[0].settings.kind(), "public");
        let public = Routing::Public(vec![ann.ip]);
        assert_eq!(plan.sites[0].settings.routing, public);
    }

    #[test]
    fn a_row_of_nats_has_networks_between_them() {
        let plan =
            plan("[site.home]\nnat = [\"linux\", \"cgn\"]\n[host.ann]\nsite = \"home\"").unwrap();
        let [outer, inner] = plan.sites.as_slice() else {
            panic!("{plan:?}");
        };
        assert_eq!(
            (outer.name.as_str(), inner.name.as_str()),
            ("home-2", "home")
        );
        assert_eq!(inner.parent, Some(0));
        assert_eq!(inner.settings.externals[0].to_string(), "100.64.1.128");
        assert_eq!(outer.prefix.0.to_string(), "100.64.1.0");
        assert_eq!(host(&plan, "ann").public_ip.to_string(), "198.18.1.1");
    }

    #[test]
    fn two_homes_share_a_carrier_whatever_the_order_they_are_written_in() {
        let text = "[site.a]\nnat = \"linux\"\nbehind = \"z\"\n[site.b]\nnat = \"linux\"\nbehind = \"z\"\nexternal = 2\n\
                    [site.z]\nnat = \"cgn\"\n[host.ann]\nsite = \"a\"\n[host.bob]\nsite = \"b\"";
        let plan = plan(text).unwrap();
        assert_eq!(plan.sites[0].name, "z");
        let externals: Vec<&IpAddr> = plan
            .sites
            .iter()
            .flat_map(|site| &site.settings.externals)
            .collect();
        let mut unique = externals.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), externals.len());
        assert_eq!(host(&plan, "ann").public_ip, host(&plan, "bob").public_ip);
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let error = |text: &str| plan(text).unwrap_err().to_string();
        let text = error("[site.home]\nnat = \"linux\"\n[host.ann]\nsite = \"hone\"");
        assert_eq!(
            text,
            "host.ann.site is `hone`, and there is none of that name: there is home"
        );
        let text = error(
            "[site.a]\nnat = \"linux\"\nbehind = \"b\"\n[site.b]\nnat = \"linux\"\nbehind = \"a\"",
        );
        assert!(text.contains("leads back"), "{text}");
        let text = error("[[command]]\non = \"ann\"\nrun = \"true\"");
        assert!(text.contains("the host of command 1 is `ann`"), "{text}");
        let text = error("[host.server]");
        assert!(text.contains("`server` cannot be a name"), "{text}");
        let text = error("[site.a]\nnat = \"linux\"\n[site.b]\nbehind = \"a\"");
        assert!(text.contains("site.b has no `nat`"), "{text}");
    }
}
