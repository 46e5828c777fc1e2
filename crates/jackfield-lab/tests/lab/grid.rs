//! The grid: which networks it can have, and how what came out of it is shown.

use jackfield_lab::grid::{
    ALL_TYPES, CandidateType, Cell, DEFAULT_TYPES, Grid, NetworkType, Pair, PathView, RelayWay,
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
        let flags = json["cells"].as_array().unwrap().iter().map(|cell| cell["agrees"] == true);
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
fn a_host_of_ipv6_alone_has_a_nat64_before_it_and_a_name_for_the_server() {
    let plan = Plan::new(&lab(&[NetworkType::parse("nat64").unwrap()])).unwrap();
    let host = &plan.hosts[0];
    let site = &plan.sites[host.site];
    assert!(site.is_nat64() && host.ip.is_ipv6());
    assert!(host.public_ip.is_ipv4());
    let variables = jackfield_lab::environment::variables("lab", &plan, &host.name);
    assert_eq!(variables["LAB_SERVER"], "64:ff9b::c612:1");
    let names = jackfield_lab::environment::hosts_file(&plan);
    assert!(names.contains("64:ff9b::c612:1 server\n"), "{names}");
    assert!(names.contains("198.18.0.1 server\n"), "{names}");
}

#[test]
fn a_proxy_is_at_the_gateway_and_programs_find_it_in_their_variables() {
    for (name, variable, url) in [
        ("http-proxy", "https_proxy", "http://198.18.1.254:3128"),
        ("socks-proxy", "all_proxy", "socks5h://198.18.1.254:1080"),
    ] {
        let plan = Plan::new(&lab(&[NetworkType::parse(name).unwrap()])).unwrap();
        let host = &plan.hosts[0];
        let proxy = plan.sites[host.site].proxy.unwrap();
        assert_eq!(proxy.address.ip(), plan.sites[host.site].gateway);
        let variables = jackfield_lab::environment::variables("lab", &plan, &host.name);
        assert_eq!(variables[variable], url);
    }
}

#[test]
fn a_word_that_is_no_network_is_refused_with_those_that_are() {
    for (text, value) in [
        ("cone", "cone"),
        ("linux+cone", "cone"),
        ("eim/cone", "cone"),
        ("no-tcp", "no-tcp"),
        ("", ""),
        ("ftp-proxy", "ftp-proxy"),
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
        for word in ["open", "only-https", "socks-proxy", "MAPPING/FILTERING"] {
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
    assert_eq!(
        keys(cell),
        ["a", "agrees", "b", "best", "expected", "path", "why"]
    );
    assert_eq!(keys(&json["types"][0]), ["about", "name"]);
    let path = &cell["path"];
    assert_eq!(
        keys(path),
        ["local", "ms", "pair", "relays", "remote", "tcp"]
    );
    assert_eq!(path["pair"], "R-P");
    assert_eq!(
        (&path["local"], &path["remote"]),
        (&"R".into(), &"P".into())
    );
    assert_eq!(path["relays"], serde_json::json!(["tls", null]));
    assert_eq!(cell["best"], "relay-tls");
    assert_eq!(cell["expected"], serde_json::json!(["R-P"]));
}

#[test]
fn a_disagreement_is_told_in_words() {
    let mut grid = example();
    grid.cells[0].agrees = false;
    grid.cells[0].expected = vec!["H-H".into(), "S-S".into()];
    let by = "by a relay, reached over TLS on port 443";
    let wanted = format!("open to open: R-P, {by}; it must be H-H or S-S");
    assert_eq!(grid.disagreements(), [wanted]);
    grid.cells[0].path = None;
    let wanted = "open to open: no path; it must be H-H or S-S";
    assert_eq!(grid.disagreements(), [wanted]);
}

#[test]
fn the_worse_way_to_a_relay_is_what_a_path_is_called_by() {
    let by = |tcp, relays| {
        let (a, b) = (CandidateType::Relayed, CandidateType::Relayed);
        let pair = Pair { a, b, tcp };
        let ms = 1.0;
        PathView { pair, relays, ms }.transport()
    };
    let (udp, tls) = (Some(RelayWay::Udp), Some(RelayWay::Tls));
    assert_eq!(by(false, [None, None]), Transport::Direct);
    assert_eq!(by(true, [None, None]), Transport::DirectTcp);
    assert_eq!(by(false, [udp, None]), Transport::RelayUdp);
    assert_eq!(by(false, [udp, tls]), Transport::RelayTls);
}

/// One network that meets its like by a relay.
fn example() -> Grid {
    let open = NetworkType::parse("open").unwrap();
    let path = PathView {
        pair: Pair {
            a: CandidateType::Relayed,
            b: CandidateType::PeerReflexive,
            tcp: false,
        },
        relays: [Some(RelayWay::Tls), None],
        ms: 1.5,
    };
    Grid {
        cells: vec![cell(&open, &open, Some(path), true)],
        types: vec![open],
        agrees: true,
        seconds: 1.5,
    }
}

fn cell(a: &NetworkType, b: &NetworkType, path: Option<PathView>, agrees: bool) -> Cell {
    let found = path.map_or_else(|| "none".to_owned(), |path| path.pair.to_string());
    Cell {
        a: a.name.clone(),
        b: b.name.clone(),
        best: path.map(|path| path.transport()),
        expected: vec![if agrees { found } else { "Ht-Ht".into() }],
        why: "There is a reason.".into(),
        agrees,
        path,
    }
}

/// A grid in which anything came out.
fn grid() -> impl Strategy<Value = Grid> {
    let kinds = vec![
        CandidateType::Host,
        CandidateType::ServerReflexive,
        CandidateType::PeerReflexive,
        CandidateType::Relayed,
    ];
    let ends = (select(kinds.clone()), select(kinds));
    let way = || prop::option::of(select(RelayWay::ALL.to_vec()));
    let path = (ends, any::<bool>(), [way(), way()], 0_u16..3000);
    let path = path.prop_map(|((a, b), tcp, relays, tenths)| PathView {
        pair: Pair { a, b, tcp },
        relays,
        ms: f64::from(tenths) / 10.0,
    });
    let outcome = (prop::option::of(path), prop::bool::weighted(0.9));
    let names = subsequence(DEFAULT_TYPES, 1..4);
    (names, prop::collection::vec(outcome, 9)).prop_map(|(names, outcomes)| {
        let types: Vec<NetworkType> = names
            .iter()
            .map(|it| NetworkType::parse(it).unwrap())
            .collect();
        let mut outcomes = outcomes.into_iter();
        let mut cells = Vec::new();
        for a in &types {
            for b in &types {
                let (path, agrees) = outcomes.next().unwrap();
                cells.push(cell(a, b, path, agrees));
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
