//! What strangers send costs the inside nothing.

use jackfield_nat::packet::build;
use jackfield_nat::profile::Profile;
use jackfield_nat::{Behaviour, DropReason, Filtering, HoldReason, Mapping, Verdict};

use crate::rig::*;

const MINE: &str = "203.0.113.10";

#[test]
fn strangers_who_knock_at_a_one_to_one_address_leave_nothing_behind() {
    for filtering in Filtering::ALL {
        let mut rig = one_to_one(filtering);
        for port in 1..=2000 {
            let open = filtering == Filtering::EndpointIndependent;
            // An open filter admits any remote, but only a SYN starts a connection.
            let flags = if open { ACK } else { SYN };
            assert_eq!(rig.tcp_in((C, 7), (MINE, port), flags), None);
            if !open {
                assert_eq!(rig.udp_in((C, 7), (MINE, port)), None);
            }
        }
        assert_eq!(rig.nat.mapping_count(), 0, "{filtering:?}");
        assert_eq!(rig.tcp_out((A, 5000), (C, 7), SYN), Some(at(MINE, 5000)));
        assert_eq!(rig.udp_out((A, 5000), (C, 7)), Some(at(MINE, 5000)));
        assert_eq!(rig.udp_in((C, 7), (MINE, 5000)), Some(at(A, 5000)));
    }
}

#[test]
fn nothing_that_may_be_cut_leaves_larger_than_the_mtu() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.mtu = Some(600);
        config.untranslated = vec!["192.0.2.0/24".parse().unwrap()];
    });
    let held = Verdict::Hold(HoldReason::Fragmented);
    let mut to_friend = build::udp(at(A, 5000), at(D, 7), &[7; 1000]);
    assert_eq!(rig.outbound(&mut to_friend), held);
    assert_eq!(sizes(&rig), [596, 452]);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    let whole = build::udp(at(C, 7), external, &[7; 2000]);
    let pieces = large_fragments(&whole);
    // A later fragment that comes first waits, and is cut when it goes.
    let verdict = rig.inbound(&mut pieces[1].clone());
    assert_eq!(verdict, Verdict::Hold(HoldReason::Fragment));
    assert_eq!(rig.inbound(&mut pieces[0].clone()), held);
    assert_eq!(sizes(&rig).iter().sum::<usize>(), 2008 + 4 * 20);
    assert_eq!(rig.inbound(&mut pieces[1].clone()), held);
    assert!(sizes(&rig).iter().all(|size| *size <= 600));
    // So does an error that quotes more than it has to.
    let quoted = build::udp(external, at(C, 7), &[7; 900]);
    let mut message = vec![3, 3, 0, 0, 0, 0, 0, 0];
    message.extend(&quoted);
    let mut error = build::ip(ip(C), external.ip(), 1, &message);
    assert_eq!(rig.inbound(&mut error), held);
    assert!(sizes(&rig).iter().all(|size| *size <= 600));
    assert_eq!(rig.nat.counters().dropped(DropReason::TooBig), 0);
}

fn one_to_one(filtering: Filtering) -> Rig {
    Rig::with(Profile::FULL_CONE, |config| {
        let behaviour = Behaviour {
            mapping: Mapping::EndpointIndependent,
            filtering,
        };
        (config.udp, config.tcp) = (behaviour, behaviour);
        config.one_to_one = vec![(ip(A), ip(MINE))];
        config.limits.mappings_per_host = 1000;
    })
}

/// The sizes of what the NAT sent of its own accord after the last packet.
fn sizes(rig: &Rig) -> Vec<usize> {
    rig.sent.iter().map(|it| it.bytes.len()).collect()
}

/// Cuts a packet in two, of which the first has 1,000 bytes of data.
fn large_fragments(whole: &[u8]) -> [Vec<u8>; 2] {
    let piece = |range: std::ops::Range<usize>, place: u16| {
        let mut piece = whole[..20].to_vec();
        piece.extend(&whole[range]);
        let length = piece.len() as u16;
        piece[2..4].copy_from_slice(&length.to_be_bytes());
        piece[6..8].copy_from_slice(&place.to_be_bytes());
        fix_ip_checksum(&mut piece);
        piece
    };
    [piece(20..1020, 0x2000), piece(1020..whole.len(), 1000 / 8)]
}

#[test]
fn a_connection_that_finds_no_room_does_not_end_the_mapping_that_it_shares() {
    let mut rig = Rig::with(Profile::FULL_CONE, |config| {
        config.limits.flows = 1;
        config.limits.evict_unanswered = true;
    });
    let external = rig.tcp_out((A, 5000), (C, 7), SYN).unwrap();
    assert_eq!(rig.tcp_out((A, 5000), (D, 7), SYN), None);
    assert_eq!(rig.nat.counters().dropped(DropReason::TableFull), 1);
    assert_eq!(rig.tcp_in((C, 7), external, SYN_ACK), Some(at(A, 5000)));
    // Another host's connection replaces one without an answer.
    let mut rig = rig.clone();
    rig.wait(secs(86_400));
    assert!(rig.tcp_out((A, 5000), (C, 7), SYN).is_some());
    assert!(rig.tcp_out((B, 5000), (C, 7), SYN).is_some());
}
