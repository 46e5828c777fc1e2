//! Bytes into the client's side of proxies: messages, URLs and lists of `no_proxy`.

use std::net::SocketAddr;

use jackfield_proxy::http::{ConnectRequest, ConnectResponse};
use jackfield_proxy::socks5::{self, Command, Greeting, Reply, Request, UdpHeader};
use jackfield_proxy::{Credentials, Handshake, NoProxy, Progress, ProxyUrl, Target};

/// Reads every message of the proxies' protocols: what is read is what its writer writes, and
/// nothing is read from a part of it.
pub fn messages(data: &[u8]) {
    let request = |bytes: &[u8]| ConnectRequest::parse(bytes).ok().flatten();
    if let Some((read, length)) = request(data) {
        assert!(length <= data.len());
        let bytes = read.to_bytes();
        assert_eq!(request(&bytes), Some((read, bytes.len())));
    }
    let response = |bytes: &[u8]| ConnectResponse::parse(bytes).ok().flatten();
    if let Some((read, _)) = response(data) {
        let bytes = read.to_bytes();
        assert_eq!(response(&bytes), Some((read, bytes.len())));
    }
    again(data, Greeting::parse, Greeting::to_bytes);
    again(data, Request::parse, Request::to_bytes);
    again(data, Reply::parse, Reply::to_bytes);
    again(data, UdpHeader::parse, UdpHeader::to_bytes);
    again(data, socks5::parse_credentials, socks5::credentials);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(target) = text.parse::<Target>()
    {
        assert_eq!(target.to_string().parse(), Ok(target));
    }
    handshakes(data);
}

type Parse<T, E> = fn(&[u8]) -> Result<Option<(T, usize)>, E>;

fn again<T: PartialEq + std::fmt::Debug, E>(
    data: &[u8],
    parse: Parse<T, E>,
    write: impl Fn(&T) -> Vec<u8>,
) {
    let parse = |bytes: &[u8]| parse(bytes).ok().flatten();
    let Some((read, length)) = parse(data) else {
        return;
    };
    let part = data.get(..length - 1).unwrap_or_default();
    assert_eq!(parse(part), None, "read from a part");
    let bytes = write(&read);
    assert_eq!(parse(&bytes), Some((read, bytes.len())));
}

/// Lets a client hear the bytes whole and one by one: it comes to the same end.
fn handshakes(data: &[u8]) {
    let target = Target::from(SocketAddr::from(([192, 0, 2, 1], 443)));
    let credentials = Credentials::new(b"user", b"password");
    let (http, _) = Handshake::http(target.clone(), credentials.clone());
    let (socks, _) = Handshake::socks5(Command::Connect, target, credentials);
    for handshake in [http, socks] {
        let whole = outcome(handshake.clone(), std::iter::once(data));
        let pieces = outcome(handshake, data.chunks(1));
        assert_eq!(whole, pieces);
    }
}

/// Returns whether there is a tunnel, unless more has to come. A proxy that talks on without being
/// asked is not waited for, as it would be if there was something to send in between.
fn outcome<'a>(mut handshake: Handshake, pieces: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    for piece in pieces {
        let mut piece = piece;
        loop {
            match handshake.handle(piece) {
                Ok(Progress::Done { .. }) => return Some(true),
                Ok(Progress::Send(_)) => piece = &[],
                Ok(Progress::Wait) => break,
                Err(_) => return Some(false),
            }
        }
    }
    None
}

/// Reads text as a URL and as a list: a URL is read back as it is written, but for its credentials,
/// and a host that is alone in a list is in it.
pub fn url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let list = NoProxy::new(text);
    if let Ok(url) = text.parse::<ProxyUrl>() {
        let bare = ProxyUrl::new(url.scheme(), url.target().clone());
        assert_eq!(url.to_string().parse(), Ok(bare));
        let host = &url.target().host;
        let _ = list.contains(host);
        let alone = match host {
            jackfield_proxy::TargetHost::Address(ip) => ip.to_string(),
            jackfield_proxy::TargetHost::Name(name) => name.as_str().to_owned(),
        };
        let dots = alone.bytes().all(|it| it == b'.');
        assert!(dots || NoProxy::new(&alone).contains(host), "{alone}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_testing::replay;

    #[test]
    fn the_message_corpus_and_mutations_of_it_hold() {
        replay("proxy_messages", 4_000, messages);
    }

    #[test]
    fn the_url_corpus_and_mutations_of_it_hold() {
        replay("proxy_url", 4_000, url);
    }
}
