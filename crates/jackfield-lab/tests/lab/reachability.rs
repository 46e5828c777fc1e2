//! How hosts reach each other, as `nat oracle` says.

use jackfield_lab::nat::{NatChain, Reachability, ReachabilityTable};
use jackfield_nat::oracle::Path;
use jackfield_nat::profile::Profile;
use jackfield_nat::{Filtering, Mapping};
use proptest::prelude::*;
use proptest::sample::select;

proptest! {
    #[test]
    fn the_path_is_the_same_from_both_ends(a in chain(), b in chain()) {
        let there = Reachability::of(&parse(&a), &parse(&b));
        let back = Reachability::of(&parse(&b), &parse(&a));
        prop_assert_eq!(there.path, back.path, "{} and {}: {}", a, b, there.why);
    }

    #[test]
    fn a_public_host_in_the_row_changes_nothing(a in chain(), b in chain()) {
        let plain = Reachability::of(&parse(&a), &parse(&b));
        let public = Reachability::of(&parse(&format!("public, {a}")), &parse(&b));
        prop_assert_eq!(plain, public);
    }

    #[test]
    fn the_table_has_the_word_of_each_pair(names in prop::collection::vec(chain(), 1..5)) {
        let chains: Vec<NatChain> = names.iter().map(|name| parse(name)).collect();
        let text = ReachabilityTable(chains.clone()).to_string();
        let mut lines = text.lines();
        let heading: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        prop_assert_eq!(heading, names);
        for (row, line) in chains.iter().zip(lines) {
            let mut words = line.split_whitespace();
            prop_assert_eq!(words.next(), Some(row.name()));
            let wanted: Vec<_> = chains.iter().map(|b| Reachability::of(row, b).word()).collect();
            prop_assert_eq!(words.collect::<Vec<_>>(), wanted);
        }
    }
}

#[test]
fn one_endpoint_independent_filter_is_enough() {
    for mapping in Mapping::ALL {
        let open = format!("{}/eif", mapping.abbreviation());
        for other in ["symmetric", "port-restricted-cone", "full-cone", "public"] {
            let verdict = Reachability::of(&parse(&open), &parse(other));
            assert_eq!(
                verdict.path,
                Path::Direct,
                "{open} and {other}: {}",
                verdict.why
            );
        }
    }
}

#[test]
fn every_profile_reaches_a_public_host_and_the_reason_names_both() {
    for profile in Profile::ALL {
        let verdict = Reachability::of(&parse(profile.name()), &parse("public"));
        assert_ne!(
            verdict.path,
            Path::Relay,
            "{}: {}",
            profile.name(),
            verdict.why
        );
        assert!(
            verdict.why.contains('A') || verdict.why.contains('B'),
            "{}",
            verdict.why
        );
    }
}

#[test]
fn a_word_that_is_no_nat_is_refused_with_those_that_are() {
    for (text, key, value, accepted) in [
        ("cone", "profile", "cone", "restricted-cone"),
        ("linux,cone", "profile", "cone", "restricted-cone"),
        ("eif/eim", "mapping", "eif", "(eim)"),
        ("eim/eim", "filtering", "eim", "(eif)"),
        ("", "profile", "", "linux"),
    ] {
        let error = text.parse::<NatChain>().unwrap_err();
        assert_eq!((error.key, error.value.as_str()), (key, value), "{text}");
        assert!(error.accepted.contains(accepted), "{error}");
    }
}

fn parse(text: &str) -> NatChain {
    text.parse().unwrap()
}

/// A row of one to three NATs.
fn chain() -> impl Strategy<Value = String> {
    let profiles = Profile::ALL.iter().map(|profile| profile.name().to_owned());
    let behaviours = Mapping::ALL.into_iter().flat_map(|mapping| {
        let name = move |filtering| format!("{mapping}/{filtering}");
        Filtering::ALL.map(name)
    });
    let nats: Vec<String> = profiles.chain(behaviours).collect();
    prop::collection::vec(select(nats), 1..4).prop_map(|nats| nats.join(","))
}
