//! Whether hosts behind given NATs reach each other directly, as the oracle says.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use jackfield_nat::oracle::{Path, Traits, oracle, why};

use super::{Change, SettingError, Settings};

/// The NATs between a host and the internet, as people write them: `symmetric`, `eim/adf`,
/// `linux,cgn` from the host outwards, or `public` for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatChain {
    name: String,
    traits: Vec<Traits>,
}

impl NatChain {
    /// Returns the text that it was read from.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for NatChain {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let nats = text.split(',').map(str::trim);
        let nats = nats.filter(|name| *name != PUBLIC);
        Ok(Self {
            name: text.to_owned(),
            traits: nats.map(traits).collect::<Result<_, _>>()?,
        })
    }
}

/// Reads one NAT, as [`Change::of_nat`] does.
fn traits(text: &str) -> Result<Traits, SettingError> {
    let change = Change::of_nat(text);
    // The oracle looks at behaviours alone, so any external address will do.
    let any = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1));
    let settings = Settings::new(vec![any]).changed(&change)?;
    Ok(Traits::of(&settings.config()))
}

/// Whether two hosts reach each other directly, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachability {
    /// The path that the hosts have.
    pub path: Path,
    /// The reason, in words that call the hosts `A` and `B`.
    pub why: String,
}

impl Reachability {
    /// Asks the oracle.
    #[must_use]
    pub fn of(a: &NatChain, b: &NatChain) -> Self {
        Self {
            path: oracle(&a.traits, &b.traits),
            why: why("A", &a.traits, "B", &b.traits),
        }
    }

    /// Returns the path as one word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.path {
            Path::Direct => "direct",
            Path::Nondeterministic => "varies",
            Path::Relay => "relay",
        }
    }
}

/// A table that says for each pair of hosts how they reach each other.
#[derive(Debug, Clone)]
pub struct ReachabilityTable(pub Vec<NatChain>);

impl fmt::Display for ReachabilityTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(chains) = self;
        let width = |chain: &NatChain| chain.name.chars().count().max(6);
        let widest = chains.iter().map(width).max().unwrap_or(0);
        let mut line = " ".repeat(widest);
        for chain in chains {
            line.push_str(&format!("  {:<1$}", chain.name, width(chain)));
        }
        f.write_str(line.trim_end())?;
        for row in chains {
            line = format!("\n{:widest$}", row.name);
            for column in chains {
                let word = Reachability::of(row, column).word();
                line.push_str(&format!("  {word:<0$}", width(column)));
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

/// The word for no NAT.
const PUBLIC: &str = "public";

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(a: &str, b: &str) -> Reachability {
        Reachability::of(&a.parse().unwrap(), &b.parse().unwrap())
    }

    #[test]
    fn nats_are_written_as_profiles_as_behaviours_and_in_chains() {
        assert_eq!(verdict("symmetric", "port-restricted-cone").word(), "relay");
        assert_eq!(verdict("apdm/apdf", "eim/adf").word(), "direct");
        assert_eq!(verdict("full-cone,symmetric", "eim/apdf").word(), "relay");
        assert_eq!(verdict("symmetric", "public").word(), "direct");
    }

    #[test]
    fn the_error_about_an_unknown_nat_lists_the_known_ones() {
        let error = "cone".parse::<NatChain>().unwrap_err().to_string();
        assert!(
            error.contains("`cone`") && error.contains("full-cone"),
            "{error}"
        );
        let error = "eim/cone".parse::<NatChain>().unwrap_err().to_string();
        assert!(error.contains("filtering cannot be `cone`"), "{error}");
    }

    #[test]
    fn the_table_has_a_line_for_each_and_a_heading() {
        let chains = ["public", "symmetric", "eim/apdf"].map(|name| name.parse().unwrap());
        let table = ReachabilityTable(chains.to_vec()).to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            lines.get(2).unwrap().split_whitespace().collect::<Vec<_>>(),
            ["symmetric", "direct", "relay", "relay"]
        );
    }
}
