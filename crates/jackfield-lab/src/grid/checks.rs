//! Connectivity checks between two hosts, without sockets: which pairs of addresses carry packets
//! both ways?
//!
//! This is the heart of ICE and no more. Both sides send Binding requests from each of their
//! sockets to each address of the other, until an answer comes from where the request went. A
//! request from an unknown address makes that a peer-reflexive candidate and triggers a check of
//! it. Over each pair that works both sides send data, which has to come back: a path counts when
//! it carries data both ways.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_stun::attribute::{Username, XorMappedAddress};
use jackfield_stun::{Class, Message, MessageWriter, Method, TransactionId};

use super::candidate::CandidateType;

/// The socket that a packet leaves by: the base of RFC 8445 §4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The UDP socket.
    Socket,
    /// The relay.
    Relay,
}

/// An address that the other side may be reached at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) kind: CandidateType,
    pub(super) address: SocketAddr,
}

/// The candidates of one side, as far as it knows them.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalCandidates {
    pub(super) host: Option<SocketAddr>,
    pub(super) reflexive: Option<SocketAddr>,
    pub(super) relayed: Option<SocketAddr>,
}

impl LocalCandidates {
    /// Returns the candidates that the other side gets.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut all = Vec::new();
        let mut add = |kind, address: Option<SocketAddr>| {
            if let Some(address) = address {
                all.push(Candidate { kind, address });
            }
        };
        add(CandidateType::Host, self.host);
        add(
            CandidateType::ServerReflexive,
            self.reflexive
                .filter(|reflexive| self.host != Some(*reflexive)),
        );
        add(CandidateType::Relayed, self.relayed);
        all
    }

    /// Returns the type of an address that the other side saw us at.
    fn kind(&self, base: Base, seen: SocketAddr) -> CandidateType {
        match base {
            Base::Relay => CandidateType::Relayed,
            Base::Socket if self.host == Some(seen) => CandidateType::Host,
            Base::Socket if self.reflexive == Some(seen) => CandidateType::ServerReflexive,
            Base::Socket => CandidateType::PeerReflexive,
        }
    }
}

/// A candidate pair.
#[derive(Debug)]
struct Pair {
    base: Base,
    remote: Candidate,
    id: TransactionId,
    /// When a check is sent next.
    due: Instant,
    sent: u32,
    /// The type of our address, once an answer has come.
    local: Option<CandidateType>,
    /// Whether our data has come back.
    echoed: bool,
    /// Whether it cannot work, as when the relay refuses the peer.
    hopeless: bool,
}

/// The path that the checks found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SelectedPair {
    /// The type of our address.
    pub(super) local: CandidateType,
    /// The type of the other side's address.
    pub(super) remote: CandidateType,
    /// How long it took until data had come back.
    pub(super) after: Duration,
}

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) base: Base,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// One side of the checks.
#[derive(Debug)]
pub(super) struct Checks {
    controlling: bool,
    /// Known to both sides of this attempt alone; packets of others do not have it.
    session: [u8; 8],
    own: LocalCandidates,
    pairs: Vec<Pair>,
    packets: VecDeque<Packet>,
    /// The first part of transaction ids; the second is a number.
    seed: u64,
    numbered: u32,
    began: Instant,
    /// When our first data came back.
    first: Option<Instant>,
    /// Whether the other side has sent data of its own, which was echoed.
    answered: bool,
}

impl Checks {
    /// Starts checking; the session has to be the same on both sides, the seed not.
    pub(super) fn new(
        now: Instant,
        controlling: bool,
        session: u64,
        own: LocalCandidates,
        seed: u64,
    ) -> Self {
        Self {
            controlling,
            session: session.to_be_bytes(),
            own,
            pairs: Vec::new(),
            packets: VecDeque::new(),
            seed,
            numbered: 0,
            began: now,
            first: None,
            answered: false,
        }
    }

    /// Adds an address of the other side, to be reached from one of our sockets.
    pub(super) fn add(&mut self, now: Instant, base: Base, remote: Candidate) {
        if self.find(base, remote.address).is_none() {
            let id = self.next_id();
            self.pairs.push(Pair {
                base,
                remote,
                id,
                due: now,
                sent: 0,
                local: None,
                echoed: false,
                hopeless: false,
            });
        }
    }

    /// Marks a pair as one that cannot work.
    pub(super) fn give_up(&mut self, base: Base, remote: SocketAddr) {
        if let Some(pair) = self.find_mut(base, remote) {
            pair.hopeless = true;
        }
    }

    /// Takes a packet that came to one of our sockets.
    pub(super) fn handle(&mut self, now: Instant, base: Base, from: SocketAddr, bytes: &[u8]) {
        match bytes.split_first() {
            Some((&DATA, rest)) if rest == self.session => self.data(base, from),
            Some((&ECHO, rest)) if rest == self.session => self.echo(now, base, from),
            _ => {
                if let Ok(message) = Message::parse(bytes) {
                    self.message(now, base, from, &message);
                }
            }
        }
    }

    fn message(&mut self, now: Instant, base: Base, from: SocketAddr, message: &Message<'_>) {
        match message.class() {
            Class::Request if self.is_ours(message) => {
                self.answer(base, from, message);
                let kind = CandidateType::PeerReflexive;
                let address = from;
                // An address that is known already keeps its type.
                self.add(now, base, Candidate { kind, address });
                if let Some(pair) = self
                    .find_mut(base, from)
                    .filter(|pair| pair.local.is_none())
                {
                    // The triggered check goes at once: our own packet has opened the way for it
                    // by now.
                    pair.due = now;
                    pair.sent = 0;
                }
            }
            Class::Success => self.succeeded(now, base, from, message),
            Class::Request | Class::Indication | Class::Error => {}
        }
    }

    fn is_ours(&self, message: &Message<'_>) -> bool {
        let name: Option<Username<'_>> = message.get().ok().flatten();
        name.is_some_and(|Username(name)| name == self.username())
    }

    fn username(&self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.session))
    }

    fn answer(&mut self, base: Base, to: SocketAddr, request: &Message<'_>) {
        let mut bytes = Vec::new();
        let id = request.transaction();
        let mut writer = MessageWriter::new(&mut bytes, Class::Success, Method::BINDING, id);
        writer.attribute(&XorMappedAddress(to));
        writer.fingerprint();
        if writer.finish().is_ok() {
            self.packets.push_back(Packet { base, to, bytes });
        }
    }

    fn succeeded(&mut self, now: Instant, base: Base, from: SocketAddr, message: &Message<'_>) {
        let mapped: Option<XorMappedAddress> = message.get().ok().flatten();
        let Some(XorMappedAddress(mapped)) = mapped else {
            return;
        };
        let local = self.own.kind(base, mapped);
        let id = message.transaction();
        // An answer from elsewhere than the check went to finds no pair with this id: the addresses
        // are not symmetric, and the pair does not succeed by it (RFC 8445 §7.2.5.2.1).
        if let Some(pair) = self.find_mut(base, from).filter(|pair| pair.id == id) {
            pair.local.get_or_insert(local);
            pair.due = now;
            pair.sent = 0;
        }
    }

    fn data(&mut self, base: Base, from: SocketAddr) {
        self.answered = true;
        self.push(base, from, ECHO);
    }

    fn echo(&mut self, now: Instant, base: Base, from: SocketAddr) {
        if let Some(pair) = self.find_mut(base, from) {
            pair.echoed = true;
            self.first.get_or_insert(now);
        }
    }

    /// Puts out the packets that are due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let username = self.username();
        let mut data = Vec::new();
        for pair in &mut self.pairs {
            if pair.due > now || pair.is_done() {
                continue;
            }
            pair.due = now + PACE;
            pair.sent += 1;
            if pair.local.is_some() {
                data.push((pair.base, pair.remote.address));
                continue;
            }
            let mut bytes = Vec::new();
            let mut writer =
                MessageWriter::new(&mut bytes, Class::Request, Method::BINDING, pair.id);
            writer.attribute(&Username(&username));
            writer.fingerprint();
            if writer.finish().is_ok() {
                let (base, to) = (pair.base, pair.remote.address);
                self.packets.push_back(Packet { base, to, bytes });
            }
        }
        for (base, to) in data {
            self.push(base, to, DATA);
        }
    }

    /// Returns the next packet to send.
    pub(super) fn poll(&mut self) -> Option<Packet> {
        self.packets.pop_front()
    }

    /// Returns when something is due next.
    pub(super) fn next(&self) -> Option<Instant> {
        let pairs = self.pairs.iter().filter(|pair| !pair.is_done());
        pairs.map(|pair| pair.due).min()
    }

    /// Returns the best path, once better ones than the first have had their time.
    pub(super) fn outcome(&self, now: Instant) -> Option<SelectedPair> {
        let first = self.first.filter(|_| self.answered)?;
        let best = self.best()?;
        let settled = now >= first + SETTLE || !self.may_improve(best);
        settled.then(|| SelectedPair {
            local: best.0,
            remote: best.1,
            after: first - self.began,
        })
    }

    fn best(&self) -> Option<(CandidateType, CandidateType)> {
        let proven = self.pairs.iter().filter(|pair| pair.echoed);
        let kinds = proven.filter_map(|pair| Some((pair.local?, pair.remote.kind)));
        kinds.max_by_key(|kinds| self.priority(*kinds))
    }

    /// Returns whether a pair that has not been proven could be better than this one.
    fn may_improve(&self, best: (CandidateType, CandidateType)) -> bool {
        let mut open = self
            .pairs
            .iter()
            .filter(|pair| !pair.echoed && !pair.hopeless);
        open.any(|pair| {
            let known = pair.remote.kind;
            // A pair without an answer may turn out to have a better type, on either side.
            let hoped = match pair.base {
                Base::Socket => (CandidateType::Host, known),
                Base::Relay if known == CandidateType::ServerReflexive => {
                    (CandidateType::Relayed, CandidateType::PeerReflexive)
                }
                Base::Relay => (CandidateType::Relayed, known),
            };
            let kinds = pair.local.map_or(hoped, |local| (local, known));
            self.priority(kinds) > self.priority(best)
        })
    }

    fn priority(&self, (local, remote): (CandidateType, CandidateType)) -> u64 {
        match self.controlling {
            true => CandidateType::pair_priority(local, remote),
            false => CandidateType::pair_priority(remote, local),
        }
    }

    fn push(&mut self, base: Base, to: SocketAddr, kind: u8) {
        let mut bytes = vec![kind];
        bytes.extend(self.session);
        self.packets.push_back(Packet { base, to, bytes });
    }

    fn find(&self, base: Base, remote: SocketAddr) -> Option<&Pair> {
        let mut pairs = self.pairs.iter();
        pairs.find(|pair| pair.base == base && pair.remote.address == remote)
    }

    fn find_mut(&mut self, base: Base, remote: SocketAddr) -> Option<&mut Pair> {
        let mut pairs = self.pairs.iter_mut();
        pairs.find(|pair| pair.base == base && pair.remote.address == remote)
    }

    fn next_id(&mut self) -> TransactionId {
        self.numbered += 1;
        let mut id = [0; 12];
        let bytes = self.seed.to_be_bytes().into_iter();
        let bytes = bytes.chain(self.numbered.to_be_bytes());
        for (to, from) in id.iter_mut().zip(bytes) {
            *to = from;
        }
        TransactionId::new(id)
    }
}

impl Pair {
    fn is_done(&self) -> bool {
        self.echoed || self.hopeless || self.sent >= MOST_CHECKS
    }
}

/// The first byte of data: neither STUN nor a TURN channel (RFC 7983).
const DATA: u8 = 0xB0;
/// The first byte of data that is echoed.
const ECHO: u8 = 0xB1;
/// How long after a check the next one is sent.
const PACE: Duration = Duration::from_millis(50);
/// How many checks of a pair are sent.
const MOST_CHECKS: u32 = 40;
/// How long to wait for better paths than the first.
const SETTLE: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "198.18.1.1:1000";
    const B: &str = "198.18.2.1:2000";

    fn side(now: Instant, controlling: bool, host: &str, remote: &str) -> Checks {
        let own = LocalCandidates {
            host: Some(host.parse().unwrap()),
            ..LocalCandidates::default()
        };
        let mut checks = Checks::new(now, controlling, 7, own, controlling.into());
        let address = remote.parse().unwrap();
        let kind = CandidateType::Host;
        checks.add(now, Base::Socket, Candidate { kind, address });
        checks
    }

    /// Carries packets to and fro until there are no more; `seen` says where a packet of `a` seems
    /// to come from.
    fn carry(
        now: Instant,
        a: &mut Checks,
        b: &mut Checks,
        seen: &str,
        lets_in: impl Fn(&Packet) -> bool,
    ) {
        a.handle_timeout(now);
        b.handle_timeout(now);
        loop {
            let mut moved = false;
            while let Some(packet) = a.poll() {
                b.handle(now, Base::Socket, seen.parse().unwrap(), &packet.bytes);
                moved = true;
            }
            while let Some(packet) = b.poll() {
                if lets_in(&packet) {
                    a.handle(now, Base::Socket, B.parse().unwrap(), &packet.bytes);
                }
                moved = true;
            }
            a.handle_timeout(now);
            b.handle_timeout(now);
            if !moved {
                return;
            }
        }
    }

    #[test]
    fn two_public_hosts_find_each_other_at_once() {
        let now = Instant::now();
        let (mut a, mut b) = (side(now, true, A, B), side(now, false, B, A));
        carry(now, &mut a, &mut b, A, |_| true);
        let path = a.outcome(now).unwrap();
        assert_eq!(
            (path.local, path.remote),
            (CandidateType::Host, CandidateType::Host)
        );
        assert_eq!(path.after, Duration::ZERO);
        assert!(b.outcome(now).is_some());
    }

    #[test]
    fn an_address_that_nobody_spoke_of_is_peer_reflexive_on_both_sides() {
        let now = Instant::now();
        let mapped = "198.18.1.1:5555";
        let (mut a, mut b) = (
            side(now, true, "10.1.0.1:9", B),
            side(now, false, B, "10.1.0.1:9"),
        );
        let to_mapped = |packet: &Packet| packet.to == mapped.parse().unwrap();
        carry(now, &mut a, &mut b, mapped, to_mapped);
        let later = now + SETTLE;
        let (ours, theirs) = (a.outcome(later).unwrap(), b.outcome(later).unwrap());
        assert_eq!(
            (ours.local, ours.remote),
            (CandidateType::PeerReflexive, CandidateType::Host)
        );
        assert_eq!(
            (theirs.local, theirs.remote),
            (CandidateType::Host, CandidateType::PeerReflexive)
        );
    }

    #[test]
    fn one_way_is_no_path() {
        let now = Instant::now();
        let (mut a, mut b) = (side(now, true, A, B), side(now, false, B, A));
        carry(now, &mut a, &mut b, A, |_| false);
        assert!(a.outcome(now + SETTLE).is_none());
        assert!(b.outcome(now + SETTLE).is_none());
    }

    #[test]
    fn an_answer_from_elsewhere_and_packets_of_others_prove_nothing() {
        let now = Instant::now();
        let mut a = side(now, true, A, B);
        let mut stranger = side(now, false, B, A);
        stranger.session = [9; 8];
        carry(now, &mut a, &mut stranger, A, |_| true);
        assert!(a.outcome(now + SETTLE).is_none());
        let mut a = side(now, true, A, B);
        let mut b = side(now, false, B, A);
        a.handle_timeout(now);
        let request = a.poll().unwrap();
        b.handle(now, Base::Socket, A.parse().unwrap(), &request.bytes);
        let answer = b.poll().unwrap();
        a.handle(
            now,
            Base::Socket,
            "198.18.9.9:9".parse().unwrap(),
            &answer.bytes,
        );
        a.handle_timeout(now + PACE);
        let again = a.poll().unwrap();
        assert_eq!(again.bytes, request.bytes, "it is still asking");
    }
}
