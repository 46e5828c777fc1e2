//! How a NAT maps and filters one protocol, in the words of [RFC 4787].
//!
//! [RFC 4787]: https://www.rfc-editor.org/rfc/rfc4787

use std::fmt;
use std::str::FromStr;

/// The mapping and the filtering of one protocol ([RFC 4787 §4.1, §5]).
///
/// The text form is the two abbreviations with a slash between them, such as `eim/apdf`.
///
/// ```
/// use jackfield_sansio::{Behaviour, Filtering, Mapping};
///
/// let behaviour: Behaviour = "eim/apdf".parse()?;
/// assert_eq!(behaviour.mapping, Mapping::EndpointIndependent);
/// assert_eq!(behaviour.filtering, Filtering::AddressAndPortDependent);
/// assert_eq!(behaviour.to_string(), "eim/apdf");
/// # Ok::<(), jackfield_sansio::BehaviourError>(())
/// ```
///
/// [RFC 4787 §4.1, §5]: https://www.rfc-editor.org/rfc/rfc4787#section-4.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Behaviour {
    /// When two packets from one inside endpoint leave from the same outside endpoint.
    pub mapping: Mapping,
    /// Which remote endpoints may send to that outside endpoint.
    pub filtering: Filtering,
}

/// When two packets from one inside endpoint leave from the same outside endpoint
/// ([RFC 4787 §4.1]).
///
/// The text form is the long name, such as `endpoint-independent`; parsing accepts the
/// abbreviation too.
///
/// [RFC 4787 §4.1]: https://www.rfc-editor.org/rfc/rfc4787#section-4.1
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mapping {
    /// Always.
    EndpointIndependent,
    /// When they go to the same address.
    AddressDependent,
    /// When they go to the same address and port.
    AddressAndPortDependent,
}

/// Which remote endpoints may send to an outside endpoint that is mapped ([RFC 4787 §5]).
///
/// The text form is the long name, such as `endpoint-independent`; parsing accepts the
/// abbreviation too.
///
/// [RFC 4787 §5]: https://www.rfc-editor.org/rfc/rfc4787#section-5
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filtering {
    /// All of them.
    EndpointIndependent,
    /// Those at addresses that the inside endpoint has sent to.
    AddressDependent,
    /// Those that the inside endpoint has sent to, by address and port.
    AddressAndPortDependent,
}

/// A text that names no behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BehaviourError {
    /// It is not the name of a mapping.
    Mapping,
    /// It is not the name of a filtering.
    Filtering,
    /// It has no slash between a mapping and a filtering.
    NoSlash,
}

impl Mapping {
    /// All three, from the most to the least helpful to peers.
    pub const ALL: [Self; 3] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
    ];

    /// Returns the name that people write out.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => ENDPOINT_INDEPENDENT,
            Self::AddressDependent => ADDRESS_DEPENDENT,
            Self::AddressAndPortDependent => ADDRESS_AND_PORT_DEPENDENT,
        }
    }

    /// Returns the abbreviation: `eim`, `adm` or `apdm`.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "eim",
            Self::AddressDependent => "adm",
            Self::AddressAndPortDependent => "apdm",
        }
    }
}

impl Filtering {
    /// All three, from the most to the least open.
    pub const ALL: [Self; 3] = [
        Self::EndpointIndependent,
        Self::AddressDependent,
        Self::AddressAndPortDependent,
    ];

    /// Returns the name that people write out.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => ENDPOINT_INDEPENDENT,
            Self::AddressDependent => ADDRESS_DEPENDENT,
            Self::AddressAndPortDependent => ADDRESS_AND_PORT_DEPENDENT,
        }
    }

    /// Returns the abbreviation: `eif`, `adf` or `apdf`.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "eif",
            Self::AddressDependent => "adf",
            Self::AddressAndPortDependent => "apdf",
        }
    }
}

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mapping, filtering) = (self.mapping, self.filtering);
        write!(f, "{}/{}", mapping.abbreviation(), filtering.abbreviation())
    }
}

impl FromStr for Behaviour {
    type Err = BehaviourError;

    fn from_str(text: &str) -> Result<Self, BehaviourError> {
        let (mapping, filtering) = text.split_once('/').ok_or(BehaviourError::NoSlash)?;
        Ok(Self {
            mapping: mapping.parse()?,
            filtering: filtering.parse()?,
        })
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mapping {
    type Err = BehaviourError;

    fn from_str(text: &str) -> Result<Self, BehaviourError> {
        Self::ALL
            .into_iter()
            .find(|known| text == known.name() || text == known.abbreviation())
            .ok_or(BehaviourError::Mapping)
    }
}

impl fmt::Display for Filtering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Filtering {
    type Err = BehaviourError;

    fn from_str(text: &str) -> Result<Self, BehaviourError> {
        Self::ALL
            .into_iter()
            .find(|known| text == known.name() || text == known.abbreviation())
            .ok_or(BehaviourError::Filtering)
    }
}

impl fmt::Display for BehaviourError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mapping => {
                "a mapping is endpoint-independent (eim), address-dependent (adm) \
                 or address-and-port-dependent (apdm)"
            }
            Self::Filtering => {
                "a filtering is endpoint-independent (eif), address-dependent (adf) \
                 or address-and-port-dependent (apdf)"
            }
            Self::NoSlash => {
                "a behaviour is a mapping and a filtering with a slash between them, \
                 such as eim/apdf"
            }
        })
    }
}

impl std::error::Error for BehaviourError {}

const ENDPOINT_INDEPENDENT: &str = "endpoint-independent";
const ADDRESS_DEPENDENT: &str = "address-dependent";
const ADDRESS_AND_PORT_DEPENDENT: &str = "address-and-port-dependent";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_the_nine_behaviours_is_parsed_from_what_it_displays() {
        let names = [
            ["eim/eif", "eim/adf", "eim/apdf"],
            ["adm/eif", "adm/adf", "adm/apdf"],
            ["apdm/eif", "apdm/adf", "apdm/apdf"],
        ];
        for (mapping, names) in Mapping::ALL.into_iter().zip(names) {
            for (filtering, name) in Filtering::ALL.into_iter().zip(names) {
                let behaviour = Behaviour { mapping, filtering };
                assert_eq!(behaviour.to_string(), name);
                assert_eq!(name.parse(), Ok(behaviour));
            }
        }
    }

    #[test]
    fn long_names_are_accepted_wherever_abbreviations_are() {
        for mapping in Mapping::ALL {
            assert_eq!(mapping.to_string().parse(), Ok(mapping));
            assert_eq!(mapping.abbreviation().parse(), Ok(mapping));
        }
        for filtering in Filtering::ALL {
            assert_eq!(filtering.to_string().parse(), Ok(filtering));
            assert_eq!(filtering.abbreviation().parse(), Ok(filtering));
        }
        assert_eq!(
            "address-dependent/eif".parse(),
            Ok(Behaviour {
                mapping: Mapping::AddressDependent,
                filtering: Filtering::EndpointIndependent,
            })
        );
    }

    #[test]
    fn an_error_names_the_half_that_is_wrong() {
        let error = |text: &str| text.parse::<Behaviour>().unwrap_err();
        assert_eq!(error("eim"), BehaviourError::NoSlash);
        assert_eq!(error("eif/eif"), BehaviourError::Mapping);
        assert_eq!(error("eim/eim"), BehaviourError::Filtering);
        assert_eq!(error("eim/eif/adf"), BehaviourError::Filtering);
        assert_eq!(error(" eim/eif"), BehaviourError::Mapping);
        assert_eq!(error("EIM/eif"), BehaviourError::Mapping);
        for part in Mapping::ALL.map(Mapping::abbreviation) {
            assert!(BehaviourError::Mapping.to_string().contains(part));
        }
        for part in Filtering::ALL.map(Filtering::abbreviation) {
            assert!(BehaviourError::Filtering.to_string().contains(part));
        }
    }
}
