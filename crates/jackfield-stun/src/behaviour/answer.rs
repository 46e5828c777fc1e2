//! The server's side of behaviour discovery ([RFC 5780 §6]): answers from, and to, where the client
//! asks for them.
//!
//! [RFC 5780 §6]: https://www.rfc-editor.org/rfc/rfc5780#section-6

use std::net::{IpAddr, SocketAddr};

use super::helper::Question;
use crate::attribute::{
    AttributeType, ChangeRequest, ErrorCodeAttribute, MappedAddress, OtherAddress, Padding,
    ResponseOrigin, ResponsePort, UnknownAttributes, XorMappedAddress,
};
use crate::{
    Class, ErrorCode, Message, MessageTooLong, MessageWriter, Method, TransactionId, binding,
};

/// The addresses and ports that a server answers from: primary and alternate
/// ([RFC 5780 §6](https://www.rfc-editor.org/rfc/rfc5780#section-6)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerAddresses {
    /// The address that clients know.
    pub primary: ServerAddress,
    /// The alternate address; without one, a client learns nothing of mapping and filtering that
    /// depend on the address.
    pub alternate: Option<Alternate>,
    /// The primary port, which clients know, and the alternate port.
    pub ports: [u16; 2],
}

/// An address of a server that may be behind a 1:1 NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerAddress {
    /// What its sockets are bound to.
    pub local: IpAddr,
    /// What clients see: the same, or the public address of a 1:1 NAT in front of it.
    pub advertised: IpAddr,
}

/// Where a server's alternate address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alternate {
    /// On the same machine.
    Own(ServerAddress),
    /// At another server, which answers when it is asked to ([`helper`](super::helper)).
    Helper(IpAddr),
}

/// What is to be done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Send the response that was written.
    Respond {
        /// From where.
        from: SocketAddr,
        /// Where to.
        to: SocketAddr,
    },
    /// Have the helper send it.
    AskHelper {
        /// From where to ask.
        from: SocketAddr,
        /// The helper's address; it answers from the very port that it is asked at.
        helper: SocketAddr,
        /// What to ask; [`Question::write`] makes a message of it.
        question: Question,
    },
}

/// Appends the response to a Binding request that came to `at` from `remote`, and says what to do
/// with it.
///
/// A change of the port alone is done by a server without a second address too, against the letter
/// of [RFC 5780 §6]: it tells a client whether ports matter to its filter. A plain response from
/// the second address does not name the first one, against the letter of the RFC: see inside.
///
/// A request to none of `addresses`, or one that asks for an alternate that does not exist, is
/// answered as a server without any of this would ([`binding::answer`]). A response is never larger
/// than a request that asked for padding, and otherwise at most 76 bytes (112 for IPv6) to a
/// request's 20.
///
/// [RFC 5780 §6]: https://www.rfc-editor.org/rfc/rfc5780#section-6
pub fn answer(
    request: &Message<'_>,
    at: SocketAddr,
    remote: SocketAddr,
    addresses: &[ServerAddresses],
    out: &mut Vec<u8>,
) -> Result<Action, MessageTooLong> {
    let plainly = Action::Respond {
        from: at,
        to: remote,
    };
    let here = addresses.iter().find_map(|addresses| addresses.here(at));
    let Some(here) = here.filter(|_| !binding::has_unknown(request, ASKED)) else {
        binding::answer(request, remote, out)?;
        return Ok(plainly);
    };
    let asked = match Asked::read(request) {
        Some(asked) if !asked.change.address || here.other.is_some() => asked,
        Some(_) => {
            let kind = AttributeType::CHANGE_REQUEST;
            refuse(request, ErrorCode::UNKNOWN_ATTRIBUTE, Some(kind), out)?;
            return Ok(plainly);
        }
        None => {
            refuse(request, ErrorCode::BAD_REQUEST, None, out)?;
            return Ok(plainly);
        }
    };
    let to = SocketAddr::new(
        remote.ip(),
        asked.response_port.unwrap_or_else(|| remote.port()),
    );
    let port = if asked.change.port {
        here.other_port
    } else {
        at.port()
    };
    let server_address = match here.other {
        Some(Alternate::Own(other)) if asked.change.address => other,
        Some(Alternate::Helper(helper)) if asked.change.address => {
            return Ok(Action::AskHelper {
                from: at,
                helper: SocketAddr::new(helper, port),
                question: Question {
                    transaction: request.transaction(),
                    mapped: remote,
                    port: to.port(),
                    other: SocketAddr::new(helper, here.other_port),
                    fingerprint: request.has_fingerprint(),
                },
            });
        }
        _ => here.own,
    };
    let response = Response {
        transaction: request.transaction(),
        mapped: remote,
        origin: SocketAddr::new(server_address.advertised, port),
        // coturn's client goes on to where the last response points. Having asked the first address
        // and then the second one, it would be sent back to the first, and take an
        // address-dependent mapping for a stricter one.
        other: here
            .advertised_other()
            .filter(|_| asks_for_more(request) || !here.is_second),
        fingerprint: request.has_fingerprint(),
    };
    response.write(asked.padding.map(|padding| (padding, request)), out)?;
    Ok(Action::Respond {
        from: SocketAddr::new(server_address.local, port),
        to,
    })
}

/// Returns whether a request asks for what no plain Binding request does: a response from or to
/// elsewhere, or a large one.
#[must_use]
pub fn asks_for_more(request: &Message<'_>) -> bool {
    ASKED.iter().any(|kind| request.has(*kind))
}

/// The address that a request came to, and what the answer can come from.
#[derive(Debug, Clone, Copy)]
struct Here {
    own: ServerAddress,
    other: Option<Alternate>,
    other_port: u16,
    /// Whether this is the server's second address.
    is_second: bool,
}

impl ServerAddresses {
    fn here(&self, at: SocketAddr) -> Option<Here> {
        let [first, second] = self.ports;
        let other_port = match at.port() {
            port if port == first => second,
            port if port == second => first,
            _ => return None,
        };
        match self.alternate {
            _ if at.ip() == self.primary.local => Some(Here {
                own: self.primary,
                other: self.alternate,
                other_port,
                is_second: false,
            }),
            Some(Alternate::Own(other)) if at.ip() == other.local => Some(Here {
                own: other,
                other: Some(Alternate::Own(self.primary)),
                other_port,
                is_second: true,
            }),
            _ => None,
        }
    }
}

impl Here {
    fn advertised_other(&self) -> Option<SocketAddr> {
        let ip = match self.other? {
            Alternate::Own(server_address) => server_address.advertised,
            Alternate::Helper(ip) => ip,
        };
        Some(SocketAddr::new(ip, self.other_port))
    }
}

/// What a well-formed request asks for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    change: ChangeRequest,
    response_port: Option<u16>,
    padding: Option<Padding>,
}

impl Asked {
    fn read(request: &Message<'_>) -> Option<Self> {
        let change: Option<ChangeRequest> = request.get().ok()?;
        let response_port: Option<ResponsePort> = request.get().ok()?;
        let padding: Option<Padding> = request.get().ok()?;
        //= https://www.rfc-editor.org/rfc/rfc5780#section-7.5
        //# The server MUST NOT process a request containing a RESPONSE-PORT and a PADDING attribute.
        if response_port.is_some() && padding.is_some() {
            return None;
        }
        // Port 0 cannot be answered; only crafted packets ask for it.
        if response_port == Some(ResponsePort(0)) {
            return None;
        }
        Some(Self {
            change: change.unwrap_or_default(),
            response_port: response_port.map(|ResponsePort(port)| port),
            padding,
        })
    }
}

/// A success response with everything that RFC 5780 puts into one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Response {
    pub(super) transaction: TransactionId,
    pub(super) mapped: SocketAddr,
    pub(super) origin: SocketAddr,
    pub(super) other: Option<SocketAddr>,
    pub(super) fingerprint: bool,
}

impl Response {
    /// Appends it; with padding, it is as long as the padded request at most.
    pub(super) fn write(
        &self,
        padding: Option<(Padding, &Message<'_>)>,
        out: &mut Vec<u8>,
    ) -> Result<usize, MessageTooLong> {
        let start = out.len();
        let mut writer = MessageWriter::new(out, Class::Success, Method::BINDING, self.transaction);
        writer.attribute(&XorMappedAddress(self.mapped));
        writer.attribute(&MappedAddress(self.mapped));
        writer.attribute(&ResponseOrigin(self.origin));
        if let Some(other) = self.other {
            writer.attribute(&OtherAddress(other));
        }
        let written = writer.length();
        if let Some((padding, request)) = padding {
            let fingerprint = if self.fingerprint { 8 } else { 0 };
            let room = request
                .as_bytes()
                .len()
                .checked_sub(written + 4 + fingerprint);
            let room = room.map(|room| u16::try_from(room).unwrap_or(u16::MAX));
            if let Some(room) = room {
                writer.attribute(&Padding::new(padding.length().min(room)));
            }
        }
        if self.fingerprint {
            writer.fingerprint();
        }
        let length = writer.finish();
        debug_assert!(length.is_err() || length == Ok(out.len() - start));
        length
    }
}

fn refuse(
    request: &Message<'_>,
    code: ErrorCode,
    unknown: Option<AttributeType>,
    out: &mut Vec<u8>,
) -> Result<usize, MessageTooLong> {
    let mut writer = MessageWriter::new(out, Class::Error, Method::BINDING, request.transaction());
    writer.attribute(&ErrorCodeAttribute::without_reason(code));
    if let Some(kind) = unknown {
        writer.attribute(&UnknownAttributes::new(vec![kind]));
    }
    if request.has_fingerprint() {
        writer.fingerprint();
    }
    writer.finish()
}

/// What is asked by a client, beside what any Binding request may carry.
const ASKED: &[AttributeType] = &[
    AttributeType::CHANGE_REQUEST,
    AttributeType::RESPONSE_PORT,
    AttributeType::PADDING,
];

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "198.18.0.1";
    const TWO: &str = "198.18.0.2";
    const REMOTE: &str = "203.0.113.5:4000";

    fn addresses(alternate: Option<Alternate>) -> [ServerAddresses; 1] {
        [ServerAddresses {
            primary: server_address(ONE),
            alternate,
            ports: [3478, 3479],
        }]
    }

    fn server_address(ip: &str) -> ServerAddress {
        let ip = ip.parse().unwrap();
        ServerAddress {
            local: ip,
            advertised: ip,
        }
    }

    fn request(fill: impl FnOnce(&mut MessageWriter<'_>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let id = TransactionId::new(*b"abcdefghijkl");
        let mut writer = MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, id);
        fill(&mut writer);
        writer.finish().unwrap();
        bytes
    }

    fn ask(request: &[u8], at: &str, addresses: &[ServerAddresses]) -> (Action, Vec<u8>) {
        let mut out = Vec::new();
        let message = Message::parse(request).unwrap();
        let action = answer(
            &message,
            at.parse().unwrap(),
            REMOTE.parse().unwrap(),
            addresses,
            &mut out,
        );
        (action.unwrap(), out)
    }

    fn from(action: Action) -> String {
        match action {
            Action::Respond { from, .. } => from.to_string(),
            Action::AskHelper { helper, .. } => panic!("asked {helper}"),
        }
    }

    fn code(response: &[u8]) -> Option<u16> {
        let message = Message::parse(response).unwrap();
        message
            .get::<ErrorCodeAttribute<'_>>()
            .unwrap()
            .map(|error| error.code.value())
    }

    #[test]
    fn table_1_of_the_rfc() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        for at in [
            "198.18.0.1:3478",
            "198.18.0.1:3479",
            "198.18.0.2:3478",
            "198.18.0.2:3479",
        ] {
            let here: SocketAddr = at.parse().unwrap();
            let other_ip = if here.ip().to_string() == ONE {
                TWO
            } else {
                ONE
            };
            let other_port = if here.port() == 3478 { 3479 } else { 3478 };
            for (address, port) in [(false, false), (true, false), (false, true), (true, true)] {
                let bytes = request(|writer| writer.attribute(&ChangeRequest { address, port }));
                let (action, response) = ask(&bytes, at, &addresses);
                let ip = if address {
                    other_ip.to_owned()
                } else {
                    here.ip().to_string()
                };
                let port = if port { other_port } else { here.port() };
                let expected = format!("{ip}:{port}");
                assert_eq!(from(action), expected);
                let message = Message::parse(&response).unwrap();
                let origin: ResponseOrigin = message.get().unwrap().unwrap();
                assert_eq!(origin.0.to_string(), expected);
                let other: OtherAddress = message.get().unwrap().unwrap();
                assert_eq!(other.0.to_string(), format!("{other_ip}:{other_port}"));
            }
        }
    }

    #[test]
    fn a_plain_request_gets_both_forms_of_its_address() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        let (action, response) = ask(&request(|_| {}), "198.18.0.1:3478", &addresses);
        assert_eq!(
            action,
            Action::Respond {
                from: "198.18.0.1:3478".parse().unwrap(),
                to: REMOTE.parse().unwrap()
            }
        );
        assert!(response.len() <= 76);
        let message = Message::parse(&response).unwrap();
        let xored: XorMappedAddress = message.get().unwrap().unwrap();
        let plain: MappedAddress = message.get().unwrap().unwrap();
        assert_eq!((xored.0, plain.0), (plain.0, REMOTE.parse().unwrap()));
    }

    #[test]
    fn the_second_address_does_not_point_back_unless_it_is_asked_to_change() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        let (_, plain) = ask(&request(|_| {}), "198.18.0.2:3478", &addresses);
        assert!(
            !Message::parse(&plain)
                .unwrap()
                .has(AttributeType::OTHER_ADDRESS)
        );
    }

    #[test]
    fn a_change_to_an_address_that_there_is_not_gets_420_and_a_change_of_port_is_done() {
        let addresses = addresses(None);
        let change =
            |address, port| request(|writer| writer.attribute(&ChangeRequest { address, port }));
        let (action, response) = ask(&change(true, true), "198.18.0.1:3478", &addresses);
        assert_eq!(from(action), "198.18.0.1:3478");
        assert_eq!(code(&response), Some(420));
        let (action, response) = ask(&change(false, true), "198.18.0.1:3478", &addresses);
        assert_eq!(from(action), "198.18.0.1:3479");
        assert!(
            !Message::parse(&response)
                .unwrap()
                .has(AttributeType::OTHER_ADDRESS)
        );
    }

    #[test]
    fn a_request_elsewhere_is_answered_as_if_there_were_no_discovery() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        let bytes = request(|writer| {
            writer.attribute(&ChangeRequest {
                address: true,
                port: true,
            });
        });
        for at in ["198.18.0.3:3478", "198.18.0.1:3480"] {
            let (action, response) = ask(&bytes, at, &addresses);
            assert_eq!(from(action), at);
            assert_eq!(code(&response), Some(420));
        }
    }

    #[test]
    fn a_response_port_is_of_the_clients_own_address_and_not_with_padding() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        let bytes = request(|writer| writer.attribute(&ResponsePort(9)));
        let (action, _) = ask(&bytes, "198.18.0.1:3478", &addresses);
        let Action::Respond { to, .. } = action else {
            panic!("no response")
        };
        assert_eq!(to.to_string(), "203.0.113.5:9");
        for bytes in [
            request(|writer| writer.attribute(&ResponsePort(0))),
            request(|writer| {
                writer.attribute(&ResponsePort(9));
                writer.attribute(&Padding::new(4));
            }),
        ] {
            let (action, response) = ask(&bytes, "198.18.0.1:3478", &addresses);
            assert_eq!(code(&response), Some(400));
            let Action::Respond { to, .. } = action else {
                panic!("no response")
            };
            assert_eq!(to, REMOTE.parse().unwrap());
        }
    }

    #[test]
    fn padding_never_makes_a_response_larger_than_its_request() {
        let addresses = addresses(Some(Alternate::Own(server_address(TWO))));
        for length in [0, 4, 48, 52, 56, 60, 1_500, 9_000, Padding::MAX] {
            for fingerprint in [false, true] {
                let bytes = request(|writer| {
                    writer.attribute(&Padding::new(length));
                    if fingerprint {
                        writer.fingerprint();
                    }
                });
                let (_, response) = ask(&bytes, "198.18.0.1:3478", &addresses);
                assert!(
                    response.len() <= bytes.len().max(76),
                    "{} to {}",
                    response.len(),
                    bytes.len()
                );
                if length >= 1_500 {
                    assert_eq!(response.len(), bytes.len());
                }
            }
        }
    }

    #[test]
    fn a_helper_is_asked_at_the_port_that_it_shall_answer_from() {
        let addresses = addresses(Some(Alternate::Helper("192.0.2.7".parse().unwrap())));
        let bytes = request(|writer| {
            writer.attribute(&ChangeRequest {
                address: true,
                port: true,
            });
        });
        let (action, response) = ask(&bytes, "198.18.0.1:3478", &addresses);
        assert!(response.is_empty());
        let Action::AskHelper {
            helper, question, ..
        } = action
        else {
            panic!("{action:?}")
        };
        assert_eq!(helper.to_string(), "192.0.2.7:3479");
        assert_eq!(question.other, helper);
        assert_eq!(question.mapped, REMOTE.parse().unwrap());
    }
}
