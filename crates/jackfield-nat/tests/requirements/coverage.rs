//! Whether every requirement has a test: the quotations above the tests against a list made from
//! the RFCs.

use std::collections::BTreeMap;

use jackfield_nat::profile::{Profile, Rfc};

/// Each requirement by its name and the words that its text begins with.
///
/// Letters are requirements of their own. RFC 7857 has no numbers, so its headings stand for them.
/// Of RFC 6146 only what the profile `nat64` deviates from is here.
const REQUIREMENTS: &[(Rfc, &[(&str, &str)])] = &[
    (
        Rfc::Rfc4787,
        &[
            ("REQ-1", "REQ-1: A NAT MUST have"),
            ("REQ-2", "REQ-2: It is RECOMMENDED"),
            ("REQ-3", "REQ-3: A NAT MUST NOT have"),
            ("REQ-3a", "a) If the host's source port"),
            ("REQ-4", "REQ-4: It is RECOMMENDED"),
            ("REQ-5", "REQ-5: A NAT UDP mapping timer"),
            ("REQ-5a", "a) For specific destination ports"),
            ("REQ-5b", "b) The value of the NAT UDP mapping timer"),
            ("REQ-5c", "c) A default value of five minutes"),
            ("REQ-6", "REQ-6: The NAT mapping Refresh Direction"),
            ("REQ-6a", "a) The NAT mapping Refresh Direction MAY"),
            ("REQ-7", "REQ-7: A NAT device"),
            ("REQ-8", "REQ-8: If application transparency"),
            ("REQ-8a", "a) The filtering behavior MAY"),
            ("REQ-9", "REQ-9: A NAT MUST support"),
            ("REQ-9a", "a) A NAT Hairpinning behavior"),
            ("REQ-10", "REQ-10: To eliminate interference"),
            ("REQ-10a", "a) If a NAT includes ALGs"),
            ("REQ-11", "REQ-11: A NAT MUST have deterministic"),
            ("REQ-12", "REQ-12: Receipt of any sort"),
            ("REQ-12a", "a) The NAT's default configuration"),
            ("REQ-12b", "b) It is RECOMMENDED that a NAT support"),
            ("REQ-13", "REQ-13: If the packet received"),
            ("REQ-13a", "a) If the packet has DF=0"),
            ("REQ-14", "REQ-14: A NAT MUST support"),
            ("REQ-14a", "a) A NAT's out-of-order"),
        ],
    ),
    (
        Rfc::Rfc5382,
        &[
            ("REQ-1", "REQ-1: A NAT MUST have"),
            ("REQ-2", "REQ-2: A NAT MUST support"),
            ("REQ-2a", "a) In addition to handling"),
            ("REQ-3", "REQ-3: If application transparency"),
            ("REQ-3a", "a) The filtering behavior MAY"),
            ("REQ-3b", "b) The filtering behavior for TCP"),
            ("REQ-4", "REQ-4: A NAT MUST NOT respond"),
            ("REQ-4 (SHOULD)", "Otherwise, the NAT SHOULD send"),
            ("REQ-4a", "a) The NAT MUST silently drop"),
            ("REQ-5", "REQ-5: If a NAT cannot determine"),
            ("REQ-5a", "a) The value of the NAT idle-timeouts"),
            ("REQ-6", "REQ-6: If a NAT includes ALGs"),
            ("REQ-7", "REQ-7: A NAT MUST NOT have"),
            ("REQ-8", "REQ-8: A NAT MUST support"),
            ("REQ-8a", "a) A NAT's hairpinning behavior"),
            ("REQ-9", "REQ-9: If a NAT translates TCP"),
            ("REQ-10", "REQ-10: Receipt of any sort"),
        ],
    ),
    (
        Rfc::Rfc5508,
        &[
            ("REQ-1", "REQ-1: Unless explicitly overridden"),
            ("REQ-1a", "a) NAT mapping of ICMP Query"),
            ("REQ-2", "REQ-2: An ICMP Query session timer"),
            ("REQ-2a", "a) It is RECOMMENDED that the ICMP"),
            ("REQ-3", "REQ-3: When an ICMP Error packet"),
            ("REQ-3a", "a) If the IP checksum"),
            ("REQ-3b", "b) If the embedded packet includes"),
            ("REQ-3c", "c) The NAT device SHOULD NOT validate"),
            ("REQ-3d", "d) If the ICMP Error payload"),
            ("REQ-4", "REQ-4: If a NAT device receives"),
            ("REQ-4a", "a) Revert the IP and transport headers"),
            ("REQ-4b", "b) Leave the ICMP Error type"),
            ("REQ-4c", "c) Modify the destination IP address"),
            ("REQ-5", "REQ-5: If a NAT device receives"),
            ("REQ-5a", "a) Revert the IP and transport headers"),
            ("REQ-5b", "b) Leave the ICMP Error type"),
            ("REQ-5c", "c) If the NAT enforces Basic NAT"),
            ("REQ-6", "REQ-6: While processing"),
            ("REQ-7", "REQ-7: NAT devices enforcing Basic NAT"),
            ("REQ-7a", "a) When forwarding a hairpinned"),
            ("REQ-8", "REQ-8: When a NAT device is unable"),
            ("REQ-9", "REQ-9: A NAT device MAY implement"),
            ("REQ-10a", "a. MUST support:"),
            ("REQ-10b", "b. MAY support:"),
            ("REQ-10c", "c. SHOULD NOT support:"),
            ("REQ-10d", "d. DS Field Usage"),
            ("REQ-10e", "e. When Not to Send"),
            ("REQ-10f", "f. Rate Limiting"),
            ("REQ-11", "REQ-11: A NAT MAY drop"),
        ],
    ),
    (
        Rfc::Rfc6888,
        &[
            ("REQ-1", "REQ-1: If a CGN forwards"),
            ("REQ-2", "REQ-2: A CGN MUST have"),
            ("REQ-3", "REQ-3: The CGN function"),
            ("REQ-4", "REQ-4: A CGN MUST support"),
            ("REQ-4a", "a. Per-subscriber limits MUST"),
            ("REQ-4c", "c. Additionally, it is RECOMMENDED"),
            ("REQ-5", "REQ-5: A CGN SHOULD support"),
            ("REQ-5a", "a. Limits SHOULD be configurable"),
            ("REQ-5b", "b. Additionally, it SHOULD"),
            ("REQ-6", "REQ-6: It MUST be possible"),
            ("REQ-7", "REQ-7: It is RECOMMENDED"),
            ("REQ-8", "REQ-8: Once an external port"),
            ("REQ-8 (limits)", "The length of time and the maximum"),
            ("REQ-8 (state loss)", "In that case, ports"),
            ("REQ-8c", "c. If the allocated external ports"),
            ("REQ-9", "REQ-9: A CGN MUST implement"),
            ("REQ-10", "REQ-10: CGN implementers"),
            ("REQ-11", "REQ-11: When a CGN is unable"),
            ("REQ-11a", "a. it MUST drop"),
            ("REQ-11b", "b. it SHOULD send an ICMP"),
            ("REQ-11c", "c. it SHOULD send a notification"),
            ("REQ-11d", "d. it MUST NOT delete"),
            ("REQ-12", "REQ-12: A CGN SHOULD NOT log"),
            ("REQ-13", "REQ-13: A CGN's port allocation"),
            ("REQ-14", "REQ-14: A CGN's port allocation"),
            ("REQ-15", "REQ-15: A CGN's port allocation"),
        ],
    ),
    (
        Rfc::Rfc6146,
        &[
            (
                "section 3.4",
                "For incoming IPv4 packets carrying UDP packets with a zero",
            ),
            (
                "section 3.5.2.2 (no session)",
                "If there is a corresponding entry in the TCP BIB, the packet",
            ),
            (
                "section 3.5.2.2 (FIN RCV)",
                "If any packet other than the V6 FIN",
            ),
            ("section 3.7", "When translating an IP header"),
        ],
    ),
    (
        Rfc::Rfc7857,
        &[
            ("TCP session tracking", "The TCP state machine depicted"),
            (
                "TCP transitory timers",
                "This document clarifies that a NAT SHOULD provide",
            ),
            ("TCP RST", "Concretely, when the NAT receives"),
            (
                "Port overlapping",
                "This document clarifies that this port overlapping",
            ),
            (
                "Address pooling paired",
                "This document clarifies that if APP",
            ),
            ("EIM by protocol", "EIM mappings SHOULD be"),
            ("EIF by protocol", "EIF filtering SHOULD be"),
            (
                "EIF mapping refresh",
                "This document clarifies that even when",
            ),
            (
                "Outbound refresh and errors",
                "In the case of NAT outbound refresh",
            ),
            ("Port parity", "A NAT MAY disable port parity"),
            (
                "Port randomization",
                "A NAPT that does implement port preservation",
            ),
            (
                "IP identification",
                "A NAT SHOULD handle the Identification",
            ),
            ("ICMP query mappings", "ICMP Query mappings MAY be deleted"),
            (
                "Hairpinning for ICMP",
                "This implicitly means that address mappings",
            ),
        ],
    ),
];

/// Requirements that ask for nothing which could be tested, and why.
const WITHOUT_TEST: &[(Rfc, &str, &str)] = &[
    (
        Rfc::Rfc6888,
        "REQ-4b",
        "limits may be apart for each protocol, and are not",
    ),
    (
        Rfc::Rfc6888,
        "REQ-8a",
        "TCP ports may be used again at once, and rest like the others",
    ),
    (
        Rfc::Rfc6888,
        "REQ-8b",
        "static assignments are forwards and pairs, which stay",
    ),
];

/// The files that quote requirements.
const FILES: &[&str] = &[
    include_str!("rfc4787.rs"),
    include_str!("rfc5382.rs"),
    include_str!("rfc5508.rs"),
    include_str!("rfc6888.rs"),
    include_str!("rfc7857.rs"),
    include_str!("rfc6146.rs"),
    include_str!("limits.rs"),
];

#[test]
fn every_requirement_is_quoted_above_a_test() {
    let quotations = quotations();
    let mut missing = Vec::new();
    for (rfc, requirements) in REQUIREMENTS {
        let number = format!("{rfc:?}").replace("Rfc", "");
        let all: &[String] = quotations.get(&*number).map_or(&[], Vec::as_slice);
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, words) in *requirements {
            // Two requirements may begin with the same words: REQ-4a and REQ-5a of RFC 5508.
            let count = wanted.entry(words).or_default();
            *count += 1;
            let found = all.iter().filter(|quotation| quotation.contains(words));
            if found.count() < *count {
                missing.push(format!("{rfc:?} {name}: {words} ..."));
            }
        }
    }
    assert!(missing.is_empty(), "no test quotes {missing:#?}");
}

#[test]
fn the_list_has_every_number_and_no_gap() {
    let last = [
        (Rfc::Rfc4787, 14),
        (Rfc::Rfc5382, 10),
        (Rfc::Rfc5508, 11),
        (Rfc::Rfc6888, 15),
    ];
    for (rfc, last) in last {
        let names = names(rfc);
        for number in 1..=last {
            let name = format!("REQ-{number}");
            let known = names
                .iter()
                .any(|it| it.trim_end_matches(char::is_lowercase) == name);
            assert!(known, "{rfc:?} {name} is not in the list");
        }
        let beyond = format!("REQ-{}", last + 1);
        assert!(!names.iter().any(|name| name.starts_with(&beyond)));
    }
}

#[test]
fn every_deviation_is_from_a_requirement_of_the_list() {
    for profile in Profile::ALL {
        for deviation in profile.deviations() {
            let requirement = deviation.requirement;
            let names = names(requirement.0);
            assert!(names.contains(&requirement.1), "{profile}: {requirement}");
        }
    }
}

fn names(rfc: Rfc) -> Vec<&'static str> {
    let listed = REQUIREMENTS.iter().filter(|(of, _)| *of == rfc);
    let listed = listed.flat_map(|(_, all)| all.iter().map(|(name, _)| *name));
    let excused = WITHOUT_TEST.iter().filter(|(of, _, _)| *of == rfc);
    listed.chain(excused.map(|(_, name, _)| *name)).collect()
}

/// Returns what is quoted above tests, by RFC, each with single spaces.
fn quotations() -> BTreeMap<&'static str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in FILES {
        let mut above_test: Vec<(&str, String)> = Vec::new();
        for line in file.lines() {
            if let Some(rest) = line.strip_prefix("//= https://www.rfc-editor.org/rfc/rfc") {
                let (number, section) = rest.split_once("#section-").unwrap();
                assert!(section.starts_with(|digit: char| digit.is_ascii_digit()));
                above_test.push((number, String::new()));
            } else if let Some(words) = line.strip_prefix("//# ") {
                let (_, quotation) = above_test.last_mut().unwrap();
                quotation.push_str(words);
                quotation.push(' ');
            } else if line == "#[test]" {
                for (number, quotation) in above_test.drain(..) {
                    all.entry(number).or_default().push(quotation);
                }
            } else if !line.starts_with("//") {
                assert!(above_test.is_empty(), "a quotation above «{line}»");
            }
        }
    }
    all
}
