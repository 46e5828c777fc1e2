//! A lab written in TOML.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::plan::MOST_EXTERNALS;
use super::spec::{self, CommandLine, HostSpec, Job, SiteSpec, Spec, SpecError};
use crate::nat::{Change, duration};

impl Spec {
    /// Reads a lab from TOML.
    ///
    /// # Errors
    /// Names the line or the key that is wrong, its value, and what would be accepted.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        let file: File =
            toml::from_str(text).map_err(|error| SpecError::Toml(error.to_string()))?;
        let sites = file.site.into_iter();
        let hosts = file.host.into_iter();
        let jobs = file.command.into_iter().enumerate();
        Ok(Self {
            serve: file.server.and_then(ServerTable::into_flags),
            sites: sites
                .map(|(name, table)| table.into_spec(name))
                .collect::<Result<_, _>>()?,
            hosts: hosts
                .map(|(name, table)| {
                    let path = format!("host.{name}");
                    spec::name(&path, &name)?;
                    Ok(HostSpec {
                        name,
                        site: table.site,
                    })
                })
                .collect::<Result<_, _>>()?,
            jobs: jobs
                .map(|(index, table)| table.into_job(index))
                .collect::<Result<_, _>>()?,
            ipv6: file.ipv6,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    ipv6: bool,
    server: Option<ServerTable>,
    #[serde(default)]
    site: BTreeMap<String, SiteTable>,
    #[serde(default)]
    host: BTreeMap<String, HostTable>,
    #[serde(default)]
    command: Vec<CommandTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ServerTable {
    #[serde(default)]
    serve: bool,
    #[serde(default)]
    flags: Vec<String>,
}

impl ServerTable {
    fn into_flags(self) -> Option<Vec<String>> {
        self.serve.then_some(self.flags)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SiteTable {
    nat: Option<OneOrMany>,
    behind: Option<String>,
    external: Option<u8>,
    proxy: Option<String>,
    firewall: Option<String>,
    mapping: Option<String>,
    filtering: Option<String>,
    hairpinning: Option<String>,
    udp_timeout: Option<String>,
    new_mappings_per_host: Option<Number>,
    new_flows_per_host: Option<Number>,
    latency: Option<String>,
    jitter: Option<String>,
    loss: Option<Number>,
    loss_burst: Option<Number>,
    reorder: Option<Number>,
    duplicate: Option<Number>,
    rate: Option<Number>,
    queue: Option<Number>,
    block_udp: Option<bool>,
    port_mapping: Option<String>,
}

impl SiteTable {
    fn into_spec(self, name: String) -> Result<SiteSpec, SpecError> {
        let path = format!("site.{name}");
        let externals = self.external.unwrap_or(1);
        if !(1..=MOST_EXTERNALS).contains(&externals) {
            let accepted = format!("a number of addresses from 1 to {MOST_EXTERNALS}");
            let key = format!("{path}.external");
            return Err(SpecError::value(key, externals.to_string(), accepted));
        }
        let proxy = self.proxy.map(|text| spec::proxy(&path, &text));
        let nats = self.nat.map(OneOrMany::into_vec).unwrap_or_default();
        let site = SiteSpec {
            nats: nats.iter().filter_map(|text| spec::nat(text)).collect(),
            change: Change {
                profile: None,
                mapping: self.mapping,
                filtering: self.filtering,
                hairpinning: self.hairpinning,
                udp_timeout: self.udp_timeout,
                new_mappings_per_host: self.new_mappings_per_host.map(Number::into_text),
                new_flows_per_host: self.new_flows_per_host.map(Number::into_text),
                firewall: self.firewall,
                latency: self.latency,
                jitter: self.jitter,
                loss: self.loss.map(Number::into_text),
                loss_burst: self.loss_burst.map(Number::into_text),
                reorder: self.reorder.map(Number::into_text),
                duplicate: self.duplicate.map(Number::into_text),
                rate: self.rate.map(Number::into_text),
                queue: self.queue.map(Number::into_text),
                block_udp: self.block_udp,
                port_mapping: self.port_mapping,
            },
            externals,
            behind: self.behind,
            proxy: proxy.transpose()?,
            name,
        };
        site.check(&path)?;
        Ok(site)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct HostTable {
    site: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct CommandTable {
    on: String,
    run: OneOrMany,
    #[serde(default)]
    background: bool,
    ready: Option<String>,
    ready_within: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    folder: Option<PathBuf>,
}

impl CommandTable {
    fn into_job(self, index: usize) -> Result<Job, SpecError> {
        let path = format!("command {}", index + 1);
        let command = match self.run {
            OneOrMany::One(line) => CommandLine::Shell(line),
            OneOrMany::Many(words) => CommandLine::Exec(words),
        };
        let empty = match &command {
            CommandLine::Shell(line) => line.trim().is_empty(),
            CommandLine::Exec(words) => words.is_empty(),
        };
        if empty {
            let accepted = "a line for the shell, or a list of a program and its arguments";
            return Err(SpecError::value(format!("{path}.run"), "", accepted));
        }
        if self.ready.is_some() && !self.background {
            return Err(SpecError::Needs {
                key: format!("{path}.ready"),
                needs: "background = true: the others do not wait for a program that the lab waits for",
            });
        }
        let ready_timeout = match &self.ready_within {
            None => spec::READY_TIMEOUT,
            Some(text) => ready_within(text).ok_or_else(|| {
                let accepted = "a time with its unit, such as 500ms, 30s or 10m, up to an hour";
                SpecError::value(format!("{path}.ready-within"), text, accepted)
            })?,
        };
        Ok(Job {
            host: self.on,
            command,
            background: self.background,
            ready: self.ready,
            ready_timeout,
            environment: self.env,
            folder: self.folder,
        })
    }
}

fn ready_within(text: &str) -> Option<Duration> {
    duration(text, Duration::from_millis(1), Duration::from_secs(3600))
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text, or a list of texts")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

/// A number that may have a unit, and is a text then.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number, such as 0.5, or a text, such as \"0.5%\""
)]
enum Number {
    Whole(u64),
    Decimal(f64),
    Text(String),
}

impl Number {
    fn into_text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plan;

    fn error(text: &str) -> String {
        Spec::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn a_whole_lab_is_read() {
        let spec = Spec::from_toml(
            r#"
            [server]
            serve = true
            flags = ["--realm", "lab"]
            [site.carrier]
            nat = "cgn"
            [site.home]
            nat = ["port-restricted-cone", "eim/adf"]
            behind = "carrier"
            firewall = "no-udp"
            latency = "20ms"
            loss = 0.5
            [host.ann]
            site = "home"
            [host.bob]
            [[command]]
            on = "server"
            run = ["turnserver", "-n"]
            background = true
            ready = "listening"
            [[command]]
            on = "ann"
            run = "ping -c 1 bob"
            env = { LANG = "C" }
            "#,
        )
        .unwrap();
        assert_eq!(spec.serve, Some(vec!["--realm".into(), "lab".into()]));
        let home = spec.sites.iter().find(|site| site.name == "home").unwrap();
        assert_eq!(home.nats.len(), 2);
        assert_eq!(home.change.loss.as_deref(), Some("0.5"));
        assert_eq!(spec.hosts.len(), 2);
        assert!(spec.jobs[0].background && spec.jobs[0].ready.is_some());
        assert_eq!(
            spec.jobs[1].command,
            CommandLine::Shell("ping -c 1 bob".into())
        );
    }

    #[test]
    fn every_example_is_a_lab() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lab");
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let spec = Spec::from_toml(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert!(Plan::new(&spec).is_ok(), "{path:?}");
            found += 1;
        }
        assert!(found > 1);
    }

    #[test]
    fn a_wrong_value_is_named_with_its_key_and_with_what_would_do() {
        let text = error("[site.home]\nnat = \"cone\"");
        assert!(text.starts_with("site.home.nat cannot be `cone`"), "{text}");
        assert!(text.contains("full-cone"), "{text}");
        let text = error("[site.home]\nfirewall = \"strong\"");
        assert!(
            text.contains("site.home.firewall cannot be `strong`"),
            "{text}"
        );
        assert!(text.contains("no-udp"), "{text}");
        let text = error("[site.home]\nnat = \"linux\"\nloss = 150");
        assert!(text.contains("site.home.loss cannot be `150`"), "{text}");
        let text = error("[host.Ann]\n");
        assert!(text.contains("host.Ann cannot be `Ann`"), "{text}");
        let text = error("[[command]]\non = \"server\"\nrun = \"x\"\nready = \"y\"");
        assert!(text.contains("command 1.ready needs background"), "{text}");
        let text = error("[site.home]\nmapping = \"eim\"");
        assert!(text.contains("site.home.mapping needs a `nat`"), "{text}");
    }

    #[test]
    fn a_key_that_there_is_not_is_named_with_its_line_and_those_there_are() {
        let text = error("[site.home]\nnatt = \"linux\"");
        assert!(text.contains("line 2") && text.contains("natt"), "{text}");
        assert!(text.contains("`nat`"), "{text}");
        let text = error("[[command]]\non = \"server\"");
        assert!(text.contains("run"), "{text}");
    }
}
