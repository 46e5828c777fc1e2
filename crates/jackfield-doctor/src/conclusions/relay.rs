//! What an attempt to relay comes to.

use crate::facts::{
    Allocation, Delivery, Facts, NotTested, RelayAttempt, RelayError, RelayTransport,
};

/// What an attempt to relay comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayFinding {
    /// Datagrams get through, all or most of them.
    Works(Delivery),
    /// Datagrams get from one allocation to another one, and it could not be tried whether they
    /// come in from outside.
    WorksInside(Delivery, NotTested),
    /// There is an allocation, and the server allows none of the tests.
    Untested(NotTested),
    /// The relayed address is a private one, although the server's own is public.
    PrivateAddress,
    /// Datagrams from outside do not come in.
    Unreachable,
    /// Datagrams come in, and their answers do not get out.
    NoWayBack,
    /// There is an allocation, and nothing gets through it.
    Dead,
    /// There is no allocation.
    Failed(RelayError),
}

/// Whether peers that are not reached directly are reached by a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayState {
    /// At least one relay works.
    Works,
    /// Relays are named, and none of them works.
    Broken,
    /// The server names none.
    NotOffered,
    /// The server could not be asked for relays.
    NotTried,
}

impl RelayFinding {
    /// Judges an attempt.
    #[must_use]
    pub fn of(attempt: &RelayAttempt) -> Self {
        match &attempt.result {
            Ok(allocation) => Self::of_allocation(allocation),
            Err(error) => Self::Failed(error.clone()),
        }
    }

    fn of_allocation(allocation: &Allocation) -> Self {
        match allocation.outside {
            Ok(delivery) if delivery.arrived == 0 => Self::Unreachable,
            Ok(delivery) if delivery.returned == 0 => Self::NoWayBack,
            Ok(delivery) => Self::Works(delivery),
            Err(NotTested::PrivateAddress) => Self::PrivateAddress,
            Err(why) => match allocation.between {
                Some(Ok(delivery)) if delivery.arrived == 0 => Self::Dead,
                Some(Ok(delivery)) => Self::WorksInside(delivery, why),
                Some(Err(_)) | None => Self::Untested(why),
            },
        }
    }

    /// Returns whether calls can be expected to get through.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self {
            Self::Works(_) | Self::WorksInside(..) | Self::Untested(_) => true,
            Self::PrivateAddress
            | Self::Unreachable
            | Self::NoWayBack
            | Self::Dead
            | Self::Failed(_) => false,
        }
    }
}

impl RelayState {
    /// Judges all attempts.
    pub fn of(facts: &Facts) -> Self {
        match &facts.web {
            Some(web) if web.ice.is_ok() => {}
            _ => return Self::NotTried,
        }
        if facts.relays.is_empty() {
            Self::NotOffered
        } else if facts.relays.iter().any(is_usable) {
            Self::Works
        } else {
            Self::Broken
        }
    }

    /// Returns the name that programs know it by.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Broken => "broken",
            Self::NotOffered => "not-offered",
            Self::NotTried => "not-tried",
        }
    }
}

/// Returns whether a relay works that is reached without UDP.
pub(super) fn works_without_udp(facts: &Facts) -> bool {
    let mut streams = facts
        .relays
        .iter()
        .filter(|it| it.transport != RelayTransport::Udp);
    streams.any(is_usable)
}

fn is_usable(attempt: &RelayAttempt) -> bool {
    RelayFinding::of(attempt).is_usable()
}
