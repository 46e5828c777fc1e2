//! Multicast DNS as far as candidates need it: one name for each address that is not to be shown,
//! who answers for it, and how it is asked for ([RFC 6762],
//! [draft-ietf-mmusic-mdns-ice-candidates]).
//!
//! A name is made for one address and answered for on that address's interface alone: it tells
//! nothing, and leads nowhere outside the network that the address is in.
//!
//! ```
//! use std::time::Instant;
//! use jackfield_ice::mdns::{self, Responder, To};
//!
//! // 16 bytes of a good source of randomness.
//! let name = mdns::random_name([7; 16]);
//! assert_eq!(name.as_str(), "07070707-0707-4707-8707-070707070707.local");
//! let mut responder = Responder::new(name.clone(), "192.168.1.2".parse()?);
//! let query = mdns::query(1, &name);
//! let asker = "192.168.1.3:40000".parse()?;
//! let reply = responder.handle_query(Instant::now(), asker, &query).expect("a reply");
//! assert_eq!(reply.to, To::Asker);
//! let found = mdns::read_answer(1, &name, &reply.bytes);
//! assert_eq!(found, Some("192.168.1.2".parse()?));
//! # Ok::<(), std::net::AddrParseError>(())
//! ```
//!
//! [RFC 6762]: https://www.rfc-editor.org/rfc/rfc6762
//! [draft-ietf-mmusic-mdns-ice-candidates]: https://datatracker.ietf.org/doc/draft-ietf-mmusic-mdns-ice-candidates/

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use jackfield_sansio::{Rate, TokenBucket};

use crate::candidate::MdnsName;

/// The port of multicast DNS.
pub const PORT: u16 = 5353;

/// The group that questions over IPv4 go to.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// The group that questions over IPv6 go to.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xFB);

/// Answers for one name of ours, to what comes by the interface of its address.
///
/// The name is random, so that no other host has it: it is neither probed for nor announced
/// (draft-ietf-mmusic-mdns-ice-candidates §3.1.1).
#[derive(Debug)]
pub struct Responder {
    name: MdnsName,
    address: IpAddr,
    /// When the group last heard the answer.
    told: Option<Instant>,
    replies: TokenBucket,
}

/// An answer, and who gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message.
    pub bytes: Vec<u8>,
    /// Where it goes.
    pub to: To,
}

/// Who gets an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The group, at [`PORT`].
    Group,
    /// Where the question came from.
    Asker,
}

/// Returns a name made of 16 random bytes: a version 4 UUID in `.local`.
#[must_use]
pub fn random_name(random: [u8; 16]) -> MdnsName {
    // RFC 9562 §5.4: the version, and the variant.
    const VERSION: (u128, u128) = (0xF << 76, 0x4 << 76);
    const VARIANT: (u128, u128) = (0b11 << 62, 0b10 << 62);
    let bits = u128::from_be_bytes(random) & !VERSION.0 & !VARIANT.0 | VERSION.1 | VARIANT.1;
    let digits = format!("{bits:032x}");
    let mut text = String::with_capacity(UUID + ".local".len());
    for (at, digit) in digits.chars().enumerate() {
        if [8, 12, 16, 20].contains(&at) {
            text.push('-');
        }
        text.push(digit);
    }
    text.push_str(".local");
    text.parse()
        .expect("hexadecimal digits and hyphens make a label")
}

/// Returns a question for the addresses of a name, to be sent to the group from a port other than
/// [`PORT`]. The host that has the name answers to that port alone (RFC 6762 §5.1).
#[must_use]
pub fn query(id: u16, name: &MdnsName) -> Vec<u8> {
    let mut message = header(id, 0, 2, 0);
    for kind in [A, AAAA] {
        put_name(&mut message, name);
        put(&mut message, &[kind, IN]);
    }
    message
}

/// Returns the address in the answer to the [`query`] with this number, if it is one.
#[must_use]
pub fn read_answer(id: u16, name: &MdnsName, message: &[u8]) -> Option<IpAddr> {
    let mut reader = Reader { message, at: 0 };
    let [known, flags, questions, answers, authorities, additional] = reader.header()?;
    if known != id || flags & RESPONSE == 0 {
        return None;
    }
    for _ in 0..questions.min(MOST) {
        reader.question()?;
    }
    let records = answers
        .saturating_add(authorities)
        .saturating_add(additional);
    for _ in 0..records.min(MOST) {
        let record = reader.record()?;
        let address = record.address().filter(|_| record.name == name.as_str());
        if address.is_some() {
            return address;
        }
    }
    None
}

impl Responder {
    /// Returns a responder for the name of an address.
    #[must_use]
    pub fn new(name: MdnsName, address: IpAddr) -> Self {
        Self {
            name,
            address,
            told: None,
            replies: TokenBucket::default(),
        }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &MdnsName {
        &self.name
    }

    /// Takes a message that came to [`PORT`] from `source`; returns what to say, if it asks for the
    /// name.
    ///
    /// Not more than ten messages a second are answered, and the group hears the answer once a
    /// second (RFC 6762 §6).
    pub fn handle_query(
        &mut self,
        now: Instant,
        source: SocketAddr,
        message: &[u8],
    ) -> Option<Reply> {
        let asked = self.asked(message)?;
        let is_legacy = source.port() != PORT;
        let to = match is_legacy || asked.wants_unicast {
            true => To::Asker,
            false => To::Group,
        };
        let was_told = self.told.is_some_and(|at| now < at + TOLD);
        if to == To::Group && was_told || !self.replies.take(now, REPLIES, 1) {
            return None;
        }
        if to == To::Group {
            self.told = Some(now);
        }
        // RFC 6762 §6.7: an asker that knows unicast DNS alone gets its question back, and no flag
        // that it would not know.
        let (id, questions) = if is_legacy { (asked.id, 1) } else { (0, 0) };
        let mut bytes = header(id, RESPONSE | AUTHORITATIVE, questions, 1);
        if is_legacy {
            put_name(&mut bytes, &self.name);
            put(&mut bytes, &[asked.kind, IN]);
        }
        let (flush, ttl) = match is_legacy {
            true => (0, LEGACY_TTL),
            false => (CACHE_FLUSH, TTL),
        };
        put_name(&mut bytes, &self.name);
        let own = self.kind();
        let kind = if asked.has_address { own } else { NSEC };
        put(&mut bytes, &[kind, IN | flush, 0, ttl]);
        let mut data = Vec::new();
        match self.address {
            _ if kind == NSEC => {
                // RFC 6762 §6.1: the one type of record that the name has, so that nobody waits for
                // the other.
                put_name(&mut data, &self.name);
                let bit = 0x80 >> (own % 8);
                let length = own / 8 + 1;
                data.extend([0, length as u8]);
                data.resize(data.len() + usize::from(length) - 1, 0);
                data.push(bit);
            }
            IpAddr::V4(ip) => data.extend(ip.octets()),
            IpAddr::V6(ip) => data.extend(ip.octets()),
        }
        put(&mut bytes, &[data.len() as u16]);
        bytes.extend(data);
        Some(Reply { bytes, to })
    }

    /// Returns what a message asks of the name, if it asks anything that it does not know.
    fn asked(&self, message: &[u8]) -> Option<Asked> {
        let mut reader = Reader { message, at: 0 };
        let [id, flags, questions, answers, ..] = reader.header()?;
        if flags & (RESPONSE | OPCODE) != 0 {
            return None;
        }
        let mut asked: Option<Asked> = None;
        for _ in 0..questions.min(MOST) {
            let (name, kind, class) = reader.question()?;
            let is_ours = name == self.name.as_str() && [IN, ANY].contains(&(class & !UNICAST));
            if !is_ours || ![A, AAAA, ANY].contains(&kind) {
                continue;
            }
            let has_address = kind == ANY || kind == self.kind();
            let wants_unicast = class & UNICAST != 0;
            let before = asked.take().unwrap_or(Asked {
                id,
                kind,
                has_address,
                wants_unicast,
            });
            asked = Some(Asked {
                kind: if has_address { kind } else { before.kind },
                has_address: before.has_address || has_address,
                wants_unicast: before.wants_unicast && wants_unicast,
                ..before
            });
        }
        let asked = asked?;
        // RFC 6762 §7.1: the answer that the asker knows already is not said again.
        for _ in 0..answers.min(MOST) {
            let Some(record) = reader.record() else { break };
            let is_known = record.name == self.name.as_str()
                && record.address() == Some(self.address)
                && record.ttl >= u32::from(TTL) / 2;
            if is_known && asked.has_address {
                return None;
            }
        }
        Some(asked)
    }

    fn kind(&self) -> u16 {
        if self.address.is_ipv4() { A } else { AAAA }
    }
}

/// What a message asks of a name.
#[derive(Debug, Clone, Copy)]
struct Asked {
    id: u16,
    kind: u16,
    /// Whether it asks for a type of record that there is.
    has_address: bool,
    wants_unicast: bool,
}

/// A resource record.
struct Record<'b> {
    name: String,
    kind: u16,
    class: u16,
    ttl: u32,
    data: &'b [u8],
}

impl Record<'_> {
    fn address(&self) -> Option<IpAddr> {
        let ip: IpAddr = match self.kind {
            A => <[u8; 4]>::try_from(self.data).ok()?.into(),
            AAAA => <[u8; 16]>::try_from(self.data).ok()?.into(),
            _ => return None,
        };
        (self.class & !CACHE_FLUSH == IN).then_some(ip)
    }
}

/// Reads a message from its begin.
struct Reader<'b> {
    message: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let taken = self.message.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }

    /// Returns the number, the flags, and how many questions and records follow.
    fn header(&mut self) -> Option<[u16; 6]> {
        let mut fields = [0; 6];
        for field in &mut fields {
            *field = self.number()?;
        }
        Some(fields)
    }

    /// Returns a question's name, type and class.
    fn question(&mut self) -> Option<(String, u16, u16)> {
        Some((self.name()?, self.number()?, self.number()?))
    }

    fn record(&mut self) -> Option<Record<'b>> {
        let (name, kind, class) = self.question()?;
        let ttl = u32::from(self.number()?) << 16 | u32::from(self.number()?);
        let length = self.number()?;
        Some(Record {
            name,
            kind,
            class,
            ttl,
            data: self.take(length.into())?,
        })
    }

    /// Returns a name in lower case, without the dot at its end.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        // Where the labels are read: elsewhere behind a pointer, which only leads back.
        let (mut at, mut least) = (self.at, self.at);
        let mut end = None;
        loop {
            let length = usize::from(*self.message.get(at)?);
            match length {
                0 => break,
                1..=63 => {
                    let label = self.message.get(at + 1..)?.get(..length)?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    for byte in label {
                        // What is no letter of a host name is in no name of ours.
                        let _ = write!(name, "{}", char::from(byte.to_ascii_lowercase()));
                    }
                    at += 1 + length;
                }
                0xC0.. => {
                    let low = usize::from(*self.message.get(at + 1)?);
                    end = end.or(Some(at + 2));
                    at = (length & 0x3F) << 8 | low;
                    if at >= least {
                        return None;
                    }
                    least = at;
                }
                _ => return None,
            }
            if name.len() > LONGEST_NAME {
                return None;
            }
        }
        self.at = end.unwrap_or(at + 1);
        Some(name)
    }
}

fn header(id: u16, flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    put(&mut message, &[id, flags, questions, answers, 0, 0]);
    message
}

fn put(message: &mut Vec<u8>, numbers: &[u16]) {
    for number in numbers {
        message.extend(number.to_be_bytes());
    }
}

fn put_name(message: &mut Vec<u8>, name: &MdnsName) {
    for label in name.as_str().split('.') {
        // An `MdnsName` has labels of 63 bytes at most.
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
}

// RFC 1035 §3.2, RFC 3596 §2.1, RFC 4034 §4: types, and the class of the Internet.
const A: u16 = 1;
const AAAA: u16 = 28;
const NSEC: u16 = 47;
const ANY: u16 = 255;
const IN: u16 = 1;

// RFC 1035 §4.1.1.
const RESPONSE: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AUTHORITATIVE: u16 = 0x0400;

/// In a question's class: the answer may go to the asker alone (RFC 6762 §5.4).
const UNICAST: u16 = 0x8000;
/// In a record's class: what was known before is over (RFC 6762 §10.2).
const CACHE_FLUSH: u16 = 0x8000;

/// How long an answer holds, in seconds (RFC 6762 §10).
const TTL: u16 = 120;
/// The same for an asker that hears no later news (RFC 6762 §6.7).
const LEGACY_TTL: u16 = 10;

/// How often the group hears the answer, at most (RFC 6762 §6).
const TOLD: Duration = Duration::from_secs(1);
/// How many messages are answered.
const REPLIES: Rate = Rate::new(10, 20);

/// Questions and records of one message that are read.
const MOST: u16 = 64;
const LONGEST_NAME: usize = 255;
const UUID: usize = 36;

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> MdnsName {
        random_name([0xFF; 16])
    }

    fn responder(address: &str) -> Responder {
        Responder::new(name(), address.parse().unwrap())
    }

    fn source(port: u16) -> SocketAddr {
        SocketAddr::new("192.168.1.3".parse().unwrap(), port)
    }

    fn ask(kind: u16, class: u16) -> Vec<u8> {
        let mut message = header(0, 0, 1, 0);
        put_name(&mut message, &name());
        put(&mut message, &[kind, class]);
        message
    }

    fn now() -> Instant {
        jackfield_testing::epoch()
    }

    #[test]
    fn a_name_is_a_uuid_of_version_4() {
        assert_eq!(
            name().as_str(),
            "ffffffff-ffff-4fff-bfff-ffffffffffff.local"
        );
        assert_eq!(
            random_name([0; 16]).as_str(),
            "00000000-0000-4000-8000-000000000000.local"
        );
    }

    #[test]
    fn an_asker_gets_the_address_of_either_family() {
        for address in ["192.168.1.2", "fd00::2"] {
            let query = query(0x1234, &name());
            let reply = responder(address).handle_query(now(), source(40_000), &query);
            let reply = reply.unwrap();
            assert_eq!(reply.to, To::Asker);
            let found = |id, name: MdnsName| read_answer(id, &name, &reply.bytes);
            assert_eq!(found(0x1234, name()), Some(address.parse().unwrap()));
            assert_eq!(found(0x1235, name()), None);
            assert_eq!(found(0x1234, random_name([1; 16])), None);
            // An answer is no question.
            let again = responder(address).handle_query(now(), source(40_000), &reply.bytes);
            assert_eq!(again, None);
        }
    }

    #[test]
    fn the_group_hears_an_answer_once_a_second() {
        let mut responder = responder("192.168.1.2");
        let mut count = 0;
        for tenth in 0..30 {
            let at = now() + Duration::from_millis(100 * tenth);
            let reply = responder.handle_query(at, source(PORT), &ask(A, IN));
            count += usize::from(reply.is_some_and(|reply| reply.to == To::Group));
        }
        assert_eq!(count, 3);
        let reply = responder.handle_query(now(), source(PORT), &ask(A, IN | UNICAST));
        assert_eq!(reply.unwrap().to, To::Asker);
    }

    #[test]
    fn a_flood_of_questions_is_answered_in_part() {
        let mut responder = responder("192.168.1.2");
        let query = query(1, &name());
        let replies =
            (0..1_000).filter_map(|_| responder.handle_query(now(), source(40_000), &query));
        assert_eq!(replies.count(), 20);
    }

    #[test]
    fn a_type_that_there_is_not_is_denied() {
        let reply = responder("192.168.1.2").handle_query(now(), source(PORT), &ask(AAAA, IN));
        let bytes = reply.unwrap().bytes;
        let mut reader = Reader {
            message: &bytes,
            at: 12,
        };
        let record = reader.record().unwrap();
        assert_eq!((record.kind, record.ttl), (NSEC, 120));
        assert_eq!(record.data.last_chunk(), Some(&[0, 1, 0x40]));
        assert_eq!(reader.at, bytes.len());
        let reply = responder("fd00::2").handle_query(now(), source(PORT), &ask(A, IN));
        let bytes = reply.unwrap().bytes;
        assert_eq!(bytes.last_chunk(), Some(&[0, 4, 0, 0, 0, 0x08]));
    }

    #[test]
    fn what_is_not_asked_of_us_is_not_answered() {
        let mut responder = responder("192.168.1.2");
        let mut other = header(0, 0, 1, 0);
        put_name(&mut other, &"printer.local".parse().unwrap());
        put(&mut other, &[A, IN]);
        // TXT; another class; an operation that is no query; nothing at all.
        let mut update = ask(A, IN);
        update[2] = 0x28;
        let known = {
            let mut message = ask(A, IN);
            message[7] = 1;
            put_name(&mut message, &name());
            put(&mut message, &[A, IN, 0, 100, 4]);
            message.extend([192, 168, 1, 2]);
            message
        };
        for message in [other, ask(16, IN), ask(A, 3), update, known, Vec::new()] {
            assert_eq!(responder.handle_query(now(), source(PORT), &message), None);
        }
    }

    #[test]
    fn names_are_read_whatever_their_case_and_behind_pointers_that_lead_back() {
        let mut message = ask(A, IN);
        message.make_ascii_uppercase();
        // A second question whose name points to the first one's.
        message[5] = 2;
        put(&mut message, &[0xC00C, A, IN]);
        let reply = responder("192.168.1.2").handle_query(now(), source(PORT), &message);
        assert!(reply.is_some());
        // A pointer to itself, and one forward.
        for pointer in [0xC00C, 0xC010] {
            let mut message = header(0, 0, 1, 0);
            put(&mut message, &[pointer, A, IN]);
            let reply = responder("192.168.1.2").handle_query(now(), source(PORT), &message);
            assert_eq!(reply, None);
        }
    }

    #[test]
    fn a_message_that_ends_anywhere_is_no_harm() {
        let mut responder = responder("192.168.1.2");
        let query = query(9, &name());
        let reply = responder.handle_query(now(), source(40_000), &query);
        let reply = reply.unwrap().bytes;
        for length in 0..reply.len() {
            assert_eq!(read_answer(9, &name(), &reply[..length]), None);
            let cut = &query[..length.min(query.len() - 1)];
            let _ = responder.handle_query(now(), source(40_000), cut);
        }
    }
}
