//! What a router is asked to be, in texts, and the NAT that comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield_lab::nat::{Answer, Change, Firewall, LinkSettings, Request, Settings};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Filtering, Hairpinning, Mapping};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

proptest! {
    #[test]
    fn a_change_survives_the_way_over_the_control_socket(values in values()) {
        let request = Request::Set(Box::new(change(&values)));
        let line = serde_json::to_string(&request).unwrap();
        prop_assert!(!line.contains('\n'), "a request is one line");
        prop_assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
    }

    #[test]
    fn two_changes_one_after_the_other_are_as_good_as_both_at_once(
        first in values(),
        second in values(),
    ) {
        // A profile undoes earlier changes of single behaviours, so it is not among the second.
        let second: BTreeMap<_, _> = second.into_iter().filter(|(key, _)| *key != "profile").collect();
        let stepwise = settings().changed(&change(&first)).unwrap();
        let stepwise = stepwise.changed(&change(&second));
        let mut both = first;
        both.extend(second);
        prop_assert_eq!(stepwise, settings().changed(&change(&both)));
    }

    #[test]
    fn a_change_that_repeats_changes_nothing(values in values()) {
        let once = settings().changed(&change(&values)).unwrap();
        prop_assert_eq!(once.changed(&change(&values)), Ok(once.clone()));
        prop_assert_eq!(once.changed(&Change::default()), Ok(once));
    }

    #[test]
    fn a_change_of_the_link_is_none_of_the_nat(values in values()) {
        let link = values.into_iter().filter(|(key, _)| LINK.contains(key)).collect();
        let changed = settings().changed(&change(&link)).unwrap();
        prop_assert_eq!(changed.config(), settings().config());
    }

    #[test]
    fn a_wrong_value_among_right_ones_is_named_and_refuses_them_all(
        mut values in values(),
        key in select(&Change::KEYS[..]),
    ) {
        prop_assume!(key != "block-udp");
        values.insert(key, "wrong!");
        let error = settings().changed(&change(&values)).unwrap_err();
        prop_assert_eq!((error.key, error.value.as_str()), (key, "wrong!"));
        prop_assert!(!error.accepted.is_empty());
    }
}

#[test]
fn every_profile_can_be_asked_for_by_name() {
    for profile in Profile::ALL {
        let settings = settings().changed(&one("profile", profile.name())).unwrap();
        assert_eq!(settings.kind(), profile.name());
        let mut wanted = profile.config(&settings.externals);
        wanted.policy = Firewall::None.policy();
        assert_eq!(settings.config(), wanted);
    }
    let error = settings().changed(&one("profile", "cone")).unwrap_err();
    for profile in Profile::ALL {
        assert!(error.accepted.contains(profile.name()), "{error}");
    }
}

#[test]
fn single_behaviours_come_on_top_of_the_profile_in_long_and_short_words() {
    for (long, short) in [
        ("endpoint-independent", ["eim", "eif"]),
        ("address-dependent", ["adm", "adf"]),
        ("address-and-port-dependent", ["apdm", "apdf"]),
    ] {
        for [mapping, filtering] in [[long, long], short] {
            let values = [
                ("profile", "linux"),
                ("mapping", mapping),
                ("filtering", filtering),
            ];
            let config = settings()
                .changed(&change(&values.into()))
                .unwrap()
                .config();
            assert_eq!(config.udp.mapping.to_string(), long);
            assert_eq!(config.tcp.filtering.to_string(), long);
            assert!(
                config.conntrack.is_none(),
                "connection tracking has its own mapping"
            );
        }
    }
    let config = |key, value| settings().changed(&one(key, value)).unwrap().config();
    assert_eq!(config("hairpinning", "off").hairpinning, Hairpinning::Off);
    let timers = config("udp-timeout", "90s").timers;
    assert_eq!(timers.udp, Duration::from_secs(90));
    assert_eq!((timers.udp_unreplied, timers.udp_well_known), (None, None));
}

#[test]
fn a_router_is_a_port_restricted_cone_on_a_perfect_link_unless_told_otherwise() {
    let settings = settings();
    let config = settings.config();
    assert_eq!(config.udp.mapping, Mapping::EndpointIndependent);
    assert_eq!(config.udp.filtering, Filtering::AddressAndPortDependent);
    assert_eq!(settings.link, LinkSettings::default());
    assert_eq!(settings.kind(), "port-restricted-cone");
    assert!(!settings.leasing().dialects.pcp);
}

#[test]
fn requests_and_answers_are_the_json_that_is_promised() {
    let set = Request::Set(Box::new(one("loss-burst", "3")));
    let set = serde_json::to_value(set).unwrap();
    assert_eq!(set["set"]["loss-burst"], "3");
    assert_eq!(serde_json::to_value(Request::List).unwrap(), json!("list"));
    assert_eq!(
        serde_json::to_value(Request::Reboot).unwrap(),
        json!("reboot")
    );
    assert_eq!(serde_json::to_value(Answer::Done).unwrap(), json!("done"));
    let error = serde_json::to_value(Answer::Error("no".into())).unwrap();
    assert_eq!(error, json!({"error": "no"}));
    let wrong = serde_json::from_value::<Request>(json!({"set": {"lost": "3"}}));
    assert!(wrong.unwrap_err().to_string().contains("`lost`"));
}

fn settings() -> Settings {
    Settings::new(vec!["198.18.1.1".parse().unwrap()])
}

fn one(key: &str, value: &str) -> Change {
    let mut change = Change::default();
    assert_eq!(change.set(key, value), Ok(true), "{key}");
    change
}

fn change(values: &BTreeMap<&str, &str>) -> Change {
    let mut change = Change::default();
    for (key, value) in values {
        assert_eq!(change.set(key, value), Ok(true), "{key}");
    }
    change
}

/// Some settings with values that are accepted together.
fn values() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    let pairs: Vec<(&str, &str)> = ACCEPTED
        .iter()
        .flat_map(|(key, values)| values.iter().map(|value| (*key, *value)))
        .collect();
    prop::collection::vec(select(pairs), 0..8).prop_map(|pairs| pairs.into_iter().collect())
}

const LINK: &[&str] = &[
    "latency",
    "jitter",
    "loss",
    "loss-burst",
    "reorder",
    "duplicate",
    "rate",
    "queue",
    "block-udp",
];
const ACCEPTED: &[(&str, &[&str])] = &[
    ("profile", &["symmetric", "full-cone", "linux", "cgn"]),
    ("mapping", &["eim", "address-dependent", "apdm"]),
    ("filtering", &["endpoint-independent", "adf", "apdf"]),
    (
        "hairpinning",
        &["off", "internal-source", "external-source"],
    ),
    ("udp-timeout", &["100ms", "2s", "10m", "7d"]),
    ("new-mappings-per-host", &["none", "1", "500"]),
    ("new-flows-per-host", &["none", "1", "2000"]),
    (
        "firewall",
        &["none", "no-udp", "no-udp-no-incoming-tcp", "only-https"],
    ),
    ("latency", &["0", "20ms", "60s"]),
    ("jitter", &["0", "5ms", "1s"]),
    ("loss", &["0", "0.5", "12.5%", "50 %"]),
    ("loss-burst", &["1", "2", "20"]),
    ("reorder", &["0", "1%"]),
    ("duplicate", &["0", "0.01"]),
    ("rate", &["none", "64kbit", "1gbit"]),
    ("queue", &["4096", "64KiB", "1MiB"]),
    ("block-udp", &["true", "false"]),
    ("port-mapping", &["none", "all", "pcp, upnp"]),
];
