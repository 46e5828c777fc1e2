//! The same scenarios through the virtual internet, the router on TUN and Linux's own nftables:
//! all three have to say the same of every packet.
//!
//! It makes network namespaces, which takes root, `ip` and `nft`, so it runs only when asked to by
//! `--required`, as `cargo xtask test` does; otherwise it says that it was skipped.

#![cfg_attr(
    not(target_os = "linux"),
    expect(unused, reason = "namespaces are Linux's")
)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, and prints for its user"
)]

#[cfg(target_os = "linux")]
mod netns;
#[cfg(target_os = "linux")]
mod nftables;
#[cfg(target_os = "linux")]
mod real;
mod scenario;
#[cfg(target_os = "linux")]
mod tun;
mod virtual_internet;

#[cfg(target_os = "linux")]
fn main() {
    if !std::env::args().any(|argument| argument == "--required") {
        println!(
            "SKIPPED differential: it needs root, ip and nft; `cargo xtask test --only differential` runs it"
        );
        return;
    }
    if let Err(missing) = netns::available() {
        panic!("{missing}");
    }
    let mut ran = 0;
    for subject in scenario::subjects() {
        ran += run(&subject);
    }
    println!("differential: {ran} scenarios had the same verdicts everywhere");
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("SKIPPED differential: network namespaces are Linux's");
}

/// Runs every scenario of a NAT through all labs that have it; returns how many there were.
#[cfg(target_os = "linux")]
fn run(subject: &scenario::Subject) -> usize {
    let scenarios = subject.scenarios();
    for scenario in &scenarios {
        let expected = virtual_internet::run(subject, scenario);
        let routed = tun::run(subject, scenario);
        compare(subject, scenario, "the router on TUN", &expected, &routed);
        if let Some(rules) = subject.nftables {
            let filtered = nftables::run(subject, rules, scenario);
            compare(subject, scenario, "nftables", &expected, &filtered);
        }
    }
    let where_else = subject.nftables.map_or("", |_| " and nftables");
    println!(
        "{:20} virtual internet = TUN{where_else}, {} times",
        subject.name,
        scenarios.len()
    );
    scenarios.len()
}

#[cfg(target_os = "linux")]
fn compare(
    subject: &scenario::Subject,
    scenario: &scenario::Scenario,
    lab: &str,
    expected: &[scenario::Verdict],
    found: &[scenario::Verdict],
) {
    for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
        let (name, step) = (subject.name, &scenario.steps[number]);
        let (protocol, seed) = (scenario.protocol, scenario.seed);
        assert_eq!(
            found, expected,
            "{name}, {protocol:?}, seed {seed}: {lab} (left) and the virtual internet (right) differ at step {number}, {step:?}, of {:?}",
            scenario.steps
        );
    }
    assert_eq!(expected.len(), found.len());
}
