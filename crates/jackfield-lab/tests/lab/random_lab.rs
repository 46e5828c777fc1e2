//! Random labs that are valid, and the three ways to write each: in code, as TOML and as flags.

use std::fmt::Write;

use jackfield_lab::nat::Change;
use jackfield_lab::{CommandLine, HostSpec, Job, SiteSpec, Spec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// A lab that no writing of it can get wrong.
#[derive(Debug, Clone)]
pub(crate) struct RandomLab {
    pub(crate) sites: Vec<RandomSite>,
    /// Hosts with public addresses and no site.
    pub(crate) public_hosts: usize,
    pub(crate) ipv6: bool,
    pub(crate) serve: bool,
    /// Whether each program runs in the background, in order.
    pub(crate) programs: Vec<bool>,
}

#[derive(Debug, Clone)]
pub(crate) struct RandomSite {
    /// The NATs, innermost first, as people write them.
    pub(crate) nats: Vec<&'static str>,
    pub(crate) externals: u8,
    /// The index of the site in front of it, modulo the sites that may be.
    behind: Option<usize>,
    pub(crate) hosts: usize,
    /// Settings by name, each once.
    settings: Vec<(&'static str, &'static str)>,
}

pub(crate) fn random_lab() -> impl Strategy<Value = RandomLab> {
    let sites = prop::collection::vec(random_site(), 0..6);
    let programs = prop::collection::vec(any::<bool>(), 0..4);
    let flags = (any::<bool>(), any::<bool>());
    (sites, 0_usize..4, flags, programs).prop_map(
        |(sites, public_hosts, (ipv6, serve), programs)| RandomLab {
            sites,
            public_hosts,
            ipv6,
            serve,
            programs,
        },
    )
}

fn random_site() -> impl Strategy<Value = RandomSite> {
    let nats = prop::collection::vec(select(NATS), 0..4);
    let behind = prop::option::of(any::<usize>());
    let settings = subsequence(SETTINGS, 0..SETTINGS.len());
    (nats, 1_u8..5, behind, 0_usize..5, settings).prop_map(
        |(nats, externals, behind, hosts, settings)| {
            let of_a_nat = |key: &str| BEHAVIOURS.contains(&key);
            let settings = settings.into_iter();
            // Hosts with public addresses have no NAT whose behaviour could differ.
            let settings = settings.filter(|(key, _)| !nats.is_empty() || !of_a_nat(key));
            RandomSite {
                settings: settings.collect(),
                nats,
                externals,
                behind,
                hosts,
            }
        },
    )
}

impl RandomLab {
    pub(crate) fn site_name(index: usize) -> String {
        format!("site{index}")
    }

    /// Returns the hosts, each with its site.
    pub(crate) fn hosts(&self) -> Vec<(String, Option<String>)> {
        let sites = self.sites.iter().enumerate();
        let within = sites.flat_map(|(index, site)| {
            let name = move |host| format!("host{index}-{host}");
            (0..site.hosts).map(move |host| (name(host), Some(Self::site_name(index))))
        });
        // A file lists hosts by name, so those without a site come last by name, too.
        let public = (0..self.public_hosts).map(|host| (format!("public{host}"), None));
        within.chain(public).collect()
    }

    /// Returns the index of the site that a site is behind. Only sites with NATs may be either.
    pub(crate) fn behind(&self, index: usize) -> Option<usize> {
        let site = self.sites.get(index)?;
        let earlier = self.sites.iter().take(index).enumerate();
        let with_nats = earlier.filter(|(_, site)| !site.nats.is_empty());
        let possible: Vec<usize> = with_nats.map(|(index, _)| index).collect();
        let choice = site.behind.filter(|_| !site.nats.is_empty())?;
        possible.get(choice % possible.len().max(1)).copied()
    }

    pub(crate) fn in_code(&self) -> Spec {
        let sites = self.sites.iter().enumerate().map(|(index, site)| {
            let mut change = Change::default();
            for (key, value) in &site.settings {
                assert_eq!(change.set(key, value), Ok(true), "{key}");
            }
            SiteSpec {
                nats: site.nats.iter().map(|nat| nat_in_code(nat)).collect(),
                change,
                externals: site.externals,
                behind: self.behind(index).map(Self::site_name),
                ..SiteSpec::new(&Self::site_name(index))
            }
        });
        let hosts = self.hosts().into_iter();
        let programs = self.programs.iter().map(|background| Job {
            background: *background,
            ..Job::new("server", CommandLine::Shell(PROGRAM.into()))
        });
        Spec {
            serve: self.serve.then(Vec::new),
            sites: sites.collect(),
            hosts: hosts.map(|(name, site)| HostSpec { name, site }).collect(),
            jobs: programs.collect(),
            ipv6: self.ipv6,
        }
    }

    pub(crate) fn as_toml(&self) -> String {
        let mut text = format!("ipv6 = {}\n[server]\nserve = {}\n", self.ipv6, self.serve);
        for (index, site) in self.sites.iter().enumerate() {
            writeln!(text, "[site.{}]", Self::site_name(index)).unwrap();
            writeln!(text, "external = {}", site.externals).unwrap();
            match site.nats.as_slice() {
                [] => {}
                [nat] => writeln!(text, "nat = {nat:?}").unwrap(),
                nats => writeln!(text, "nat = {nats:?}").unwrap(),
            }
            if let Some(outer) = self.behind(index) {
                writeln!(text, "behind = {:?}", Self::site_name(outer)).unwrap();
            }
            for (key, value) in &site.settings {
                match *key {
                    "block-udp" => writeln!(text, "{key} = {value}").unwrap(),
                    _ => writeln!(text, "{key} = {value:?}").unwrap(),
                }
            }
        }
        for (name, site) in self.hosts() {
            writeln!(text, "[host.{name}]").unwrap();
            if let Some(site) = site {
                writeln!(text, "site = {site:?}").unwrap();
            }
        }
        for background in &self.programs {
            let program = format!("on = \"server\"\nrun = {PROGRAM:?}\nbackground = {background}");
            writeln!(text, "[[command]]\n{program}").unwrap();
        }
        text
    }

    /// Returns what the flags `--site`, `--host`, `--start` and `--run` make of it.
    pub(crate) fn as_flags(&self) -> Spec {
        let mut spec = Spec {
            serve: self.serve.then(Vec::new),
            ipv6: self.ipv6,
            ..Spec::default()
        };
        for (index, site) in self.sites.iter().enumerate() {
            let mut words: Vec<String> = site.nats.iter().map(ToString::to_string).collect();
            words.push(format!("external={}", site.externals));
            if let Some(outer) = self.behind(index) {
                words.push(format!("behind={}", Self::site_name(outer)));
            }
            let settings = site.settings.iter();
            words.extend(settings.map(|(key, value)| format!("{key}={value}")));
            let text = format!("{}={}", Self::site_name(index), words.join(", "));
            spec.add_site(&text).unwrap();
        }
        for (name, site) in self.hosts() {
            let site = site.map(|site| format!("@{site}"));
            spec.add_host(&format!("{name}{}", site.unwrap_or_default()))
                .unwrap();
        }
        for background in &self.programs {
            let line = format!("server={PROGRAM}");
            spec.add_line("--run", &line, *background).unwrap();
        }
        spec
    }
}

fn nat_in_code(text: &str) -> Change {
    match text.split_once('/') {
        Some((mapping, filtering)) => Change {
            mapping: Some(mapping.into()),
            filtering: Some(filtering.into()),
            ..Change::default()
        },
        None => Change {
            profile: Some(text.into()),
            ..Change::default()
        },
    }
}

/// An equals sign in a program has to survive the flag, which has one of its own.
const PROGRAM: &str = "curl 'http://server:3478/?a=b'";
const NATS: &[&str] = &[
    "full-cone",
    "symmetric",
    "linux",
    "cgn",
    "eim/eif",
    "adm/adf",
    "address-and-port-dependent/apdf",
];
/// A value for each setting that a site may have.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("firewall", "no-udp"),
    ("mapping", "adm"),
    ("filtering", "endpoint-independent"),
    ("hairpinning", "off"),
    ("udp-timeout", "90s"),
    ("new-mappings-per-host", "50"),
    ("new-flows-per-host", "none"),
    ("latency", "20ms"),
    ("jitter", "5ms"),
    ("loss", "0.5"),
    ("loss-burst", "3"),
    ("reorder", "1%"),
    ("duplicate", "0.1"),
    ("rate", "10mbit"),
    ("queue", "64KiB"),
    ("block-udp", "true"),
    ("port-mapping", "all"),
];
const BEHAVIOURS: &[&str] = &[
    "mapping",
    "filtering",
    "hairpinning",
    "udp-timeout",
    "new-mappings-per-host",
    "new-flows-per-host",
];
