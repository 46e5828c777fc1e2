//! Members that were lost come back as who they were, and nobody else does.

mod common;

use std::time::Duration;

use common::World;
use jackfield_sansio::ClientNetwork;
use jackfield_signal::{CloseReason, HubConfig, MemberId, NewMember};
use serde_json::{Value, json};

#[test]
fn a_lost_member_takes_its_name_back_and_nobody_else_gets_it_meanwhile() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    let bob = world.in_room("r", "bob");
    world.disconnect(ann);
    assert_eq!(world.heard_types(bob), ["user-left"]);
    assert!(world.hub.holds_names_of(ann));
    // Neither a newcomer nor a member that renames itself gets the name, nor one that looks so.
    let (eve, joined) = world.join_by("r", "ANN", None);
    assert_eq!(joined["self"]["name"], "ANN1");
    world.say(bob, r#"{"type":"username","name":"ann"}"#);
    let names: Vec<_> = world
        .hub
        .members_of("r")
        .map(|(_, name)| name.to_owned())
        .collect();
    assert_eq!(names, ["ann2", "ANN1"]);
    // It means nobody, so that nobody gets what is for its owner.
    world.say(eve, r#"{"type":"message","target":"ann","text":"x"}"#);
    assert!(world.heard(eve).last().unwrap().contains("no-such-user"));

    world.forget_all();
    let (back, joined) = world.join_by("r", "ann", Some(&session));
    assert_eq!(
        joined["self"],
        json!({ "name": "ann", "id": back.number() })
    );
    assert_ne!(joined["session"], session);
    assert_eq!(world.heard_types(bob), ["user-joined"]);
    assert_eq!(world.hub.held_name_count(), 0);
    assert_eq!(world.released, [ann]);
    assert_eq!(world.hub.counters().names_taken_back, 1);
}

#[test]
fn a_name_is_free_after_its_time() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    world.in_room("r", "bob");
    world.disconnect(ann);
    world.pass(Duration::from_millis(9_999));
    assert_eq!(world.join_by("r", "ann", None).1["self"]["name"], "ann1");
    world.pass(Duration::from_millis(1));
    assert_eq!(world.released, [ann]);
    assert_eq!(world.join_by("r", "ann", None).1["self"]["name"], "ann");
    // Its session is then worth nothing.
    let late = world.join_by("r", "ann", Some(&session)).1;
    assert_eq!(late["self"]["name"], "ann2");
}

#[test]
fn a_name_is_free_at_once_when_its_owner_leaves_or_cannot_take_it_back() {
    let mut world = World::new();
    world.in_room("r", "bob");
    let (ann, _) = enter(&mut world, "ann");
    world.say(ann, r#"{"type":"leave","room":"r"}"#);
    assert_eq!(world.join_by("r", "ann", None).1["self"]["name"], "ann");
    // A client that knows of no session would be kept from its own name.
    let zoe = world.in_room("r", "zoe");
    world.disconnect(zoe);
    assert_eq!(world.hub.held_name_count(), 0);
}

#[test]
fn a_wrong_session_is_as_good_as_none() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    let (_, of_bob) = enter(&mut world, "bob");
    world.disconnect(ann);
    let (number, mac) = session.split_once('-').unwrap();
    let (_, mac_of_bob) = of_bob.split_once('-').unwrap();
    let swapped: String = mac.chars().rev().collect();
    for wrong in [
        String::new(),
        format!("{number}-{mac_of_bob}"),
        format!("{number}-{swapped}"),
        format!("{number}-{}", "0".repeat(32)),
        session.to_uppercase() + "0",
        "x".repeat(10_000),
    ] {
        let (eve, joined) = world.join_by("r", "ann", Some(&wrong));
        assert_ne!(joined["self"]["name"], "ann", "{wrong}");
        assert_eq!(joined["type"], "joined");
        world.say(eve, r#"{"type":"leave"}"#);
    }
    assert_eq!(world.hub.counters().names_taken_back, 0);
    let (eve, _) = world.join_by("r", "eve", None);
    assert_eq!(
        world.ask(eve, "join", r#"{"room":"s","session":7}"#)["code"],
        "bad-field"
    );
    assert_eq!(
        world.join_by("r", "ann", Some(&session)).1["self"]["name"],
        "ann"
    );
}

#[test]
fn a_session_of_one_room_opens_no_other() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    world.disconnect(ann);
    let bob = world.in_room("s", "bob");
    world.ask(bob, "access", r#"{"access":"locked"}"#);
    assert_eq!(
        world.join_by("s", "ann", Some(&session)).1["code"],
        "room-locked"
    );
}

#[test]
fn a_connection_that_still_seems_alive_is_closed_and_replaced() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    world.ask(ann, "join", r#"{"room":"s"}"#);
    let bob = world.in_room("r", "bob");
    let (back, joined) = world.join_by("r", "ann", Some(&session));
    assert_eq!(joined["self"]["name"], "ann");
    assert_eq!(world.closed, [(ann, CloseReason::Replaced)]);
    let members: Vec<_> = world
        .hub
        .members_of("r")
        .map(|(member, _)| member)
        .collect();
    assert_eq!(members, [bob, back], "no member is there twice");
    assert_eq!(world.heard_types(bob), ["user-left", "user-joined"]);
    assert!(
        world
            .heard(ann)
            .iter()
            .all(|text| !text.contains("user-left"))
    );
    // The client's other room is taken back by the same session.
    let body = json!({ "room": "s", "name": "ann", "session": session });
    assert_eq!(
        world.ask(back, "join", &body.to_string())["self"]["name"],
        "ann"
    );
    assert_eq!(world.hub.held_name_count(), 0);
    // Who was replaced cannot take the place back, and so on without end.
    let (_, again) = world.join_by("r", "ann", Some(&session));
    assert_eq!(again["self"]["name"], "ann1");
    assert_eq!(world.closed.len(), 1);
}

#[test]
fn who_comes_back_without_a_name_is_called_what_it_was() {
    let mut world = World::new();
    world.in_room("r", "ann");
    let (ann, session) = enter(&mut world, "ann");
    world.disconnect(ann);
    let back = world.connect();
    let body = json!({ "room": "r", "session": session });
    let joined = world.ask(back, "join", &body.to_string());
    assert_eq!(joined["self"]["name"], "ann1");
}

// Doors

#[test]
fn a_lost_member_comes_back_into_a_locked_room_and_past_those_who_knock() {
    for access in ["locked", "knock"] {
        let mut world = World::new();
        let (ann, session) = enter(&mut world, "ann");
        let bob = world.in_room("r", "bob");
        world.ask(bob, "access", &json!({ "access": access }).to_string());
        world.disconnect(ann);
        world.pass(Duration::from_secs(119));
        let (_, stranger) = world.join_by("r", "ann", None);
        assert_ne!(stranger["type"], "joined");
        let (_, joined) = world.join_by("r", "ann", Some(&session));
        assert_eq!(joined["self"]["name"], "ann", "{access}");
    }
}

#[test]
fn a_locked_room_goes_on_while_all_of_its_members_are_lost() {
    let mut world = World::new();
    let (ann, session) = enter(&mut world, "ann");
    world.ask(ann, "access", r#"{"access":"locked"}"#);
    world.disconnect(ann);
    assert_eq!(world.hub.room_count(), 1);
    assert_eq!(world.join_by("r", "eve", None).1["code"], "room-locked");
    let (ann, joined) = world.join_by("r", "ann", Some(&session));
    assert_eq!(joined["access"], "locked");
    // Nobody comes back: the room ends, and the lock with it.
    world.disconnect(ann);
    world.pass(Duration::from_secs(120));
    assert_eq!(
        (world.hub.room_count(), world.hub.held_name_count()),
        (0, 0)
    );
    assert_eq!(world.join_by("r", "eve", None).1["type"], "joined");
}

#[test]
fn who_waits_comes_in_when_nobody_comes_back() {
    let mut world = World::new();
    let (ann, _) = enter(&mut world, "ann");
    world.ask(ann, "access", r#"{"access":"knock"}"#);
    world.disconnect(ann);
    let (eve, waits) = world.join_by("r", "eve", None);
    assert_eq!(waits["type"], "waiting");
    world.forget_all();
    world.pass(Duration::from_secs(120));
    assert_eq!(world.heard_types(eve), ["joined"]);
}

#[test]
fn a_room_that_opens_holds_names_no_longer_than_others() {
    let mut world = World::new();
    let (ann, _) = enter(&mut world, "ann");
    let bob = world.in_room("r", "bob");
    world.ask(bob, "access", r#"{"access":"locked"}"#);
    world.disconnect(ann);
    world.ask(bob, "access", r#"{"access":"open"}"#);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.hub.held_name_count(), 0);
}

// Limits

#[test]
fn a_network_has_few_names_held_and_others_are_not_the_worse() {
    let mut world = limited(|config| {
        config.max_held_names = 5;
        config.max_held_names_per_network = 3;
    });
    let lose = |world: &mut World, name: &str, network| {
        let (member, _) = enter_from(world, name, network);
        world.disconnect(member);
        world.hub.holds_names_of(member)
    };
    let held: Vec<bool> = (0..5)
        .map(|number| lose(&mut world, &format!("eve{number}"), [192, 0, 2, number]))
        .collect();
    assert_eq!(held, [true, true, true, false, false]);
    assert!(lose(&mut world, "ann", [203, 0, 113, 1]));
    assert!(lose(&mut world, "bob", [198, 51, 100, 1]));
    assert!(
        !lose(&mut world, "cyd", [198, 51, 100, 2]),
        "the hub is full"
    );
    assert_eq!(world.hub.counters().names_not_held, 3);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.hub.held_name_count(), 0);
    assert_eq!(world.released.len(), 5);
    assert!(lose(&mut world, "eve", [192, 0, 2, 1]));
}

#[test]
fn a_replaced_member_keeps_its_place_where_no_more_names_are_held() {
    let mut world = limited(|config| config.max_held_names = 0);
    let (ann, session) = enter(&mut world, "ann");
    world.ask(ann, "access", r#"{"access":"locked"}"#);
    let (_, joined) = world.join_by("r", "ann", Some(&session));
    assert_eq!(
        (&joined["self"]["name"], &joined["access"]),
        (&json!("ann"), &json!("locked"))
    );
    assert_eq!(world.hub.held_name_count(), 0);
}

#[test]
fn no_names_are_held_where_the_time_is_zero() {
    let mut world = limited(|config| {
        (config.name_hold, config.place_hold) = (Duration::ZERO, Duration::ZERO);
    });
    let (ann, _) = enter(&mut world, "ann");
    world.disconnect(ann);
    assert_eq!(
        (world.hub.held_name_count(), world.hub.room_count()),
        (0, 0)
    );
}

#[test]
fn the_driver_can_free_names_early() {
    let mut world = World::new();
    let (ann, _) = enter(&mut world, "ann");
    world.disconnect(ann);
    world.hub.release_names_of(world.now, ann);
    world.drain();
    assert_eq!(world.released, [ann]);
    assert_eq!(
        (world.hub.held_name_count(), world.hub.room_count()),
        (0, 0)
    );
}

/// Returns a member of the room `r`, and its session.
fn enter(world: &mut World, name: &str) -> (MemberId, String) {
    let (member, joined) = world.join_by("r", name, None);
    world.forget_all();
    (member, session_of(&joined))
}

fn enter_from(world: &mut World, name: &str, address: [u8; 4]) -> (MemberId, String) {
    let member = world.connect_as(NewMember {
        network: Some(ClientNetwork::of(address.into())),
        ..NewMember::default()
    });
    let body = json!({ "room": "r", "name": name, "session": null });
    let joined = world.ask(member, "join", &body.to_string());
    (member, session_of(&joined))
}

fn session_of(joined: &Value) -> String {
    let session = joined["session"].as_str();
    session.expect("a session was asked for").to_owned()
}

fn limited(set: impl FnOnce(&mut HubConfig)) -> World {
    let mut config = HubConfig::default();
    set(&mut config);
    World::with(config)
}
