//! Random profiles over random links: what two hosts achieve is what the oracle says, whatever the
//! weather.

use jackfield_internet::{Link, Loss};
use jackfield_nat::oracle::{Traits, oracle};
use jackfield_nat::profile::Profile;
use jackfield_nat::{NatConfig, UnsolicitedSyn};
use proptest::prelude::*;

use crate::punch::{Duel, agree, any_config};
use crate::rig::{ip, millis, secs};
use crate::tcp_punch::judge;

fn any_link() -> impl Strategy<Value = Link> {
    let times = (0..120_u64, 0..40_u64);
    let troubles = (0..150_000_u32, 1..6_u32, 0..80_000_u32, 0..80_000_u32);
    let rate = proptest::option::weighted(0.3, 500_000..50_000_000_u64);
    (times, troubles, rate).prop_map(
        |((latency, jitter), (loss, length, reorder, duplicate), rate)| Link {
            jitter: millis(jitter),
            loss: Loss::bursts(loss, length),
            reorder,
            duplicate,
            rate,
            ..Link::latency(millis(latency))
        },
    )
}

/// A random NAT, or one by name.
fn any_nat() -> impl Strategy<Value = NatConfig> {
    let syn = prop_oneof![
        Just(UnsolicitedSyn::Drop),
        Just(UnsolicitedSyn::Refuse),
        Just(UnsolicitedSyn::Wait(secs(6))),
    ];
    let random = (any_config(), syn).prop_map(|(mut config, syn)| {
        config.tcp = config.udp;
        config.unsolicited_syn = syn;
        config
    });
    let named = proptest::sample::select(Profile::IPV4)
        .prop_map(|profile| profile.config(&[ip("203.0.113.1")]));
    prop_oneof![random, named]
}

fn any_chain() -> impl Strategy<Value = Vec<NatConfig>> {
    proptest::collection::vec(any_nat(), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn udp_finds_the_paths_of_the_oracle(
        a in any_chain(),
        b in any_chain(),
        link in any_link(),
        seed in any::<u64>(),
    ) {
        let traits = |chain: &[NatConfig]| chain.iter().map(Traits::of).collect::<Vec<_>>();
        let path = oracle(&traits(&a), &traits(&b));
        let mut duel = Duel::over(link, [&a, &b], seed);
        let found = duel.play_for(secs(15));
        agree(path, found, &duel);
    }

    #[test]
    fn tcp_finds_the_paths_of_the_oracle(
        a in any_chain(),
        b in any_chain(),
        link in any_link(),
        seed in any::<u64>(),
    ) {
        judge([&a, &b], link, seed);
    }
}
