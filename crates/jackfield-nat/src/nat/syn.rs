//! Unsolicited SYNs, and connections to the router itself.

use std::time::{Duration, Instant};

use jackfield_sansio::{Seed, SeededMap};

use super::Nat;
use super::config::Protocol;
use super::key::{FlowKey, Scope};
use super::queue::Timeout;
use crate::Endpoint;

/// SYNs from outside for which the inside has not sent one yet
/// ([RFC 5382 §4.3](https://www.rfc-editor.org/rfc/rfc5382#section-4.3)).
#[derive(Debug, Clone)]
pub(crate) struct HeldSyns {
    /// By outside endpoint and remote: when the SYN is refused, and its first bytes.
    syns: SeededMap<FlowKey, (Instant, Vec<u8>)>,
}

impl HeldSyns {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { syns: seed.map() }
    }

    #[cfg(any(test, feature = "internals"))]
    pub(crate) fn len(&self) -> usize {
        self.syns.len()
    }

    /// Takes the SYN whose wait ends at `at`.
    pub(crate) fn take_due(&mut self, key: &FlowKey, at: Instant) -> Option<Vec<u8>> {
        if self.syns.get(key)?.0 != at {
            return None;
        }
        self.syns.remove(key).map(|(_, packet)| packet)
    }
}

impl Nat {
    /// Keeps a SYN until it is refused at `until`; a retransmission changes nothing. Returns
    /// `false` when there are too many.
    pub(super) fn hold_syn(&mut self, until: Instant, key: FlowKey, packet: &[u8]) -> bool {
        // RFC 5382 REQ-4 counts the six seconds from the first SYN.
        if self.held_syns.syns.contains_key(&key) {
            return true;
        }
        if self.held_syns.syns.len() >= self.config.limits.held_syns {
            return false;
        }
        let quoted = packet
            .get(..packet.len().min(SYN_BYTES))
            .unwrap_or_default();
        self.held_syns.syns.insert(key, (until, quoted.to_vec()));
        self.queue.push(until, Timeout::Syn(key));
        true
    }

    /// Drops a held SYN without an answer, because the inside has sent its own: a simultaneous
    /// open.
    pub(super) fn forget_held_syn(&mut self, flow: u32) {
        let Some(flow) = self.table.flows.get(flow) else {
            return;
        };
        if let Some(mapping) = self.table.mappings.get(flow.mapping) {
            let key = FlowKey {
                protocol: mapping.protocol,
                local: mapping.external,
                remote: flow.remote(),
            };
            self.held_syns.syns.remove(&key);
        }
    }

    /// Notes a packet to the router itself, which connection tracking records beside the
    /// connections of the hosts.
    pub(super) fn note_local_connection(&mut self, now: Instant, key: FlowKey) {
        let accepts = self.config.conntrack.is_some_and(|it| it.accepts_input);
        // No program on the router listens, so it resets a TCP connection at once, and a host may
        // then have the pair of endpoints. The differential tests of the router against nftables
        // show it.
        let stays = accepts && key.protocol != Protocol::Tcp;
        if !stays {
            return;
        }
        let end = now + LOCAL_LIFETIME;
        if let Some(known) = self.local.get_mut(&key) {
            *known = end;
        } else if self.local.len() < self.config.limits.flows_per_host {
            self.local.insert(key, end);
            self.queue.push(end, Timeout::Local(key));
        }
    }

    /// Returns whether the router itself has a connection with the remote that `scope` names.
    pub(super) fn is_local_connection(
        &self,
        protocol: Protocol,
        external: Endpoint,
        scope: Scope,
    ) -> bool {
        match scope {
            Scope::Endpoint(remote) => self.local.contains_key(&FlowKey {
                protocol,
                local: external,
                remote,
            }),
            Scope::AnyRemote | Scope::Address(_) => false,
        }
    }
}

/// How much of a SYN is kept: enough for the error to quote IP and TCP headers with options.
const SYN_BYTES: usize = 120;

/// How long Linux keeps a UDP connection that has seen packets in one direction only
/// (nf_conntrack_udp_timeout).
const LOCAL_LIFETIME: Duration = Duration::from_secs(30);
