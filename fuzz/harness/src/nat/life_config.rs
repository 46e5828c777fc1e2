//! A config from a few bytes, such that every knob is turned.

#![expect(
    clippy::indexing_slicing,
    reason = "numbers are taken modulo how many there are, and packets built here have headers"
)]

use std::net::IpAddr;
use std::time::Duration;

use super::ip;
use jackfield_nat::{
    Assignment, Behaviour, Conflict, Conntrack, Filtering, Forward, Fragments, Hairpinning,
    IcmpErrors, Mapping, NatConfig, NatLimits, Policy, Pooling, Prefix, Protocol, Refresh, Refusal,
    Translation, UnsolicitedSyn,
};

/// How many bytes a config takes.
pub(super) const BYTES: usize = 10;

pub(super) fn externals(other: bool) -> Vec<IpAddr> {
    let texts = if other {
        ["203.0.113.7", "203.0.113.8", "2001:db8:ffff::7"]
    } else {
        ["203.0.113.1", "203.0.113.2", "2001:db8:ffff::1"]
    };
    texts.map(ip).to_vec()
}

/// Every byte is taken apart like a number with mixed bases.
struct Dice(u8);

impl Dice {
    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = usize::from(self.0) % choices.len();
        self.0 /= choices.len() as u8;
        choices[at]
    }

    fn flag(&mut self) -> bool {
        self.pick(&[false, true])
    }
}

pub(super) fn config(bytes: &[u8; BYTES]) -> NatConfig {
    let [a, b, c, d, e, f, g, h, i, j] = bytes.map(Dice);
    let mut config = NatConfig {
        externals: externals(false),
        ..NatConfig::default()
    };
    translation(&mut config, a);
    config.udp = behaviour(b);
    config.tcp = behaviour(c);
    ports(&mut config, d, e);
    switches(&mut config, f);
    answers(&mut config, g);
    refreshing(&mut config, h);
    let evicts = extras(&mut config, i);
    limits(&mut config, j);
    config.limits.evict_unanswered = evicts;
    config
}

fn translation(config: &mut NatConfig, mut dice: Dice) {
    let prefix = |text: &str| text.parse().unwrap_or(Prefix::WELL_KNOWN_64);
    config.translation = dice.pick(&[
        Translation::Ports,
        Translation::Ports,
        Translation::None,
        Translation::Prefixes {
            internal: prefix("fd01:203:405::/48"),
            external: prefix("2001:db8:1::/48"),
        },
        Translation::Nat64 {
            prefix: Prefix::WELL_KNOWN_64,
        },
        Translation::Nat64 {
            prefix: prefix("2001:db8:122:344::/56"),
        },
    ]);
    config.inside = Some(match config.translation {
        Translation::Ports => ip("192.168.1.1"),
        _ => ip("fd01:203:405::1"),
    });
    config.icmp_filtering = dice.pick(&Filtering::ALL);
}

fn behaviour(mut dice: Dice) -> Behaviour {
    Behaviour {
        mapping: dice.pick(&Mapping::ALL),
        filtering: dice.pick(&Filtering::ALL),
    }
}

fn ports(config: &mut NatConfig, mut dice: Dice, mut more: Dice) {
    let ports = &mut config.ports;
    ports.assignment = dice.pick(&[
        Assignment::Preserve,
        Assignment::Random,
        Assignment::Sequential {
            step: 1,
            per_host: false,
        },
        Assignment::Sequential {
            step: 3,
            per_host: true,
        },
        Assignment::Block { size: 4 },
    ]);
    ports.conflict = dice.pick(&[
        Conflict::Next,
        Conflict::Random,
        Conflict::Overload,
        Conflict::Refuse,
        Conflict::ChangeBehaviour,
    ]);
    ports.overlap = dice.flag();
    ports.parity = dice.flag();
    ports.range = more
        .pick(&[1..=65535_u16, 1024..=1031, 4999..=5002, 1..=2048].map(Span::of))
        .range();
    ports.keep_range = more.flag();
    ports.hold_down = Duration::from_secs(more.pick(&[0, 120]));
    config.pooling = more.pick(&[Pooling::Paired, Pooling::Arbitrary]);
}

/// A range that can be copied.
#[derive(Clone, Copy)]
struct Span(u16, u16);

impl Span {
    fn of(range: std::ops::RangeInclusive<u16>) -> Self {
        Self(*range.start(), *range.end())
    }

    fn range(self) -> std::ops::RangeInclusive<u16> {
        self.0..=self.1
    }
}

fn switches(config: &mut NatConfig, mut dice: Dice) {
    config.decrement_ttl = !dice.flag();
    config.mtu = dice.pick(&[None, Some(600)]);
    config.rewrite_ip_id = dice.flag();
    config.alg = dice.flag();
    config.tcp_loose = dice.flag();
    config.conntrack = dice.pick(&[
        None,
        None,
        Some(Conntrack {
            accepts_input: false,
        }),
        Some(Conntrack {
            accepts_input: true,
        }),
    ]);
}

fn answers(config: &mut NatConfig, mut dice: Dice) {
    config.hairpinning = dice.pick(&[
        Hairpinning::ExternalSource,
        Hairpinning::InternalSource,
        Hairpinning::Off,
    ]);
    config.unsolicited_syn = dice.pick(&[
        UnsolicitedSyn::Wait(Duration::from_secs(6)),
        UnsolicitedSyn::Refuse,
        UnsolicitedSyn::Drop,
    ]);
    config.icmp_errors = dice.pick(&[
        IcmpErrors::Translate,
        IcmpErrors::KillMapping,
        IcmpErrors::Drop,
    ]);
    config.refusal = dice.pick(&[
        Refusal::Prohibited,
        Refusal::HostUnreachable,
        Refusal::Silent,
    ]);
}

fn refreshing(config: &mut NatConfig, mut dice: Dice) {
    config.refresh = dice.pick(&[Refresh::Outbound, Refresh::Both, Refresh::Inbound]);
    config.fragments = dice.pick(&[Fragments::AnyOrder, Fragments::InOrder, Fragments::Drop]);
    let timers = &mut config.timers;
    timers.udp_filter = Duration::from_secs(dice.pick(&[300, 60, 600]));
    timers.udp_unreplied = dice.pick(&[None, Some(Duration::from_secs(30))]);
    timers.udp_well_known = dice.pick(&[None, Some(Duration::from_secs(20))]);
}

/// Returns whether what nobody answered makes room.
fn extras(config: &mut NatConfig, mut dice: Dice) -> bool {
    if dice.flag() {
        config.one_to_one = vec![(ip("192.168.1.2"), ip("203.0.113.10"))];
    }
    if dice.flag() {
        let endpoint = |text: &str, port| jackfield_nat::Endpoint::new(ip(text), port);
        config.forwards = vec![
            Forward {
                protocol: Protocol::Udp,
                external: endpoint("203.0.113.1", 5000),
                internal: endpoint("192.168.1.3", 5001),
            },
            Forward {
                protocol: Protocol::Tcp,
                external: endpoint("203.0.113.1", 80),
                internal: endpoint("192.168.1.3", 80),
            },
        ];
    }
    if dice.flag() {
        config.untranslated = "192.0.2.0/24".parse().into_iter().collect();
    }
    config.policy = match dice.pick(&[0, 0, 0, 1, 2, 3]) {
        0 => Policy::default(),
        1 => Policy::no_udp(),
        2 => Policy::no_udp_no_incoming_tcp(),
        _ => Policy::web_only(),
    };
    dice.flag()
}

fn limits(config: &mut NatConfig, mut dice: Dice) {
    config.limits = NatLimits {
        mappings: dice.pick(&[64, 5]),
        mappings_per_host: dice.pick(&[32, 3]),
        flows: dice.pick(&[64, 6]),
        flows_per_host: dice.pick(&[32, 4]),
        new_mappings_per_host: None,
        new_flows_per_host: None,
        resting_ports: 16,
        datagrams: dice.pick(&[4, 2]),
        held_bytes: dice.pick(&[4096, 700]),
        held_syns: dice.pick(&[4, 1]),
        errors_per_second: dice.pick(&[100, 1]),
        errors_per_host: 2,
        inbound_flows_per_host: 3,
        datagrams_per_host: 2,
        evict_unanswered: false,
    };
}
