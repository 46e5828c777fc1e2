//! Captures for Wireshark
//! ([pcapng](https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/draft-ietf-opsawg-pcapng.html)).

use std::time::Duration;

/// Returns the beginning of a capture file with these interfaces, which are numbered from 0.
pub fn file_header<T: AsRef<str>>(interfaces: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut file = Vec::new();
    block(&mut file, SECTION_HEADER, &section_header());
    for name in interfaces {
        block(
            &mut file,
            INTERFACE_DESCRIPTION,
            &interface_description(name.as_ref()),
        );
    }
    file
}

/// Returns the block of a packet that an interface saw at a time since 1970, with a comment of up
/// to 64 KiB. Blocks are appended to the file.
#[must_use]
pub fn packet_block(interface: u32, at: Duration, bytes: &[u8], comment: Option<&str>) -> Vec<u8> {
    let mut file = Vec::new();
    block(
        &mut file,
        ENHANCED_PACKET,
        &packet_body(interface, at, bytes, comment),
    );
    file
}

fn section_header() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(BYTE_ORDER.to_le_bytes());
    body.extend([1, 0, 0, 0]); // version 1.0
    body.extend((-1_i64).to_le_bytes()); // section length unknown
    body
}

fn interface_description(name: &str) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(LINKTYPE_LOOP.to_le_bytes());
    body.extend([0; 2]);
    body.extend([0; 4]); // no snap length
    option(&mut body, IF_NAME, name.as_bytes());
    option(&mut body, IF_TSRESOL, &[9]); // nanoseconds
    option(&mut body, END_OF_OPTIONS, &[]);
    body
}

fn packet_body(interface: u32, at: Duration, bytes: &[u8], comment: Option<&str>) -> Vec<u8> {
    let mut body = Vec::new();
    let nanos = at.as_nanos() as u64;
    body.extend(interface.to_le_bytes());
    body.extend(((nanos >> 32) as u32).to_le_bytes());
    body.extend((nanos as u32).to_le_bytes());
    let family = match bytes.first().map(|byte| byte >> 4) {
        Some(6) => AF_INET6,
        _ => AF_INET,
    };
    let frame = [&family.to_be_bytes(), bytes].concat();
    body.extend((frame.len() as u32).to_le_bytes());
    body.extend((frame.len() as u32).to_le_bytes());
    padded(&mut body, &frame);
    if let Some(comment) = comment {
        option(&mut body, COMMENT, comment.as_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
    }
    body
}

fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let length = 12 + body.len() as u32;
    file.extend(kind.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(body);
    file.extend(length.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn padded(body: &mut Vec<u8>, value: &[u8]) {
    body.extend(value);
    let padding = value.len().wrapping_neg() % 4;
    body.extend(std::iter::repeat_n(0, padding));
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// IP packets after four bytes of address family. LINKTYPE_RAW would be simpler, but libpcap
/// compares it with its own number for raw packets, which is a different one, and so refuses files
/// with more than one raw interface.
const LINKTYPE_LOOP: u16 = 108;
const AF_INET: u32 = 2;
/// The number of NetBSD and OpenBSD, one of those that readers know.
const AF_INET6: u32 = 24;
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
