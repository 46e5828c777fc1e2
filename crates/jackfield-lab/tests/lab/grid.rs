//! The grid: which networks it can have, and how what came out of it is shown.

use jackfield_lab::grid::{
    ALL_TYPES, AttemptView, CandidateType, Cell, DEFAULT_TYPES, Grid, NetworkType, PathView,
    Transport, lab, page, table,
};
use jackfield_lab::nat::Firewall;
use jackfield_lab::{Plan, SpecError};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

proptest! {
    #[test]
    fn every_row_of_nats_with_a_firewall_is_a_network(
        nats in prop::collection::vec(select(NATS), 0..4),
        firewall in prop::option::of(select(&Firewall::ALL[1..])),
    ) {
        let mut words: Vec<&str> = nats.clone();
        words.extend(firewall.map(Firewall::name));
        let name = if words.is_empty() { "open".to_owned() } else { words.join("+") };
        let network = NetworkType::parse(&name).unwrap();
        prop_assert_eq!(&network.name, &name);
        prop_assert!(!network.about.is_empty());
        let plan = Plan::new(&lab(&[network])).unwrap();
        // Two hosts, so that a network can meet its like; the routers of a row are sites of their
        // own.
        prop_assert_eq!(plan.hosts.len(), 2);
        prop_assert_eq!(plan.sites.len(), 2 * nats.len().max(1));
        for host in &plan.hosts {
            let site = &plan.sites[host.site];
            prop_assert_eq!(site.settings.firewall, firewall.unwrap_or_default());
            prop_assert_eq!(site.settings.externals.is_empty(), nats.is_empty());
        }
    }

    #[test]
    fn text_page_and_json_agree_on_what_came_out(grid in grid()) {
        let text = table(&grid, false);
        let page = page(&grid);
        let json = serde_json::to_value(&grid).unwrap();
        let wrong = grid.disagreements();
        prop_assert_eq!(wrong.is_empty(), text.contains("came out as they must"));
        prop_assert_eq!(wrong.is_empty(), page.contains("as theory says they must"));
        for line in &wrong {
            prop_assert!(text.contains(line), "{} is not in\n{}", line, text);
        }
        let flags = json["cells"].as_array().unwrap().iter().flat_map(|cell| {
            cell["attempts"].as_array().unwrap().iter().map(|attempt| attempt["agrees"] == true)
        });
        prop_assert_eq!(flags.filter(|agrees| !agrees).count(), wrong.len());
        prop_assert_eq!(page.matches("<td class=").count(), grid.cells.len());
    }

    #[test]
    fn colours_change_nothing_but_colours(grid in grid()) {
        let words = |text: &str| {
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        let plain = table(&grid, false);
        prop_assert!(!plain.contains('\x1b'));
        prop_assert_eq!(words(&without_colours(&table(&grid, true))), words(&plain));
    }
}

#[test]
fn the_grid_that_nobody_asked_for_otherwise_is_one_that_can_be() {
    for names in [DEFAULT_TYPES, ALL_TYPES] {
        let types: Vec<NetworkType> = names
            .iter()
            .map(|it| NetworkType::parse(it).unwrap())
            .collect();
        let spec = lab(&types);
        assert_eq!(Plan::new(&spec).unwrap().hosts.len(), 2 * names.len());
        assert!(spec.serve.is_some(), "relays are at the server");
    }
    assert_eq!(ALL_TYPES.len(), 9);
}

#[test]
fn a_word_that_is_no_network_is_refused_with_those_that_are() {
    for (text, value) in [
        ("cone", "cone"),
        ("linux+cone", "cone"),
        ("eim/cone", "cone"),
        ("no-tcp", "no-tcp"),
        ("", ""),
    ] {
        let error = NetworkType::parse(text).unwrap_err();
        let SpecError::Value {
            key,
            value: refused,
            accepted,
        } = &error
        else {
            panic!("{text}: {error}");
        };
        assert_eq!(
            (key.as_str(), refused.as_str()),
            ("--types", value),
            "{text}"
        );
        for word in ["open", "only-https", "MAPPING/FILTERING"] {
            assert!(accepted.contains(word), "{error}");
        }
    }
}

#[test]
fn the_page_takes_names_for_text_and_needs_nothing_from_elsewhere() {
    let mut grid = example();
    grid.cells[0].a = "<script>alert(1)</script>".into();
    grid.cells[0].why = "a < b & \"c\"".into();
    let page = page(&grid);
    assert!(!page.contains("<script>alert"), "names are text");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("a &lt; b &amp; &quot;c&quot;"));
    for elsewhere in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
}

#[test]
fn the_json_of_a_grid_is_as_promised() {
    let grid = example();
    let json = serde_json::to_value(&grid).unwrap();
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&json), ["agrees", "cells", "seconds", "types"]);
    let cell = &json["cells"][0];
    assert_eq!(keys(cell), ["a", "agrees", "attempts", "b", "best", "why"]);
    assert_eq!(keys(&json["types"][0]), ["about", "name"]);
    let transports = cell["attempts"].as_array().unwrap().iter();
    let transports: Vec<&str> = transports
        .map(|it| it["transport"].as_str().unwrap())
        .collect();
    assert_eq!(
        transports,
        ["direct", "relay-udp", "relay-tcp", "relay-tls"]
    );
    let path = &cell["attempts"][1]["path"];
    assert_eq!(
        (&path["local"], &path["remote"]),
        (&"R".into(), &"P".into())
    );
    assert_eq!(cell["best"], "relay-udp");
}

#[test]
fn a_disagreement_is_told_in_words() {
    let mut grid = example();
    grid.cells[0].attempts[0].agrees = false;
    grid.cells[0].attempts[1].agrees = false;
    assert_eq!(
        grid.disagreements(),
        [
            "open to open, direct, over UDP: no path, and it must be none",
            "open to open, by a relay, reached over UDP: a path R-P, and it must be path",
        ]
    );
}

/// One network that meets its like by relays alone.
fn example() -> Grid {
    let open = NetworkType::parse("open").unwrap();
    let relayed = PathView {
        local: CandidateType::Relayed,
        remote: CandidateType::PeerReflexive,
        ms: 1.5,
    };
    let attempts = Transport::ALL.map(|transport| match transport {
        Transport::Direct => attempt(transport, None, true),
        _ => attempt(transport, Some(relayed), true),
    });
    Grid {
        cells: vec![cell(&open, &open, attempts.to_vec())],
        types: vec![open],
        agrees: true,
        seconds: 1.5,
    }
}

fn attempt(transport: Transport, path: Option<PathView>, agrees: bool) -> AttemptView {
    AttemptView {
        transport,
        expected: if path.is_some() == agrees {
            "path"
        } else {
            "none"
        },
        agrees,
        path,
    }
}

fn cell(a: &NetworkType, b: &NetworkType, attempts: Vec<AttemptView>) -> Cell {
    let found = attempts.iter().find(|attempt| attempt.path.is_some());
    Cell {
        a: a.name.clone(),
        b: b.name.clone(),
        best: found.map(|attempt| attempt.transport),
        why: "There is a reason.".into(),
        agrees: attempts.iter().all(|attempt| attempt.agrees),
        attempts,
    }
}

/// A grid in which anything came out.
fn grid() -> impl Strategy<Value = Grid> {
    let kinds = [
        CandidateType::Host,
        CandidateType::ServerReflexive,
        CandidateType::PeerReflexive,
        CandidateType::Relayed,
    ];
    let path = (select(kinds.to_vec()), select(kinds.to_vec()), 0_u16..3000);
    let path = path.prop_map(|(local, remote, tenths)| PathView {
        local,
        remote,
        ms: f64::from(tenths) / 10.0,
    });
    let outcome = (prop::option::of(path), prop::bool::weighted(0.9));
    let names = subsequence(DEFAULT_TYPES, 1..4);
    (names, prop::collection::vec(outcome, 9 * 4)).prop_map(|(names, outcomes)| {
        let types: Vec<NetworkType> = names
            .iter()
            .map(|it| NetworkType::parse(it).unwrap())
            .collect();
        let mut outcomes = outcomes.into_iter();
        let mut cells = Vec::new();
        for a in &types {
            for b in &types {
                let attempts = Transport::ALL.into_iter().zip(outcomes.by_ref());
                let attempts = attempts.map(|(by, (path, agrees))| attempt(by, path, agrees));
                cells.push(cell(a, b, attempts.collect()));
            }
        }
        Grid {
            agrees: cells.iter().all(|cell| cell.agrees),
            types,
            cells,
            seconds: 2.5,
        }
    })
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').unwrap().1);
    }
    plain
}

const NATS: &[&str] = &[
    "full-cone",
    "symmetric",
    "linux",
    "cgn",
    "eim/adf",
    "apdm/eif",
];
