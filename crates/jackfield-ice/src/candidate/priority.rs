//! Priorities of candidates and of pairs ([RFC 8445 §5.1.2, §6.1.2.3], [RFC 6544 §4.2],
//! [RFC 8421]).
//!
//! [RFC 6544 §4.2]: https://www.rfc-editor.org/rfc/rfc6544#section-4.2
//! [RFC 8421]: https://www.rfc-editor.org/rfc/rfc8421
//! [RFC 8445 §5.1.2, §6.1.2.3]: https://www.rfc-editor.org/rfc/rfc8445#section-5.1.2

use std::net::IpAddr;

use jackfield_sansio::Transport;

use super::{CandidateKind, CandidateTransport};

/// Returns the priority of a candidate, from 1 to 2^31 - 1.
///
/// `component` is 1 to 256. A preference comes from [`type_preference`] or [`relay_preference`],
/// and from [`local_preference`]; what is above the range of one is lowered.
///
/// ```
/// use jackfield_ice::candidate::{CandidateKind, CandidateTransport, priority};
///
/// let (kind, transport) = (CandidateKind::Host, CandidateTransport::Udp);
/// let type_preference = priority::type_preference(kind, transport);
/// let local_preference = priority::local_preference(kind, transport, 0);
/// assert_eq!(priority::priority(type_preference, local_preference, 1), 2_130_706_431);
/// ```
#[must_use]
pub fn priority(type_preference: u8, local_preference: u16, component: u16) -> u32 {
    let component = u32::from(component.clamp(1, 256));
    let types = u32::from(type_preference.min(126));
    // Zero is the one result that is not allowed: all of it at its least.
    (types << 24 | u32::from(local_preference) << 8 | (256 - component)).max(1)
}

/// Returns the type preference of a candidate, 0 to 126; of a relayed one as if the server was
/// reached by UDP.
///
/// UDP has the numbers of RFC 8445. TCP candidates are all below UDP candidates that are not
/// relayed, and relayed ones below all ([RFC 6544 §4.2]); their numbers are those of libwebrtc, so
/// that its candidates and ours compare by their kind.
///
/// [RFC 6544 §4.2]: https://www.rfc-editor.org/rfc/rfc6544#section-4.2
#[must_use]
pub fn type_preference(kind: CandidateKind, transport: CandidateTransport) -> u8 {
    match (kind, transport.is_tcp()) {
        (CandidateKind::Host, false) => 126,
        (CandidateKind::PeerReflexive, false) => 110,
        (CandidateKind::ServerReflexive, false) => 100,
        (CandidateKind::Host, true) => 90,
        (CandidateKind::PeerReflexive, true) => 80,
        (CandidateKind::ServerReflexive, true) => 70,
        (CandidateKind::Relayed, _) => relay_preference(Transport::Udp),
    }
}

/// Returns the type preference of a relayed candidate, by how its server is reached: the fewer
/// layers, the better.
#[must_use]
pub fn relay_preference(server: Transport) -> u8 {
    match server {
        Transport::Udp | Transport::Dtls => 2,
        Transport::Tcp => 1,
        Transport::Tls => 0,
    }
}

/// Returns the local preference of the candidate that comes at place `order` (0 is the best) among
/// those of its type and transport; [`interleaved`] gives the place.
#[must_use]
pub fn local_preference(kind: CandidateKind, transport: CandidateTransport, order: u16) -> u16 {
    use CandidateKind::{Host, PeerReflexive, Relayed, ServerReflexive};
    use CandidateTransport::{TcpActive, TcpPassive, TcpSimultaneousOpen, Udp};
    //= https://www.rfc-editor.org/rfc/rfc6544#section-4.2
    //# It is
    //# RECOMMENDED that the host, UDP-tunneled, and relayed TCP candidates
    //# have the direction-pref assigned as follows: 6 for active, 4 for
    //# passive, and 2 for S-O.  For the NAT-assisted and server reflexive
    //# candidates, the RECOMMENDED values are: 6 for S-O, 4 for active, and
    //# 2 for passive.
    let direction: u16 = match (kind, transport) {
        (_, Udp) => return u16::MAX - order,
        (Host | Relayed, TcpActive) => 6,
        (Host | Relayed, TcpPassive) => 4,
        (Host | Relayed, TcpSimultaneousOpen) => 2,
        (ServerReflexive | PeerReflexive, TcpSimultaneousOpen) => 6,
        (ServerReflexive | PeerReflexive, TcpActive) => 4,
        (ServerReflexive | PeerReflexive, TcpPassive) => 2,
    };
    (direction << 13) + (MAX_OTHER_PREFERENCE - order.min(MAX_OTHER_PREFERENCE))
}

/// Returns the place of the address that is the `rank`-th of its family (0 is the first) among
/// those of both families.
///
/// IPv6 comes first and families take turns ([RFC 8421 §4]), so that neither waits for the checks
/// of the other when its own works and the other's does not.
///
/// [RFC 8421 §4]: https://www.rfc-editor.org/rfc/rfc8421#section-4
#[must_use]
pub fn interleaved(address: IpAddr, rank: u16) -> u16 {
    rank.saturating_mul(2)
        .saturating_add(u16::from(address.is_ipv4()))
}

/// Returns the priority of a pair, from the priorities of the controlling and of the controlled
/// agent's candidate ([RFC 8445 §6.1.2.3]).
///
/// [RFC 8445 §6.1.2.3]: https://www.rfc-editor.org/rfc/rfc8445#section-6.1.2.3
#[must_use]
pub fn pair_priority(controlling: u32, controlled: u32) -> u64 {
    let (least, most) = (controlling.min(controlled), controlling.max(controlled));
    (u64::from(least) << 32)
        .saturating_add(2 * u64::from(most) + u64::from(controlling > controlled))
}

/// The best of what RFC 6544 calls other-pref.
const MAX_OTHER_PREFERENCE: u16 = 8_191;

#[cfg(test)]
mod tests {
    use super::*;
    use CandidateKind::{Host, PeerReflexive, Relayed, ServerReflexive};
    use CandidateTransport::{TcpActive, TcpPassive, TcpSimultaneousOpen, Udp};

    fn of(kind: CandidateKind, transport: CandidateTransport, order: u16) -> u32 {
        let local = local_preference(kind, transport, order);
        priority(type_preference(kind, transport), local, 1)
    }

    #[test]
    fn a_single_address_has_the_priorities_of_the_rfc() {
        // RFC 8445 §15 and RFC 8839's examples.
        assert_eq!(of(Host, Udp, 0), 2_130_706_431);
        assert_eq!(of(ServerReflexive, Udp, 0), 1_694_498_815);
    }

    #[test]
    fn types_are_preferred_in_order() {
        let ordered = [
            of(Host, Udp, 9),
            of(PeerReflexive, Udp, 9),
            of(ServerReflexive, Udp, 9),
            of(Host, TcpActive, 9),
            of(Host, TcpPassive, 9),
            of(Host, TcpSimultaneousOpen, 9),
            of(PeerReflexive, TcpSimultaneousOpen, 9),
            of(PeerReflexive, TcpActive, 9),
            of(PeerReflexive, TcpPassive, 9),
            of(ServerReflexive, TcpActive, 9),
            of(Relayed, Udp, 9),
            priority(relay_preference(Transport::Tcp), u16::MAX, 1),
            priority(relay_preference(Transport::Tls), u16::MAX, 1),
        ];
        assert!(ordered.is_sorted_by(|a, b| a > b), "{ordered:?}");
    }

    #[test]
    fn families_take_turns_and_ipv6_is_first() {
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let places: Vec<_> = [(v6, 0), (v4, 0), (v6, 1), (v4, 1)]
            .map(|(address, rank)| interleaved(address, rank))
            .into();
        assert_eq!(places, [0, 1, 2, 3]);
        assert_eq!(interleaved(v4, u16::MAX), u16::MAX);
    }

    #[test]
    fn no_priority_leaves_its_range() {
        assert_eq!(priority(0, 0, 256), 1);
        assert!(priority(255, u16::MAX, 0) < 1 << 31);
        for transport in [Udp, TcpActive, TcpPassive, TcpSimultaneousOpen] {
            assert!(of(Host, transport, u16::MAX) > 0);
        }
    }

    #[test]
    fn both_agents_compute_the_same_pair_priority() {
        let (a, b) = (of(Host, Udp, 0), of(ServerReflexive, Udp, 0));
        assert_eq!(pair_priority(a, b), ((b as u64) << 32) + 2 * a as u64 + 1);
        assert_eq!(pair_priority(b, a), ((b as u64) << 32) + 2 * a as u64);
        // Priorities that only a hostile agent sends.
        assert!(pair_priority(u32::MAX, u32::MAX) > pair_priority(a, b));
    }
}
