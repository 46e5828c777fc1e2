//! What the fuzz targets run: each asserts properties of any bytes.

use jackfield_stun::attribute::{
    AlternateDomain, AlternateServer, Attribute, ChangeRequest, ErrorCodeAttribute, MappedAddress,
    Nonce, OtherAddress, Padding, PasswordAlgorithm, PasswordAlgorithms, Realm, ResponseOrigin,
    ResponsePort, Software, UnknownAttributes, Userhash, Username, XorMappedAddress,
};
use jackfield_stun::framing::{MAX_MESSAGE, message_length};
use jackfield_stun::{Key, Message, MessageWriter, binding};

/// Reads bytes as a message; what is read is written and read back the same.
pub fn message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        return;
    };
    assert_eq!(message.as_bytes().len(), data.len());
    let key = Key::short_term("key");
    let _ = message.check_sha1(&key);
    let _ = message.check_sha256(&key);
    round_trip::<MappedAddress>(&message);
    round_trip::<XorMappedAddress>(&message);
    round_trip::<AlternateServer>(&message);
    round_trip::<AlternateDomain<'_>>(&message);
    round_trip::<Username<'_>>(&message);
    round_trip::<Realm<'_>>(&message);
    round_trip::<Nonce<'_>>(&message);
    round_trip::<Software<'_>>(&message);
    round_trip::<ErrorCodeAttribute<'_>>(&message);
    round_trip::<UnknownAttributes>(&message);
    round_trip::<Userhash>(&message);
    round_trip::<PasswordAlgorithm>(&message);
    round_trip::<PasswordAlgorithms<'_>>(&message);
    round_trip::<ChangeRequest>(&message);
    round_trip::<Padding>(&message);
    round_trip::<ResponsePort>(&message);
    round_trip::<ResponseOrigin>(&message);
    round_trip::<OtherAddress>(&message);
    sealed(&message, &key);
    let mut answer = Vec::new();
    let remote = "[2001:db8::1]:3478".parse().expect("an address");
    let length = binding::answer(&message, remote, &mut answer).expect("a short answer");
    assert!(length <= 52, "an answer to a stranger has {length} bytes");
    assert!(Message::parse(&answer).is_ok());
}

fn round_trip<'a, A: Attribute<'a> + PartialEq + std::fmt::Debug>(message: &Message<'a>) {
    let Ok(Some(attribute)) = message.get::<A>() else {
        return;
    };
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    writer.attribute(&attribute);
    writer.finish().expect("one attribute fits");
    let mut again = Vec::new();
    let reread = Message::parse(&bytes).expect("what we write is well-formed");
    let (kind, value) = reread.attributes().next().expect("one attribute");
    assert_eq!(kind, A::TYPE);
    attribute.encode(&header.transaction, &mut again);
    assert_eq!(value, again);
}

/// Copies what counts into a new message with integrity and fingerprint, which then check out.
fn sealed(message: &Message<'_>, key: &Key) {
    let mut bytes = Vec::new();
    let header = message.header();
    let mut writer =
        MessageWriter::new(&mut bytes, header.class, header.method, header.transaction);
    for realm in message.all::<Realm<'_>>().flatten() {
        writer.attribute(&realm);
    }
    writer.integrity_sha1(key);
    writer.integrity_sha256(key);
    writer.fingerprint();
    if writer.finish().is_err() {
        return;
    }
    let sealed = Message::parse(&bytes).expect("what we write is well-formed");
    assert_eq!(sealed.header().class, header.class);
    assert_eq!(sealed.header().method, header.method);
    assert_eq!(sealed.header().transaction, header.transaction);
    assert_eq!(sealed.check_sha1(key), Ok(()));
    assert_eq!(sealed.check_sha256(key), Ok(()));
    assert!(sealed.has_fingerprint());
}

/// Cuts bytes as a stream: lengths never depend on what follows the prefix, and cutting always
/// ends.
pub fn framing(data: &[u8]) {
    let mut rest = data;
    while let Ok(Some(length)) = message_length(rest, MAX_MESSAGE) {
        assert!(length >= 4 && length % 4 == 0 && length <= MAX_MESSAGE);
        let prefix = rest.get(..4).expect("a length needs a prefix");
        assert_eq!(message_length(prefix, MAX_MESSAGE), Ok(Some(length)));
        assert!(length == 4 || message_length(rest, length - 4).is_err());
        match rest.get(length..) {
            Some(next) => rest = next,
            None => break,
        }
    }
}

/// Reads bytes as a URI; what is read is written and read back the same.
pub fn uri(data: &[u8]) {
    if let Some(uri) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.parse::<jackfield_stun::uri::Uri>().ok())
    {
        assert_eq!(uri.to_string().parse(), Ok(uri));
    }
}

/// Answers bytes as a server with two addresses and as one with a helper; no answer outgrows what
/// was asked for.
pub fn behaviour_answer(data: &[u8]) {
    use jackfield_stun::behaviour::answer::{
        Action, Alternate, ServerAddress, ServerAddresses, answer,
    };
    let Ok(request) = Message::parse(data) else {
        return;
    };
    let server_address = |ip: &str| {
        let ip = ip.parse().expect("an address");
        ServerAddress {
            local: ip,
            advertised: ip,
        }
    };
    let at = "192.0.2.1:3478".parse().expect("an address");
    let remote = "[2001:db8::1]:4000".parse().expect("an address");
    for other in [
        None,
        Some(Alternate::Own(server_address("192.0.2.2"))),
        Some(Alternate::Helper("192.0.2.3".parse().expect("an address"))),
    ] {
        let addresses = [ServerAddresses {
            primary: server_address("192.0.2.1"),
            alternate: other,
            ports: [3478, 3479],
        }];
        let mut out = Vec::new();
        let action = answer(&request, at, remote, &addresses, &mut out).expect("a short answer");
        assert!(
            out.len() <= data.len().max(112),
            "{} bytes for {}",
            out.len(),
            data.len()
        );
        match action {
            Action::Respond { to, .. } => {
                assert_eq!(to.ip(), remote.ip());
                let response = Message::parse(&out).expect("what we write is well-formed");
                assert_eq!(response.transaction(), request.transaction());
            }
            Action::AskHelper { question, .. } => {
                assert!(out.is_empty());
                helper_asks(&question);
            }
        }
    }
}

fn helper_asks(question: &jackfield_stun::behaviour::helper::Question) {
    use jackfield_stun::behaviour::helper::{Question, key};
    let (mut bytes, mut answer) = (Vec::new(), Vec::new());
    let unix = std::time::Duration::from_secs(1_800_000_000);
    let length = question.write(&key("secret"), unix, &mut bytes);
    let length = length.expect("a short question");
    let message = Message::parse(&bytes).expect("what we write is well-formed");
    assert_eq!(
        Question::read(&message, &[key("secret")], unix),
        Ok(*question)
    );
    let from = "192.0.2.3:3478".parse().expect("an address");
    let answered = question.answer(from, &mut answer).expect("a short answer");
    assert!(answered < length);
}

/// Runs a discovery whose servers and NATs answer with these bytes: it always ends, and soon.
pub fn behaviour_discovery(data: &[u8]) {
    use jackfield_stun::behaviour::{
        Discovery, DiscoveryConfig, LifetimeSearch, NotBound, Output, SocketId,
    };
    use std::net::SocketAddr;
    use std::time::Duration;
    let server: SocketAddr = "192.0.2.1:3478".parse().expect("an address");
    let mut config =
        DiscoveryConfig::new(vec![server, "192.0.2.9:3478".parse().expect("an address")]);
    config.lifetime = Some(LifetimeSearch::default());
    let mut script = data.iter().copied();
    let mut discovery = Discovery::new(config, [7; 32]);
    let start = jackfield_testing::epoch();
    let mut now = start;
    for _ in 0..10_000 {
        match discovery.poll_output() {
            Output::Bind(socket) => {
                let port = 40_000 + u16::try_from(socket.index()).expect("few sockets");
                let bound = SocketAddr::from(([10, 0, 0, 2], port));
                let is_bound = script.next() != Some(0xFF);
                discovery.handle_bound(now, socket, is_bound.then_some(bound).ok_or(NotBound));
            }
            Output::Transmit {
                socket,
                destination,
                bytes,
            } => {
                let choice = script.next().unwrap_or(0);
                let answer = scripted(&bytes, choice, destination);
                let at = SocketId::new(socket.index() ^ usize::from(choice >> 7));
                let source = if choice & 0x40 == 0 {
                    destination
                } else {
                    server
                };
                discovery.handle_datagram(now, at, source, &answer);
            }
            Output::Wait(Some(then)) => {
                assert!(then > now, "time goes on");
                now = then;
                discovery.handle_timeout(now);
            }
            Output::Wait(None) => {
                assert!(now - start < Duration::from_secs(600));
                let report = discovery.report();
                assert!(!format!("{report:?}").contains("NotFinished") || data.contains(&0xFF));
                return;
            }
        }
    }
    panic!("a discovery that does not end");
}

/// Returns one of several answers to a request.
fn scripted(request: &[u8], choice: u8, to: std::net::SocketAddr) -> Vec<u8> {
    let Ok(asked) = Message::parse(request) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    let class = match choice & 7 {
        0 => return out,
        1 => return request.to_vec(),
        2 => jackfield_stun::Class::Error,
        _ => jackfield_stun::Class::Success,
    };
    let mut writer = MessageWriter::new(
        &mut out,
        class,
        jackfield_stun::Method::BINDING,
        asked.transaction(),
    );
    let mapped = std::net::SocketAddr::from(([203, 0, 113, choice & 1], u16::from(choice)));
    if class == jackfield_stun::Class::Error {
        writer.attribute(&ErrorCodeAttribute::without_reason(
            jackfield_stun::ErrorCode::UNKNOWN_ATTRIBUTE,
        ));
    } else {
        writer.attribute(&XorMappedAddress(mapped));
    }
    if choice & 8 != 0 {
        writer.attribute(&MappedAddress(to));
    }
    if choice & 0x10 != 0 {
        writer.attribute(&OtherAddress(std::net::SocketAddr::from((
            [192, 0, 2, 2],
            3479,
        ))));
    }
    writer.finish().expect("a short answer");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::replay;

    #[test]
    fn the_corpus_of_message_holds() {
        replay("stun_message", 20_000, message);
    }

    #[test]
    fn the_corpus_of_behaviour_answer_holds() {
        replay("stun_behaviour_answer", 20_000, behaviour_answer);
    }

    #[test]
    fn the_corpus_of_behaviour_discovery_holds() {
        replay("stun_behaviour_discovery", 3_000, behaviour_discovery);
    }

    #[test]
    fn the_corpus_of_framing_holds() {
        replay("stun_framing", 20_000, framing);
    }

    #[test]
    fn the_corpus_of_uri_holds() {
        replay("stun_uri", 20_000, uri);
    }
}
