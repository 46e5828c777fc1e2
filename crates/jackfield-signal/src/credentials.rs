//! ICE servers: minted at a join, on request, and before the old ones expire.

use std::time::{Duration, Instant};

use crate::hooks::IceServerList;
use crate::hub::{Hub, Origin, Reply};
use crate::{ErrorCode, MemberId, write};

impl Hub {
    /// Answers a request for fresh ICE servers, as from a laptop that slept through a push.
    pub(crate) fn ice_servers(&mut self, origin: &Origin<'_>) -> Result<Reply, ErrorCode> {
        if self.rooms_of(origin.member).is_empty() {
            return Err(ErrorCode::NotInRoom);
        }
        let ice = self.mint_again(origin.now, origin.member);
        Ok(Reply::Answer("ice-servers", write::ice_servers(&ice)))
    }

    /// Mints ICE servers for a member and plans the next ones at three quarters of their life.
    pub(crate) fn mint(&mut self, now: Instant, member: MemberId, name: &str) -> IceServerList {
        self.counters.minted += 1;
        let host = self
            .members
            .get(&member)
            .and_then(|state| state.host.clone());
        let ice = self.ice.mint(now, name, host.as_deref());
        // A member has one planned refresh, however often it asks.
        self.cancel_refresh(member);
        if !ice.ttl.is_zero()
            && let Some(at) = now.checked_add((ice.ttl / 4 * 3).max(SHORTEST_REFRESH))
            && let Some(state) = self.members.get_mut(&member)
        {
            state.refresh_at = Some(at);
            self.refreshes.insert((at, member));
        }
        ice
    }

    pub(crate) fn refresh_due(&mut self, now: Instant) {
        while let Some((at, member)) = self.refreshes.first().copied() {
            if at > now {
                return;
            }
            let ice = self.mint_again(now, member);
            self.send(member, "ice-servers", write::ice_servers(&ice).into());
        }
    }

    pub(crate) fn cancel_refresh(&mut self, member: MemberId) {
        let planned = self
            .members
            .get_mut(&member)
            .and_then(|state| state.refresh_at.take());
        if let Some(at) = planned {
            self.refreshes.remove(&(at, member));
        }
    }

    fn mint_again(&mut self, now: Instant, member: MemberId) -> IceServerList {
        let room = self
            .members
            .get(&member)
            .and_then(|state| state.rooms.first());
        let scope = room.and_then(|room| self.scope_in(room));
        let name = scope
            .and_then(|scope| scope.name_of(member))
            .unwrap_or_default()
            .to_owned();
        self.mint(now, member, &name)
    }
}

/// Credentials are never pushed more often than this, however short they live.
const SHORTEST_REFRESH: Duration = Duration::from_secs(5);
