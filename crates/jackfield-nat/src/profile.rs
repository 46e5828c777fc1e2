//! NATs by name, each with the requirements that it violates.
//!
//! A [`Profile`] makes a [`NatConfig`] from external addresses. Where a profile differs from the
//! RFCs is data, not prose: a test per requirement skips a profile only if [`Profile::deviations`]
//! lists the requirement.
//!
//! ```
//! use jackfield_nat::profile::Profile;
//!
//! let home = Profile::LINUX.config(&["203.0.113.1".parse()?]);
//! assert!(home.conntrack.is_some());
//! assert_eq!("symmetric".parse::<Profile>()?, Profile::SYMMETRIC);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Values without a source in a comment follow common documentation of such devices.

mod carrier;
mod classical;
mod cloud;
mod deviation;
mod home;
mod linux;
mod pf;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::NatConfig;

pub use deviation::{Deviation, Requirement, Rfc};

/// A NAT by name.
#[derive(Clone, Copy)]
pub struct Profile {
    name: &'static str,
    about: &'static str,
    configure: fn(&mut NatConfig),
    deviations: &'static [Deviation],
}

impl Profile {
    /// All profiles.
    pub const ALL: &'static [Self] = &[
        Self::FULL_CONE,
        Self::RESTRICTED_CONE,
        Self::PORT_RESTRICTED_CONE,
        Self::SYMMETRIC,
        Self::LINUX,
        Self::LINUX_OPEN_INPUT,
        Self::LINUX_RANDOM,
        Self::OPENWRT_FULL_CONE,
        Self::PF,
        Self::CGN,
        Self::CGN_SYMMETRIC,
        Self::AWS_NAT_GATEWAY,
        Self::CLOUD_ONE_TO_ONE,
        Self::HOME_ROUTER,
        Self::OLD_HOME_ROUTER,
        Self::CHANGEABLE_ROUTER,
        Self::NAT64,
    ];

    /// All profiles whose hosts have IPv4 addresses.
    pub const IPV4: &'static [Self] = match Self::ALL.split_last() {
        Some((_nat64, others)) => others,
        None => &[],
    };

    /// Returns the name of the profile on the command line.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns one line about what the profile stands for.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }

    /// Returns the requirements that the profile violates.
    #[must_use]
    pub const fn deviations(&self) -> &'static [Deviation] {
        self.deviations
    }

    /// Returns whether the profile violates a requirement.
    #[must_use]
    pub fn deviates(&self, wanted: Requirement) -> bool {
        self.deviations
            .iter()
            .any(|deviation| deviation.requirement == wanted)
    }

    /// Returns the config of such a NAT with these external addresses.
    #[must_use]
    pub fn config(&self, externals: &[IpAddr]) -> NatConfig {
        let mut config = NatConfig {
            externals: externals.to_vec(),
            ..NatConfig::default()
        };
        (self.configure)(&mut config);
        config
    }
}

impl PartialEq for Profile {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Profile {}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Profile").field(&self.name).finish()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// An error: no profile has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no NAT profile is called that; there are {}", names())]
pub struct UnknownProfile;

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
        let found = Self::ALL.iter().find(|profile| profile.name == name);
        found.copied().ok_or(UnknownProfile)
    }
}

fn names() -> String {
    let names: Vec<&str> = Profile::ALL.iter().map(Profile::name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_name_and_no_two_share_one() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(*profile));
        }
        let error = "fullcone".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("full-cone"), "{error}");
    }
}
