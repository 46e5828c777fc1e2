//! A host that floods takes nothing from the others: they keep their mappings and get new ones,
//! and memory is bounded. Profiles of devices that let it happen list RFC 6888 REQ-4 as a
//! deviation.

use std::net::SocketAddr;

use jackfield_nat::packet::build;
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{DropReason, Filtering, Verdict};

use crate::rig::*;

/// What a victim had before the flood.
struct Victim {
    udp: SocketAddr,
    tcp: SocketAddr,
}

#[test]
fn req_4_a_flood_of_mappings_from_one_host_starves_no_other() {
    check_all(
        Requirement(Rfc::Rfc6888, "REQ-4"),
        Profile::ALL,
        |profile| {
            let config = profile.config(&[ip(EXTERNALS[0])]);
            let limits = &config.limits;
            let ports = usize::from(*config.ports.range.end() - *config.ports.range.start());
            let has_quota = 8 * limits.mappings_per_host <= limits.mappings.min(ports)
                && 8 * limits.flows_per_host <= limits.flows;
            ensure!(
                has_quota || limits.evict_unanswered,
                "one host may have more than an eighth of everything"
            );
            for (name, flood) in FLOODS {
                let mut rig = Rig::with_smaller_tables(profile);
                let victim = settle(&mut rig);
                flood(&mut rig);
                is_bounded(&rig).map_err(|why| format!("{name}: {why}"))?;
                keeps_what_it_has(&mut rig, &victim).map_err(|why| format!("{name}: {why}"))?;
                gets_what_it_wants(&mut rig).map_err(|why| format!("{name}: {why}"))?;
            }
            Ok(())
        },
    );
}

/// The last excuse of a profile that lists the deviation is not that the test looks at its numbers
/// only.
#[test]
fn req_4_devices_without_quotas_do_starve_others() {
    for profile in Profile::ALL {
        if !profile.deviates(Requirement(Rfc::Rfc6888, "REQ-4")) {
            continue;
        }
        let mut rig = Rig::with_smaller_tables(*profile);
        settle(&mut rig);
        for (_, flood) in FLOODS {
            flood(&mut rig);
        }
        is_bounded(&rig).unwrap();
        assert!(gets_what_it_wants(&mut rig).is_err(), "{profile}");
    }
}

impl Rig {
    /// Makes tables small so that filling them takes no time, and leaves quotas what they are to
    /// each other.
    fn with_smaller_tables(profile: Profile) -> Self {
        Self::with(profile, |config| {
            config.externals.truncate(1);
            let limits = &mut config.limits;
            let unlimited = limits.mappings_per_host >= limits.mappings;
            if limits.mappings > TABLE && unlimited && !limits.evict_unanswered {
                config.ports.range = 1024..=5023;
            }
            limits.flows_per_host = limits.flows_per_host.min(TABLE / 2);
            if unlimited {
                limits.mappings = limits.mappings.min(TABLE);
                limits.mappings_per_host = limits.mappings;
                limits.flows = limits.mappings;
                limits.flows_per_host = limits.mappings;
            }
        })
    }
}

const TABLE: usize = 6000;

type Flood = fn(&mut Rig);

const FLOODS: [(&str, Flood); 4] = [
    ("UDP ports", |rig| {
        for port in 1..=5000 {
            rig.udp_out((A, 3000 + port), (C, 7));
            rig.udp_out((A, 3000 + port), (D, 7));
        }
    }),
    ("destinations", |rig| {
        for n in 0..=7000_u32 {
            let to = std::net::Ipv4Addr::from_bits(0xc612_0000 + n);
            rig.udp_out((A, 5000), SocketAddr::from((to, 7)));
        }
    }),
    ("TCP SYNs", |rig| {
        for port in 1..=5000 {
            rig.tcp_out((A, 3000 + port), (C, 80), SYN);
            rig.tcp_out((A, 3000 + port), (D, 80), SYN);
        }
    }),
    ("ICMP identifiers", |rig| {
        for id in 1..=5000 {
            rig.ping_out(A, C, 3000 + id);
            rig.ping_out(A, D, 3000 + id);
        }
    }),
];

fn settle(rig: &mut Rig) -> Victim {
    let udp = rig.udp_out((B, 4000), (C, 7)).unwrap();
    rig.udp_in((C, 7), udp).unwrap();
    let tcp = rig.tcp_out((B, 4000), (C, 80), SYN).unwrap();
    rig.tcp_in((C, 80), tcp, SYN_ACK).unwrap();
    rig.tcp_out((B, 4000), (C, 80), ACK).unwrap();
    Victim { udp, tcp }
}

fn is_bounded(rig: &Rig) -> Outcome {
    let limits = &rig.nat.config().limits;
    // The victim has two of each.
    let (mappings, flows) = (rig.nat.mapping_count(), rig.nat.flow_count());
    let most = limits.mappings.min(limits.mappings_per_host + 2);
    ensure!(mappings <= most, "{mappings} mappings, of {most}");
    let most = limits.flows.min(limits.flows_per_host + 2);
    ensure!(flows <= most, "{flows} flows, of {most}");
    Ok(())
}

fn keeps_what_it_has(rig: &mut Rig, victim: &Victim) -> Outcome {
    ensure!(
        rig.udp_in((C, 7), victim.udp) == Some(at(B, 4000)),
        "its UDP mapping is gone"
    );
    ensure!(
        rig.udp_out((B, 4000), (C, 7)) == Some(victim.udp),
        "its UDP mapping is another"
    );
    ensure!(
        rig.tcp_in((C, 80), victim.tcp, ACK) == Some(at(B, 4000)),
        "its connection is gone"
    );
    Ok(())
}

fn gets_what_it_wants(rig: &mut Rig) -> Outcome {
    for port in 4001..4033 {
        ensure!(rig.udp_out((B, port), (C, 7)).is_some(), "no UDP mapping");
        ensure!(
            rig.tcp_out((B, port), (C, 80), SYN).is_some(),
            "no connection"
        );
        ensure!(rig.ping_out(B, C, port).is_some(), "no ping");
    }
    ensure!(
        rig.udp_out((B, 4000), (D, 53)).is_some(),
        "no second destination"
    );
    Ok(())
}

#[test]
fn a_flood_of_fragments_from_one_host_takes_no_other_hosts_share() {
    for first in [true, false] {
        let mut rig = Rig::new(Profile::FULL_CONE);
        let piece = &fragments(at(A, 5000), at(C, 7))[usize::from(!first)];
        for id in 0..5000_u16 {
            let _ = rig.outbound(&mut with_id(piece, id));
        }
        let mut pieces = fragments(at(B, 5000), at(C, 7));
        let held = rig.outbound(&mut pieces[1]);
        assert!(matches!(held, Verdict::Hold(_)), "{held}");
        assert_eq!(rig.outbound(&mut pieces[0]), Verdict::Forward);
        assert_eq!(rig.sent.len(), 1);
        assert_eq!(rig.outbound(&mut pieces[2]), Verdict::Forward);
    }
}

#[test]
fn fragments_of_strangers_take_half_of_the_room_at_most() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    for host in 1..=250 {
        for id in 0..20 {
            let stranger = at(&format!("192.0.2.{host}"), 7);
            let piece = &fragments(stranger, external)[1];
            let _ = rig.inbound(&mut with_id(piece, id));
        }
    }
    assert!(rig.nat.counters().dropped(DropReason::FragmentLimit) >= 4000);
    // Fragments in order still come in, and those from inside are not affected.
    let mut pieces = fragments(at(C, 7), external);
    assert_eq!(rig.inbound(&mut pieces[0]), Verdict::Forward);
    assert_eq!(rig.inbound(&mut pieces[1]), Verdict::Forward);
    let mut pieces = fragments(at(B, 5000), at(C, 7));
    assert!(matches!(rig.outbound(&mut pieces[1]), Verdict::Hold(_)));
}

#[test]
fn errors_about_one_hosts_packets_leave_room_for_those_about_others() {
    for profile in Profile::ALL {
        let mut rig = Rig::new(*profile);
        let dying = |from: &str| {
            let mut bytes = build::udp(at(from, 5000), at(C, 7), b"traceroute");
            bytes[8] = 1;
            fix_ip_checksum(&mut bytes);
            bytes
        };
        for _ in 0..10_000 {
            let _ = rig.outbound(&mut dying(A));
        }
        let _ = rig.outbound(&mut dying(B));
        assert_eq!(rig.sent.len(), 1, "{profile}");
        let transmitted = rig.nat.counters().transmitted;
        assert!(transmitted <= 1 + 100, "{profile}: {transmitted} errors");
    }
}

#[test]
fn strangers_who_may_come_in_leave_the_host_room_to_go_out() {
    let mut rig = Rig::new(Profile::FULL_CONE);
    let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
    for n in 0..=20_000_u32 {
        let from = std::net::Ipv4Addr::from_bits(0xc612_0000 + n);
        rig.udp_in(SocketAddr::from((from, 9)), external);
    }
    let limits = rig.nat.config().limits.clone();
    assert_eq!(rig.nat.flow_count(), limits.inbound_flows_per_host + 1);
    let dropped = rig.nat.counters().dropped(DropReason::InboundFlows);
    assert_eq!(dropped, 20_001 - limits.inbound_flows_per_host as u64);
    assert_eq!(rig.udp_in((C, 7), external), Some(at(A, 5000)));
    for port in 1000..2000 {
        assert!(rig.udp_out((A, 5000), (D, port)).is_some());
        assert!(rig.udp_in((D, port), external).is_some());
    }
    // A remote that gets an answer no longer counts as a stranger.
    let answered = std::net::Ipv4Addr::from_bits(0xc612_0000);
    rig.udp_out((A, 5000), SocketAddr::from((answered, 9)));
    let next = SocketAddr::from((std::net::Ipv4Addr::from_bits(0xc613_0000), 9));
    assert_eq!(rig.udp_in(next, external), Some(at(A, 5000)));
    rig.wait(secs(301));
    assert_eq!((rig.nat.flow_count(), rig.nat.mapping_count()), (0, 0));
}

#[test]
fn strangers_that_the_filter_stops_make_no_state_at_all() {
    for filtering in [
        Filtering::AddressDependent,
        Filtering::AddressAndPortDependent,
    ] {
        let mut rig = Rig::with(Profile::RESTRICTED_CONE, |config| {
            config.udp.filtering = filtering;
            config.tcp.filtering = filtering;
        });
        let external = rig.udp_out((A, 5000), (C, 7)).unwrap();
        for n in 0..=10_000_u32 {
            let from = SocketAddr::from((std::net::Ipv4Addr::from_bits(0xc612_0000 + n), 9));
            assert_eq!(rig.udp_in(from, external), None);
            assert_eq!(rig.tcp_in(from, external, SYN), None);
        }
        assert_eq!((rig.nat.flow_count(), rig.nat.mapping_count()), (1, 1));
        rig.wait(secs(6));
        let held = rig.nat.config().limits.held_syns;
        assert!(rig.sent.len() <= held, "no more than were held are refused");
    }
}

fn with_id(piece: &[u8], id: u16) -> Vec<u8> {
    let mut piece = piece.to_vec();
    piece[4..6].copy_from_slice(&id.to_be_bytes());
    fix_ip_checksum(&mut piece);
    piece
}
