//! Offers and answers that cross, repeat, or are wrong.

use jackfield_ice::Role;
use jackfield_peer::sdp::SdpError;
use jackfield_peer::{ChannelConfig, ConnectionState};

use crate::world::{ALICE, BOB, World};

#[test]
fn the_offerer_controls_on_either_side() {
    for offerer in [ALICE, BOB] {
        let mut world = World::new();
        world.negotiate(offerer);
        assert_eq!(world.peers[offerer].agent().role(), Role::Controlling);
        assert_eq!(world.peers[1 - offerer].agent().role(), Role::Controlled);
        world.run_until("connected", |world| {
            world.states() == [ConnectionState::Connected; 2]
        });
    }
}

#[test]
fn of_two_offers_that_cross_the_polite_sides_gives_way() {
    let mut world = World::new();
    let now = world.now;
    let from_alice = world.peers[ALICE].create_offer(now).unwrap();
    let from_bob = world.peers[BOB].create_offer(now).unwrap();
    assert_eq!(
        world.peers[ALICE].handle_offer(now, &from_bob),
        Err(SdpError::OfferPending)
    );
    let answer = world.peers[BOB].handle_offer(now, &from_alice).unwrap();
    world.peers[ALICE].handle_answer(now, &answer).unwrap();
    world.run_until("connected", |world| {
        world.states() == [ConnectionState::Connected; 2]
    });
    assert_eq!(world.peers[BOB].agent().role(), Role::Controlled);
}

#[test]
fn a_bad_answer_changes_nothing_and_a_good_one_still_counts() {
    let mut world = World::new();
    let now = world.now;
    let offer = world.peers[ALICE].create_offer(now).unwrap();
    let answer = world.peers[BOB].handle_offer(now, &offer).unwrap();
    let cases = [
        ("m=application 9", "m=application 0", SdpError::Refused),
        ("a=setup:active", "a=setup:actpass", SdpError::Setup),
        ("v=0", "v=2", SdpError::NoSdp),
        (
            "m=application",
            "m=audio 9 RTP/AVP 0\r\nm=application",
            SdpError::OtherSections {
                offered: 1,
                answered: 2,
            },
        ),
    ];
    for (from, to, error) in cases {
        let bad = answer.replacen(from, to, 1);
        assert_eq!(
            world.peers[ALICE].handle_answer(now, &bad),
            Err(error),
            "{to}"
        );
    }
    world.peers[ALICE].handle_answer(now, &answer).unwrap();
    assert_eq!(
        world.peers[ALICE].handle_answer(now, &answer),
        Err(SdpError::NoOffer)
    );
    world.run_until("connected", |world| {
        world.states() == [ConnectionState::Connected; 2]
    });
}

#[test]
fn a_connection_keeps_its_certificate_and_roles() {
    let mut world = World::new();
    world.connect();
    let now = world.now;
    let offer = world.peers[ALICE].create_offer(now).unwrap();
    let at = offer.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let mut other = offer.clone();
    other.replace_range(at..at + 5, "00:00");
    assert_eq!(
        world.peers[BOB].handle_offer(now, &other),
        Err(SdpError::ConnectionChanged)
    );
    // Bob began with DTLS: he says so again, though the offer leaves it open.
    let answer = world.peers[BOB].handle_offer(now, &offer).unwrap();
    assert!(answer.contains("a=setup:active"));
    world.peers[ALICE].handle_answer(now, &answer).unwrap();
    // When Bob offers, Alice stays what she is.
    let offer = world.peers[BOB].create_offer(now).unwrap();
    let answer = world.peers[ALICE].handle_offer(now, &offer).unwrap();
    assert!(answer.contains("a=setup:passive"));
    world.peers[BOB].handle_answer(now, &answer).unwrap();
    assert_eq!(world.states(), [ConnectionState::Connected; 2]);
}

#[test]
fn a_closed_peer_negotiates_no_more() {
    let mut world = World::new();
    let now = world.now;
    let offer = world.peers[ALICE].create_offer(now).unwrap();
    world.peers[BOB].close(now);
    assert_eq!(
        world.peers[BOB].handle_offer(now, &offer),
        Err(SdpError::Closed)
    );
    assert!(
        world.peers[BOB]
            .open_channel(now, ChannelConfig::new("x"))
            .is_err()
    );
}
