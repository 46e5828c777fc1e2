//! Our side's candidates.

use std::net::{IpAddr, SocketAddr};

use super::context::Context;
use super::{CandidatePolicy, Event};
use crate::candidate::{
    Candidate, CandidateAddress, CandidateKind, CandidateTransport, Foundation, priority,
};

/// A local candidate's number, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LocalId(pub(super) u32);

/// A local candidate.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) id: LocalId,
    pub(super) candidate: Candidate,
    /// Where packets leave from: the socket's address, or the relayed one.
    pub(super) base: SocketAddr,
    /// How its packets leave the host: whether by a stream, and from which address.
    pub(super) link: (bool, IpAddr),
    /// Whether signaling carries it to the other side, which knows peer-reflexive candidates
    /// already; [`CandidatePolicy::RelayOnly`] keeps host candidates back.
    pub(super) is_signaled: bool,
    /// Whether a port mapping gave it.
    pub(super) is_mapped: bool,
}

impl Local {
    /// Returns whether pairs are made with it; reflexive candidates stand behind their base
    /// ([RFC 8445 §6.1.2.4]).
    ///
    /// [RFC 8445 §6.1.2.4]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.4
    pub(super) fn is_base(&self) -> bool {
        matches!(
            self.candidate.kind,
            CandidateKind::Host | CandidateKind::Relayed
        )
    }

    pub(super) fn is_relayed(&self) -> bool {
        self.candidate.kind == CandidateKind::Relayed
    }
}

/// What a new local candidate is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewLocal {
    pub(super) kind: CandidateKind,
    pub(super) transport: CandidateTransport,
    pub(super) address: SocketAddr,
    pub(super) base: SocketAddr,
    pub(super) related: Option<SocketAddr>,
    pub(super) server: Option<SocketAddr>,
    /// The type preference, if it does not follow from kind and transport.
    pub(super) type_preference: Option<u8>,
    /// The priority, if it does not follow from the others.
    pub(super) priority: Option<u32>,
    pub(super) link: (bool, IpAddr),
}

impl NewLocal {
    /// Returns a host candidate.
    pub(super) fn host(
        transport: CandidateTransport,
        address: SocketAddr,
        base: SocketAddr,
    ) -> Self {
        Self {
            kind: CandidateKind::Host,
            transport,
            address,
            base,
            related: None,
            server: None,
            type_preference: None,
            priority: None,
            link: (transport.is_tcp(), base.ip()),
        }
    }

    /// Returns a host candidate of UDP.
    pub(super) fn udp(address: SocketAddr, base: SocketAddr) -> Self {
        Self::host(CandidateTransport::Udp, address, base)
    }
}

impl Context {
    /// Adds a local candidate; returns it, or `None` if it is there already or there are too many.
    pub(super) fn add_local(&mut self, new: NewLocal) -> Option<LocalId> {
        let NewLocal {
            kind,
            transport,
            address,
            base,
            ..
        } = new;
        let is_known = |local: &Local| {
            local.candidate.address.ip() == Some(address)
                && local.candidate.transport == transport
                && local.base == base
        };
        if let Some(known) = self.locals.iter().position(is_known) {
            return self.rename_local(known, new);
        }
        if self.locals.len() >= self.config.limits.local_candidates {
            self.counters.dropped_candidates += 1;
            return None;
        }
        let id = LocalId(self.next_local);
        self.next_local += 1;
        let order = self.order(new.link.1);
        let priority = new.priority.unwrap_or_else(|| {
            let types = priority::type_preference(kind, transport);
            let types = new.type_preference.unwrap_or(types);
            priority::priority(types, priority::local_preference(kind, transport, order), 1)
        });
        let foundation = self.foundation(&new);
        let is_hidden = self.config.policy == CandidatePolicy::RelayOnly;
        let local = Local {
            id,
            candidate: Candidate {
                foundation,
                component: 1,
                transport,
                priority,
                address: CandidateAddress::Ip(address),
                kind,
                related: new.related,
                ufrag: None,
                generation: None,
                network_cost: None,
                extensions: Vec::new(),
            },
            base,
            link: new.link,
            is_signaled: kind != CandidateKind::PeerReflexive
                && (!is_hidden || kind == CandidateKind::Relayed),
            is_mapped: kind == CandidateKind::ServerReflexive && new.server.is_none(),
        };
        self.locals.push(local);
        Some(id)
    }

    /// Makes a peer-reflexive candidate server-reflexive, if a server sees us there, too; returns
    /// it if that is news.
    fn rename_local(&mut self, at: usize, new: NewLocal) -> Option<LocalId> {
        let foundation = self.foundation(&new);
        let known = self.locals.get_mut(at)?;
        let is_news = known.candidate.kind == CandidateKind::PeerReflexive
            && new.kind == CandidateKind::ServerReflexive;
        if !is_news {
            return None;
        }
        // The priority stays the one that our checks have told the other side.
        known.candidate.kind = new.kind;
        known.candidate.foundation = foundation;
        known.candidate.related = new.related;
        known.is_signaled = self.config.policy == CandidatePolicy::All;
        known.is_mapped = new.server.is_none();
        Some(known.id)
    }

    fn foundation(&self, new: &NewLocal) -> Foundation {
        let server = new.server.map(|server| server.ip());
        // A relayed candidate's base is on the server; what it shares is the interface.
        let base = new.link.1;
        Foundation::of(self.secret, new.kind, new.transport, base, server)
    }

    /// Returns the place of an interface's address among all of both families, the best first.
    fn order(&self, ip: IpAddr) -> u16 {
        let of_sockets = self.bases.iter().map(SocketAddr::ip);
        let all = of_sockets.chain(self.addresses.iter().copied());
        let mut of_family = all.filter(|known| known.is_ipv4() == ip.is_ipv4());
        let rank = of_family.position(|known| known == ip);
        let rank = u16::try_from(rank.unwrap_or(0)).unwrap_or(u16::MAX);
        priority::interleaved(ip, rank)
    }

    pub(super) fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.iter().find(|local| local.id == id)
    }

    /// Returns the base that sends from an address by a transport.
    pub(super) fn base(&self, base: SocketAddr, transport: CandidateTransport) -> Option<&Local> {
        self.locals.iter().find(|local| {
            local.is_base() && local.base == base && local.candidate.transport == transport
        })
    }

    /// Returns the candidate of a base that the other side sees at `address`; adds it as a
    /// peer-reflexive one if there is none ([RFC 8445 §7.2.5.3.1]).
    ///
    /// [RFC 8445 §7.2.5.3.1]: https://www.rfc-editor.org/rfc/rfc8445#section-7.2.5.3.1
    pub(super) fn mapped(&mut self, base: LocalId, address: SocketAddr) -> Option<LocalId> {
        let local = self.local(base)?;
        let (transport, sends_from) = (local.candidate.transport, local.base);
        let link = local.link;
        let priority = self.reflexive_priority(base);
        // An active candidate's port is 9 in its candidate and any in its connections.
        if transport == CandidateTransport::TcpActive && address.ip() == sends_from.ip() {
            return Some(base);
        }
        let is_seen = |local: &&Local| {
            local.candidate.address.ip() == Some(address) && local.candidate.transport == transport
        };
        let seen: Vec<&Local> = self.locals.iter().filter(is_seen).collect();
        let same_base = seen.iter().find(|local| local.base == sends_from);
        if let Some(local) = same_base.or_else(|| seen.first()) {
            return Some(local.id);
        }
        self.add_local(NewLocal {
            kind: CandidateKind::PeerReflexive,
            related: Some(sends_from),
            priority: Some(priority),
            link,
            ..NewLocal::host(transport, address, sends_from)
        })
    }

    /// Returns what PRIORITY says in a check from a base: the priority that a peer-reflexive
    /// candidate of it has ([RFC 8445 §7.1.1]).
    ///
    /// [RFC 8445 §7.1.1]: https://www.rfc-editor.org/rfc/rfc8445#section-7.1.1
    pub(super) fn reflexive_priority(&self, base: LocalId) -> u32 {
        let Some(local) = self.local(base) else {
            return 1;
        };
        let transport = local.candidate.transport;
        let types = match local.is_relayed() {
            // A relay stays the last choice, wherever its packets seem to come from.
            true => local.candidate.priority >> 24,
            false => priority::type_preference(CandidateKind::PeerReflexive, transport).into(),
        };
        types << 24 | local.candidate.priority & 0x00FF_FFFF
    }

    /// Tells the application of a candidate, with the username fragment of this generation.
    pub(super) fn announce(&mut self, id: LocalId, ufrag: &str) {
        let local = self.locals.iter_mut().find(|local| local.id == id);
        let Some(local) = local.filter(|local| local.is_signaled) else {
            return;
        };
        local.candidate.ufrag = Some(ufrag.into());
        let candidate = local.candidate.clone();
        let candidate = self.shown(candidate);
        self.event(Event::LocalCandidate(candidate));
    }

    /// Returns a candidate as the other side gets to see it.
    fn shown(&self, mut candidate: Candidate) -> Candidate {
        let name_of = |ip: IpAddr| {
            let mut names = self.names.iter();
            names.find_map(|(of, name)| (*of == ip).then(|| name.clone()))
        };
        // The mapped address would tell what the policy hides, and the base what a name does.
        let is_hidden = self.config.policy == CandidatePolicy::RelayOnly;
        candidate.related =
            candidate.related.map(
                |related| match is_hidden || name_of(related.ip()).is_some() {
                    true => unspecified(related),
                    false => related,
                },
            );
        if let CandidateAddress::Ip(address) = candidate.address
            && let Some(name) = name_of(address.ip())
        {
            let port = address.port();
            candidate.address = CandidateAddress::Mdns { name, port };
        }
        candidate
    }

    /// Removes every candidate that sends from a base; returns their numbers.
    pub(super) fn remove_locals(&mut self, is_gone: impl Fn(&Local) -> bool) -> Vec<LocalId> {
        let (gone, kept) = std::mem::take(&mut self.locals)
            .into_iter()
            .partition(|local| is_gone(local));
        self.locals = kept;
        let gone: Vec<Local> = gone;
        let ids = gone.iter().map(|local| local.id).collect();
        for local in gone {
            if local.is_signaled && local.candidate.ufrag.is_some() {
                let candidate = self.shown(local.candidate);
                self.event(Event::LocalCandidateRemoved(candidate));
            }
        }
        ids
    }

    pub(super) fn event(&mut self, event: Event) {
        tracing::debug!(?event, "ICE event");
        self.outputs.push_back(super::Output::Event(event));
    }
}

/// Returns the unspecified address of the family, port 9, as RFC 8839 §5.1 has it.
fn unspecified(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 9)
}
