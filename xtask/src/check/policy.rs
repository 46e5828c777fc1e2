//! Licences, banned crates and sources, by the rules of `deny.toml`.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::metadata::{Metadata, Package};
use crate::workspace;

/// The rules of `deny.toml` that are checked here.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
    wildcards: String,
}

#[derive(Debug, Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    unknown_git: String,
    unknown_registry: String,
}

impl Policy {
    /// Reads `deny.toml`.
    pub(super) fn load() -> Result<Self, String> {
        let path = workspace::root().join("deny.toml");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("deny.toml: {error}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| format!("deny.toml: {error}"))?;
        // A rule that is not enforced would be a promise that nothing keeps.
        for (rule, value) in [
            ("bans.wildcards", &policy.bans.wildcards),
            ("sources.unknown-git", &policy.sources.unknown_git),
            ("sources.unknown-registry", &policy.sources.unknown_registry),
        ] {
            if value != "deny" {
                return Err(format!(
                    "deny.toml: {rule} is {value:?}; only \"deny\" is checked"
                ));
            }
        }
        Ok(policy)
    }

    /// Returns every rule that a package breaks, one line each.
    pub(super) fn faults(&self, metadata: &Metadata) -> Result<Vec<String>, String> {
        let allowed = self
            .licenses
            .allow
            .iter()
            .map(|text| {
                spdx::Licensee::parse(text)
                    .map_err(|error| format!("deny.toml: licence {text:?}: {}", error.reason))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut faults = Vec::new();
        for package in &metadata.packages {
            faults.extend(licence_fault(package, &allowed));
            faults.extend(self.ban(package));
            faults.extend(source_fault(package));
        }
        for package in metadata.members() {
            faults.extend(wildcard_faults(package));
        }
        Ok(faults)
    }

    fn ban(&self, package: &Package) -> Option<String> {
        let ban = self.bans.deny.iter().find(|ban| ban.name == package.name)?;
        let Package { name, version, .. } = package;
        Some(format!("{name} {version} is banned: {}", ban.reason))
    }
}

fn licence_fault(package: &Package, allowed: &[spdx::Licensee]) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(text) = &package.license else {
        return Some(format!("{name} {version} names no licence"));
    };
    // Old manifests write "MIT/Apache-2.0".
    match spdx::Expression::parse_mode(text, spdx::ParseMode::LAX) {
        Ok(licence) => {
            let accepted =
                licence.evaluate(|wanted| allowed.iter().any(|one| one.satisfies(wanted)));
            (!accepted).then(|| format!("{name} {version} is under {text}, which is not allowed"))
        }
        Err(error) => Some(format!(
            "{name} {version}: licence {text:?}: {}",
            error.reason
        )),
    }
}

fn source_fault(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let Package { name, version, .. } = package;
    (source != CRATES_IO).then(|| format!("{name} {version} comes from {source}"))
}

fn wildcard_faults(package: &Package) -> Vec<String> {
    let open = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.req == "*" && dependency.path.is_none());
    let names: BTreeSet<&str> = open.map(|dependency| dependency.name.as_str()).collect();
    let fault = |name: &str| format!("{} depends on any version of {name}", package.name);
    names.into_iter().map(fault).collect()
}

/// How cargo writes the one registry that is allowed; no machine's mirror changes it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_rules_forbid_is_found() {
        let policy = policy();
        let faults = |package: &str| {
            let text = format!(r#"{{"packages": [{package}], "workspace_members": ["ours"]}}"#);
            policy
                .faults(&serde_json::from_str(&text).unwrap())
                .unwrap()
        };
        assert_eq!(
            faults(&package("fine", "MIT/Apache-2.0", CRATES_IO)),
            [""; 0]
        );
        let gpl = faults(&package("viral", "GPL-3.0-only AND MIT", CRATES_IO));
        assert!(
            gpl[0].contains("viral") && gpl[0].contains("not allowed"),
            "{gpl:?}"
        );
        let ssl = faults(&package("openssl", "Apache-2.0", CRATES_IO));
        assert!(ssl[0].contains("banned: one TLS library"), "{ssl:?}");
        let git = faults(&package("fork", "MIT", "git+https://example.org/fork"));
        assert!(git[0].contains("comes from git+"), "{git:?}");
        let exception = package("llvm", "Apache-2.0 WITH LLVM-exception", CRATES_IO);
        assert_eq!(faults(&exception).len(), 1);
    }

    #[test]
    fn a_rule_that_nothing_checks_is_refused() {
        let text = RULES.replace("wildcards = \"deny\"", "wildcards = \"allow\"");
        assert!(Policy::parse(&text).unwrap_err().contains("bans.wildcards"));
    }

    fn policy() -> Policy {
        Policy::parse(RULES).unwrap()
    }

    fn package(name: &str, license: &str, source: &str) -> String {
        format!(
            r#"{{"id": "{name}", "name": "{name}", "version": "1.0.0", "license": "{license}",
                "source": "{source}", "manifest_path": "/", "dependencies": [], "targets": [],
                "features": {{}}}}"#
        )
    }

    const RULES: &str = r#"
        [licenses]
        allow = ["Apache-2.0", "MIT"]
        [bans]
        wildcards = "deny"
        deny = [{ crate = "openssl", reason = "one TLS library" }]
        [sources]
        unknown-git = "deny"
        unknown-registry = "deny"
    "#;
}
