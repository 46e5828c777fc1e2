//! A lab written as flags.

use super::plan::MOST_EXTERNALS;
use super::spec::{self, CommandLine, HostSpec, Job, SiteSpec, Spec, SpecError};
use crate::nat::Change;

impl Spec {
    /// Adds a site: `NAME` or `NAME=WORD[,WORD...]`, each a NAT, a firewall, or `KEY=VALUE`.
    ///
    /// # Errors
    /// Names the word that is wrong, and what would be accepted.
    pub fn add_site(&mut self, text: &str) -> Result<(), SpecError> {
        let (name, words) = text.split_once('=').unwrap_or((text, ""));
        let path = format!("--site {name}");
        if self.sites.iter().any(|site| site.name == name) {
            return Err(SpecError::Duplicate { key: path });
        }
        let mut site = SiteSpec::new(name);
        let words = words.split(',').map(str::trim);
        for word in words.filter(|word| !word.is_empty()) {
            site.add_word(&path, word)?;
        }
        site.check(&path)?;
        self.sites.push(site);
        Ok(())
    }

    /// Adds a host: `NAME` or `NAME@SITE`.
    ///
    /// # Errors
    /// Says that the name is none, or taken.
    pub fn add_host(&mut self, text: &str) -> Result<(), SpecError> {
        let (name, site) = match text.split_once('@') {
            Some((name, site)) => (name, Some(site.to_owned())),
            None => (text, None),
        };
        spec::name("--host", name)?;
        if self.hosts.iter().any(|host| host.name == name) {
            let key = format!("--host {name}");
            return Err(SpecError::Duplicate { key });
        }
        self.hosts.push(HostSpec {
            name: name.to_owned(),
            site,
        });
        Ok(())
    }

    /// Adds a program: `HOST=COMMAND`, a line for the shell.
    ///
    /// # Errors
    /// Says that there is no command.
    pub fn add_line(&mut self, flag: &str, text: &str, background: bool) -> Result<(), SpecError> {
        let parts = text.split_once('=');
        let parts = parts.filter(|(host, line)| !host.is_empty() && !line.trim().is_empty());
        let (host, line) = parts.ok_or_else(|| {
            let accepted = "HOST=COMMAND, such as ann='ping -c 3 server'";
            SpecError::value(flag, text, accepted)
        })?;
        self.jobs.push(Job {
            background,
            ..Job::new(host, CommandLine::Shell(line.to_owned()))
        });
        Ok(())
    }
}

impl SiteSpec {
    fn add_word(&mut self, path: &str, word: &str) -> Result<(), SpecError> {
        let Some((key, value)) = word.split_once('=') else {
            if spec::firewall(word) {
                self.change.firewall = Some(word.to_owned());
            } else {
                self.nats.extend(spec::nat(word));
            }
            return Ok(());
        };
        match key {
            "nat" => self.nats.extend(spec::nat(value)),
            "behind" => self.behind = Some(value.to_owned()),
            "proxy" => self.proxy = Some(spec::proxy(path, value)?),
            "external" => {
                let number = value.parse().ok();
                let fits = number.filter(|number| (1..=MOST_EXTERNALS).contains(number));
                self.externals = fits.ok_or_else(|| {
                    let accepted = format!("a number of addresses from 1 to {MOST_EXTERNALS}");
                    SpecError::value(format!("{path}.external"), value, accepted)
                })?;
            }
            // A site has a `nat`, which is more than a profile.
            "profile" => return Err(SpecError::value(path, key, accepted_words())),
            key => match self.change.set(key, value) {
                Ok(true) => {}
                Ok(false) => return Err(SpecError::value(path, key, accepted_words())),
                Err(error) => return Err(SpecError::of_setting(path, error)),
            },
        }
        Ok(())
    }
}

/// Returns the words that a `--site` may consist of.
fn accepted_words() -> String {
    let settings = Change::KEYS.iter().filter(|key| **key != "profile");
    let settings: Vec<&str> = settings.copied().collect();
    let settings = settings.join(", ");
    format!("a NAT, a firewall, or one of nat, behind, external, proxy, {settings} with a value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_written_in_words() {
        let mut spec = Spec::default();
        spec.add_site("office=full-cone,no-udp,latency=20ms,behind=carrier")
            .unwrap();
        spec.add_site("street=public").unwrap();
        let office = &spec.sites[0];
        assert_eq!(office.nats.len(), 1);
        assert_eq!(office.change.firewall.as_deref(), Some("no-udp"));
        assert_eq!(office.change.latency.as_deref(), Some("20ms"));
        assert_eq!(office.behind.as_deref(), Some("carrier"));
        assert!(spec.sites[1].nats.is_empty());
    }

    #[test]
    fn hosts_and_commands_are_written_with_where_they_are() {
        let mut spec = Spec::default();
        spec.add_host("ann@home").unwrap();
        spec.add_host("bob").unwrap();
        spec.add_line("--run", "ann=curl http://server:3478/?a=b", false)
            .unwrap();
        assert_eq!(spec.hosts[0].site.as_deref(), Some("home"));
        assert_eq!(spec.hosts[1].site, None);
        let line = CommandLine::Shell("curl http://server:3478/?a=b".into());
        assert_eq!(spec.jobs[0].command, line);
    }

    #[test]
    fn a_wrong_word_is_named_with_those_that_would_do() {
        let mut spec = Spec::default();
        let error = spec.add_site("a=cone").unwrap_err().to_string();
        assert!(error.contains("--site a.nat cannot be `cone`"), "{error}");
        let error = spec.add_site("a=linux,speed=3").unwrap_err().to_string();
        assert!(
            error.contains("speed") && error.contains("latency"),
            "{error}"
        );
        spec.add_site("a=linux").unwrap();
        let error = spec.add_site("a").unwrap_err().to_string();
        assert!(error.contains("--site a is there twice"), "{error}");
        assert!(spec.add_host("Ann").is_err());
        assert!(spec.add_line("--run", "ls", false).is_err());
    }
}
