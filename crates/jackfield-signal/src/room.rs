//! A room: who is in it, who may come in, and who waits for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use jackfield_sansio::ClientNetwork;

use crate::MemberId;
use crate::name::Name;
use crate::scope::Scope;

/// A room exists by its members, and by the names that are held for members that were lost.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pub(crate) scope: Scope,
    pub(crate) access: Access,
    /// Only while newcomers knock. In the order of connection.
    pub(crate) waiting: BTreeMap<MemberId, Knock>,
}

/// Who may come into a room. A member that was lost comes back whatever it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    #[default]
    Open,
    /// Who is let in by a member.
    Knock,
    /// Nobody.
    Locked,
}

/// A newcomer that waits to be let in.
#[derive(Debug)]
pub(crate) struct Knock {
    /// The name it asked for.
    pub(crate) wanted: Name,
    /// The name that members see. No member has it, but it is not reserved.
    pub(crate) shown: Arc<str>,
    pub(crate) network: Option<ClientNetwork>,
    /// When it has waited long enough.
    pub(crate) until: Instant,
}

impl Room {
    /// Returns whether nothing keeps the room in existence.
    pub(crate) fn is_over(&self) -> bool {
        self.scope.len() == 0 && !self.scope.holds_names()
    }

    /// Returns who makes room for a newcomer of `network`: the last one of the network of which
    /// most are waiting, if those are at least two more than are waiting of this one.
    pub(crate) fn who_yields(&self, network: Option<ClientNetwork>) -> Option<MemberId> {
        let count_of = |network| {
            let networks = self.waiting.values().map(|knock| knock.network);
            networks.filter(|other| *other == network).count()
        };
        // Few wait, so that each of them can be counted for. The greatest number came last.
        let waiting = self.waiting.iter();
        let counts = waiting.map(|(member, knock)| (count_of(knock.network), *member));
        let (count, last) = counts.max()?;
        (count >= count_of(network) + 2).then_some(last)
    }
}

impl Access {
    /// Reads the word on the wire.
    pub(crate) fn read(word: &str) -> Option<Self> {
        match word {
            "open" => Some(Self::Open),
            "knock" => Some(Self::Knock),
            "locked" => Some(Self::Locked),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Knock => "knock",
            Self::Locked => "locked",
        }
    }
}
