//! What `nat list` shows: the JSON is a promise, the text is safe on a terminal.

use std::collections::BTreeMap;

use jackfield_lab::nat::{LeaseLine, LinkView, MappingLine, SideView, View};
use proptest::prelude::*;
use serde_json::json;

proptest! {
    #[test]
    fn a_view_survives_the_way_over_the_control_socket(view in view()) {
        let line = serde_json::to_string(&view).unwrap();
        prop_assert!(!line.contains('\n'), "an answer is one line");
        prop_assert_eq!(serde_json::from_str::<View>(&line).unwrap(), view);
    }

    #[test]
    fn nothing_that_a_host_wrote_reaches_the_terminal_as_a_command(view in view()) {
        let text = view.to_string();
        let control: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        prop_assert_eq!(control, Vec::<char>::new());
        let mut lines = 5 + view.mappings.len();
        if !view.port_mapping.is_empty() {
            // A description with a newline in it would add a line.
            lines += 3 + view.leases.len();
        }
        prop_assert_eq!(text.lines().count(), lines, "{}", text);
    }

    #[test]
    fn every_mapping_and_every_count_is_shown(view in view()) {
        let text = view.to_string();
        for mapping in &view.mappings {
            let line = text.lines().find(|line| {
                line.contains(&mapping.internal) && line.contains(&mapping.external)
            });
            prop_assert!(line.is_some(), "{:?} is not in {}", mapping, text);
        }
        for (name, count) in view.packets.iter().chain(&view.drops) {
            let shown = text.contains(&format!("{name} {count}"));
            prop_assert_eq!(shown, *count > 0, "{} {}", name, count);
        }
    }
}

#[test]
fn the_json_of_a_view_is_as_promised() {
    let json = serde_json::to_value(example()).unwrap();
    assert_eq!(
        json,
        json!({
            "profile": "symmetric",
            "mapping": "address-and-port-dependent",
            "filtering": "address-and-port-dependent",
            "firewall": "none",
            "external": ["198.18.1.1"],
            "uptime_s": 1.5,
            "link": {
                "latency_ms": 20.0, "jitter_ms": 5.0, "loss_percent": 0.5, "loss_burst": 3,
                "reorder_percent": 0.0, "duplicate_percent": 0.0, "rate_bits_per_s": 10_000_000,
                "queue_bytes": 65536, "block_udp": false,
            },
            "mappings": [{
                "protocol": "udp", "internal": "10.1.0.1:5000", "external": "198.18.1.1:6000",
                "remote": "198.18.0.1:3478", "flows": 1, "expires_in_s": 119.5,
            }],
            "port_mapping": ["pcp"],
            "leases": [{
                "protocol": "tcp", "internal": "10.1.0.1:80", "external": "198.18.1.1:80",
                "peer": null, "by": "pcp", "description": "web", "expires_in_s": 7200.0,
            }],
            "port_requests": {"granted": 1},
            "flows": 1,
            "packets": {"outbound": 2},
            "drops": {"filtered": 3},
            "inside": {
                "packets_in": 2, "bytes_in": 200, "reads": 1, "packets_out": 0, "bytes_out": 0,
            },
            "outside": {
                "packets_in": 0, "bytes_in": 0, "reads": 0, "packets_out": 2, "bytes_out": 200,
            },
        })
    );
}

#[test]
fn an_answer_of_a_router_that_knows_less_is_still_read() {
    let mut json = serde_json::to_value(example()).unwrap();
    let view = json.as_object_mut().unwrap();
    for key in ["port_mapping", "leases", "port_requests"] {
        view.remove(key);
    }
    view["link"] = json!({"latency_ms": 20.0, "loss_percent": 0.5, "block_udp": true});
    let view: View = serde_json::from_value(json).unwrap();
    assert!(view.leases.is_empty() && view.link.block_udp);
    assert_eq!((view.link.loss_burst, view.link.rate_bits_per_s), (1, None));
}

#[test]
fn the_text_of_a_view_says_what_the_link_does() {
    let mut view = example();
    let link = |view: &View| {
        let text = view.to_string();
        text.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        link(&view),
        "link: 20 ms each way, 0.5 % lost, UDP let through, jitter up to 5 ms, bursts of 3, 10mbit \
         with a queue of 65536 bytes"
    );
    view.link = LinkView {
        latency_ms: 0.0,
        jitter_ms: 0.0,
        loss_percent: 0.0,
        loss_burst: 1,
        reorder_percent: 2.0,
        duplicate_percent: 0.1,
        rate_bits_per_s: None,
        queue_bytes: 65536,
        block_udp: true,
    };
    assert_eq!(
        link(&view),
        "link: 0 ms each way, 0 % lost, UDP blocked, 2 % reordered, 0.1 % duplicated"
    );
}

fn example() -> View {
    View {
        profile: "symmetric".into(),
        mapping: "address-and-port-dependent".into(),
        filtering: "address-and-port-dependent".into(),
        firewall: "none".into(),
        external: vec!["198.18.1.1".into()],
        uptime_s: 1.5,
        link: LinkView {
            latency_ms: 20.0,
            jitter_ms: 5.0,
            loss_percent: 0.5,
            loss_burst: 3,
            reorder_percent: 0.0,
            duplicate_percent: 0.0,
            rate_bits_per_s: Some(10_000_000),
            queue_bytes: 65536,
            block_udp: false,
        },
        mappings: vec![MappingLine {
            protocol: "udp".into(),
            internal: "10.1.0.1:5000".into(),
            external: "198.18.1.1:6000".into(),
            remote: Some("198.18.0.1:3478".into()),
            flows: 1,
            expires_in_s: Some(119.5),
        }],
        port_mapping: vec!["pcp".into()],
        leases: vec![LeaseLine {
            protocol: "tcp".into(),
            internal: "10.1.0.1:80".into(),
            external: "198.18.1.1:80".into(),
            peer: None,
            by: "pcp".into(),
            description: "web".into(),
            expires_in_s: 7200.0,
        }],
        port_requests: BTreeMap::from([("granted".into(), 1)]),
        flows: 1,
        packets: BTreeMap::from([("outbound".into(), 2)]),
        drops: BTreeMap::from([("filtered".into(), 3)]),
        inside: SideView {
            packets_in: 2,
            bytes_in: 200,
            reads: 1,
            packets_out: 0,
            bytes_out: 0,
        },
        outside: SideView {
            packets_in: 0,
            bytes_in: 0,
            reads: 0,
            packets_out: 2,
            bytes_out: 200,
        },
    }
}

/// A view with any number of mappings, and leases that hosts may have called anything.
fn view() -> impl Strategy<Value = View> {
    let mapping = (
        endpoint(),
        endpoint(),
        prop::option::of(endpoint()),
        any::<u32>(),
    );
    let mapping = mapping.prop_map(|(internal, external, remote, flows)| MappingLine {
        protocol: "udp".into(),
        internal,
        external,
        remote,
        flows,
        expires_in_s: (flows % 2 == 0).then_some(f64::from(flows % 1000) / 8.0),
    });
    let lease = (endpoint(), any::<String>(), prop::option::of(endpoint()));
    let lease = lease.prop_map(|(internal, description, peer)| LeaseLine {
        protocol: "udp".into(),
        external: internal.clone(),
        internal,
        peer,
        by: "upnp".into(),
        description,
        expires_in_s: 0.5,
    });
    let counts = || prop::collection::btree_map("[a-z]{4,9}", 0..9_u64, 0..4);
    (
        prop::collection::vec(mapping, 0..4),
        prop::collection::vec(lease, 0..4),
        any::<bool>(),
        counts(),
        counts(),
    )
        .prop_map(|(mappings, leases, port_mapping, packets, drops)| View {
            mappings,
            leases,
            port_mapping: port_mapping
                .then(|| "upnp".to_owned())
                .into_iter()
                .collect(),
            packets,
            drops,
            ..example()
        })
}

fn endpoint() -> impl Strategy<Value = String> {
    let v4 = any::<([u8; 4], u16)>()
        .prop_map(|(ip, port)| std::net::SocketAddr::from((ip, port)).to_string());
    let v6 = any::<([u16; 8], u16)>()
        .prop_map(|(ip, port)| std::net::SocketAddr::from((ip, port)).to_string());
    prop_oneof![v4, v6]
}
