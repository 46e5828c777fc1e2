//! What a plan makes of a spec: names looked up, addresses given out, mistakes named.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield_lab::nat::{Change, Firewall, Routing};
use jackfield_lab::{HostPlan, HostSpec, Plan, PlanError, SERVER, SitePlan, SiteSpec, Spec};
use proptest::prelude::*;

use super::random_lab::random_lab;

proptest! {
    #[test]
    fn every_host_of_a_spec_is_in_the_site_that_it_names(lab in random_lab()) {
        let spec = lab.in_code();
        let plan = Plan::new(&spec).unwrap();
        prop_assert_eq!(plan.hosts.len(), spec.hosts.len());
        for (host, wanted) in plan.hosts.iter().zip(&spec.hosts) {
            let site = &plan.sites[host.site];
            prop_assert_eq!(&host.name, &wanted.name);
            prop_assert_eq!(&site.name, wanted.site.as_ref().unwrap_or(&wanted.name));
        }
        let nats: usize = lab.sites.iter().map(|site| site.nats.len().max(1)).sum();
        prop_assert_eq!(plan.sites.len(), nats + lab.public_hosts);
        let numbers: HashSet<u8> = plan.sites.iter().map(|site| site.number).collect();
        let names: HashSet<&str> = plan.sites.iter().map(|site| site.name.as_str()).collect();
        prop_assert_eq!((numbers.len(), names.len()), (plan.sites.len(), plan.sites.len()));
    }

    #[test]
    fn sites_come_after_the_ones_that_they_are_behind(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for (index, site) in plan.sites.iter().enumerate() {
            prop_assert!(site.parent.is_none_or(|parent| parent < index), "{:?}", site);
        }
        for index in 0..lab.sites.len() {
            let site = find(&plan, &format!("site{index}"));
            let nats = lab.sites[index].nats.len();
            let outer = lab.behind(index).map(|outer| format!("site{outer}"));
            // The row of its own NATs lies between a site and the one that it is behind.
            let outermost = (1..nats).fold(site, |site, _| &plan.sites[site.parent.unwrap()]);
            let parent = outermost.parent.map(|parent| plan.sites[parent].name.clone());
            prop_assert_eq!(parent, outer);
        }
    }

    #[test]
    fn no_address_is_given_out_twice(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        let mut seen = HashSet::from(SERVER_NETWORK.map(IpAddr::from));
        for address in all_addresses(&plan) {
            prop_assert!(seen.insert(address), "{} is there twice", address);
        }
    }

    #[test]
    fn hosts_and_gateways_are_within_the_network_of_their_site(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for (index, site) in plan.sites.iter().enumerate() {
            prop_assert!(is_within(site.gateway, site.prefix), "{:?}", site);
            for host in plan.hosts_of(index) {
                prop_assert!(is_within(host.ip, site.prefix), "{:?} in {:?}", host, site);
                prop_assert_ne!(host.ip, site.prefix.0, "the network itself is no host");
                prop_assert_eq!(host.ip6.is_some(), lab.ipv6);
            }
            prop_assert_eq!(site.ipv6.is_some(), lab.ipv6);
            if let Some(ipv6) = &site.ipv6 {
                prop_assert!(is_within(ipv6.gateway, ipv6.prefix));
                for host in plan.hosts_of(index) {
                    prop_assert!(is_within(host.ip6.unwrap().into(), ipv6.prefix));
                }
            }
        }
    }

    #[test]
    fn networks_do_not_overlap(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        let ipv6 = plan.sites.iter().filter_map(|site| site.ipv6.as_ref().map(|ipv6| ipv6.prefix));
        let prefixes: Vec<_> = plan.sites.iter().map(|site| site.prefix).chain(ipv6).collect();
        for (index, one) in prefixes.iter().enumerate() {
            for other in &prefixes[index + 1..] {
                prop_assert!(!is_within(one.0, *other) && !is_within(other.0, *one));
            }
        }
    }

    #[test]
    fn external_addresses_are_those_that_a_site_was_promised(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for (index, wanted) in lab.sites.iter().enumerate() {
            let site = find(&plan, &format!("site{index}"));
            let promised = if wanted.nats.is_empty() { 0 } else { wanted.externals };
            prop_assert_eq!(site.settings.externals.len(), usize::from(promised));
        }
        for site in &plan.sites {
            let shared = match site.parent {
                None => (Ipv4Addr::new(198, 18, site.number, 0).into(), 24),
                Some(parent) => (Ipv4Addr::new(100, 64, plan.sites[parent].number, 128).into(), 25),
            };
            for external in &site.settings.externals {
                prop_assert!(is_within(*external, shared), "{} of {:?}", external, site);
                // In the hosts' network they would be looked for on the link, and not behind the
                // router.
                for other in &plan.sites {
                    prop_assert!(!is_within(*external, other.prefix) || site.parent.is_none());
                }
            }
        }
    }

    #[test]
    fn the_internet_sees_the_outermost_nat_or_the_host_itself(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for host in &plan.hosts {
            let mut site = &plan.sites[host.site];
            while let Some(parent) = site.parent {
                site = &plan.sites[parent];
            }
            let wanted = site.settings.externals.first().copied().unwrap_or(host.ip);
            prop_assert_eq!(host.public_ip, wanted);
            prop_assert!(is_within(host.public_ip, (Ipv4Addr::new(198, 18, 0, 0).into(), 15)));
        }
    }

    #[test]
    fn public_sites_are_open_for_exactly_their_own_hosts(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        for (index, site) in plan.sites.iter().enumerate() {
            let own: Vec<IpAddr> = plan.hosts_of(index).map(|host| host.ip).collect();
            let routing = match site.settings.externals.is_empty() {
                true => Routing::Public(own),
                false => Routing::Translated,
            };
            prop_assert_eq!(&site.settings.routing, &routing);
            if let Some(ipv6) = &site.ipv6 {
                let is_open = matches!(ipv6.settings.routing, Routing::Public(_));
                prop_assert_eq!(is_open, site.settings.externals.is_empty());
                prop_assert_eq!(&ipv6.settings.link, &site.settings.link);
            }
        }
    }

    #[test]
    fn the_description_has_a_line_for_each_site_with_its_hosts(lab in random_lab()) {
        let plan = Plan::new(&lab.in_code()).unwrap();
        let text = plan.describe("demo");
        let lines: Vec<&str> = text.lines().collect();
        prop_assert_eq!(lines[0], "lab demo: server 198.18.0.1, 198.18.0.2");
        prop_assert_eq!(lines.len(), plan.sites.len() + 1);
        for (index, (site, line)) in plan.sites.iter().zip(&lines[1..]).enumerate() {
            let start = format!("  {}: {}", site.name, site.about());
            prop_assert!(line.starts_with(&start), "{}", line);
            for host in plan.hosts_of(index) {
                let host = format!("{} {}", host.name, host.ip);
                prop_assert!(line.contains(&host), "{}", line);
            }
        }
    }
}

#[test]
fn the_innermost_router_has_the_settings_of_its_site_and_the_outer_ones_have_not() {
    let text = "nat = [\"symmetric\", \"full-cone\"]\nfirewall = \"no-udp\"\nfiltering = \"eif\"\n\
                latency = \"20ms\"\nloss = 3\nloss-burst = 2\nrate = \"2mbit\"";
    let plan = plan(&format!("[site.home]\n{text}")).unwrap();
    let (inner, outer) = (find(&plan, "home"), find(&plan, "home-2"));
    assert_eq!(inner.settings.firewall, Firewall::NoUdp);
    assert_eq!(
        inner.about(),
        "AddressAndPortDependent/EndpointIndependent, no-udp, 20ms away, loses 3 % in bursts of 2, \
         2mbit"
    );
    assert_eq!(outer.about(), "full-cone");
    assert_eq!(outer.settings.firewall, Firewall::None);
}

#[test]
fn the_same_spec_gets_the_same_addresses_which_scripts_rely_on() {
    let text = "ipv6 = true\n[site.home]\nnat = \"linux\"\n[host.ann]\nsite = \"home\"\n[host.bob]";
    let plan = plan(text).unwrap();
    let address = |name: &str| {
        let host = host(&plan, name);
        [
            host.ip.to_string(),
            host.public_ip.to_string(),
            host.ip6.unwrap().to_string(),
        ]
    };
    assert_eq!(address("ann"), ["10.1.0.1", "198.18.1.1", "2001:db8:1::1"]);
    assert_eq!(
        address("bob"),
        ["198.18.2.1", "198.18.2.1", "2001:db8:2::1"]
    );
    assert_eq!(plan.host_names(), [SERVER, "ann", "bob"]);
}

#[test]
fn two_networks_of_one_name_are_refused_since_their_routers_would_share_a_socket() {
    for (text, name) in [
        ("[site.ann]\nnat = \"linux\"\n[host.ann]", "ann"),
        (
            "[site.home]\nnat = [\"linux\", \"cgn\"]\n[site.home-2]\nnat = \"linux\"",
            "home-2",
        ),
        (
            "[site.home]\nnat = [\"linux\", \"cgn\"]\n[host.home-2]",
            "home-2",
        ),
    ] {
        let error = plan(text).unwrap_err();
        assert_eq!(error, PlanError::Duplicate(name.into()), "{text}");
    }
    // A host in the site of its name is no network, and the grid names them so.
    let text = "[site.ann]\nnat = \"linux\"\n[host.ann]\nsite = \"ann\"";
    assert!(plan(text).is_ok());
}

#[test]
fn specs_made_in_code_are_held_to_what_files_guarantee() {
    let site = |name: &str, externals| SiteSpec {
        nats: vec![Change::default()],
        externals,
        behind: Some("carrier".into()),
        ..SiteSpec::new(name)
    };
    let carrier = SiteSpec {
        nats: vec![Change::default()],
        ..SiteSpec::new("carrier")
    };
    let plan = |sites: &[SiteSpec]| {
        Plan::new(&Spec {
            sites: sites.to_vec(),
            ..Spec::default()
        })
    };
    assert!(plan(&[carrier.clone(), site("home", 16)]).is_ok());
    for externals in [0, 17, 255] {
        let error = plan(&[carrier.clone(), site("home", externals)]).unwrap_err();
        let text = error.to_string();
        let start = format!("site.home.external cannot be `{externals}`: accepted is a number");
        assert!(text.starts_with(&start), "{text}");
    }
    let twice = plan(&[carrier.clone(), site("home", 1), site("home", 1)]);
    assert_eq!(twice.unwrap_err(), PlanError::Duplicate("home".into()));
    let mut wrong = carrier;
    wrong.change.set("loss", "much").unwrap();
    let error = plan(&[wrong]).unwrap_err().to_string();
    assert!(
        error.starts_with("loss cannot be `much`: accepted is "),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_together_is_named_with_what_there_is() {
    for (text, wanted) in [
        (
            "[site.home]\nnat = \"linux\"\nbehind = \"carrier\"",
            "site.home.behind is `carrier`, and there is none of that name: there is home",
        ),
        (
            "[host.ann]\nsite = \"home\"",
            "host.ann.site is `home`, and there is none of that name: there are none",
        ),
        (
            "[host.ann]\n[[command]]\non = \"bob\"\nrun = \"x\"",
            "the host of command 1 is `bob`, and there is none of that name: there are ann, server",
        ),
        (
            "[site.a]\nnat = \"linux\"\nbehind = \"a\"",
            "site.a.behind leads back to the site itself",
        ),
        (
            "[site.internet]\nnat = \"linux\"",
            "`internet` cannot be a name: the lab has something of its own by it",
        ),
        (
            "[site.a]\nnat = \"linux\"\n[site.b]\nbehind = \"a\"",
            "site.b has no `nat`, so its addresses are public and it cannot be behind another site",
        ),
        (
            "[site.street]\n[site.home]\nnat = \"linux\"\nbehind = \"street\"",
            "site.home.behind is `street`, which has no `nat`: no other site can be behind it",
        ),
    ] {
        assert_eq!(plan(text).unwrap_err().to_string(), wanted, "{text}");
    }
}

#[test]
fn a_lab_that_is_too_large_for_its_addresses_is_refused() {
    let sites = |count| {
        let sites = (0..count).map(|n| format!("[site.s{n}]\nnat = \"linux\"\n"));
        plan(&sites.collect::<String>())
    };
    assert!(sites(250).is_ok());
    let error = sites(251).unwrap_err().to_string();
    assert_eq!(error, "there are too many sites: 250 is the most");
    let hosts = |count| {
        let hosts = (0..count).map(|n| format!("[host.h{n}]\nsite = \"home\"\n"));
        plan(&format!(
            "[site.home]\nnat = \"linux\"\n{}",
            hosts.collect::<String>()
        ))
    };
    assert!(hosts(120).is_ok());
    let error = hosts(121).unwrap_err().to_string();
    assert_eq!(
        error,
        "there are too many hosts in site.home: 120 is the most"
    );
    let homes = |count| {
        let home = "nat = \"linux\"\nbehind = \"carrier\"\nexternal = 16\n";
        let homes = (0..count).map(|n| format!("[site.s{n}]\n{home}"));
        plan(&format!(
            "[site.carrier]\nnat = \"cgn\"\n{}",
            homes.collect::<String>()
        ))
    };
    assert!(homes(7).is_ok());
    let error = homes(8).unwrap_err().to_string();
    assert_eq!(
        error,
        "there are too many addresses in site.carrier: 126 is the most"
    );
}

#[test]
fn hosts_that_are_there_twice_are_refused() {
    let host = HostSpec {
        name: "ann".into(),
        site: None,
    };
    let spec = Spec {
        hosts: vec![host.clone(), host],
        ..Spec::default()
    };
    assert_eq!(Plan::new(&spec), Err(PlanError::Duplicate("ann".into())));
}

fn plan(text: &str) -> Result<Plan, PlanError> {
    Plan::new(&Spec::from_toml(text).expect(text))
}

fn find<'a>(plan: &'a Plan, name: &str) -> &'a SitePlan {
    plan.sites.iter().find(|site| site.name == name).unwrap()
}

fn host<'a>(plan: &'a Plan, name: &str) -> &'a HostPlan {
    plan.hosts.iter().find(|host| host.name == name).unwrap()
}

/// Every address that something in a plan has.
fn all_addresses(plan: &Plan) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = plan.hosts.iter().map(|host| host.ip).collect();
    all.extend(
        plan.hosts
            .iter()
            .filter_map(|host| host.ip6)
            .map(IpAddr::V6),
    );
    for site in &plan.sites {
        all.push(site.gateway);
        all.extend(site.settings.gateway);
        all.extend(&site.settings.externals);
        all.extend(site.ipv6.as_ref().map(|ipv6| ipv6.gateway));
    }
    all
}

fn is_within(ip: IpAddr, (network, length): (IpAddr, u8)) -> bool {
    let shift = |bits: u32| bits - u32::from(length);
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            (ip.to_bits() ^ network.to_bits()).checked_shr(shift(32)) == Some(0)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            (ip.to_bits() ^ network.to_bits()).checked_shr(shift(128)) == Some(0)
        }
        _ => false,
    }
}

/// The addresses of the server and of the router in front of it.
const SERVER_NETWORK: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2)),
    IpAddr::V4(Ipv4Addr::new(198, 18, 0, 254)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xfe)),
];
