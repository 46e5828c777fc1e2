//! The connectivity matrix: every site with every other one.
//!
//! The sites are those of libwebrtc's matrix, and so are the expectations of the 56 cells that
//! libwebrtc asserts. It leaves 44 of its 100 cells open for lack of TCP in its virtual network,
//! and has dropped the two sites with proxies; here all 144 are asserted. Where this agent and
//! libwebrtc differ, the cell has two answers or another one, and [`TABLE`] says why.
//!
//! Each cell is run with several seeds, which choose latency, signaling delay, the ports of NATs
//! and all that agents draw, and with losses in every fourth. `JACKFIELD_MATRIX_SEEDS` says how
//! many, as in `100`, or which, as in `31..32`; it is one if that is unset.
//! `JACKFIELD_MATRIX_COLUMN` has a row run one cell alone, as in `http-proxy`. Each cell that
//! fails leaves its packets in the folder that `JACKFIELD_MATRIX_TRACES` names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jackfield_ice::CandidateKind;
use jackfield_internet::{Link, Loss, Site, World};
use jackfield_nat::oracle::pairs;
use jackfield_testing::SplitMix64;

use crate::scene::{BOTH, Scene, Seen, millis, secs};

/// What the controlling side sees: its own candidate and the other side's, `t` for TCP.
///
/// Rows are the controlling side's site, columns the controlled side's.
///
/// - With `|`, either answer is right: both sides can dial a TCP connection, and both pairs are of
///   equal worth. RFC 6544 §4.2 prefers the active candidate on both sides, so that their pair
///   priorities are the same number; which connection is open first decides.
/// - Where two relays could be used and one is, the pair priorities of RFC 8445 §6.1.2.3 decide.
///   The smaller priority, the relay's, is the same in both pairs, so the greater one does: a
///   symmetric side is seen by a peer-reflexive candidate, which weighs more than a
///   server-reflexive one. So the relay is the port-restricted side's, as in libwebrtc; between
///   two symmetric sides it is the controlled side's, by the last bit of the formula.
/// - A site with TCP alone has its relay's address from TURN over TCP or TLS; peers send to it by
///   UDP.
/// - HTTP proxies allow CONNECT to port 443 alone, so that the site is like web-only.
#[rustfmt::skip]
const TABLE: [[&str; 12]; 12] = [
    // open, full, restricted, port, symmetric, double, symmetric x cone, no-udp, no-tcp-in, web,
    // http, socks
    ["H-H",   "H-S",    "H-S",    "H-S",    "H-P",        "H-S",    "H-P",        "Ht-Pt|Pt-Ht", "Ht-Pt", "H-R", "H-R", "Ht-Pt"],
    ["S-H",   "S-S",    "S-S",    "S-S",    "S-P",        "S-S",    "S-P",        "Pt-Ht",       "S-R",   "S-R", "S-R", "S-R"],
    ["S-H",   "S-S",    "S-S",    "S-S",    "S-P",        "S-S",    "S-P",        "Pt-Ht",       "S-R",   "S-R", "S-R", "S-R"],
    ["S-H",   "S-S",    "S-S",    "S-S",    "R-P",        "S-S",    "R-P",        "Pt-Ht",       "S-R",   "S-R", "S-R", "S-R"],
    ["P-H",   "P-S",    "P-S",    "P-R",    "P-R",        "P-S",    "P-R",        "Pt-Ht",       "P-R",   "P-R", "P-R", "P-R"],
    ["S-H",   "S-S",    "S-S",    "S-S",    "S-P",        "S-S",    "S-P",        "Pt-Ht",       "S-R",   "S-R", "S-R", "S-R"],
    ["P-H",   "P-S",    "P-S",    "P-R",    "P-R",        "P-S",    "P-R",        "Pt-Ht",       "P-R",   "P-R", "P-R", "P-R"],
    ["Ht-Pt|Pt-Ht", "Ht-Pt", "Ht-Pt", "Ht-Pt", "Ht-Pt",   "Ht-Pt",  "Ht-Pt",      "Ht-Pt|Pt-Ht", "Ht-Pt", "R-R", "R-R", "Ht-Pt"],
    ["Pt-Ht", "R-S",    "R-S",    "R-S",    "R-P",        "R-S",    "R-P",        "Pt-Ht",       "R-R",   "R-R", "R-R", "R-R"],
    ["R-H",   "R-S",    "R-S",    "R-S",    "R-P",        "R-S",    "R-P",        "R-R",         "R-R",   "R-R", "R-R", "R-R"],
    ["R-H",   "R-S",    "R-S",    "R-S",    "R-P",        "R-S",    "R-P",        "R-R",         "R-R",   "R-R", "R-R", "R-R"],
    ["Pt-Ht", "R-S",    "R-S",    "R-S",    "R-P",        "R-S",    "R-P",        "Pt-Ht",       "R-R",   "R-R", "R-R", "R-R"],
];

#[test]
fn open_meets_every_site() {
    row(Site::Open);
}

#[test]
fn full_cone_meets_every_site() {
    row(Site::FullCone);
}

#[test]
fn address_restricted_meets_every_site() {
    row(Site::AddressRestricted);
}

#[test]
fn port_restricted_meets_every_site() {
    row(Site::PortRestricted);
}

#[test]
fn symmetric_meets_every_site() {
    row(Site::Symmetric);
}

#[test]
fn double_cone_meets_every_site() {
    row(Site::DoubleCone);
}

#[test]
fn symmetric_then_cone_meets_every_site() {
    row(Site::SymmetricThenCone);
}

#[test]
fn no_udp_meets_every_site() {
    row(Site::NoUdp);
}

#[test]
fn no_udp_no_incoming_tcp_meets_every_site() {
    row(Site::NoUdpNoIncomingTcp);
}

#[test]
fn web_only_meets_every_site() {
    row(Site::WebOnly);
}

#[test]
fn http_proxy_meets_every_site() {
    row(Site::HttpProxy);
}

#[test]
fn socks_proxy_meets_every_site() {
    row(Site::SocksProxy);
}

#[test]
fn the_table_is_what_the_oracle_says() {
    for a in Site::ALL {
        for b in Site::ALL {
            let said = pairs(&a.access(), &b.access());
            let said: BTreeSet<String> = said.iter().map(ToString::to_string).collect();
            let cell = TABLE[a as usize][b as usize];
            let table: BTreeSet<String> = cell.split('|').map(str::to_owned).collect();
            // Where two relays compete the oracle names both, and this agent's priorities one.
            let relays_compete = said.len() > table.len();
            assert!(table.is_subset(&said), "{a} {b}: {said:?}");
            assert!(!relays_compete || cell.contains('R'), "{a} {b}: {said:?}");
        }
    }
}

/// Runs a row of the matrix and prints what was seen, with the mean time to connect in round
/// trips. All cells are run before the row fails, and the first failures are shown.
#[expect(clippy::print_stdout, reason = "the row is a line of the table")]
fn row(a: Site) {
    let mut line = format!("{:<22}", a.name());
    let mut failures = Vec::new();
    let column = std::env::var("JACKFIELD_MATRIX_COLUMN").ok();
    let is_wanted = |b: &Site| column.as_ref().is_none_or(|name| name == b.name());
    assert!(
        Site::ALL.iter().any(is_wanted),
        "no site is called {column:?}"
    );
    for (column, b) in Site::ALL.into_iter().enumerate() {
        if !is_wanted(&b) {
            continue;
        }
        let expected = TABLE[a as usize][column];
        let mut seen = BTreeMap::<String, usize>::new();
        let mut trips = 0.0;
        for seed in seeds() {
            match cell(seed, [a, b], expected) {
                Ok((pair, time)) => {
                    *seen.entry(pair).or_default() += 1;
                    trips += time;
                }
                Err(failure) => failures.push(failure),
            }
        }
        let passed: usize = seen.values().sum();
        let most = seen.iter().max_by_key(|(_, count)| **count);
        let most = most.map_or("none", |(pair, _)| pair);
        line += &format!(" {most:>5} {:<4.1}", trips / passed.max(1) as f64);
    }
    println!("{line}");
    let count = failures.len();
    let titles = failures.iter().filter_map(|text| text.lines().next());
    let titles: Vec<_> = titles.take(SHOWN).collect();
    let first = failures.first().map_or("", String::as_str);
    assert_eq!(count, 0, "{a} has failed:\n{}\n{first}", titles.join("\n"));
}

/// Runs a cell with one seed; returns what was seen, and the time to connect in round trips, or
/// what is wrong.
fn cell(seed: u64, sites: [Site; 2], expected: &str) -> Result<(String, f64), String> {
    let mut random = SplitMix64::new(seed);
    // A packet passes a link at either end.
    let latency = millis(1 + random.below(40) as u64);
    let rtt = latency * 4;
    let link = Link {
        loss: match seed % 4 {
            3 => Loss::bursts(30_000, 2),
            _ => Loss::bursts(0, 1),
        },
        ..Link::latency(latency)
    };
    let (mut scene, _) = Scene::at_sites(seed, link, sites);
    scene.signaling = Some(millis(random.below(150) as u64));
    let traces = std::env::var_os("JACKFIELD_MATRIX_TRACES").map(PathBuf::from);
    scene.world.record(traces.is_some());
    // A stream that stalls for the 30 s of consent ends the pair, and it takes a restart to use the
    // same addresses again (RFC 7675 §5.1): programs do what the agent asks for.
    for side in BOTH {
        scene.act(side, |peer, _, _| peer.restarts = true);
    }
    scene.start();
    let check = |scene: &Scene, is_right: bool, what: &str| {
        if is_right {
            return Ok(());
        }
        let [a, b] = sites;
        if let Some(folder) = &traces {
            save(&scene.world, &folder.join(format!("{seed}-{a}-{b}")));
        }
        let description = scene.describe();
        Err(format!("seed {seed}: {a} and {b}: {what}\n{description}"))
    };
    let connected = scene.run_until(secs(30), Scene::is_connected);
    check(&scene, connected, "not connected")?;
    let times = BOTH.map(|side| scene.get(side).connected_at().unwrap());
    let time = times.into_iter().max().unwrap() - jackfield_testing::epoch();

    // No relay is used any more where a direct path has lived for five seconds.
    let right = |scene: &Scene| {
        let seen = BOTH.map(|side| scene.seen(side));
        let mirrored = seen[0].is_some() && seen[0] == seen[1].map(Seen::mirror);
        mirrored && is_expected(seen[0].unwrap(), expected)
    };
    // Losses may hold a nomination back.
    let is_lossy = seed % 4 == 3;
    let patience = if is_lossy { secs(30) } else { secs(0) };
    scene.run_for(secs(5));
    let settled = scene.run_until(patience, right);
    check(&scene, settled, &format!("not {expected}"))?;
    // A burst of losses may swallow any ten packets in a row, so it takes more to tell a path that
    // works from one that does not. Datagrams come at once or never; a stream, also that to a
    // relay, waits for its retransmissions: RFC 6298 doubles from 1 s on, and five in a row take
    // 31 s. An agent does not wait as long. It moves, or dials anew, and what the old connection
    // has kept is lost; so a stream has three tries.
    let is_stream = BOTH.into_iter().any(|side| {
        let pair = scene.get(side).agent.selected_pair();
        pair.is_some_and(|pair| pair.path.transport.is_stream())
    });
    let (count, least) = if is_lossy { (50, 25) } else { (10, 10) };
    let (limit, tries) = match is_lossy && is_stream {
        true => (31, 3),
        false => (3, 1),
    };
    let arrived = (0..tries).any(|_| {
        let received = scene.exchange_some(count, secs(limit));
        received.into_iter().all(|received| received >= least)
    });
    check(&scene, arrived, &format!("fewer than {least} arrived"))?;
    // A pair that was lost twice is trusted again after a while.
    let stays = scene.run_until(patience * 4, right);
    check(&scene, stays, &format!("left {expected}"))?;
    let trips = time.as_secs_f64() / rtt.as_secs_f64();
    Ok((text(scene.seen(0).unwrap()), trips))
}

/// Writes what was sent in a world as a sequence diagram and as a capture for Wireshark.
fn save(world: &World, path: &Path) {
    std::fs::write(path.with_extension("txt"), world.diagram()).unwrap();
    let capture = world.pcapng(Duration::ZERO);
    std::fs::write(path.with_extension("pcapng"), capture).unwrap();
}

fn is_expected(seen: Seen, expected: &str) -> bool {
    expected.split('|').any(|one| one == text(seen))
}

/// Writes a pair as the table has it.
fn text(seen: Seen) -> String {
    let letter = |kind| match kind {
        CandidateKind::Host => "H",
        CandidateKind::ServerReflexive => "S",
        CandidateKind::PeerReflexive => "P",
        CandidateKind::Relayed => "R",
    };
    let t = if seen.tcp { "t" } else { "" };
    format!("{}{t}-{}{t}", letter(seen.local), letter(seen.remote))
}

fn seeds() -> Range<u64> {
    let Ok(variable) = std::env::var("JACKFIELD_MATRIX_SEEDS") else {
        return DEFAULT_SEEDS;
    };
    match variable.split_once("..") {
        Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
        None => 0..variable.parse().unwrap(),
    }
}

const DEFAULT_SEEDS: Range<u64> = 0..1;

/// How many of a row's failures are named.
const SHOWN: usize = 40;
