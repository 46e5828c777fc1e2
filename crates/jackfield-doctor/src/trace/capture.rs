//! Writes records as a capture.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use jackfield_driver::tap::Way;
use jackfield_nat::packet::{TcpFlags, build, bytes, protocol};
use jackfield_nat::pcapng;
use jackfield_sansio::{FiveTuple, Transport};

use super::{Record, redact};

/// Returns all records as a capture.
pub(super) fn write(records: &[Record], secrets: &[&str]) -> Vec<u8> {
    let mut file = pcapng::file_header(["jackfield doctor"]);
    let mut streams = redacted_streams(records, secrets);
    let mut connections: BTreeMap<FiveTuple, Connection> = BTreeMap::new();
    for record in records {
        let (from, to) = match record.way {
            Way::Sent => (record.path.local, record.path.remote),
            Way::Received => (record.path.remote, record.path.local),
        };
        // Both ends of a packet are of one family, also where a socket takes both.
        let (from, to) = (canonical(from), canonical(to));
        if from.is_ipv4() != to.is_ipv4() {
            continue;
        }
        let mut append = |packet: &[u8], comment: &str| {
            let at = since_1970(record.at);
            file.extend(pcapng::packet_block(0, at, packet, Some(comment)));
        };
        if is_datagram(record.path) {
            let mut data = record.bytes.clone();
            let has_credentials = redact::datagram(&mut data);
            redact::text(&mut data, secrets);
            append(
                &build::udp(from, to, &data),
                &comment(record, has_credentials),
            );
            continue;
        }
        let connection = connections.entry(record.path).or_default();
        if !connection.is_open {
            connection.is_open = true;
            let said = format!(
                "{}: connected (made from what the program saw)",
                record.label
            );
            let (local, remote) = (canonical(record.path.local), canonical(record.path.remote));
            append(&segment(local, remote, TcpFlags::SYN, 0, 0, &[]), &said);
            let both = TcpFlags::SYN | TcpFlags::ACK;
            append(&segment(remote, local, both, 0, 1, &[]), &said);
            (connection.sent, connection.received) = (1, 1);
        }
        let stream = streams.get_mut(&(record.path, record.way == Way::Sent));
        let data = stream.map_or_else(Vec::new, |stream| stream.take(record.bytes.len()));
        for part in data.chunks(LARGEST_SEGMENT) {
            let (own, theirs) = match record.way {
                Way::Sent => (&mut connection.sent, connection.received),
                Way::Received => (&mut connection.received, connection.sent),
            };
            let flags = TcpFlags::ACK | PUSH;
            append(
                &segment(from, to, flags, *own, theirs, part),
                &comment(record, false),
            );
            *own = own.wrapping_add(part.len() as u32);
        }
    }
    file
}

/// Sequence numbers of both sides.
#[derive(Debug, Default)]
struct Connection {
    is_open: bool,
    sent: u32,
    received: u32,
}

/// One direction of a connection, without secrets, as far as it was not taken.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    taken: usize,
}

impl Stream {
    fn take(&mut self, length: usize) -> Vec<u8> {
        let end = self.bytes.len().min(self.taken + length);
        let part = self.bytes.get(self.taken..end).unwrap_or_default().to_vec();
        self.taken = end;
        part
    }
}

/// Puts streams together before their secrets are looked for: a secret may be spread over several
/// segments.
fn redacted_streams(records: &[Record], secrets: &[&str]) -> BTreeMap<(FiveTuple, bool), Stream> {
    let mut streams: BTreeMap<(FiveTuple, bool), Stream> = BTreeMap::new();
    for record in records {
        if !is_datagram(record.path) {
            let stream = streams.entry((record.path, record.way == Way::Sent));
            stream.or_default().bytes.extend(&record.bytes);
        }
    }
    for stream in streams.values_mut() {
        redact::stream(&mut stream.bytes);
        redact::text(&mut stream.bytes, secrets);
    }
    streams
}

fn comment(record: &Record, has_credentials: bool) -> String {
    let inside = match record.path.transport {
        Transport::Tls | Transport::Dtls => ", inside TLS, shown in the clear",
        Transport::Udp | Transport::Tcp => "",
    };
    let blanked = if has_credentials {
        "; user name and integrity are blanked, so a fingerprint does not match"
    } else {
        ""
    };
    format!("{}{inside}{blanked}", record.label)
}

fn segment(
    from: SocketAddr,
    to: SocketAddr,
    flags: u8,
    sequence: u32,
    acknowledged: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut packet = build::tcp(from, to, TcpFlags(flags), data);
    let at = if from.is_ipv4() { 20 } else { 40 };
    bytes::put(&mut packet, at + 4, &sequence.to_be_bytes());
    bytes::put(&mut packet, at + 8, &acknowledged.to_be_bytes());
    build::fill_transport_checksum(
        &mut packet,
        at,
        from.ip().into(),
        to.ip().into(),
        protocol::TCP,
    );
    packet
}

fn is_datagram(path: FiveTuple) -> bool {
    matches!(path.transport, Transport::Udp | Transport::Dtls)
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn since_1970(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// An IPv4 packet has room for no more, with some to spare for headers.
const LARGEST_SEGMENT: usize = 65_000;

/// TCP's PSH flag (RFC 9293 §3.1).
const PUSH: u8 = 8;

#[cfg(test)]
mod tests {
    use jackfield_nat::packet::{Headers, verify};

    use super::*;

    fn record(transport: Transport, way: Way, bytes: &str) -> Record {
        Record {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
            label: "Polling",
            path: FiveTuple {
                transport,
                local: "192.0.2.1:4000".parse().unwrap(),
                remote: "198.51.100.1:443".parse().unwrap(),
            },
            way,
            bytes: bytes.as_bytes().to_vec(),
        }
    }

    fn contains(bytes: &[u8], part: &str) -> bool {
        bytes.windows(part.len()).any(|it| it == part.as_bytes())
    }

    #[test]
    fn a_secret_that_is_spread_over_segments_is_blanked() {
        let records = [
            record(Transport::Tls, Way::Received, r#"{"credential":"hun"#),
            record(Transport::Tls, Way::Received, r#"ter2","ttl":1} abc hunt"#),
            record(Transport::Tls, Way::Sent, "GET /"),
            record(Transport::Tls, Way::Received, "er2"),
        ];
        let file = write(&records, &["hunter2"]);
        for part in ["hunter2", "hun\"", "ter2", "er2"] {
            assert!(!contains(&file, part), "{part}");
        }
        assert!(contains(&file, "\"ttl\":1} abc ****"));
        assert!(contains(&file, "Polling, inside TLS, shown in the clear"));
    }

    #[test]
    fn segments_have_checksums_and_numbers_that_add_up() {
        let (from, to) = (
            "192.0.2.1:1".parse().unwrap(),
            "192.0.2.2:2".parse().unwrap(),
        );
        let packet = segment(from, to, TcpFlags::ACK, 5, 9, b"hello");
        assert!(Headers::parse(&packet).is_ok());
        assert_eq!(verify(&packet), Ok(()));
        assert_eq!(packet[24..32], [0, 0, 0, 5, 0, 0, 0, 9]);
    }

    #[test]
    fn a_datagram_is_a_packet_of_its_own() {
        let file = write(&[record(Transport::Udp, Way::Sent, "hello")], &[]);
        assert!(contains(&file, "hello") && contains(&file, "Polling"));
    }
}
