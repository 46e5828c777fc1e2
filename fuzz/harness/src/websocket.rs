//! Fuzz targets: each takes bytes and asserts what must hold for all of them.

#![expect(clippy::unwrap_used, reason = "a fuzz target panics on purpose")]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use jackfield_websocket::frame::{Header, OpCode};
use jackfield_websocket::handshake::{Options, accept};
use jackfield_websocket::internals::{Extension, answer_extensions, parse_extensions};
use jackfield_websocket::utf8::Decoder;
use jackfield_websocket::{
    CloseFrame, Connection, Event, Message, Role, Violation, WebSocketLimits, deflate,
};

const LIMITS: WebSocketLimits = WebSocketLimits {
    max_frame: 3000,
    max_message: 5000,
    max_fragments: 8,
    max_waiting_pongs: 4,
};

/// The first byte chooses role, compression and chunk size, the rest is what the peer sends.
/// Messages keep the limits, text is text, chunking changes nothing, and what came in is received
/// again when it is sent back.
pub fn frames(data: &[u8]) {
    let Some((&choice, wire)) = data.split_first() else {
        return;
    };
    let chunk = 1 + usize::from(choice >> 3);
    let (mut whole, mut peer) = pair(choice);
    let (mut chunked, _) = pair(choice);
    let events = receive(&mut whole, wire, wire.len().max(1));
    let again = receive(&mut chunked, wire, chunk);
    assert_same(&events, &again);
    for event in &events {
        if let Event::Message(message) = event {
            assert!(message.data().len() <= LIMITS.max_message);
        }
    }
    let pings = events
        .iter()
        .filter(|event| matches!(event, Event::Ping(_)))
        .count();
    assert!(whole.queued_bytes() <= pings.min(LIMITS.max_waiting_pongs) * 131);
    echo(whole, &mut peer, events);
}

/// A connection by the lowest bits of `choice`, and one of its peers.
fn pair(choice: u8) -> (Connection, Connection) {
    let server = Connection::new(Role::Server, LIMITS);
    let client = Connection::new(Role::Client { seed: [5; 32] }, LIMITS);
    let params = deflate::Params {
        server_no_context_takeover: choice & 4 != 0,
        client_no_context_takeover: choice & 4 != 0,
        server_max_window_bits: 9,
        client_max_window_bits: 15,
        level: 1,
        threshold: 0,
    };
    let (server, client) = if choice & 2 == 0 {
        (server, client)
    } else {
        (server.with_deflate(params), client.with_deflate(params))
    };
    if choice & 1 == 0 {
        (server, client)
    } else {
        (client, server)
    }
}

fn receive(connection: &mut Connection, wire: &[u8], chunk: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for mut piece in wire.chunks(chunk) {
        while let Some(event) = connection.receive(&mut piece) {
            events.push(event);
        }
        assert!(piece.is_empty());
    }
    events
}

/// Chunking may change which of several faults in one compressed frame is seen first, nothing else.
fn assert_same(events: &[Event], again: &[Event]) {
    assert_eq!(events.len(), again.len());
    for pair in events.iter().zip(again) {
        match pair {
            (Event::Failed(one), Event::Failed(other)) => {
                let of_content = |violation: &Violation| {
                    matches!(
                        violation,
                        Violation::InvalidUtf8
                            | Violation::CorruptDeflate
                            | Violation::MessageTooLarge
                    )
                };
                assert!(one == other || of_content(one) && of_content(other));
            }
            (one, other) => assert_eq!(one, other),
        }
    }
}

/// Sends the messages back to the peer, who receives just those, then the end.
fn echo(mut connection: Connection, peer: &mut Connection, events: Vec<Event>) {
    let ended = connection.is_input_over();
    let mut sent = Vec::new();
    for event in events {
        if let Event::Message(message) = event {
            connection.send(&message).unwrap();
            sent.push(message);
        }
    }
    connection.finish();
    assert_eq!(connection.is_close_sent(), ended);
    let mut wire = Vec::new();
    while !connection.outgoing().is_empty() {
        wire.extend_from_slice(&connection.outgoing().take_bytes());
    }
    let mut events = receive(peer, &wire, wire.len().max(1));
    if ended {
        assert!(matches!(events.pop(), Some(Event::Close(_))));
    }
    let back: Vec<Message> = events
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            Event::Pong(_) => None,
            other => panic!("{other:?} was never sent"),
        })
        .collect();
    assert_eq!(back, sent);
}

/// A header that is read is written back as it was.
pub fn header(data: &[u8]) {
    let Ok(Some((header, used))) = Header::parse(data) else {
        return;
    };
    let mut written = Vec::new();
    header.write(&mut written);
    assert_eq!(Some(written.as_slice()), data.get(..used));
    if header.opcode == OpCode::Close {
        let body = Bytes::copy_from_slice(data.get(used..).unwrap());
        if let Ok(Some(frame)) = CloseFrame::decode(&body) {
            assert!(std::str::from_utf8(&frame.reason).is_ok());
            assert!(body.len() > 125 || frame.encode() == body);
        }
    }
}

/// The first byte is the size of the pieces of a text, which are judged as the standard library
/// judges their whole.
pub fn utf8(data: &[u8]) {
    let Some((&size, text)) = data.split_first() else {
        return;
    };
    let mut decoder = Decoder::default();
    let mut seen = 0;
    for piece in text.chunks(usize::from(size).max(1)) {
        seen += piece.len();
        let expected = std::str::from_utf8(text.get(..seen).unwrap());
        let judged = decoder.push(piece);
        match expected {
            Ok(text) => assert!(judged && decoder.clone().finish().as_deref() == Some(text)),
            Err(error) if error.error_len().is_none() => {
                assert!(judged && !decoder.is_complete());
            }
            Err(_) => {
                assert!(!judged);
                return;
            }
        }
    }
}

/// A list of extensions that is read is read the same from its own plain form, and an answer to it
/// is one of its offers.
pub fn extensions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Some(list) = parse_extensions(text) else {
        return;
    };
    assert_eq!(parse_extensions(&plain(&list)), Some(list));
    let config = deflate::DeflateConfig::default();
    if let Some((params, value)) = answer_extensions(text, &config) {
        let answer = parse_extensions(&value).unwrap();
        assert_eq!(answer.len(), 1);
        assert!((9..=15).contains(&params.server_max_window_bits));
        assert!((8..=15).contains(&params.client_max_window_bits));
        HeaderValue::try_from(value).unwrap();
    }
}

fn plain(list: &[Extension]) -> String {
    let items: Vec<String> = list
        .iter()
        .map(|(name, params)| {
            let params = params.iter().map(|(name, value)| match value {
                Some(value) => format!("; {name}={value}"),
                None => format!("; {name}"),
            });
            format!("{name}{}", params.collect::<String>())
        })
        .collect();
    items.join(", ")
}

/// Bytes are the head of a request: what is accepted has an answer that our client accepts.
pub fn request(data: &[u8]) {
    let mut lines = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut lines);
    let Ok(httparse::Status::Complete(_)) = request.parse(data) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for line in &*request.headers {
        let name = HeaderName::from_bytes(line.name.as_bytes());
        let value = HeaderValue::from_bytes(line.value);
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let method = Method::from_bytes(request.method.unwrap().as_bytes()).unwrap();
    let version = match request.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let options = Options {
        subprotocols: vec!["json".to_owned(), "chat".to_owned()],
        deflate: Some(deflate::DeflateConfig::default()),
        any_subprotocol: false,
    };
    match accept(&method, version, &headers, &options) {
        Ok(accepted) => {
            let response = accepted.response();
            assert_eq!(response.status(), 101);
            assert_eq!(
                response.headers().contains_key("sec-websocket-extensions"),
                accepted.established.deflate.is_some()
            );
            assert_eq!(
                response.headers().contains_key("sec-websocket-protocol"),
                accepted.established.subprotocol.is_some()
            );
        }
        Err(refusal) => {
            let status = refusal.response().status();
            assert!(status.is_client_error() || version == Version::HTTP_10);
        }
    }
}

/// The first byte is the size of the chunks that a server's answer comes in: chunking changes
/// nothing.
pub fn answer_head(data: &[u8]) {
    use jackfield_websocket::handshake::ClientHandshake;

    let Some((&size, bytes)) = data.split_first() else {
        return;
    };
    let options = Options {
        subprotocols: vec!["json".to_owned()],
        deflate: Some(deflate::DeflateConfig::default()),
        any_subprotocol: false,
    };
    let request = http::Request::get("ws://localhost/").body(()).unwrap();
    let mut outcomes = Vec::new();
    for chunk in [bytes.len().max(1), usize::from(size).max(1)] {
        let mut handshake = ClientHandshake::new(&request, &options, [1; 16]).unwrap();
        let mut left = bytes.len();
        let mut outcome = None;
        for piece in bytes.chunks(chunk) {
            let mut input = piece;
            outcome = handshake.receive(&mut input);
            if outcome.is_some() {
                left -= piece.len() - input.len();
                break;
            }
            assert!(input.is_empty());
            left -= piece.len();
        }
        if !matches!(outcome, Some(Ok(_))) {
            left = 0;
        }
        outcomes.push((outcome, left));
    }
    let (one, other) = (outcomes.first().unwrap(), outcomes.last().unwrap());
    assert_eq!(one, other);
}

#[cfg(test)]
mod tests {
    use jackfield_testing::replay;

    use super::*;

    #[test]
    fn frames_hold_up() {
        replay("websocket_frames", 6_000, frames);
    }

    #[test]
    fn headers_hold_up() {
        replay("websocket_header", 6_000, header);
    }

    #[test]
    fn texts_hold_up() {
        replay("websocket_utf8", 6_000, utf8);
    }

    #[test]
    fn extensions_hold_up() {
        replay("websocket_extensions", 6_000, extensions);
    }

    #[test]
    fn requests_hold_up() {
        replay("websocket_request", 6_000, request);
    }

    #[test]
    fn answers_hold_up() {
        replay("websocket_answer_head", 6_000, answer_head);
    }
}
