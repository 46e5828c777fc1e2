//! Tests of pictures.

use jackfield_nat::profile::Profile;
use jackfield_testing::epoch;

use super::*;
use crate::{Echo, Link};

fn home() -> (World, NodeId, NodeId, NodeId) {
    let mut world = World::new(epoch(), 1);
    let net = world.network("internet", Link::latency(Duration::from_millis(10)));
    let server = world.host("server", net, [198, 51, 100, 9].into(), Echo::default());
    let config = Profile::PORT_RESTRICTED_CONE.config(&[[203, 0, 113, 1].into()]);
    let prefix = "192.168.1.0/24".parse().unwrap();
    let nat = world.nat("home", net, prefix, config);
    let alice = world.host(
        "<alice>",
        nat.inside,
        [192, 168, 1, 2].into(),
        Echo::default(),
    );
    world.send(
        alice,
        5000,
        "198.51.100.9:7".parse().unwrap(),
        b"hello & more",
    );
    world.run_for(Duration::from_secs(1));
    world.send(server, 9, "203.0.113.1:9".parse().unwrap(), b"\x01");
    world.run_for(Duration::from_secs(1));
    (world, server.into(), nat.node, alice.into())
}

#[test]
fn every_element_is_closed_and_every_letter_escaped() {
    let (world, ..) = home();
    let svg = world.drawing().title("a < b").svg();
    let mut open = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').expect("an element ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split(' ').next().unwrap());
        }
    }
    assert!(open.is_empty());
    assert!(svg.contains("&lt;alice&gt;") && svg.contains("a &lt; b"));
    assert!(svg.contains("“hello &amp; more”"));
}

#[test]
fn translated_endpoints_stand_out_and_drops_have_their_reason() {
    let (world, server, nat, alice) = home();
    let drawing = world.drawing().columns([alice, nat, server]);
    let hops: Vec<Hop> = drawing
        .rows()
        .into_iter()
        .filter_map(|row| match row {
            Row::Hop(hop) => Some(hop),
            Row::Note(_) => None,
        })
        .collect();
    let new = |hop: &Hop| {
        let endpoints = hop.endpoints.as_ref().unwrap();
        (endpoints.source_is_new, endpoints.destination_is_new)
    };
    let changes: Vec<_> = hops.iter().map(new).collect();
    let nothing = (false, false);
    assert_eq!(
        changes,
        [nothing, (true, false), nothing, (false, true), nothing]
    );
    assert_eq!(hops[4].end, End::Dropped("no mapping".to_owned()));
    assert_eq!((hops[4].from, hops[4].to), (2, Some(1)));
    assert!(drawing.svg().contains(">no mapping<"));
}

#[test]
fn notes_stand_before_what_they_are_about() {
    let (world, ..) = home();
    let rows = world
        .drawing()
        .note(Duration::from_secs(1), "second")
        .note(Duration::ZERO, "first")
        .note(Duration::from_secs(99), "last")
        .rows();
    let at = |text: &str| {
        rows.iter()
            .position(|row| *row == Row::Note(text.to_owned()))
    };
    assert_eq!(at("first"), Some(0));
    assert_eq!(at("second"), Some(5));
    assert_eq!(at("last"), Some(rows.len() - 1));
}
