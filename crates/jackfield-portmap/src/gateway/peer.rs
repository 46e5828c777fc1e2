//! Flows that the gateway keeps alive on request: PEER of PCP
//! ([RFC 6887 §12](https://www.rfc-editor.org/rfc/rfc6887#section-12)).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::{DropReason, Nat};
use jackfield_sansio::Timers;

use super::Gateway;
use super::grant::{Grant, Refused};
use super::lease::LeaseView;
use crate::pcp::Nonce;
use crate::{Dialect, TransportProtocol};

/// A flow: protocol, inside endpoint and remote endpoint.
pub(super) type Flow = (TransportProtocol, SocketAddr, SocketAddr);

#[derive(Debug, Clone)]
struct PeerLease {
    nonce: Nonce,
    external: SocketAddr,
    expires: Instant,
}

/// All flows that are kept alive.
#[derive(Debug, Clone, Default)]
pub(super) struct Peers {
    flows: BTreeMap<Flow, PeerLease>,
    /// When to refresh each of them.
    timers: Timers<Flow>,
}

impl Peers {
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    pub(super) fn of_host(&self, host: IpAddr) -> usize {
        let mine = |flow: &&Flow| flow.1.ip() == host;
        self.flows.keys().filter(mine).count()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.timers.next()
    }

    pub(super) fn views(&self) -> impl Iterator<Item = LeaseView> {
        self.flows
            .iter()
            .map(|((protocol, internal, remote), lease)| LeaseView {
                protocol: *protocol,
                internal: *internal,
                external: lease.external,
                peer: Some(*remote),
                dialect: Dialect::Pcp,
                description: String::new(),
                filters: Vec::new(),
                expires: lease.expires,
            })
    }

    fn remove(&mut self, flow: &Flow) -> bool {
        self.timers.cancel(flow);
        self.flows.remove(flow).is_some()
    }
}

impl Gateway {
    /// Makes a flow as a packet from inside would, and keeps it alive.
    pub(super) fn keep_flow(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        flow: Flow,
        nonce: Nonce,
        wished: Duration,
    ) -> Result<Grant, Refused> {
        let kept = self.try_keep_flow(now, nat, flow, nonce, wished);
        if let Err(refused) = kept {
            self.counters.count_refusal(refused);
        }
        kept
    }

    fn try_keep_flow(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        flow: Flow,
        nonce: Nonce,
        wished: Duration,
    ) -> Result<Grant, Refused> {
        let (protocol, internal, remote) = flow;
        let known = self.peers.flows.get(&flow);
        if let Some(known) = known.filter(|known| known.nonce != nonce) {
            let left = known.expires.saturating_duration_since(now);
            return Err(Refused::Nonce(left));
        }
        // A flow that the gateway keeps already has been counted.
        if known.is_none() {
            self.room_for_lease(internal.ip())?;
        }
        let external = nat
            .keep_alive(now, protocol.into(), internal, remote)
            .map_err(refused)?;
        let external = SocketAddr::from(external);
        let lifetime = self.lifetime(Dialect::Pcp, wished);
        match known.is_some() {
            true => self.counters.renewed += 1,
            false => self.counters.granted += 1,
        }
        let lease = PeerLease {
            nonce,
            external,
            expires: now + lifetime,
        };
        self.peers.flows.insert(flow, lease);
        self.peers
            .timers
            .set(flow, now + pause(nat, protocol).min(lifetime));
        Ok(Grant { external, lifetime })
    }

    /// Stops keeping a flow alive; it continues until the NAT ends it.
    pub(super) fn release_flow(
        &mut self,
        now: Instant,
        flow: &Flow,
        nonce: Nonce,
    ) -> Result<(), Refused> {
        match self.peers.flows.get(flow) {
            Some(lease) if lease.nonce != nonce => {
                // RFC 6887 §12.3: the error lasts as long as the flow belongs to the other nonce.
                let left = lease.expires.saturating_duration_since(now);
                Err(Refused::Nonce(left))
            }
            Some(_) => {
                self.peers.remove(flow);
                self.counters.deleted += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Refreshes the flows that would end soon, and forgets those that have expired or ended.
    pub(super) fn refresh_flows(&mut self, now: Instant, nat: &mut Nat) {
        while let Some(flow) = self.peers.timers.expire(now) {
            let (protocol, internal, remote) = flow;
            let expires = self.peers.flows.get(&flow).map(|lease| lease.expires);
            // A TCP flow may have been closed by its ends; keeping it alive would make it anew.
            let alive = nat.has_flow(protocol.into(), internal.into(), remote.into());
            let kept = alive
                && expires.is_some_and(|expires| expires > now)
                && nat
                    .keep_alive(now, protocol.into(), internal, remote)
                    .is_ok();
            match expires.filter(|_| kept) {
                Some(expires) => {
                    let next = now + pause(nat, protocol);
                    self.peers.timers.set(flow, next.min(expires));
                }
                None => {
                    self.peers.remove(&flow);
                    self.counters.expired += 1;
                }
            }
        }
    }
}

fn refused(reason: DropReason) -> Refused {
    match reason {
        DropReason::Policy => Refused::NotAuthorized,
        DropReason::HostMappings | DropReason::HostFlows => Refused::Quota,
        DropReason::WrongFamily => Refused::NoExternal,
        _ => Refused::NoResources,
    }
}

/// Returns the interval at which a flow has to be refreshed to stay alive in any state.
fn pause(nat: &Nat, protocol: TransportProtocol) -> Duration {
    let timers = &nat.config().timers;
    let shortest = match protocol {
        TransportProtocol::Udp => {
            let others = [timers.udp_unreplied, timers.udp_well_known];
            let all = others
                .into_iter()
                .flatten()
                .chain([timers.udp, timers.udp_filter]);
            all.min().unwrap_or(timers.udp)
        }
        // The gateway does not follow the state of the connection, so the shorter time counts.
        TransportProtocol::Tcp => timers.tcp_opening.min(timers.tcp_established),
    };
    (shortest / 2).max(Duration::from_secs(1))
}
