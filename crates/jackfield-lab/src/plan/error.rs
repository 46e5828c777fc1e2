use crate::nat::SettingError;

/// What does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A name that nothing has.
    #[error("{key} is `{name}`, and there is none of that name: there {known}")]
    Unknown {
        /// Where it was written.
        key: String,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// A name that is spoken for.
    #[error("`{0}` cannot be a name: the lab has something of its own by it")]
    Reserved(String),
    /// Sites that are behind each other.
    #[error("site.{0}.behind leads back to the site itself")]
    Circle(String),
    /// More of something than there are addresses for.
    #[error("there are too many {what}: {limit} is the most")]
    TooMany {
        /// Of what.
        what: String,
        /// How many there may be.
        limit: usize,
    },
    /// A public site within another one.
    #[error(
        "site.{0} has no `nat`, so its addresses are public and it cannot be behind another site"
    )]
    PublicBehind(String),
    /// A router that cannot be.
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
