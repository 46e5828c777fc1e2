//! UPnP over HTTP: connections to the gateway's own TCP, one request on each.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Gateway;
use super::search::SERVER;
use crate::upnp::UpnpError;
use crate::upnp::action::Action;
use crate::upnp::description::{CONTROL_COMMON, CONTROL_IP};
use crate::upnp::http::{HeaderFields, Progress, Request, Response};
use crate::upnp::soap::{Message, fault, parse_action_header};
use jackfield_nat::Nat;
use jackfield_tcp::{ConnectionId, Event};

/// A connection with a request on it.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    visitor: SocketAddr,
    /// What has come.
    request: Vec<u8>,
    /// What has still to be sent.
    response: Vec<u8>,
    /// The visitor was given leave to send the body.
    leave: bool,
    answered: bool,
}

impl Gateway {
    /// Takes a TCP segment.
    pub(super) fn handle_segment(&mut self, now: Instant, nat: &mut Nat, bytes: &[u8]) {
        self.stack.handle_packet(now, bytes);
        self.visit(now, nat);
    }

    /// Does what the connections are waiting for.
    pub(super) fn visit(&mut self, now: Instant, nat: &mut Nat) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Connected { id, remote, .. } => {
                    let visit = Visit {
                        visitor: remote,
                        request: Vec::new(),
                        response: Vec::new(),
                        leave: false,
                        answered: false,
                    };
                    self.visits.insert(id, visit);
                }
                Event::Data(id) => self.read(now, nat, id),
                Event::Writable(id) => self.write(now, id),
                Event::Finished(id) => {
                    if self.visits.get(&id).is_some_and(|visit| !visit.answered) {
                        self.stack.abort(now, id);
                        self.visits.remove(&id);
                    }
                }
                Event::Closed(id) => {
                    self.visits.remove(&id);
                    // Both sides are done: to wait for stray segments would keep others out.
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
                if !visit.leave && Request::waits_for_leave(&visit.request) {
                    visit.leave = true;
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
            visit.request = Vec::new();
            visit.response.extend(response.write());
        }
        self.write(now, id);
    }

    /// Sends what there is room for; closes the connection after the answer.
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

    /// Answers a request over HTTP of a host inside.
    ///
    /// A browser that was lured to the gateway by a foreign name sends that name (DNS rebinding), and is refused.
    pub fn answer_request(
        &mut self,
        now: Instant,
        nat: &mut Nat,
        host: IpAddr,
        request: &Request,
    ) -> Response {
        self.counters.upnp_requests += 1;
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

    /// Returns whether a service type is that of a control path, in our version or an earlier one.
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

/// Returns whether a `Host` field names the gateway by its address. Without one, as in HTTP/1.0, no browser asks.
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

/// No call has more.
const LONGEST_REQUEST: usize = 64 * 1024;
