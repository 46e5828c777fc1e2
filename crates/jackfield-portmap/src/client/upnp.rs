//! The client in UPnP: search, description, and one HTTP request after another.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::rand_core::Rng;

use super::entry::{MapError, MapId, Phase};
use super::find::{AbsenceReason, Support};
use super::{Client, Output, Timeout};
use crate::Dialect;
use crate::upnp::action::{Action, MappingKey, PortMapping, Reply};
use crate::upnp::description::{Service, services};
use crate::upnp::http::{HeaderFields, Progress, Request, Response};
use crate::upnp::soap::Message;
use crate::upnp::ssdp::{Advertisement, Search};
use crate::upnp::{SSDP_GROUP, SSDP_PORT, UpnpError, Url};

/// Identifies an HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(u64);

/// The purpose of an HTTP request.
#[derive(Debug, Clone)]
enum Purpose {
    Description(Url),
    Address,
    Map(MapId, Action),
    Unmap(MapId, Action),
}

/// What is known of the UPnP device.
#[derive(Debug, Clone, Default)]
pub(super) struct Device {
    service: Option<Service>,
    fetches: BTreeMap<FetchId, Purpose>,
    next: u64,
}

/// Returns whether a response is complete, so that the driver need not wait for the connection to
/// end.
#[must_use]
pub fn is_whole(response: &[u8]) -> bool {
    !matches!(Response::read(response, false), Progress::Partial)
}

impl Client {
    /// Searches for the gateway by multicast and at its address. Some gateways answer only one of
    /// the two.
    pub(super) fn search(&mut self) {
        let group = IpAddr::V4(SSDP_GROUP);
        let bytes = Search {
            // A gateway of version 2 answers a search for version 1 as well.
            target: "urn:schemas-upnp-org:device:InternetGatewayDevice:1".to_owned(),
            max_wait: 1,
        }
        .encode();
        for ip in [group, self.config.gateway] {
            let to = SocketAddr::new(ip, SSDP_PORT);
            let bytes = bytes.clone();
            self.outputs.push_back(Output::Search { to, bytes });
        }
    }

    /// Takes a datagram that came to the search socket. Only the gateway is believed, and only if
    /// the URL points to the gateway itself: any host on the link could answer with the URL of a
    /// device of its own.
    pub fn handle_ssdp(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let gateway = self.config.gateway;
        let advertisement = Advertisement::decode(bytes).filter(|_| from.ip() == gateway);
        let location = advertisement
            .filter(|advertisement| advertisement.target.contains(":InternetGatewayDevice:"))
            .and_then(|advertisement| advertisement.location)
            .filter(|location| location.host.ip() == gateway);
        if let Some(location) = location
            && self.begin_learning(now, Dialect::Upnp, FETCH_TIME)
        {
            let request = Request {
                method: "GET".to_owned(),
                path: location.path.clone(),
                headers: headers(location.host),
                body: Vec::new(),
            };
            self.fetch(location.host, &request, Purpose::Description(location));
        }
    }

    /// Takes the whole answer to an [`Output::Fetch`]; `None` when none came.
    pub fn handle_response(&mut self, now: Instant, id: FetchId, response: Option<&[u8]>) {
        let Some(purpose) = self.device.fetches.remove(&id) else {
            return;
        };
        let response = response.and_then(|bytes| match Response::read(bytes, true) {
            Progress::Complete(response) => Some(response),
            Progress::Partial | Progress::Invalid(_) => None,
        });
        match purpose {
            Purpose::Description(base) => self.described(now, &base, response),
            Purpose::Address => self.addressed(now, response),
            Purpose::Map(id, action) => self.upnp_mapped(now, id, outcome(&action, response)),
            Purpose::Unmap(id, action) => self.upnp_unmapped(now, id, outcome(&action, response)),
        }
    }

    fn described(&mut self, now: Instant, base: &Url, response: Option<Response>) {
        let found = response
            .filter(|response| response.status == 200)
            .and_then(|response| services(&response.body, base).ok());
        let gateway = self.config.gateway;
        let mut connections: Vec<Service> = found.into_iter().flatten().collect();
        connections.retain(|service| {
            let kind = &service.kind;
            let maps = kind.contains(":WANIPConnection:") || kind.contains(":WANPPPConnection:");
            maps && service.control.host.ip() == gateway
        });
        // A gateway may list both kinds of connection. The sort is stable, so the first IP
        // connection that it lists is used.
        connections.sort_by_key(|service| service.kind.contains("PPP"));
        match connections.into_iter().next() {
            Some(service) => {
                self.device.service = Some(service);
                self.call(&Action::GetExternalIpAddress, Purpose::Address);
            }
            None if self.is_probing(Dialect::Upnp) => {
                self.conclude(
                    now,
                    Dialect::Upnp,
                    Support::Absent(AbsenceReason::NoConnection),
                );
            }
            None => {}
        }
    }

    fn addressed(&mut self, now: Instant, response: Option<Response>) {
        let told = outcome(&Action::GetExternalIpAddress, response);
        let external = match told {
            Some(Ok(Reply::ExternalIpAddress(ip))) => ip,
            _ => None,
        };
        let support = Support::Present { external };
        if self.is_probing(Dialect::Upnp) {
            self.conclude(now, Dialect::Upnp, support);
        } else if let Some(ip) = external {
            self.report_address(Dialect::Upnp, support);
            self.move_mappings(now, Dialect::Upnp, ip);
        }
    }

    /// Requests a mapping, or its end.
    pub(super) fn ask_upnp(&mut self, now: Instant, id: MapId) {
        let local = self.config.local;
        let version_two = self
            .device
            .service
            .as_ref()
            .is_some_and(|service| service.kind.ends_with(":WANIPConnection:2"));
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.timers.set(Timeout::Map(id), now + FETCH_TIME);
        // UPnP has no word for «any port» that gateways of version 1 accept.
        let port = match entry.port_to_request() {
            0 => entry.request.internal_port,
            port => port,
        };
        let port = entry.other_port.unwrap_or(port);
        entry.other_port = Some(port);
        if entry.phase == Phase::Ending {
            let action = Action::DeletePortMapping(MappingKey {
                remote_host: None,
                external_port: port,
                protocol: entry.request.protocol,
            });
            let purpose = Purpose::Unmap(id, action.clone());
            self.call(&action, purpose);
            return;
        }
        let seconds = u32::try_from(entry.request.lifetime.as_secs()).unwrap_or(u32::MAX);
        let mapping = PortMapping {
            remote_host: None,
            external_port: port,
            protocol: entry.request.protocol,
            internal_port: entry.request.internal_port,
            internal_client: local,
            enabled: true,
            description: entry.request.description.clone(),
            // Zero seconds is a permanent lease in version 1.
            lease: if entry.permanent_only {
                0
            } else {
                seconds.max(1)
            },
        };
        // A renewal is for the port of the existing mapping, and not for another one.
        let action = match version_two && entry.mapping.is_none() {
            true => Action::AddAnyPortMapping(mapping),
            false => Action::AddPortMapping(mapping),
        };
        let purpose = Purpose::Map(id, action.clone());
        self.call(&action, purpose);
    }

    fn upnp_mapped(&mut self, now: Instant, id: MapId, outcome: Option<Result<Reply, UpnpError>>) {
        let fresh = 10_000 + (self.rng.next_u64() % 50_000) as u16;
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.phase != Phase::Asking || entry.dialect != Some(Dialect::Upnp) {
            return;
        }
        let asked = entry.other_port.unwrap_or(entry.request.internal_port);
        let lifetime = entry.request.lifetime;
        match outcome {
            Some(Ok(reply)) => {
                let port = match reply {
                    Reply::ReservedPort(port) => port,
                    _ => asked,
                };
                entry.other_port = Some(port);
                entry.conflicts = 0;
                let address = match self.support(Dialect::Upnp) {
                    Some(Support::Present { external: Some(ip) }) => ip,
                    _ => crate::pcp::any_like(self.config.local),
                };
                let external = SocketAddr::new(address, port);
                self.granted(now, id, Dialect::Upnp, external, lifetime);
                // The outside address may have changed.
                self.call(&Action::GetExternalIpAddress, Purpose::Address);
            }
            Some(Err(UpnpError::CONFLICT)) if entry.conflicts < MOST_CONFLICTS => {
                entry.conflicts += 1;
                entry.other_port = Some(fresh);
                self.ask_upnp(now, id);
            }
            // Some gateways of version 1 know permanent leases alone. The client still renews, and
            // ends the mapping when it goes.
            Some(Err(UpnpError::ONLY_PERMANENT)) if !entry.permanent_only => {
                entry.permanent_only = true;
                self.ask_upnp(now, id);
            }
            Some(Err(error)) => {
                entry.other_port = None;
                entry.conflicts = 0;
                self.refused(now, id, MapError::Upnp(error), None);
            }
            None => self.map_due(now, id),
        }
    }

    fn upnp_unmapped(
        &mut self,
        now: Instant,
        id: MapId,
        outcome: Option<Result<Reply, UpnpError>>,
    ) {
        let ends = self.entries.get(&id).map(|entry| entry.phase);
        if ends != Some(Phase::Ending) {
            return;
        }
        match outcome {
            // The mapping is gone, whether this request or an earlier one ended it.
            Some(Ok(_) | Err(UpnpError::NO_SUCH_ENTRY)) => self.forget(id, true),
            Some(Err(_)) => self.forget(id, false),
            None => self.map_due(now, id),
        }
    }

    fn call(&mut self, action: &Action, purpose: Purpose) {
        let Some(service) = self.device.service.clone() else {
            return;
        };
        let mut fields = headers(service.control.host);
        let call = format!("\"{}#{}\"", service.kind, action.name());
        fields.0.push(("soapaction".to_owned(), call));
        let kind = "text/xml; charset=\"utf-8\"";
        fields.0.push(("content-type".to_owned(), kind.to_owned()));
        let request = Request {
            method: "POST".to_owned(),
            path: service.control.path.clone(),
            headers: fields,
            body: action.encode(&service.kind).encode(),
        };
        self.fetch(service.control.host, &request, purpose);
    }

    fn fetch(&mut self, to: SocketAddr, request: &Request, purpose: Purpose) {
        let id = FetchId(self.device.next);
        self.device.next += 1;
        self.device.fetches.insert(id, purpose);
        let request = request.write();
        self.outputs.push_back(Output::Fetch { id, to, request });
    }
}

/// Returns the result of a call; `None` when it is unknown.
fn outcome(action: &Action, response: Option<Response>) -> Option<Result<Reply, UpnpError>> {
    let message = Message::decode(&response?.body).ok()?;
    Some(message.and_then(|message| action.decode_reply(&message)))
}

fn headers(host: SocketAddr) -> HeaderFields {
    let field = |name: &str, value: String| (name.to_owned(), value);
    HeaderFields(vec![
        field("host", host.to_string()),
        // One request on each connection: gateways differ in how well they keep one open.
        field("connection", "close".to_owned()),
        field("user-agent", "jackfield/1 UPnP/1.1".to_owned()),
    ])
}

/// The time for an HTTP response; drivers give up earlier.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// How many outside ports are tried that belong to other hosts.
const MOST_CONFLICTS: u32 = 5;
