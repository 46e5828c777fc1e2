//! CreatePermission requests ([RFC 8656 §10.2]).
//!
//! [RFC 8656 §10.2]: https://www.rfc-editor.org/rfc/rfc8656#section-10.2

use std::net::IpAddr;

use jackfield_stun::ErrorCode;

use super::{Request, Server};
use crate::attribute::XorPeerAddress;
use crate::{DropReason, Limit};

impl Server {
    /// Makes or prolongs permissions for all the peers named, or for none.
    pub(super) fn create_permission(
        &mut self,
        request: &Request<'_, '_>,
    ) -> Result<(), DropReason> {
        let context = &request.context;
        let Some(id) = self.own_allocation(request)? else {
            return Ok(());
        };
        let peers: Result<Vec<IpAddr>, _> = request
            .message
            .all::<XorPeerAddress>()
            // One more than allowed shows that there are too many; the rest is not read.
            .take(MAX_PEERS + 1)
            .map(|peer| peer.map(|XorPeerAddress(address)| address.ip()))
            .collect();
        let peers = match peers {
            Ok(peers) if !peers.is_empty() => peers,
            _ => return self.refuse(context, ErrorCode::BAD_REQUEST),
        };
        //= https://www.rfc-editor.org/rfc/rfc8656#section-10.2
        //# If the request is valid, but the server is unable to
        //# satisfy the request due to some capacity limit or similar, then a 508
        //# (Insufficient Capacity) error is returned.
        if peers.len() > MAX_PEERS {
            return self.refuse_over(context, Limit::Permissions);
        }
        let Some(allocation) = self.allocations.get_mut(id) else {
            return Ok(());
        };
        let reachable = |ip: &IpAddr| allocation.relays.towards(*ip, request.now).is_some();
        if !peers.iter().all(reachable) {
            return self.refuse(context, ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        // Another client's relayed address may be named, too: each packet is judged by its port.
        let allowed = |ip: &IpAddr| {
            self.relay_addresses.advertises(*ip) || self.policy.judge_permission(*ip).is_ok()
        };
        if !peers.iter().all(allowed) {
            return self.refuse(context, ErrorCode::FORBIDDEN);
        }
        if !allocation
            .permissions
            .has_room_for(&peers, self.config.limits.permissions)
        {
            return self.refuse_over(context, Limit::Permissions);
        }
        for peer in peers {
            allocation.permissions.grant(peer, request.now);
        }
        self.schedule(id);
        self.succeed(context, |_| {})
    }
}

/// No honest request names more peers.
const MAX_PEERS: usize = 64;
