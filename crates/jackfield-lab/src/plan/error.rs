//! What does not fit together in a lab.

use super::MOST_EXTERNALS;
use crate::nat::SettingError;

/// Parts of a [`Spec`](crate::Spec) that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A key names a site or host that does not exist.
    #[error("{key} is `{name}`, and there is none of that name: there {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The lab uses the name itself.
    #[error("`{0}` cannot be a name: the lab has something of its own by it")]
    Reserved(String),
    /// Two sites or two hosts have the same name. A host without a site and each NAT of a row are
    /// sites, too: the second NAT of `home` is called `home-2`.
    #[error("two networks or hosts are called `{0}`: give one of them another name")]
    Duplicate(String),
    /// A NAT has no external address, or too many.
    #[error(
        "site.{site}.external cannot be `{externals}`: accepted is a number of addresses from 1 to {MOST_EXTERNALS}"
    )]
    Externals {
        /// The site.
        site: String,
        /// The number of addresses.
        externals: u8,
    },
    /// Sites are behind each other.
    #[error("site.{0}.behind leads back to the site itself")]
    Cycle(String),
    /// There are not enough addresses.
    #[error("there are too many {what}: {limit} is the most")]
    TooMany {
        /// What has too many members.
        what: String,
        /// The most that there are addresses for.
        limit: usize,
    },
    /// A site without a NAT is behind another one.
    #[error(
        "site.{0} has no `nat`, so its addresses are public and it cannot be behind another site"
    )]
    PublicBehind(String),
    /// A site is behind one without a NAT, which has no addresses for the routers of others.
    #[error("site.{site}.behind is `{outer}`, which has no `nat`: no other site can be behind it")]
    BehindPublic {
        /// The inner site.
        site: String,
        /// The outer one.
        outer: String,
    },
    /// A site is behind one that has no IPv4 for it, or nothing but a proxy.
    #[error(
        "site.{site}.behind is `{outer}`, whose network carries no IPv4 packets of others: it has a NAT64, or nothing but a proxy"
    )]
    BehindClosed {
        /// The inner site.
        site: String,
        /// The outer one.
        outer: String,
    },
    /// A NAT64 is not next to the hosts, or is together with a proxy.
    #[error(
        "site.{0}.nat has `nat64`, which has to be the first NAT, next to the hosts, and has no `proxy`"
    )]
    Nat64(String),
    /// A router has a setting that is not accepted.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

pub(super) fn unknown(key: String, name: &str, known: &[&str]) -> PlanError {
    let known = match known {
        [] => "are none".to_owned(),
        [one] => format!("is {one}"),
        several => format!("are {}", several.join(", ")),
    };
    PlanError::Unknown {
        key,
        name: name.to_owned(),
        known,
    }
}
