//! RFC 6888: carrier-grade NATs. REQ-9 and REQ-10 ask for management, of which [`Nat::add_forward`] and
//! [`Nat::mappings`] are the NAT's part; REQ-12 is about logs, of which the core keeps none.
//!
//! [`Nat::add_forward`]: jackfield_nat::Nat::add_forward
//! [`Nat::mappings`]: jackfield_nat::Nat::mappings

use std::collections::BTreeSet;

use jackfield_nat::packet::build;
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{DropReason, Prefix, Verdict};

use crate::rig::*;

const CARRIERS: &[Profile] = &[Profile::CGN, Profile::CGN_SYMMETRIC];

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc6888, requirement), CARRIERS, check);
}

#[test]
fn req_1_the_carrier_grade_profile_meets_what_binds_each_protocol() {
    let excused = [("REQ-4", Rfc::Rfc4787), ("REQ-8", Rfc::Rfc5508)];
    for deviation in Profile::CGN.deviations() {
        let Requirement(rfc, name) = deviation.requirement;
        assert!(excused.contains(&(name, rfc)), "{}", deviation.requirement);
    }
}

#[test]
fn req_2_all_mappings_of_a_host_share_an_external_address() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let udp = (0..20).filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)));
        let mut addresses: BTreeSet<_> = udp.map(|external| external.ip()).collect();
        addresses.extend(rig.tcp_out((A, 5000), (C, 7), SYN).map(|it| it.ip()));
        ensure!(addresses.len() == 1, "{addresses:?}");
        Ok(())
    });
}

#[test]
fn req_3_external_addresses_need_not_be_contiguous() {
    check("REQ-3", |profile| {
        let pool = ["203.0.113.1", "192.0.2.200", "198.51.100.99"].map(ip);
        let mut rig = Rig::with(profile, |config| config.externals = pool.to_vec());
        let hosts = (10..60).map(|host| at(&format!("192.168.1.{host}"), 5000));
        let used: BTreeSet<_> = hosts
            .filter_map(|from| rig.udp_out(from, (C, 7)))
            .map(|external| external.ip())
            .collect();
        ensure!(used == BTreeSet::from(pool), "used {used:?}");
        Ok(())
    });
}

#[test]
fn req_4_a_subscriber_gets_so_many_ports_and_no_more() {
    check("REQ-4", |profile| {
        let mut rig = Rig::with(profile, |config| config.limits.mappings_per_host = 10);
        let got = (0..30).filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)));
        ensure!(got.count() == 10, "not ten");
        ensure!(
            rig.udp_out((B, 5000), (C, 7)).is_some(),
            "another subscriber starves"
        );
        Ok(())
    });
}

#[test]
fn req_5_a_subscriber_gets_so_much_state_and_no_more() {
    check("REQ-5", |profile| {
        let mut rig = Rig::with(profile, |config| config.limits.flows_per_host = 10);
        let got = (0..30).filter_map(|n| rig.udp_out((A, 5000), (C, 7 + n)));
        ensure!(got.count() == 10, "not ten");
        ensure!(
            rig.udp_out((B, 5000), (C, 7)).is_some(),
            "another subscriber starves"
        );
        Ok(())
    });
}

#[test]
fn req_6_translation_can_be_turned_off_for_destinations() {
    check("REQ-6", |profile| {
        let prefix = Prefix::new(ip("198.51.100.0"), 24).unwrap();
        let mut rig = Rig::with(profile, |config| config.untranslated = vec![prefix]);
        ensure!(
            rig.udp_out((A, 5000), (C, 7)) == Some(at(A, 5000)),
            "translated"
        );
        ensure!(
            rig.udp_in((C, 7), (A, 5000)) == Some(at(A, 5000)),
            "no way back"
        );
        ensure!(
            rig.udp_out((A, 5000), (D, 7)) != Some(at(A, 5000)),
            "all off"
        );
        Ok(())
    });
}

#[test]
fn req_7_filtering_is_endpoint_independent() {
    check("REQ-7", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        ensure!(
            rig.udp_in((D, 9), external) == Some(at(A, 5000)),
            "filtered"
        );
        Ok(())
    });
}

#[test]
fn req_8_a_port_rests_for_two_minutes() {
    check("REQ-8", |profile| {
        let mut rig = few_ports(profile);
        let lifetime = rig.nat.config().timers.udp;
        for n in 0..8 {
            rig.udp_out((A, 5000 + n), (C, 7)).ok_or("no mapping")?;
        }
        rig.wait(lifetime);
        rig.wait(secs(119));
        ensure!(
            rig.udp_out((A, 6000), (C, 7)).is_none(),
            "a port is used again too soon"
        );
        rig.wait(secs(2));
        ensure!(
            rig.udp_out((A, 6000), (C, 7)).is_some(),
            "no port comes back"
        );
        Ok(())
    });
}

#[test]
fn req_11_over_quota_means_unreachable_and_nothing_else_changes() {
    check("REQ-11", |profile| {
        let mut rig = Rig::with(profile, |config| config.limits.mappings_per_host = 1);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let mut bytes = build::udp(at(A, 5001), at(C, 7), DATA);
        let verdict = rig.outbound(&mut bytes);
        ensure!(
            verdict == Verdict::Drop(DropReason::HostMappings),
            "{verdict}"
        );
        let error = rig.sent.first().ok_or("in silence")?;
        ensure!(error.bytes[20..22] == [3, 1], "not «host unreachable»");
        ensure!(
            rig.udp_in((C, 7), external).is_some(),
            "an older mapping gave way"
        );
        Ok(())
    });
}

#[test]
fn req_13_every_port_is_used() {
    check("REQ-13", |profile| {
        let mut rig = few_ports(profile);
        let got = (0..8).filter_map(|n| rig.udp_out((A, 5000 + 2 * n), (C, 7)));
        ensure!(got.count() == 8, "ports are left over");
        Ok(())
    });
}

#[test]
fn req_14_a_subscriber_is_known_by_one_block_of_ports() {
    check("REQ-14", |profile| {
        let mut rig = Rig::new(profile);
        for n in 0..200_u16 {
            rig.udp_out((A, 5000 + n), (C, 7)).ok_or("no mapping")?;
            rig.udp_out((B, 5000 + n), (C, 7)).ok_or("no mapping")?;
        }
        let blocks = |host: &str| -> BTreeSet<_> {
            let mine = rig
                .nat
                .mappings()
                .filter(|it| it.internal.address == ip(host).into());
            mine.map(|it| (it.external.address, (it.external.port - 1024) / 1008))
                .collect()
        };
        ensure!(
            blocks(A).len() == 1 && blocks(B).len() == 1,
            "several blocks"
        );
        ensure!(blocks(A) != blocks(B), "one block for two");
        Ok(())
    });
}

#[test]
fn req_15_the_next_port_is_hard_to_guess() {
    check("REQ-15", |profile| {
        let mut rig = Rig::with_one_address(profile);
        let ports: Vec<_> = (0..20)
            .filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)))
            .map(|external| external.port())
            .collect();
        let steps: BTreeSet<_> = ports
            .windows(2)
            .map(|it| it[1].wrapping_sub(it[0]))
            .collect();
        ensure!(steps.len() > 10, "ports come in sequence: {ports:?}");
        Ok(())
    });
}

/// A NAT with eight ports, which one host may all have.
fn few_ports(profile: Profile) -> Rig {
    Rig::with(profile, |config| {
        config.externals.truncate(1);
        config.ports.range = 2000..=2007;
        if let jackfield_nat::Assignment::Block { size } = &mut config.ports.assignment {
            *size = 8;
        }
    })
}
