//! Permanent mappings, which an administrator or a port mapping protocol makes.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_sansio::Filtering;

use super::config::{Forward, Pooling, Protocol};
use super::entry::MappingEntry;
use super::inspect::MappingView;
use super::key::Scope;
use super::outbound::outbound_key;
use super::ports::PROTOCOLS;
use super::queue::Timeout;
use super::tcp::TcpState;
use super::{DropReason, Nat, Side};
use crate::packet::{Headers, TcpFlags, build};
use crate::{Address, Endpoint, Prefix};

/// Why a forward cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// The outside endpoint is mapped already.
    #[error("the outside endpoint is mapped already")]
    Taken,
    /// The outside address is not an address of the NAT.
    #[error("the outside address is none of this NAT's")]
    NotExternal,
    /// The inside endpoint is not of the IP version that belongs to the outside endpoint.
    #[error("the inside endpoint is of the wrong IP version")]
    WrongFamily,
    /// The host has reached its limit of mappings.
    #[error("the host has all the mappings it may have")]
    HostMappings,
}

/// A set of remote endpoints that a restricted forward lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RemoteFilter {
    /// The prefix of their addresses.
    pub prefix: Prefix,
    /// Their port; `None` stands for all ports.
    pub port: Option<u16>,
}

impl Nat {
    /// Adds a permanent mapping that lets all remotes in.
    ///
    /// Port mapping protocols call this for each mapping that a host asks for, and keep its
    /// lifetime themselves. A mapping of the same two endpoints that packets of the host have made
    /// becomes the forward. Without translation, as in a firewall, both endpoints have to be the
    /// same.
    ///
    /// # Errors
    /// Fails when the outside endpoint is not available; then nothing has changed.
    pub fn add_forward(&mut self, now: Instant, forward: Forward) -> Result<(), ForwardError> {
        let index = self.forward_index(&forward)?;
        let (protocol, external) = (forward.protocol, forward.external);
        // PCP asks for this: the mapping of a socket that already sends must not move to another
        // port (RFC 6887 §11.3).
        if let Some(id) = self.own_mapping(&forward) {
            self.promote(id);
            return Ok(());
        }
        let limit = self.config.limits.mappings_per_host;
        // The quota counts forwards too; otherwise a host could take all ports by port mapping.
        let host = self.hosts.get(forward.internal.address);
        if host.is_some_and(|host| host.mappings >= limit) {
            return Err(ForwardError::HostMappings);
        }
        if !self.is_free(protocol, external) {
            return Err(ForwardError::Taken);
        }
        let mut mapping = MappingEntry::forward(forward);
        match index {
            Some(index) => {
                self.pool(protocol, index).take(external.port);
                if self.config.pooling == Pooling::Paired {
                    let host = self.hosts.entry(forward.internal.address);
                    // From here on the host is paired with the address of its forward, so that its
                    // other mappings show the same one (RFC 4787 REQ-2).
                    host.external.get_or_insert(index);
                }
            }
            None => mapping.pooled = false,
        }
        self.add_mapping(now, mapping);
        Ok(())
    }

    /// Removes the forward at an outside endpoint; returns whether there was one.
    pub fn remove_forward(&mut self, now: Instant, protocol: Protocol, external: Endpoint) -> bool {
        let forward = self.forward_id(protocol, external);
        if let Some(id) = forward {
            // The filters go first: a later forward of the same endpoint must not inherit them.
            self.forward_filters.remove(&(protocol, external));
            if !self.demote(now, id) {
                self.end_mapping(now, id);
            }
        }
        forward.is_some()
    }

    /// Makes a forward an ordinary mapping where its inside endpoint uses it for flows of its own,
    /// which go on ([RFC 6887 §11.3](https://www.rfc-editor.org/rfc/rfc6887#section-11.3)); returns
    /// whether it does.
    ///
    /// A host that ends another one's forward in its name ends none of its flows with it, and does
    /// not get the port that they use.
    fn demote(&mut self, now: Instant, id: u32) -> bool {
        let Some(mapping) = self.table.mappings.get(id) else {
            return false;
        };
        // A flow that only its remote feeds came in because of the forward, and is no use of it by
        // the host.
        let own = self.table.flows_of(mapping).filter(|flow| flow.permits);
        let Some(used) = own.map(|flow| flow.used).max() else {
            return false;
        };
        let mut ordinary = mapping.clone();
        ordinary.permanent = false;
        ordinary.open = false;
        ordinary.limited = false;
        ordinary.used = Some(used);
        let end = self.mapping_end(&ordinary);
        if end.is_some_and(|end| end <= now) {
            return false;
        }
        ordinary.armed = end;
        if let Some(mapping) = self.table.mappings.get_mut(id) {
            *mapping = ordinary;
        }
        if let Some(end) = end {
            let due = Timeout::Mapping(id, self.table.mappings.generation(id));
            self.queue.push(end, due);
        }
        true
    }

    /// Restricts a forward to the remotes that the filters name and those that its inside endpoint
    /// sends to. Without any filter it lets all remotes in again. Returns whether there is such a
    /// forward.
    pub fn filter_forward(
        &mut self,
        protocol: Protocol,
        external: Endpoint,
        filters: Vec<RemoteFilter>,
    ) -> bool {
        let forward = self.forward_id(protocol, external);
        let Some(mapping) = forward.and_then(|id| self.table.mappings.get_mut(id)) else {
            return false;
        };
        mapping.limited = !filters.is_empty();
        if filters.is_empty() {
            self.forward_filters.remove(&(protocol, external));
        } else {
            self.forward_filters.insert((protocol, external), filters);
        }
        true
    }

    /// Returns the mapping at an outside endpoint, if that mapping is for all remotes.
    #[must_use]
    pub fn mapping_at(&self, protocol: Protocol, external: Endpoint) -> Option<MappingView> {
        let id = self
            .table
            .mapping_outside(protocol, external, Scope::AnyRemote)?;
        let mapping = self.table.mappings.get(id)?;
        Some(self.view(mapping))
    }

    /// Returns the mapping of an inside endpoint that is for every remote.
    #[must_use]
    pub fn mapping_from(&self, protocol: Protocol, internal: Endpoint) -> Option<MappingView> {
        let id = self
            .table
            .mapping_inside(protocol, internal, Scope::AnyRemote)?;
        let mapping = self.table.mappings.get(id)?;
        Some(self.view(mapping))
    }

    /// Returns whether an outside endpoint is neither mapped nor held down.
    #[must_use]
    pub fn is_free(&self, protocol: Protocol, external: Endpoint) -> bool {
        let mapped = self
            .table
            .mapping_outside(protocol, external, Scope::AnyRemote);
        let index = self.external_index(external.address);
        let pool = index.and_then(|index| self.pools.get(&(index * PROTOCOLS + protocol as usize)));
        mapped.is_none() && pool.is_none_or(|pool| pool.is_free(external.port))
    }

    /// Returns the external address of an inside host: the one that it is paired with, or the
    /// first that it may get.
    pub fn external_of(&self, internal: IpAddr) -> Option<IpAddr> {
        let internal = Address::from(internal);
        if !self.translates_ports() {
            return Some(internal.into());
        }
        let paired = self.hosts.get(internal).and_then(|host| host.external);
        let first = || self.usable_externals(internal).first().copied();
        let own = paired.or_else(first);
        let shared = || self.externals.get(own?).copied();
        self.one_to_one_external(internal)
            .or_else(shared)
            .map(IpAddr::from)
    }

    /// Finds or makes the flow between an inside endpoint and a remote one, and restarts its idle
    /// time as a packet from inside would; returns the outside endpoint that the remote sees.
    ///
    /// # Errors
    /// Fails as a packet from the inside endpoint would, and for ICMP, which has no endpoints.
    pub fn keep_alive(
        &mut self,
        now: Instant,
        protocol: Protocol,
        internal: SocketAddr,
        remote: SocketAddr,
    ) -> Result<Endpoint, DropReason> {
        self.expire(now);
        // Flows are made from headers, so a packet is built for the NAT to look at. It is never
        // sent.
        let packet = |flags| match protocol {
            Protocol::Udp => Ok(build::udp(internal, remote, b"")),
            Protocol::Tcp => Ok(build::tcp(internal, remote, TcpFlags(flags), b"")),
            Protocol::Icmp => Err(DropReason::UnknownProtocol),
        };
        let bytes = packet(TcpFlags::SYN)?;
        let headers = Headers::parse(&bytes).map_err(|_| DropReason::Malformed)?;
        let key = outbound_key(&headers).ok_or(DropReason::Malformed)?;
        let Some(id) = self.table.flow_inside(&key) else {
            let id = self.open_outbound(now, &bytes, &headers, key)?;
            return self.flow_external(id).ok_or(DropReason::NoMapping);
        };
        let state = self.table.flows.get(id).and_then(|flow| flow.tcp);
        // In these two states a segment would restart or revive the connection, which a mapping
        // request must not do.
        if !matches!(state, Some(TcpState::Closing | TcpState::Reset)) {
            // An acknowledgement changes nothing in an open connection.
            let bytes = packet(TcpFlags::ACK)?;
            let headers = Headers::parse(&bytes).map_err(|_| DropReason::Malformed)?;
            let used = self.use_flow(now, id, Side::Inside, &headers);
            used.ok_or(DropReason::NoMapping)?;
        }
        self.flow_external(id).ok_or(DropReason::NoMapping)
    }

    /// Returns whether an inside endpoint has a flow to a remote one.
    #[must_use]
    pub fn has_flow(&self, protocol: Protocol, internal: Endpoint, remote: Endpoint) -> bool {
        let key = super::key::FlowKey {
            protocol,
            local: internal,
            remote,
        };
        self.table.flow_inside(&key).is_some()
    }

    /// Returns whether the filters of a forward let a remote in, or the inside endpoint has sent
    /// to it.
    pub(super) fn filters_admit(&self, id: u32, mapping: &MappingEntry, remote: Endpoint) -> bool {
        let filters = self
            .forward_filters
            .get(&(mapping.protocol, mapping.external));
        let named = |filter: &RemoteFilter| {
            filter.prefix.contains(remote.address)
                && filter.port.is_none_or(|port| port == remote.port)
        };
        filters.is_some_and(|filters| filters.iter().any(named))
            || match self.filtering(mapping.protocol) {
                Filtering::EndpointIndependent | Filtering::AddressDependent => {
                    self.table.permits(id, remote.address)
                }
                // This filter admits only remotes that have a flow, and flows are looked up before
                // the filters.
                Filtering::AddressAndPortDependent => false,
            }
    }

    /// Returns the index of the external address whose pool the port of a forward belongs to;
    /// `None` where ports are not translated.
    pub(super) fn forward_index(&self, forward: &Forward) -> Result<Option<usize>, ForwardError> {
        let translation = self.config.translation;
        let (inside, outside) = (forward.internal.address, forward.external.address);
        if !translation.joins(inside, outside) {
            return Err(ForwardError::WrongFamily);
        }
        if !self.translates_ports() {
            // A firewall opens an endpoint and does not move it.
            return match forward.internal.address == forward.external.address {
                true if forward.internal.port == forward.external.port => Ok(None),
                true => Err(ForwardError::Taken),
                false => Err(ForwardError::NotExternal),
            };
        }
        if self.one_to_one_external(forward.internal.address) == Some(forward.external.address) {
            return if forward.internal.port == forward.external.port {
                Ok(None)
            } else {
                Err(ForwardError::Taken)
            };
        }
        let index = self.external_index(forward.external.address);
        index.map(Some).ok_or(ForwardError::NotExternal)
    }

    fn forward_id(&self, protocol: Protocol, external: Endpoint) -> Option<u32> {
        let id = self
            .table
            .mapping_outside(protocol, external, Scope::AnyRemote)?;
        let mapping = self.table.mappings.get(id)?;
        mapping.permanent.then_some(id)
    }

    /// Finds the mapping of the same two endpoints that packets of the inside host have made.
    fn own_mapping(&self, forward: &Forward) -> Option<u32> {
        let id =
            self.table
                .mapping_outside(forward.protocol, forward.external, Scope::AnyRemote)?;
        let mapping = self.table.mappings.get(id)?;
        let same = mapping.internal == forward.internal && mapping.scope == Scope::AnyRemote;
        (same && !mapping.permanent).then_some(id)
    }

    fn promote(&mut self, id: u32) {
        if let Some(mapping) = self.table.mappings.get_mut(id) {
            mapping.permanent = true;
            mapping.open = true;
            // The timer stays in the queue. When it fires, it finds another `armed` and does
            // nothing.
            mapping.armed = None;
        }
    }

    fn flow_external(&self, id: u32) -> Option<Endpoint> {
        Some(self.table.flows.get(id)?.external())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::packet::Packet;
    use crate::{Behaviour, Mapping as Behaving, NatConfig, Translation, Verdict};
    use jackfield_testing::epoch;

    const INSIDE: &str = "192.168.1.2:5000";
    const OUTSIDE: &str = "203.0.113.1:5000";
    const REMOTE: &str = "198.51.100.9:3478";

    fn nat(change: impl FnOnce(&mut NatConfig)) -> (Nat, Instant) {
        let mut config = NatConfig {
            externals: vec!["203.0.113.1".parse().unwrap()],
            udp: Behaviour {
                mapping: Behaving::EndpointIndependent,
                filtering: Filtering::AddressAndPortDependent,
            },
            ..NatConfig::default()
        };
        config.ports.assignment = crate::Assignment::Preserve;
        change(&mut config);
        let now = epoch();
        (Nat::new(config, [7; 32]), now)
    }

    fn socket(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn forward(internal: &str, external: &str) -> Forward {
        Forward {
            protocol: Protocol::Udp,
            internal: socket(internal).into(),
            external: socket(external).into(),
        }
    }

    fn comes_in(nat: &mut Nat, now: Instant, from: &str, to: &str) -> bool {
        let mut bytes = build::udp(socket(from), socket(to), b"x");
        nat.inbound(now, &mut Packet::new(&mut bytes)) == Verdict::Forward
    }

    #[test]
    fn a_mapping_that_packets_made_becomes_the_forward_of_the_same_endpoints() {
        let (mut nat, now) = nat(|_| {});
        let mut bytes = build::udp(socket(INSIDE), socket(REMOTE), b"x");
        let out = nat.outbound(now, &mut Packet::new(&mut bytes));
        assert_eq!(out, Verdict::Forward);
        assert!(!comes_in(&mut nat, now, "192.0.2.1:1", OUTSIDE));
        let other = forward("192.168.1.3:5000", OUTSIDE);
        assert_eq!(nat.add_forward(now, other), Err(ForwardError::Taken));
        nat.add_forward(now, forward(INSIDE, OUTSIDE)).unwrap();
        let later = now + Duration::from_secs(86_400);
        nat.handle_timeout(later);
        assert!(comes_in(&mut nat, later, "192.0.2.1:1", OUTSIDE));
        assert_eq!(nat.mapping_count(), 1);
        assert!(nat.remove_forward(later, Protocol::Udp, socket(OUTSIDE).into()));
        assert!(nat.is_free(Protocol::Udp, socket(OUTSIDE).into()));
    }

    #[test]
    fn a_restricted_forward_lets_in_its_filters_and_what_the_inside_sends_to() {
        let (mut nat, now) = nat(|_| {});
        nat.add_forward(now, forward(INSIDE, OUTSIDE)).unwrap();
        let filter = |prefix: &str, port| RemoteFilter {
            prefix: prefix.parse().unwrap(),
            port,
        };
        let filters = vec![
            filter("192.0.2.0/24", Some(53)),
            filter("198.18.0.0/15", None),
        ];
        assert!(nat.filter_forward(Protocol::Udp, socket(OUTSIDE).into(), filters));
        assert!(comes_in(&mut nat, now, "192.0.2.7:53", OUTSIDE));
        assert!(!comes_in(&mut nat, now, "192.0.2.7:54", OUTSIDE));
        assert!(comes_in(&mut nat, now, "198.19.0.1:9", OUTSIDE));
        assert!(!comes_in(&mut nat, now, REMOTE, OUTSIDE));
        let mut bytes = build::udp(socket(INSIDE), socket(REMOTE), b"x");
        let out = nat.outbound(now, &mut Packet::new(&mut bytes));
        assert_eq!(out, Verdict::Forward);
        assert!(comes_in(&mut nat, now, REMOTE, OUTSIDE));
        assert!(nat.filter_forward(Protocol::Udp, socket(OUTSIDE).into(), Vec::new()));
        assert!(comes_in(&mut nat, now, "192.0.2.7:54", OUTSIDE));
    }

    #[test]
    fn a_firewall_forwards_an_endpoint_to_itself_alone() {
        let (mut nat, now) = nat(|config| config.translation = Translation::None);
        assert!(!comes_in(&mut nat, now, REMOTE, INSIDE));
        let elsewhere = forward(INSIDE, OUTSIDE);
        assert_eq!(
            nat.add_forward(now, elsewhere),
            Err(ForwardError::NotExternal)
        );
        nat.add_forward(now, forward(INSIDE, INSIDE)).unwrap();
        assert!(comes_in(&mut nat, now, REMOTE, INSIDE));
    }

    #[test]
    fn a_flow_that_is_kept_alive_outlives_its_idle_time() {
        let (mut nat, mut now) = nat(|config| config.udp.mapping = Behaving::AddressDependent);
        let (inside, remote) = (socket(INSIDE), socket(REMOTE));
        let external = nat.keep_alive(now, Protocol::Udp, inside, remote).unwrap();
        for _ in 0..10 {
            now += Duration::from_secs(200);
            let again = nat.keep_alive(now, Protocol::Udp, inside, remote);
            assert_eq!(again, Ok(external));
        }
        assert!(comes_in(
            &mut nat,
            now,
            REMOTE,
            &SocketAddr::from(external).to_string()
        ));
        now += Duration::from_secs(301);
        nat.handle_timeout(now);
        assert!(!nat.has_flow(Protocol::Udp, inside.into(), remote.into()));
        let tcp = nat.keep_alive(now, Protocol::Tcp, inside, remote).unwrap();
        assert_eq!(
            nat.keep_alive(now, Protocol::Tcp, inside, remote),
            Ok(tcp),
            "and a connection that was asked for is not asked for twice"
        );
    }
}
