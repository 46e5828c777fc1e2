//! ChannelBind requests ([RFC 8656 §12.2]).
//!
//! [RFC 8656 §12.2]: https://www.rfc-editor.org/rfc/rfc8656#section-12.2

use jackfield_stun::ErrorCode;

use super::{Request, Server};
use crate::attribute::XorPeerAddress;
use crate::channels::Conflict;
use crate::{AllocationId, ChannelNumber, DropReason, Event, Limit, Output};

impl Server {
    /// Binds a channel and makes the permission that goes with it, or prolongs both.
    pub(super) fn channel_bind(&mut self, request: &Request<'_, '_>) -> Result<(), DropReason> {
        let Some(id) = self.own_allocation(request)? else {
            return Ok(());
        };
        match self.try_channel_bind(request, id) {
            Ok(event) => {
                self.schedule(id);
                self.outputs.push_back(Output::Event(event));
                self.succeed(&request.context, |_| {})
            }
            Err(Refusal::Code(code)) => self.refuse(&request.context, code),
            Err(Refusal::Over(limit)) => self.refuse_over(&request.context, limit),
        }
    }

    fn try_channel_bind(
        &mut self,
        request: &Request<'_, '_>,
        id: AllocationId,
    ) -> Result<Event, Refusal> {
        let now = request.now;
        let number: ChannelNumber = request
            .message
            .get()
            .or(Err(ErrorCode::BAD_REQUEST))?
            .ok_or(ErrorCode::BAD_REQUEST)?;
        if !number.is_rfc8656() && !self.config.rfc5766_channels {
            return Err(ErrorCode::BAD_REQUEST.into());
        }
        let peer: Option<XorPeerAddress> = request.message.get().or(Err(ErrorCode::BAD_REQUEST))?;
        let XorPeerAddress(peer) = peer.ok_or(ErrorCode::BAD_REQUEST)?;
        let allocation = self
            .allocations
            .get_mut(id)
            .ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let relay = *allocation
            .relays
            .towards(peer.ip(), now)
            .ok_or(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH)?;
        // The policy judges the address that packets go to, not the public one that stands for it.
        let target = self.relay_addresses.to_local(peer, &self.registry);
        self.policy.judge(target).or(Err(ErrorCode::FORBIDDEN))?;
        let limits = &self.config.limits;
        // What has run out must not stand in the way; the sweep may come a moment later.
        let outputs = &mut self.outputs;
        allocation.channels.expire(now, |number| {
            outputs.push_back(Output::Event(Event::ChannelUnbound { id, number }));
        });
        allocation.permissions.expire(now);
        // The room is checked before the channel is bound: RFC 8656 §12.2 makes its permission
        // with it.
        if !allocation
            .permissions
            .has_room_for(&[peer.ip()], limits.permissions)
        {
            return Err(Refusal::Over(Limit::Permissions));
        }
        let expires = match allocation.channels.bind(number, peer, now, limits.channels) {
            Ok(expires) => expires,
            Err(Conflict::Taken) => return Err(ErrorCode::BAD_REQUEST.into()),
            Err(Conflict::Full) => return Err(Refusal::Over(Limit::Channels)),
        };
        allocation.permissions.grant(peer.ip(), now);
        Ok(Event::ChannelBound {
            id,
            path: allocation.path,
            relayed: relay.local,
            number,
            peer,
            expires,
        })
    }
}

/// Why a channel is not bound.
enum Refusal {
    Code(ErrorCode),
    Over(Limit),
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}
