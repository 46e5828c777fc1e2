//! Packets in one line for people.

use std::fmt::Write;

use super::bytes::u8_at;
use super::{Headers, TcpFlags, Transport};

/// Describes a packet in one line, as a sequence diagram shows it: protocol, flags or type, and
/// size of the data.
#[must_use]
pub fn describe(bytes: &[u8]) -> String {
    let headers = match Headers::parse_quoted(bytes) {
        Ok(headers) => headers,
        Err(error) => return format!("not a packet: {error}"),
    };
    let mut text = match headers.transport {
        Transport::Udp { .. } => "UDP".to_owned(),
        Transport::Tcp { flags, .. } => format!("TCP {}", flag_names(flags)),
        Transport::Query { id, response } => {
            let kind = if response { "response" } else { "query" };
            format!("ICMP {kind} {id}")
        }
        Transport::Error => describe_error(bytes, &headers),
        Transport::OtherIcmp => "ICMP".to_owned(),
        Transport::Later => "fragment".to_owned(),
        Transport::Unknown => format!("protocol {}", headers.protocol),
    };
    if let Some(fragment) = headers.fragment {
        let more = if fragment.more { "+" } else { "" };
        let _ = write!(text, " [offset {}{more}]", fragment.offset);
    }
    let data = headers.length.saturating_sub(headers.data_at(bytes));
    let _ = write!(text, " {data} B");
    text
}

fn describe_error(bytes: &[u8], headers: &Headers) -> String {
    let byte = |at| u8_at(bytes, headers.transport_at + at).unwrap_or(0);
    let name = match (headers.is_v4(), byte(0), byte(1)) {
        (true, 3, 4) | (false, 2, _) => "too big",
        (true, 3, 3) | (false, 1, 4) => "port unreachable",
        (true, 3, 13) | (false, 1, 1) => "prohibited",
        (true, 3, _) | (false, 1, _) => "unreachable",
        (true, 11, _) | (false, 3, _) => "time exceeded",
        _ => "error",
    };
    format!("ICMP {name}")
}

fn flag_names(flags: TcpFlags) -> String {
    let names = [
        (TcpFlags::SYN, "SYN"),
        (TcpFlags::FIN, "FIN"),
        (TcpFlags::RST, "RST"),
        (TcpFlags::ACK, "ACK"),
    ];
    let set: Vec<&str> = names
        .iter()
        .filter(|(flag, _)| flags.has(*flag))
        .map(|(_, name)| *name)
        .collect();
    if set.is_empty() {
        "-".to_owned()
    } else {
        set.join("+")
    }
}
