//! How a lab is written, and what is said of mistakes.

use std::cell::Cell;
use std::time::Duration;

use jackfield_lab::nat::Change;
use jackfield_lab::{CommandLine, Spec, SpecError};
use proptest::prelude::*;

use super::random_lab::{SETTINGS, random_lab};

proptest! {
    #[test]
    fn a_lab_is_the_same_in_code_as_toml_and_as_flags(lab in random_lab()) {
        let in_code = lab.in_code();
        prop_assert_eq!(&lab.as_flags(), &in_code);
        let text = lab.as_toml();
        let spec = Spec::from_toml(&text);
        prop_assert_eq!(spec.as_ref(), Ok(&in_code), "{}", text);
    }

    #[test]
    fn no_text_is_more_than_a_mistake(text in "\\PC{0,60}") {
        let mut spec = Spec::default();
        let _ = Spec::from_toml(&text);
        let _ = spec.add_site(&text);
        let _ = spec.add_host(&text);
        let _ = spec.add_line("--run", &text, false);
        // What was accepted by chance has a name that a host can have.
        for name in spec.sites.iter().map(|site| &site.name) {
            prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{}", name);
        }
    }
}

#[test]
fn every_setting_of_a_router_but_the_profile_is_a_key_of_a_site() {
    let known: Vec<&str> = SETTINGS.iter().map(|(key, _)| *key).collect();
    for key in Change::KEYS.iter().filter(|key| **key != "profile") {
        assert!(known.contains(key), "{key} is not tried");
    }
    // The profile has a shorter name there.
    let error = flag("home=profile=linux");
    assert!(
        error.contains("`profile`") && error.contains("a NAT"),
        "{error}"
    );
    let error = file("[site.home]\nprofile = \"linux\"");
    assert!(
        error.contains("profile") && error.contains("`nat`"),
        "{error}"
    );
}

#[test]
fn numbers_are_written_as_numbers_or_as_text() {
    for (number, text) in [
        ("loss = 1", "1"),
        ("loss = 0.25", "0.25"),
        ("loss = \"1%\"", "1%"),
    ] {
        let spec = Spec::from_toml(&format!("[site.home]\n{number}")).unwrap();
        assert_eq!(spec.sites[0].change.loss.as_deref(), Some(text));
    }
    let spec = Spec::from_toml("[site.home]\nloss = 9\nloss-burst = 4\nqueue = 65536").unwrap();
    let change = &spec.sites[0].change;
    assert_eq!(change.loss_burst.as_deref(), Some("4"));
    assert_eq!(change.queue.as_deref(), Some("65536"));
}

#[test]
fn words_of_a_flag_that_mean_no_nat_give_public_addresses() {
    for word in ["public", "open", "none", "nat=none"] {
        let mut spec = Spec::default();
        spec.add_site(&format!("street={word}")).unwrap();
        assert!(spec.sites[0].nats.is_empty(), "{word}");
    }
}

#[test]
fn a_program_is_a_line_for_the_shell_or_a_list_of_words() {
    let text = "[[command]]\non = \"server\"\nrun = [\"printf\", \"%s\", \"a b\"]\nfolder = \"/tmp\"\n\
                background = true\nready = \"up\"\nready-within = \"5s\"\nenv = { LANG = \"C\" }";
    let job = &Spec::from_toml(text).unwrap().jobs[0];
    let words = ["printf", "%s", "a b"].map(String::from);
    assert_eq!(job.command, CommandLine::Exec(words.to_vec()));
    assert_eq!(job.ready_timeout, Duration::from_secs(5));
    assert_eq!(job.ready.as_deref(), Some("up"));
    assert_eq!(job.environment["LANG"], "C");
    let text = "[[command]]\non = \"server\"\nrun = \"true\"";
    let job = &Spec::from_toml(text).unwrap().jobs[0];
    assert_eq!(job.command, CommandLine::Shell("true".into()));
    assert_eq!(job.ready_timeout, Duration::from_secs(30));
    assert!(!job.background && job.ready.is_none());
}

#[test]
fn a_server_that_does_not_serve_has_no_flags() {
    let text = "[server]\nflags = [\"--realm\", \"x\"]";
    assert_eq!(Spec::from_toml(text).unwrap().serve, None);
}

/// Each value that is refused, by key, with a part of what is accepted.
const REFUSED: &[(&str, &str, &str)] = &[
    ("nat", "cone", "full-cone"),
    ("nat", "eim/cone", "endpoint-independent (eif)"),
    ("nat", "cone/eif", "endpoint-independent (eim)"),
    ("mapping", "eif", "address-dependent (adm)"),
    ("filtering", "eim", "address-and-port-dependent (apdf)"),
    ("hairpinning", "yes", "internal-source"),
    ("udp-timeout", "10ms", "from 100ms to"),
    ("udp-timeout", "soon", "30s"),
    ("udp-timeout", "30", "with its unit"),
    ("new-mappings-per-host", "0", "none, or a number a second"),
    ("new-flows-per-host", "many", "none, or a number a second"),
    ("firewall", "strong", "no-udp-no-incoming-tcp"),
    ("latency", "61s", "to 60s"),
    ("latency", "-1ms", "500ms"),
    ("latency", "20", "with its unit"),
    ("jitter", "5", "with its unit"),
    ("jitter", "fast", "500ms"),
    ("loss", "150", "a percentage from 0 to 100"),
    ("loss", "some", "0.5"),
    ("loss-burst", "0", "a number from 1 to"),
    ("reorder", "-1", "a percentage"),
    ("duplicate", "101%", "a percentage"),
    ("rate", "10mbps", "10mbit"),
    ("rate", "1.5mbit", "512kbit"),
    ("queue", "64kb", "64KiB"),
    ("queue", "100", "from 2048"),
    ("port-mapping", "natpmp", "nat-pmp"),
];

#[test]
fn a_refused_value_is_named_with_its_key_and_what_is_accepted_in_files_and_flags() {
    for (key, value, accepted) in REFUSED {
        let nat = if *key == "nat" {
            ""
        } else {
            "nat = \"linux\"\n"
        };
        let in_file = file(&format!("[site.home]\n{nat}{key} = {value:?}"));
        let in_flag = flag(&format!("home=linux,{key}={value}"));
        for (error, path) in [(in_file, "site.home"), (in_flag, "--site home")] {
            let start = match key {
                // Of a mapping and a filtering, the one that is wrong is named.
                &"nat" => format!("{path}.nat cannot be `"),
                key => format!("{path}.{key} cannot be `{value}`: accepted is "),
            };
            assert!(error.starts_with(&start), "{key}: {error}");
            assert!(error.contains(accepted), "{key}: {error}");
        }
    }
}

#[test]
fn other_mistakes_in_a_file_are_named_with_the_way_out() {
    for (text, parts) in [
        ("[site.home", &["TOML"][..]),
        ("[sites.home]", &["line 1", "`sites`", "`site`"]),
        (
            "[site.home]\nexternal = 0",
            &["site.home.external cannot be `0`", "from 1 to 16"],
        ),
        (
            "[site.home]\nexternal = 17",
            &["site.home.external cannot be `17`", "from 1 to 16"],
        ),
        ("[site.home]\nblock-udp = \"x\"", &["line 2", "boolean"]),
        ("[site.home]\nloss = []", &["line 2", "a number"]),
        (
            "[site.Home]",
            &["site.Home cannot be `Home`", "lower-case letters"],
        ),
        (
            "[host.4pc]",
            &["host.4pc cannot be `4pc`", "begins with a letter"],
        ),
        ("[host.pc-]", &["host.pc- cannot be `pc-`"]),
        (
            "[host.abcdefghijklmnopqrstuvwxy]",
            &["cannot be `abcdefghijklmnopqrstuvwxy`", "up to 24"],
        ),
        (
            "[site.home]\nudp-timeout = \"30s\"",
            &["site.home.udp-timeout needs a `nat`"],
        ),
        (
            "[site.home]\nhairpinning = \"off\"",
            &["site.home.hairpinning needs a `nat`"],
        ),
        ("[[command]]\nrun = \"x\"", &["missing field `on`"]),
        (
            "[[command]]\non = \"server\"\nrun = \" \"",
            &["command 1.run cannot be ``", "a list"],
        ),
        (
            "[[command]]\non = \"server\"\nrun = []",
            &["command 1.run cannot be ``"],
        ),
        (
            "[[command]]\non = \"server\"\nrun = 7",
            &["line 3", "a text, or a list of texts"],
        ),
        (
            "[[command]]\non = \"server\"\nrun = \"x\"\nready-within = \"2h\"",
            &["command 1.ready-within cannot be `2h`", "up to an hour"],
        ),
        (
            "[[command]]\non = \"server\"\nrun = \"x\"\nready-within = \"30\"",
            &["command 1.ready-within cannot be `30`", "with its unit"],
        ),
        (
            "[[command]]\non = \"server\"\nrun = \"x\"\nready = \"y\"",
            &["command 1.ready needs background = true"],
        ),
    ] {
        let error = file(text);
        for part in parts {
            assert!(
                error.contains(part),
                "{text:?}: `{part}` is not in\n{error}"
            );
        }
    }
}

#[test]
fn other_mistakes_in_flags_are_named_with_the_way_out() {
    let mut spec = Spec::default();
    spec.add_site("home=linux").unwrap();
    spec.add_host("ann@home").unwrap();
    let before = spec.clone();
    let error = spec.add_site("home").unwrap_err();
    let key = "--site home".to_owned();
    assert_eq!(error, SpecError::Duplicate { key });
    assert_eq!(
        spec.add_host("ann").unwrap_err().to_string(),
        DUPLICATE_HOST
    );
    for (name, part) in [
        ("", "cannot be ``"),
        ("@home", "cannot be ``"),
        ("a_b@home", "`a_b`"),
    ] {
        let error = spec.add_host(name).unwrap_err().to_string();
        assert!(
            error.starts_with("--host ") && error.contains(part),
            "{error}"
        );
    }
    for line in ["ls", "=ls", "ann=", "ann= "] {
        let error = spec
            .add_line("--start", line, true)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("--start cannot be `{line}`")),
            "{error}"
        );
        assert!(error.contains("HOST=COMMAND"), "{error}");
    }
    let error = flag("a=linux,speed=3");
    assert!(error.starts_with("--site a cannot be `speed`"), "{error}");
    for key in Change::KEYS.iter().filter(|key| **key != "profile") {
        assert!(
            error.contains(key),
            "{key} is accepted, and not in: {error}"
        );
    }
    for number in ["0", "17", "300", "two"] {
        let error = flag(&format!("a=linux,external={number}"));
        let start = format!("--site a.external cannot be `{number}`");
        assert!(
            error.starts_with(&start) && error.contains("1 to 16"),
            "{error}"
        );
    }
    assert_eq!(spec, before, "a mistake changes nothing");
}

#[test]
fn random_labs_do_have_sites_behind_each_other() {
    // Without them the properties of this suite would prove little.
    let nested = Cell::new(0);
    proptest!(|(lab in random_lab())| {
        let sites = 0..lab.sites.len();
        nested.set(nested.get() + sites.filter(|index| lab.behind(*index).is_some()).count());
    });
    assert!(nested.get() > 20, "{nested:?}");
}

const DUPLICATE_HOST: &str = "--host ann is there twice: give one of them another name";

fn file(text: &str) -> String {
    let result = Spec::from_toml(text);
    result.expect_err(text).to_string()
}

fn flag(text: &str) -> String {
    let mut spec = Spec::default();
    spec.add_site(text).expect_err(text).to_string()
}
