//! The UPnP actions of a gateway.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_nat::{Nat, Prefix, RemoteFilter};

use super::Gateway;
use super::grant::{PortRequest, Refused};
use super::lease::{Lease, LeaseKey};
use crate::upnp::UpnpError;
use crate::upnp::action::{Action, MappingKey, PortMapping, PortRange, Reply};
use crate::{Dialect, TransportProtocol};

impl Gateway {
    /// Performs an action of WANIPConnection for a host.
    pub(super) fn connection_action(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        action: &Action,
    ) -> Result<Reply, UpnpError> {
        let version_two = self.description.version >= 2;
        match action {
            Action::AddPortMapping(mapping) => {
                self.add(now, nat, host, mapping, true)?;
                Ok(Reply::Done)
            }
            Action::AddAnyPortMapping(mapping) if version_two => {
                let port = self.add(now, nat, host, mapping, false)?;
                Ok(Reply::ReservedPort(port))
            }
            Action::DeletePortMapping(key) => self.delete(now, nat, host, *key),
            Action::DeletePortMappingRange(range) if version_two => {
                self.delete_range(now, nat, host, *range)
            }
            Action::GetExternalIpAddress => Ok(Reply::ExternalIpAddress(nat.external_of(host))),
            Action::GetSpecificPortMappingEntry(key) => {
                let at = lease_key(nat, host, *key)?;
                let lease = self.leases.get(&at).ok_or(UpnpError::NO_SUCH_ENTRY)?;
                Ok(Reply::Entry(entry(now, &at, lease)))
            }
            Action::GetGenericPortMappingEntry(index) => {
                // UPnP lets every host read the whole list; only changes need authorization.
                let found = self.leases.iter().nth(usize::from(*index));
                let (key, lease) = found.ok_or(UpnpError::INDEX_INVALID)?;
                Ok(Reply::Entry(entry(now, key, lease)))
            }
            Action::GetListOfPortMappings(range, most) if version_two => {
                self.list(now, host, *range, *most)
            }
            Action::GetStatusInfo => Ok(Reply::Status {
                connected: nat.external_of(host).is_some(),
                uptime: self.epoch(now),
            }),
            Action::GetNatRsipStatus => Ok(Reply::NatStatus),
            Action::GetConnectionTypeInfo => Ok(Reply::ConnectionType),
            // The gateway is always connected.
            Action::RequestConnection => Ok(Reply::Done),
            _ => Err(UpnpError::INVALID_ACTION),
        }
    }

    /// Performs an action of WANCommonInterfaceConfig.
    pub(super) fn interface_action(&self, nat: &Nat, action: &Action) -> Result<Reply, UpnpError> {
        match action {
            Action::GetCommonLinkProperties => Ok(Reply::Link {
                upstream: self.config.link_bit_rate,
                downstream: self.config.link_bit_rate,
                up: !nat.config().externals.is_empty(),
            }),
            // The counters of UPnP wrap around.
            Action::GetTotalPacketsSent => Ok(Reply::Packets(nat.counters().outbound as u32)),
            Action::GetTotalPacketsReceived => Ok(Reply::Packets(nat.counters().inbound as u32)),
            _ => Err(UpnpError::INVALID_ACTION),
        }
    }

    /// Grants a lease; returns its outside port.
    fn add(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        mapping: &PortMapping,
        exact: bool,
    ) -> Result<u16, UpnpError> {
        if mapping.internal_client != host && !self.config.third_parties {
            self.counters.count_refusal(Refused::NotAuthorized);
            return Err(UpnpError::NOT_AUTHORIZED);
        }
        // Port 0 is a wildcard in UPnP: all traffic that has no other mapping. No host gets that.
        if mapping.external_port == 0 && exact {
            return Err(UpnpError::WILDCARD_EXTERNAL_PORT);
        }
        if mapping.internal_port == 0 {
            return Err(UpnpError::WILDCARD_INTERNAL_PORT);
        }
        // A disabled mapping would occupy a port without use, and no client asks for one.
        if !mapping.enabled {
            return Err(UpnpError::ACTION_FAILED);
        }
        let filter = mapping.remote_host.map(|remote| {
            let length = if remote.is_ipv4() { 32 } else { 128 };
            let prefix = Prefix::new(remote, length).ok_or(UpnpError::INVALID_ARGS)?;
            Ok(RemoteFilter { prefix, port: None })
        });
        let request = PortRequest {
            protocol: mapping.protocol,
            internal: SocketAddr::new(mapping.internal_client, mapping.internal_port),
            port: mapping.external_port,
            exact,
            lifetime: Duration::from_secs(mapping.lease.into()),
            dialect: Dialect::Upnp,
            nonce: None,
            // The text is repeated in lists to other hosts, so its length is limited.
            description: mapping
                .description
                .chars()
                .take(LONGEST_DESCRIPTION)
                .collect(),
            filters: Some(filter.transpose()?.into_iter().collect()),
        };
        let granted = self.grant(now, nat, request);
        granted.map(|grant| grant.external.port()).map_err(error_of)
    }

    fn delete(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        key: MappingKey,
    ) -> Result<Reply, UpnpError> {
        let at = lease_key(nat, host, key)?;
        let lease = self.leases.get(&at).ok_or(UpnpError::NO_SUCH_ENTRY)?;
        if !self.may_change(host, lease) {
            self.counters.count_refusal(Refused::NotAuthorized);
            return Err(UpnpError::NOT_AUTHORIZED);
        }
        self.end(now, nat, &at);
        Ok(Reply::Done)
    }

    fn delete_range(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        range: PortRange,
    ) -> Result<Reply, UpnpError> {
        let in_range = self.in_range(host, range)?;
        let mine: Vec<LeaseKey> = in_range
            .iter()
            .filter(|(_, lease)| self.may_change(host, lease))
            .map(|(key, _)| **key)
            .collect();
        match (in_range.is_empty(), mine.is_empty()) {
            (true, _) => Err(UpnpError::NOT_FOUND),
            (false, true) => Err(UpnpError::NOT_AUTHORIZED),
            (false, false) => {
                for key in mine {
                    self.end(now, nat, &key);
                }
                Ok(Reply::Done)
            }
        }
    }

    fn list(
        &self,
        now: Instant,
        host: IpAddr,
        range: PortRange,
        most: u16,
    ) -> Result<Reply, UpnpError> {
        let found = self.in_range(host, range)?;
        if found.is_empty() {
            return Err(UpnpError::NOT_FOUND);
        }
        let most = if most == 0 {
            usize::MAX
        } else {
            usize::from(most)
        };
        let entries = found.into_iter().take(most);
        Ok(Reply::List(
            entries.map(|(key, lease)| entry(now, key, lease)).collect(),
        ))
    }

    /// Finds the leases in a range of outside ports.
    fn in_range(
        &self,
        host: IpAddr,
        range: PortRange,
    ) -> Result<Vec<(&LeaseKey, &Lease)>, UpnpError> {
        if range.start > range.end {
            return Err(UpnpError::INCONSISTENT);
        }
        let fits = |(key, lease): &(&LeaseKey, &Lease)| {
            let (protocol, external) = **key;
            protocol == range.protocol
                && (range.start..=range.end).contains(&external.port())
                && (range.manage || lease.internal.ip() == host)
        };
        Ok(self.leases.iter().filter(fits).collect())
    }

    fn may_change(&self, host: IpAddr, lease: &Lease) -> bool {
        // A PCP lease belongs to its nonce, which no UPnP request can state.
        lease.nonce.is_none() && (self.config.third_parties || lease.internal.ip() == host)
    }
}

fn lease_key(nat: &Nat, host: IpAddr, key: MappingKey) -> Result<LeaseKey, UpnpError> {
    let external = nat.external_of(host).ok_or(UpnpError::NO_SUCH_ENTRY)?;
    let protocol: TransportProtocol = key.protocol;
    Ok((protocol, SocketAddr::new(external, key.external_port)))
}

fn entry(now: Instant, key: &LeaseKey, lease: &Lease) -> PortMapping {
    let (protocol, external) = *key;
    let only = match lease.filters.as_slice() {
        [filter] if filter.port.is_none() => Some(filter.prefix),
        _ => None,
    };
    PortMapping {
        remote_host: only
            .filter(|prefix| matches!(prefix.length(), 32 | 128))
            .map(|prefix| prefix.address().into()),
        external_port: external.port(),
        protocol,
        internal_port: lease.internal.port(),
        internal_client: lease.internal.ip(),
        enabled: true,
        description: lease.description.clone(),
        lease: lease.expires.saturating_duration_since(now).as_secs() as u32,
    }
}

fn error_of(refused: Refused) -> UpnpError {
    match refused {
        Refused::NotAuthorized => UpnpError::NOT_AUTHORIZED,
        Refused::Nonce(_) | Refused::Conflict => UpnpError::CONFLICT,
        Refused::Quota | Refused::NoResources => UpnpError::NO_PORTS,
        Refused::NoExternal => UpnpError::ACTION_FAILED,
        Refused::Filters => UpnpError::INVALID_ARGS,
    }
}

/// The limit of characters of a description.
const LONGEST_DESCRIPTION: usize = 128;
