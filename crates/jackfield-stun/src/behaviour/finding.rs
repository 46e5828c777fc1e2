//! One line of a report: known, or unknown for a reason.

use std::fmt;

/// One thing that was to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding<T> {
    /// It was seen to be so.
    Known(T),
    /// It was not seen.
    Unknown(Reason),
}

impl<T> Finding<T> {
    /// Returns what is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Borrows what is inside.
    pub fn as_ref(&self) -> Finding<&T> {
        match self {
            Self::Known(value) => Finding::Known(value),
            Self::Unknown(reason) => Finding::Unknown(*reason),
        }
    }

    /// Changes what is known.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Finding<U> {
        match self {
            Self::Known(value) => Finding::Known(change(value)),
            Self::Unknown(reason) => Finding::Unknown(reason),
        }
    }
}

/// Why something was not found out; displayed as a part of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// It was not asked for.
    NotTested,
    /// The tests have not ended.
    NotFinished,
    /// No socket could be bound.
    NoSocket,
    /// The server has not answered a plain request.
    NoAnswer,
    /// The server has answered too few sockets.
    TooFewAnswers,
    /// The server has no second address, and no second server is known.
    NoOtherAddress,
    /// The server's second address, or the second server, has not answered.
    OtherAddressSilent,
    /// The server's second port has not answered.
    OtherPortSilent,
    /// Mappings differ by destination; whether by its port too takes a server with two addresses.
    VariesByDestination,
    /// Other ports get in; whether other addresses do takes a server with two addresses.
    NotPortDependent,
    /// Rounds have seen different things, none of them more often than another.
    Unstable,
    /// The server refuses this kind of request.
    Refused,
    /// The server answers from where it was asked, although it was asked to answer from elsewhere.
    IgnoresChange,
    /// There is no NAT.
    NoNat,
    /// The NAT has several external addresses, and the test needs one.
    SeveralExternalAddresses,
    /// Mappings differ by destination, so that the test cannot tell.
    NeedsStableMapping,
    /// The server does not tell the address in the clear.
    NotTold,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTested => "not tested",
            Self::NotFinished => "the tests have not ended",
            Self::NoSocket => "no socket could be bound",
            Self::NoAnswer => "the server has not answered",
            Self::TooFewAnswers => "the server has answered too few sockets",
            Self::NoOtherAddress => "the server has no second address",
            Self::OtherAddressSilent => "the server's second address does not answer",
            Self::OtherPortSilent => "the server's second port does not answer",
            Self::VariesByDestination => {
                "it depends on the destination; on what of it takes a server with two addresses"
            }
            Self::NotPortDependent => {
                "other ports get in; whether other addresses do takes a server with two addresses"
            }
            Self::Unstable => "it differs from try to try",
            Self::Refused => "the server refuses this test",
            Self::IgnoresChange => "the server does not change its address when asked to",
            Self::NoNat => "there is no NAT",
            Self::SeveralExternalAddresses => "the NAT uses several external addresses",
            Self::NeedsStableMapping => "the mapping depends on the destination, which hides it",
            Self::NotTold => "the server does not tell",
        })
    }
}
