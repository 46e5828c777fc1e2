//! A NAT as userspace labs have it, for comparison: the way pion's vnet translates, on TUN devices.
//!
//! A hash map of endpoints behind a lock, two threads, one for each direction, and for each packet
//! one read, one look-up, one write. Endpoint-independent mapping and filtering, IPv4, UDP and TCP;
//! nothing ever expires.
//!
//! ```text
//! nat_relay --inside NAME@NETNS --outside NAME@NETNS --external IP
//! ```
//!
//! The devices are made and set up by whoever starts it (`ip tuntap add`).

#![expect(unsafe_code, reason = "a TUN device is taken by an ioctl")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jackfield_router::Netns;

type Failure = Box<dyn Error + Send + Sync>;

/// Protocol, address, port.
type Endpoint = (u8, [u8; 4], u16);

#[derive(Debug, Default)]
struct Mappings {
    outbound: HashMap<Endpoint, u16>,
    inbound: HashMap<(u8, u16), Endpoint>,
    next: u16,
}

impl Mappings {
    fn out(&mut self, inner: Endpoint) -> Option<u16> {
        if let Some(port) = self.outbound.get(&inner) {
            return Some(*port);
        }
        let (protocol, ..) = inner;
        for _ in 0..u16::MAX {
            self.next = self.next.wrapping_add(1).max(1_024);
            if self.inbound.contains_key(&(protocol, self.next)) {
                continue;
            }
            self.inbound.insert((protocol, self.next), inner);
            self.outbound.insert(inner, self.next);
            return Some(self.next);
        }
        None
    }
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let usage = "see the head of bench/nat/relay.rs";
    let inside = open(&value("--inside").ok_or(usage)?)?;
    let outside = open(&value("--outside").ok_or(usage)?)?;
    let external: Ipv4Addr = value("--external").ok_or(usage)?.parse()?;
    let mappings = Arc::new(Mutex::new(Mappings::default()));

    let shared = Arc::clone(&mappings);
    let (from, to) = (inside.try_clone()?, outside.try_clone()?);
    let out = thread::spawn(move || {
        pump(from, to, |packet| {
            let (protocol, transport) = split(packet)?;
            let source = (protocol, read4(packet, 12)?, read2(packet, transport)?);
            let port = shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .out(source)?;
            rewrite(packet, protocol, transport, 12, 0, external.octets(), port)
        })
    });
    pump(outside, inside, |packet| {
        let (protocol, transport) = split(packet)?;
        let key = (protocol, read2(packet, transport + 2)?);
        let (_, address, port) = *mappings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .inbound
            .get(&key)?;
        rewrite(packet, protocol, transport, 16, 2, address, port)
    })?;
    out.join().map_err(|_| "a direction panicked")??;
    Ok(())
}

/// Moves packets from one device to another for as long as both are there.
fn pump(
    mut from: File,
    mut to: File,
    mut translate: impl FnMut(&mut [u8]) -> Option<()>,
) -> io::Result<()> {
    let mut room = vec![0; 65_536];
    loop {
        let length = from.read(&mut room)?;
        let packet = room.get_mut(..length).unwrap_or_default();
        if translate(packet).is_some() {
            // What the other side does not take is lost, as on a wire.
            let _lost = to.write(packet);
        }
    }
}

/// Returns the protocol and where its header starts, for UDP and TCP over IPv4.
fn split(packet: &[u8]) -> Option<(u8, usize)> {
    let first = *packet.first()?;
    let protocol = *packet.get(9)?;
    let known = first >> 4 == 4 && matches!(protocol, 6 | 17);
    known.then_some((protocol, usize::from(first & 15) * 4))
}

/// Changes an endpoint, and the checksums by what has changed (RFC 1624).
fn rewrite(
    packet: &mut [u8],
    protocol: u8,
    transport: usize,
    address_at: usize,
    port_offset: usize,
    address: [u8; 4],
    port: u16,
) -> Option<()> {
    let old_address = read4(packet, address_at)?;
    let old_port = read2(packet, transport + port_offset)?;
    let sum_at = transport + if protocol == 6 { 16 } else { 6 };
    let words = |address: [u8; 4]| {
        let [a, b, c, d] = address.map(u32::from);
        (a << 8 | b) + (c << 8 | d)
    };
    let minus = words(old_address);
    let plus = words(address);
    adjust(packet, 10, minus, plus)?;
    if protocol == 6 || read2(packet, sum_at)? != 0 {
        adjust(
            packet,
            sum_at,
            minus + u32::from(old_port),
            plus + u32::from(port),
        )?;
    }
    packet
        .get_mut(address_at..address_at + 4)?
        .copy_from_slice(&address);
    write2(packet, transport + port_offset, port)
}

fn adjust(packet: &mut [u8], at: usize, minus: u32, plus: u32) -> Option<()> {
    let fold = |sum: u32| {
        let sum = (sum & 0xffff) + (sum >> 16);
        (sum & 0xffff) + (sum >> 16)
    };
    let old = u32::from(!read2(packet, at)?);
    let sum = old + (0xffff - fold(minus)) + fold(plus);
    write2(packet, at, !u16::try_from(fold(sum)).ok()?)
}

fn read2(packet: &[u8], at: usize) -> Option<u16> {
    let bytes = packet.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn read4(packet: &[u8], at: usize) -> Option<[u8; 4]> {
    packet.get(at..at + 4)?.try_into().ok()
}

fn write2(packet: &mut [u8], at: usize, word: u16) -> Option<()> {
    packet
        .get_mut(at..at + 2)?
        .copy_from_slice(&word.to_be_bytes());
    Some(())
}

/// Takes a TUN device that gives plain packets, `NAME@NETNS`.
fn open(place: &str) -> Result<File, Failure> {
    let (name, netns) = place.split_once('@').ok_or("a device is NAME@NETNS")?;
    Ok(Netns::Named(netns.to_owned()).run(|| attach(name))??)
}

fn attach(name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    // SAFETY: all zero is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is an `ifreq` that outlives the call, as TUNSETIFF wants.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(file)
}
