//! RFC 6888: carrier-grade NATs.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_nat::packet::build;
use jackfield_nat::profile::{Profile, Requirement, Rfc};
use jackfield_nat::{
    Assignment, DropReason, Filtering, Forward, NatConfig, Prefix, Protocol, Verdict,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::rig::*;

const CARRIERS: &[Profile] = &[Profile::CGN, Profile::CGN_SYMMETRIC];

fn check(requirement: &'static str, check: fn(Profile) -> Outcome) {
    check_all(Requirement(Rfc::Rfc6888, requirement), CARRIERS, check);
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-1: If a CGN forwards packets containing a given transport protocol, then it MUST
//# fulfill that transport protocol's behavioral requirements.
#[test]
fn req_1_the_requirements_of_each_protocol_are_met() {
    check("REQ-1", |profile| {
        for deviation in profile.deviations() {
            let Requirement(rfc, name) = deviation.requirement;
            let excused = match (rfc, name) {
                // A block of ports is above 1023, and RFC 7857 section 8 gives up parity.
                (Rfc::Rfc4787, "REQ-3a" | "REQ-4") => true,
                // REQ-11b wants code 1 where RFC 5508 wants 13.
                (Rfc::Rfc5508, "REQ-8") => true,
                (Rfc::Rfc6888, _) => true,
                _ => false,
            };
            ensure!(excused, "{}: {}", deviation.requirement, deviation.instead);
        }
        Ok(())
    });
    // What has requirements of its own that nothing here meets does not pass.
    let mut rig = Rig::new(Profile::CGN);
    let mut dccp = build::ip(ip(A), ip(C), 33, &[0; 16]);
    let dropped = Verdict::Drop(DropReason::UnknownProtocol);
    assert_eq!(rig.outbound(&mut dccp), dropped);
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-2: A CGN MUST have a default "IP address pooling" behavior of "Paired" (as defined in
//# Section 4.1 of [RFC4787]).
#[test]
fn req_2_all_mappings_of_a_host_share_an_external_address() {
    check("REQ-2", |profile| {
        let mut rig = Rig::new(profile);
        let udp = (0..20).filter_map(|n| rig.udp_out((A, 5000 + n), (C, 7)));
        let mut addresses: BTreeSet<_> = udp.map(|external| external.ip()).collect();
        addresses.extend(rig.tcp_out((A, 5000), (C, 7), SYN).map(|it| it.ip()));
        addresses.extend(rig.ping_out(A, C, 7).map(|it| it.ip()));
        ensure!(addresses.len() == 1, "{addresses:?}");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-3: The CGN function SHOULD NOT have any limitations on the size or the contiguity of
//# the external address pool. In particular, the CGN function MUST be configurable with
//# contiguous or non-
//# contiguous external IPv4 address ranges.
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

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-4: A CGN MUST support limiting the number of external ports (or, equivalently,
//# "identifiers" for ICMP) that are assigned per subscriber.
//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# a. Per-subscriber limits MUST be configurable by the CGN administrator.
#[test]
fn req_4_and_4a_a_subscriber_gets_as_many_ports_as_the_config_says() {
    check("REQ-4", |profile| {
        for most in [10, 20] {
            let mut rig = Rig::with(profile, |config| config.limits.mappings_per_host = most);
            let mut got = (0..30)
                .filter(|n| rig.udp_out((A, 5000 + n), (C, 7)).is_some())
                .count();
            got += usize::from(rig.ping_out(A, C, 7).is_some());
            ensure!(got == most, "{got}, not {most}");
            ensure!(
                rig.udp_out((B, 5000), (C, 7)).is_some(),
                "another subscriber starves"
            );
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# c. Additionally, it is RECOMMENDED that the CGN include administrator-adjustable
//# thresholds to prevent a single subscriber from consuming excessive CPU resources from the
//# CGN (e.g., rate-limit the subscriber's creation of new mappings).
#[test]
fn req_4c_a_subscriber_makes_so_many_mappings_in_a_second() {
    check("REQ-4c", |profile| {
        let limit = profile.config(&[]).limits.new_mappings_per_host;
        ensure!(limit.is_some(), "no limit by default");
        let mut rig = Rig::with(profile, |config| {
            config.limits.new_mappings_per_host = Some(10);
        });
        let mut burst = |first: u16| {
            let ports = first..first + 30;
            let got = ports.filter(|port| rig.udp_out((A, *port), (C, 7)).is_some());
            let got = got.count();
            let error = rig.sent.first().map(|error| error.bytes[20..22].to_vec());
            let other = rig.udp_out((B, first), (C, 7)).is_some();
            rig.wait(secs(1));
            (got, error, other)
        };
        let expected = (10, Some(vec![3, 1]), true);
        let (first, second) = (burst(5000), burst(6000));
        ensure!(first == expected, "in the first second: {first:?}");
        ensure!(second == expected, "in the second: {second:?}");
        let dropped = rig.nat.counters().dropped(DropReason::MappingRate);
        ensure!(dropped == 40, "{dropped} are counted");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-5: A CGN SHOULD support limiting the amount of state memory allocated per mapping and
//# per subscriber.
//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# a. Limits SHOULD be configurable by the CGN administrator.
#[test]
fn req_5_and_5a_a_subscriber_gets_as_much_state_as_the_config_says() {
    check("REQ-5", |profile| {
        for most in [10, 20] {
            let mut rig = Rig::with(profile, |config| config.limits.flows_per_host = most);
            let got = (0..30).filter_map(|n| rig.udp_out((A, 5000), (C, 7 + n)));
            let got = got.count();
            ensure!(got == most, "{got}, not {most}");
            ensure!(
                rig.udp_out((B, 5000), (C, 7)).is_some(),
                "another subscriber starves"
            );
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# b. Additionally, it SHOULD be possible to limit the rate at which memory-consuming state
//# elements are allocated.
#[test]
fn req_5b_a_subscriber_starts_so_many_flows_in_a_second() {
    check("REQ-5b", |profile| {
        let limit = profile.config(&[]).limits.new_flows_per_host;
        ensure!(limit.is_some(), "no limit by default");
        let mut rig = Rig::with(profile, |config| {
            config.limits.new_flows_per_host = Some(10);
        });
        for second in 0..2_u16 {
            let ports = 1000 * second..1000 * second + 30;
            let got = ports.filter(|port| rig.udp_out((A, 5000), (C, 7 + port)).is_some());
            let got = got.count();
            ensure!(got == 10, "{got}, not ten");
            ensure!(
                rig.udp_out((B, 5000), (C, 7 + 1000 * second)).is_some(),
                "another subscriber starves"
            );
            rig.wait(secs(1));
        }
        let dropped = rig.nat.counters().dropped(DropReason::FlowRate);
        ensure!(dropped == 40, "{dropped} are counted");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-6: It MUST be possible to administratively turn off translation for specific
//# destination addresses and/or ports.
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

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-7: It is RECOMMENDED that a CGN use an "endpoint-independent filtering" behavior (as
//# defined in Section 5 of [RFC4787]).
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

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-8: Once an external port is deallocated, it SHOULD NOT be reallocated to a new mapping
//# until at least 120 seconds have passed, with the exceptions being:
//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# c. If the allocated external ports used address-dependent or address-and-port-dependent
//# filtering before state loss, they MAY be reused immediately.
#[test]
fn req_8_a_port_rests_for_two_minutes_or_misleads_no_packet() {
    check("REQ-8", |profile| {
        let mut rig = few_ports(profile);
        let timers = rig.nat.config().timers.clone();
        for n in 0..8 {
            rig.udp_out((A, 5000 + n), (C, 7)).ok_or("no mapping")?;
        }
        rig.wait(timers.udp);
        rig.wait(secs(119));
        let early = rig.udp_out((A, 6000), (C, 7));
        // REQ-8c: a NAT that filters by address may give a port out again at once.
        if rig.nat.config().udp.filtering != Filtering::EndpointIndependent {
            ensure!(early.is_some(), "a port rests for nothing");
            return Ok(());
        }
        ensure!(early.is_none(), "a port is used again too soon");
        rig.wait(secs(2));
        ensure!(
            rig.udp_out((A, 6000), (C, 7)).is_some(),
            "no port comes back"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# The length of time and the maximum number of ports in this state MUST be configurable by
//# the CGN administrator.
#[test]
fn req_8_the_time_and_the_number_of_resting_ports_are_the_configs() {
    for time in [30, 300] {
        let mut rig = Rig::with(Profile::CGN, |config| {
            config.externals.truncate(1);
            config.ports.range = 2000..=2007;
            config.ports.assignment = Assignment::Random;
            config.ports.hold_down = secs(time);
            config.limits.resting_ports = 6;
        });
        for n in 0..8 {
            rig.udp_out((A, 5000 + n), (C, 7)).unwrap();
        }
        let lifetime = rig.nat.config().timers.udp;
        rig.wait(lifetime);
        // Six rest; the two others do not.
        let mut more = |first| {
            let ports = first..first + 8;
            let got = ports.filter_map(|port| rig.udp_out((A, port), (C, 7)));
            let got = got.count();
            rig.wait(secs(time) - Duration::from_millis(1));
            let early = rig.udp_out((A, first + 9), (C, 7)).is_some();
            rig.wait(Duration::from_millis(1));
            (got, early)
        };
        assert_eq!(more(6000).0, 2);
        assert!(rig.udp_out((A, 7000), (C, 7)).is_some());
    }
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# In that case, ports that were in use at the time of state loss SHOULD NOT be reallocated
//# until at least 120 seconds have passed.
#[test]
fn req_8_a_reboot_forgets_which_ports_were_in_use() {
    check("REQ-8 (state loss)", |profile| {
        let mut rig = few_ports(profile);
        for n in 0..8 {
            rig.udp_out((A, 5000 + n), (C, 7)).ok_or("no mapping")?;
        }
        rig.nat.reboot();
        ensure!(
            rig.nat.config().udp.filtering != Filtering::EndpointIndependent
                || rig.udp_out((B, 6000), (C, 7)).is_none(),
            "a port is used again too soon"
        );
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-9: A CGN MUST implement a protocol giving subscribers explicit control over NAT
//# mappings. That protocol SHOULD be the Port Control Protocol [RFC6887].
#[test]
fn req_9_a_protocol_for_port_mapping_can_make_and_end_mappings() {
    check("REQ-9", |profile| {
        let mut rig = Rig::new(profile);
        let external = endpoint(EXTERNALS[0], 7777);
        let forward = Forward {
            protocol: Protocol::Udp,
            external,
            internal: rig.inside(B, 9000),
        };
        let added = rig.nat.add_forward(rig.now, forward);
        added.map_err(|why| why.to_string())?;
        let arrived = rig.udp_in((D, 9), SocketAddr::from(external));
        ensure!(arrived == Some(at(B, 9000)), "arrived at {arrived:?}");
        let removed = rig.nat.remove_forward(rig.now, Protocol::Udp, external);
        ensure!(removed, "not removed");
        let arrived = rig.udp_in((D, 9), SocketAddr::from(external));
        ensure!(arrived.is_none(), "still arrives");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-10: CGN implementers SHOULD make their equipment manageable.
#[test]
fn req_10_an_operator_sees_mappings_and_counters() {
    check("REQ-10", |profile| {
        let mut rig = Rig::new(profile);
        let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
        let seen = rig.nat.mappings().next().ok_or("no mapping is shown")?;
        ensure!(seen.external == external.into(), "another is shown");
        ensure!(seen.internal == rig.inside(A, 5000), "of another host");
        ensure!(seen.expires.is_some(), "without its end");
        ensure!(rig.nat.counters().outbound == 1, "not counted");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-3
//# REQ-11: When a CGN is unable to create a dynamic mapping due to resource constraints or
//# administrative restrictions (i.e., quotas): a. it MUST drop the original packet; b. it
//# SHOULD send an ICMP Destination Unreachable message with code 1 (Host Unreachable) to the
//# sender; c. it SHOULD send a notification (e.g., SNMP trap) towards a management system (if
//# configured to do so); and d. it MUST NOT delete existing mappings in order to "make room"
//# for the new one.
#[test]
fn req_11_over_quota_means_unreachable_and_nothing_else_changes() {
    check("REQ-11", |profile| {
        let limits: [fn(&mut NatConfig); 3] = [
            |config| config.limits.mappings_per_host = 1,
            |config| config.limits.mappings = 1,
            |config| config.limits.flows = 1,
        ];
        for (n, limit) in limits.into_iter().enumerate() {
            let mut rig = Rig::with(profile, limit);
            let external = rig.udp_out((A, 5000), (C, 7)).ok_or("no mapping")?;
            let mut bytes = build::udp(at(A, 5001), at(C, 7), DATA);
            let verdict = rig.outbound(&mut bytes);
            let reason = [DropReason::HostMappings, DropReason::TableFull][n.min(1)];
            ensure!(verdict == Verdict::Drop(reason), "REQ-11a: {verdict}");
            let error = rig.sent.first().ok_or("REQ-11b: in silence")?;
            ensure!(
                error.bytes[20..22] == [3, 1],
                "REQ-11b: not «host unreachable»"
            );
            // REQ-11c: the counter is what a management system watches.
            let counted = rig.nat.counters().dropped(reason);
            ensure!(counted == 1, "REQ-11c: {counted} are counted");
            ensure!(
                rig.udp_in((C, 7), external).is_some(),
                "REQ-11d: an older mapping gave way"
            );
        }
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-4
//# REQ-12: A CGN SHOULD NOT log destination addresses or ports unless required to do so for
//# administrative reasons.
#[test]
fn req_12_no_log_line_has_a_destination() {
    check("REQ-12", |profile| {
        let log = Log::default();
        let text = tracing::subscriber::with_default(log.clone(), || {
            let mut rig = Rig::with(profile, |config| config.limits.mappings_per_host = 2);
            rig.udp_out((A, 5000), (C, 7777));
            rig.tcp_out((A, 5001), (C, 7777), SYN);
            rig.udp_out((A, 5002), (C, 7777));
            rig.udp_in((C, 7777), (EXTERNALS[0], 9));
            rig.wait(secs(10_000));
            log.0.lock().unwrap().join("\n")
        });
        ensure!(text.contains("192.168.1.10:5000"), "no mapping is logged");
        ensure!(!text.contains(C) && !text.contains("7777"), "{text}");
        Ok(())
    });
}

/// Keeps what is logged at every level, field by field.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-5
//# REQ-13: A CGN's port allocation scheme SHOULD maximize port utilization.
#[test]
fn req_13_every_port_is_used() {
    check("REQ-13", |profile| {
        let mut rig = few_ports(profile);
        let got = (0..8).filter_map(|n| rig.udp_out((A, 5000 + 2 * n), (C, 7)));
        ensure!(got.count() == 8, "ports are left over");
        Ok(())
    });
}

//= https://www.rfc-editor.org/rfc/rfc6888#section-5
//# REQ-14: A CGN's port allocation scheme SHOULD minimize log volume.
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

//= https://www.rfc-editor.org/rfc/rfc6888#section-5
//# REQ-15: A CGN's port allocation scheme SHOULD make it hard for attackers to guess port
//# numbers.
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
        if let Assignment::Block { size } = &mut config.ports.assignment {
            *size = 8;
        }
    })
}
