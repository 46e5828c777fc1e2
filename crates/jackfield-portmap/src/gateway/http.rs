//! UPnP over HTTP: connections to the TCP stack of the gateway, one request on each.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::Nat;
use jackfield_tcp::{ConnectionId, Event};

use super::Gateway;
use super::search::SERVER;
use crate::upnp::UpnpError;
use crate::upnp::action::Action;
use crate::upnp::description::{CONTROL_COMMON, CONTROL_IP};
use crate::upnp::http::{HeaderFields, Progress, Request, Response};
use crate::upnp::soap::{Message, fault, parse_action_header};

/// A connection with a request on it.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    visitor: SocketAddr,
    /// The request as received so far.
    request: Vec<u8>,
    /// The rest of the response.
    response: Vec<u8>,
    /// Whether the client has received `100 Continue`.
    continued: bool,
    answered: bool,
}

impl Gateway {
    /// Takes a TCP segment.
    pub(super) fn handle_segment(&mut self, now: Instant, nat: &mut Nat, bytes: &[u8]) {
        self.stack.handle_packet(now, bytes);
        self.handle_events(now, nat);
    }

    /// Handles the events of all connections.
    pub(super) fn handle_events(&mut self, now: Instant, nat: &mut Nat) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Connected { id, remote, .. } => {
                    let visit = Visit {
                        visitor: remote,
                        request: Vec::new(),
                        response: Vec::new(),
                        continued: false,
                        answered: false,
                    };
                    self.visits.insert(id, visit);
                }
                Event::Data(id) => self.read(now, nat, id),
                Event::Writable(id) => self.write(now, id),
                Event::Finished(id) => {
                    // A client that has finished sending before its request is whole will never
                    // complete it.
                    if self.visits.get(&id).is_some_and(|visit| !visit.answered) {
                        self.stack.abort(now, id);
                        self.visits.remove(&id);
                    }
                }
                Event::Closed(id) => {
                    self.visits.remove(&id);
                    // Both sides have closed. TIME-WAIT would only hold a place that another host
                    // needs.
                    self.stack.abort(now, id);
                }
                Event::Reset(id, _) => {
                    self.visits.remove(&id);
                }
            }
        }
    }

    fn read(&mut self, now: Instant, nat: &mut Nat, id: ConnectionId) {
        let bytes = self.stack.recv(now, id, LONGEST_REQUEST);
        let Some(visit) = self.visits.get_mut(&id).filter(|visit| !visit.answered) else {
            return;
        };
        visit.request.extend(bytes);
        let visitor = visit.visitor;
        let response = match Request::read(&visit.request) {
            Progress::Partial if visit.request.len() > LONGEST_REQUEST => plain(413),
            Progress::Partial => {
                // Such a client waits for this line before it sends the body.
                if !visit.continued && Request::waits_for_leave(&visit.request) {
                    visit.continued = true;
                    visit.response.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
                    self.write(now, id);
                }
                return;
            }
            Progress::Invalid(status) => {
                self.counters.malformed += 1;
                plain(status)
            }
            Progress::Complete(request) => self.answer_request(now, nat, visitor.ip(), &request),
        };
        if let Some(visit) = self.visits.get_mut(&id) {
            visit.answered = true;
            // The memory is given back while the response waits for room.
            visit.request = Vec::new();
            visit.response.extend(response.write());
        }
        self.write(now, id);
    }

    /// Sends as much as there is room for, and closes the connection after the response.
    fn write(&mut self, now: Instant, id: ConnectionId) {
        let Some(visit) = self.visits.get_mut(&id) else {
            return;
        };
        while !visit.response.is_empty() {
            let sent = self.stack.send(now, id, &visit.response);
            if sent == 0 {
                return;
            }
            visit.response.drain(..sent.min(visit.response.len()));
        }
        if visit.answered {
            self.stack.close(now, id);
        }
    }

    /// Answers an HTTP request of a host inside.
    ///
    /// The `Host` field has to be the address of the gateway. A web page can make a browser send
    /// requests here by a name that it resolves to this address (DNS rebinding); such a request
    /// carries that name, and is refused.
    pub fn answer_request(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        request: &Request,
    ) -> Response {
        self.counters.upnp_requests += 1;
        // HTTP shares the rate of datagrams, so three protocols are not three times the rate.
        if !self.may_ask(now, host) {
            return plain(429);
        }
        if !is_own_name(request.headers.get("host"), nat.config().inside) {
            self.counters
                .count_refusal(super::grant::Refused::NotAuthorized);
            return plain(403);
        }
        match request.method.as_str() {
            "GET" | "HEAD" => match self.description.document(&request.path) {
                Some(_) if request.method == "HEAD" => xml(200, Vec::new()),
                Some(document) => xml(200, document),
                None => plain(404),
            },
            "POST" => self.answer_call(now, nat, host, request),
            // Events are left out: a subscription makes the gateway send requests to a URL of the
            // client's choice.
            "SUBSCRIBE" | "UNSUBSCRIBE" => plain(501),
            _ => plain(405),
        }
    }

    fn answer_call(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        request: &Request,
    ) -> Response {
        let is_connection = match request.path.as_str() {
            CONTROL_IP => true,
            CONTROL_COMMON => false,
            _ => return plain(404),
        };
        let header = request.headers.get("soapaction");
        let Some((service, name)) = header.and_then(parse_action_header) else {
            self.counters.malformed += 1;
            return plain(400);
        };
        let Ok(Ok(call)) = Message::decode(&request.body) else {
            self.counters.malformed += 1;
            return plain(400);
        };
        let known = self.has_service(service, is_connection) && call.name == name;
        let action = match known {
            true => Action::decode(&call),
            false => Err(UpnpError::INVALID_ACTION),
        };
        let done = action.and_then(|action| {
            let reply = match is_connection {
                true => self.connection_action(now, nat, host, &action)?,
                false => self.interface_action(nat, &action)?,
            };
            Ok(action.encode_reply(service, &reply))
        });
        match done {
            Ok(message) => xml(200, message.encode()),
            Err(error) => {
                tracing::debug!(code = error.0, "Refused UPnP action");
                xml(500, fault(error))
            }
        }
    }

    /// Returns whether a service type belongs to a control path, in this version or an earlier
    /// one.
    fn has_service(&self, service: &str, is_connection: bool) -> bool {
        let (own, newest) = match is_connection {
            true => (
                "urn:schemas-upnp-org:service:WANIPConnection:",
                self.description.version,
            ),
            false => ("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:", 1),
        };
        let version = service.strip_prefix(own).and_then(|it| it.parse().ok());
        version.is_some_and(|version: u8| (1..=newest).contains(&version))
    }
}

/// Returns whether a `Host` field is the address of the gateway. A request without one is
/// HTTP/1.0, which browsers do not send.
fn is_own_name(field: Option<&str>, own: Option<IpAddr>) -> bool {
    let Some(field) = field else {
        return true;
    };
    let named = match field.parse::<SocketAddr>() {
        Ok(socket) => Some(socket.ip()),
        Err(_) => field.trim_matches(['[', ']']).parse().ok(),
    };
    named.is_some() && named == own
}

fn plain(status: u16) -> Response {
    respond(status, None, Vec::new())
}

fn xml(status: u16, body: Vec<u8>) -> Response {
    respond(status, Some("text/xml; charset=\"utf-8\""), body)
}

fn respond(status: u16, kind: Option<&str>, body: Vec<u8>) -> Response {
    let mut headers = vec![
        ("connection".to_owned(), "close".to_owned()),
        ("server".to_owned(), SERVER.to_owned()),
        ("ext".to_owned(), String::new()),
    ];
    if let Some(kind) = kind {
        headers.push(("content-type".to_owned(), kind.to_owned()));
    }
    Response {
        status,
        headers: HeaderFields(headers),
        body,
    }
}

/// The longest request; real ones are far shorter.
const LONGEST_REQUEST: usize = 64 * 1024;
