//! Rooms that are locked, and rooms at which newcomers knock.

mod common;

use std::time::Duration;

use common::World;
use jackfield_sansio::ClientNetwork;
use jackfield_signal::{ErrorCode, HubConfig, MemberId, NewMember};
use serde_json::{Value, json};

// Locking

#[test]
fn a_locked_room_takes_nobody_new_until_a_member_unlocks_it() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    assert_eq!(set(&mut world, ann, "locked")["type"], "ok");
    let told = json!({
        "type": "access", "room": "r", "access": "locked",
        "user": { "name": "ann", "id": ann.number() },
    });
    assert_eq!(world.heard_one(ann), told);
    assert_eq!(world.heard_one(bob), told);
    let eve = world.connect();
    world.forget_all();
    world.join(eve, "r", "eve");
    assert_eq!(world.refusal(eve), "room-locked");
    assert!(world.heard(ann).is_empty());
    // Any member may, not only the one that locked it.
    set(&mut world, bob, "open");
    world.join(eve, "r", "eve");
    assert_eq!(world.heard_types(eve), ["joined"]);
}

#[test]
fn members_and_those_who_read_late_are_told_that_a_room_is_locked() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let open = world.ask(ann, "userlist", r#"{"room":"r"}"#);
    assert_eq!(open.get("access"), None);
    set(&mut world, ann, "locked");
    for kind in ["userlist", "join"] {
        let answer = world.ask(ann, kind, r#"{"room":"r"}"#);
        assert_eq!(answer["access"], "locked", "{kind}");
        assert_eq!(answer["waiting"], json!([]), "{kind}");
    }
}

#[test]
fn a_lock_ends_with_the_room() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    set(&mut world, ann, "locked");
    world.say(ann, r#"{"type":"leave","room":"r"}"#);
    assert_eq!(world.hub.room_count(), 0);
    let bob = world.connect();
    let joined = world.ask(bob, "join", r#"{"room":"r"}"#);
    assert_eq!(
        (&joined["type"], joined.get("access")),
        (&json!("joined"), None)
    );
}

#[test]
fn only_a_member_changes_who_may_come_in() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let eve = world.in_room("s", "eve");
    for body in [
        r#"{"room":"r","access":"locked"}"#,
        r#"{"room":"?","access":"open"}"#,
    ] {
        assert_eq!(world.ask(eve, "access", body)["code"], "not-in-room");
    }
    for access in ["", "shut", "Open"] {
        assert_eq!(
            set(&mut world, ann, access)["code"],
            "bad-field",
            "{access}"
        );
    }
    assert_eq!(world.ask(ann, "access", "{}")["code"], "bad-field");
    assert!(world.heard(ann).is_empty(), "nothing has changed");
}

#[test]
fn what_only_the_server_says_of_doors_is_refused() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    for kind in ["waiting", "knock", "knock-ended"] {
        let code = &world.ask(ann, kind, r#"{"room":"r"}"#)["code"];
        assert_eq!(code, "type-reserved", "{kind}");
    }
}

#[test]
fn in_the_lobby_the_words_of_doors_mean_nothing() {
    let mut world = World::new();
    let (ann, bob) = (world.connect_mdn(), world.connect_mdn());
    for (member, name) in [(ann, "ann"), (bob, "bob")] {
        world.say(member, &format!(r#"{{"type":"username","name":"{name}"}}"#));
    }
    world.pass(Duration::from_secs(1));
    world.forget_all();
    for kind in ["access", "admit", "refuse"] {
        world.say(ann, &format!(r#"{{"type":"{kind}","target":"bob","x":1}}"#));
        assert_eq!(world.heard_types(bob), [kind], "passed on, as any other");
    }
}

// Knocking

#[test]
fn a_newcomer_that_knocks_waits_and_a_member_lets_it_in() {
    let mut world = World::new();
    let (ann, bob) = (knocking(&mut world), world.in_room("other", "bob"));
    let eve = world.connect();
    world.forget_all();
    world.join(eve, "r", "eve");
    let waits = json!({ "type": "waiting", "room": "r", "timeout": 300 });
    assert_eq!(world.heard_one(eve), waits);
    let user = json!({ "name": "eve", "id": eve.number() });
    let knock = json!({ "type": "knock", "room": "r", "user": user });
    assert_eq!(world.heard_one(ann), knock);
    // It has no place, no relay and hears nothing meanwhile.
    world.say(ann, r#"{"type":"message","room":"r","text":"psst"}"#);
    assert_eq!(world.heard_types(ann), ["message"]);
    assert!(world.heard(eve).is_empty() && world.heard(bob).is_empty());
    assert_eq!(world.ask(eve, "ice-servers", "{}")["code"], "not-in-room");
    let list = world.ask(ann, "userlist", r#"{"room":"r"}"#);
    assert_eq!(
        (&list["users"], &list["waiting"]),
        (&json!([]), &json!([user]))
    );

    assert_eq!(answer(&mut world, ann, "admit", eve)["type"], "ok");
    assert_eq!(world.heard_types(ann), ["knock-ended", "user-joined"]);
    let joined = world.heard_one(eve);
    assert_eq!(joined["type"], "joined");
    assert_eq!(joined["self"], user);
    assert_eq!(joined["users"][0]["name"], "ann");
    assert_eq!(world.hub.waiting_count(), 0);
    assert_eq!(
        (
            world.hub.counters().knocks,
            world.hub.counters().knocks_admitted
        ),
        (1, 1)
    );
}

#[test]
fn a_newcomer_can_be_refused_and_is_told() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let eve = knock(&mut world, "eve");
    assert_eq!(answer(&mut world, ann, "refuse", eve)["type"], "ok");
    let refusal = world.heard_one(eve);
    assert_eq!(
        [&refusal["code"], &refusal["re"], &refusal["room"]],
        [&json!("not-admitted"), &json!("join"), &json!("r")]
    );
    assert_eq!(world.heard_types(ann), ["knock", "knock-ended"]);
    assert_eq!(
        answer(&mut world, ann, "admit", eve)["code"],
        "no-such-user"
    );
}

#[test]
fn only_a_member_answers_a_knock_and_names_who_is_meant_by_number() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let eve = knock(&mut world, "eve");
    for kind in ["admit", "refuse"] {
        // Not even for itself.
        assert_eq!(answer(&mut world, eve, kind, eve)["code"], "not-in-room");
        assert_eq!(answer(&mut world, ann, kind, ann)["code"], "no-such-user");
        for body in [r#"{"room":"r","target":"eve"}"#, r#"{"room":"r"}"#] {
            assert_eq!(world.ask(ann, kind, body)["code"], "bad-target");
        }
    }
    assert_eq!(world.hub.waiting_count(), 1);
}

#[test]
fn who_stops_waiting_is_taken_off_the_list() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    type Stop = fn(&mut World, MemberId);
    let stops: [Stop; 3] = [
        |world, eve| world.disconnect(eve),
        |world, eve| world.say(eve, r#"{"type":"leave","room":"r"}"#),
        |world, eve| world.say(eve, r#"{"type":"leave"}"#),
    ];
    for stop in stops {
        let eve = knock(&mut world, "eve");
        stop(&mut world, eve);
        assert_eq!(world.heard_types(ann), ["knock", "knock-ended"]);
        assert!(world.heard(eve).is_empty());
        assert_eq!(world.hub.waiting_count(), 0);
        assert_eq!(
            answer(&mut world, ann, "admit", eve)["code"],
            "no-such-user"
        );
    }
}

#[test]
fn nobody_waits_for_ever() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let eve = knock(&mut world, "eve");
    world.pass(Duration::from_secs(299));
    // A newcomer that asks again learns how long is left, and the members hear nothing.
    world.forget_all();
    world.join(eve, "r", "eve");
    assert_eq!(world.heard_one(eve)["timeout"], 1);
    assert!(world.heard(ann).is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.heard_one(eve)["code"], "knock-timeout");
    assert_eq!(world.heard_types(ann), ["knock-ended"]);
    assert_eq!(world.hub.waiting_count(), 0);
}

#[test]
fn a_room_that_opens_lets_all_in_who_wait_and_one_that_is_locked_sends_them_away() {
    for (access, expected) in [("open", "joined"), ("locked", "error")] {
        let mut world = World::new();
        let ann = knocking(&mut world);
        let waiting = ["eve", "zoe"].map(|name| knock(&mut world, name));
        set(&mut world, ann, access);
        for member in waiting {
            let types = world.heard_types(member);
            assert_eq!(types.first().map(String::as_str), Some(expected));
        }
        assert_eq!(world.hub.waiting_count(), 0);
    }
}

#[test]
fn when_the_last_member_leaves_who_waits_finds_an_empty_room() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let (eve, zoe) = (knock(&mut world, "eve"), knock(&mut world, "zoe"));
    world.disconnect(ann);
    let joined = world.heard(eve);
    assert!(joined[0].contains("\"joined\"") && !joined[0].contains("access"));
    let [joined] = &world.heard(zoe)[..] else {
        panic!("it is told once");
    };
    let joined: Value = serde_json::from_str(joined).unwrap();
    assert_eq!(joined["users"][0]["name"], "eve");
    assert_eq!(world.hub.room_count(), 1);
}

#[test]
fn who_waits_holds_no_place_and_is_let_in_only_where_one_is_free() {
    let mut world = limited(|config| config.max_room_members = 2);
    let ann = knocking(&mut world);
    let waiting = ["eve", "zoe"].map(|name| knock(&mut world, name));
    assert_eq!(answer(&mut world, ann, "admit", waiting[0])["type"], "ok");
    world.forget_all();
    assert_eq!(
        answer(&mut world, ann, "admit", waiting[1])["code"],
        "room-full"
    );
    assert_eq!(world.hub.waiting_count(), 1, "it waits on");
    set(&mut world, ann, "open");
    assert_eq!(world.heard_one(waiting[1])["code"], "room-full");
}

#[test]
fn a_newcomer_takes_no_name_by_waiting_and_members_see_none_twice() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let other = knock(&mut world, "ann");
    let shown = world.heard_one(ann);
    assert_eq!(shown["user"]["name"], "ann1", "a member is called ann");
    // The name that it wants is free when it is let in.
    world.say(ann, r#"{"type":"username","name":"bea"}"#);
    world.forget_all();
    answer(&mut world, ann, "admit", other);
    assert_eq!(world.heard_one(other)["self"]["name"], "ann");
}

// Limits

#[test]
fn few_wait_at_a_room_and_those_of_one_network_make_room_for_others() {
    let mut world = limited(|config| config.max_waiting_per_room = 3);
    let ann = knocking(&mut world);
    let crowd: Vec<_> = (0..3)
        .map(|number| knock_from(&mut world, &format!("eve{number}"), [192, 0, 2, number]))
        .collect();
    world.forget_all();
    // The crowd's network is full, and does not make room for itself.
    let late = connect_from(&mut world, [192, 0, 2, 9]);
    assert_eq!(ask_in(&mut world, late, "eve9")["code"], "too-many-waiting");
    let honest = connect_from(&mut world, [203, 0, 113, 1]);
    assert_eq!(ask_in(&mut world, honest, "bob")["type"], "waiting");
    assert_eq!(world.heard_one(crowd[2])["code"], "too-many-waiting");
    assert_eq!(world.heard_types(ann), ["knock-ended", "knock"]);
    assert_eq!(world.hub.waiting_count(), 3);
    // One that has two waiting is not the worse of two networks.
    let third = connect_from(&mut world, [203, 0, 113, 2]);
    assert_eq!(ask_in(&mut world, third, "cyd")["code"], "too-many-waiting");
}

#[test]
fn a_knock_counts_as_ten_joins_of_its_network() {
    let mut world = limited(|config| (config.joins_per_second, config.join_burst) = (1, 30));
    knocking(&mut world);
    let refused = (0..5)
        .map(|_| connect_from(&mut world, [192, 0, 2, 1]))
        .collect::<Vec<_>>()
        .into_iter()
        .filter(|eve| {
            let answer = ask_in(&mut world, *eve, "eve");
            world.disconnect(*eve);
            answer["code"] == "rate-limited"
        })
        .count();
    assert_eq!(refused, 2);
    let honest = connect_from(&mut world, [203, 0, 113, 1]);
    assert_eq!(ask_in(&mut world, honest, "bob")["type"], "waiting");
}

#[test]
fn a_room_that_one_waits_at_counts_as_one_of_ones_rooms() {
    let mut world = limited(|config| config.max_rooms_per_member = 2);
    knocking(&mut world);
    let eve = knock(&mut world, "eve");
    assert_eq!(world.ask(eve, "join", r#"{"room":"s"}"#)["type"], "joined");
    assert_eq!(
        world.ask(eve, "join", r#"{"room":"t"}"#)["code"],
        "too-many-rooms"
    );
    assert_eq!(world.ask(eve, "join", r#"{"room":"r"}"#)["type"], "waiting");
    // A `leave` without a room means the one that one is in.
    world.forget_all();
    world.say(eve, r#"{"type":"leave"}"#);
    assert_eq!(world.heard_types(eve), ["user-left"]);
    assert_eq!(world.hub.waiting_count(), 1);
}

#[test]
fn a_gate_is_asked_before_anybody_is_disturbed() {
    struct Shut;
    impl jackfield_signal::Gate for Shut {
        fn admits(&mut self, _: std::time::Instant, _: &str, _: &str, token: Option<&str>) -> bool {
            token == Some("word")
        }
    }
    let mut world = World::new();
    let ann = knocking(&mut world);
    world.hub.set_gate(Box::new(Shut));
    let eve = world.connect();
    world.forget_all();
    assert_eq!(world.ask(eve, "join", r#"{"room":"r"}"#)["code"], "refused");
    assert!(world.heard(ann).is_empty());
    let body = r#"{"room":"r","token":"word"}"#;
    assert_eq!(world.ask(eve, "join", body)["type"], "waiting");
}

#[test]
fn each_refusal_is_counted() {
    let mut world = World::new();
    let ann = knocking(&mut world);
    let eve = knock(&mut world, "eve");
    answer(&mut world, ann, "refuse", eve);
    set(&mut world, ann, "locked");
    world.join(eve, "r", "eve");
    let count = |code| {
        let mut refused = world.hub.counters().refused();
        refused.find(|(counted, _)| *counted == code).unwrap().1
    };
    assert_eq!(count(ErrorCode::NotAdmitted), 1);
    assert_eq!(count(ErrorCode::RoomLocked), 1);
}

/// Returns the one member of a room at which newcomers knock.
fn knocking(world: &mut World) -> MemberId {
    let ann = world.in_room("r", "ann");
    set(world, ann, "knock");
    world.forget_all();
    ann
}

fn set(world: &mut World, member: MemberId, access: &str) -> Value {
    let body = json!({ "room": "r", "access": access });
    world.ask(member, "access", &body.to_string())
}

fn answer(world: &mut World, member: MemberId, kind: &str, knocker: MemberId) -> Value {
    let body = json!({ "room": "r", "target": knocker.number() });
    world.ask(member, kind, &body.to_string())
}

/// Returns a newcomer that waits, with what it was told so far thrown away.
fn knock(world: &mut World, name: &str) -> MemberId {
    let member = world.connect();
    world.heard(member);
    let answer = ask_in(world, member, name);
    assert_eq!(answer.get("type"), Some(&json!("waiting")));
    member
}

fn knock_from(world: &mut World, name: &str, address: [u8; 4]) -> MemberId {
    let member = connect_from(world, address);
    let answer = ask_in(world, member, name);
    assert_eq!(answer.get("type"), Some(&json!("waiting")));
    member
}

fn ask_in(world: &mut World, member: MemberId, name: &str) -> Value {
    let body = json!({ "room": "r", "name": name });
    world.ask(member, "join", &body.to_string())
}

fn connect_from(world: &mut World, address: [u8; 4]) -> MemberId {
    let member = world.connect_as(NewMember {
        network: Some(ClientNetwork::of(address.into())),
        ..NewMember::default()
    });
    world.heard(member);
    member
}

fn limited(set: impl FnOnce(&mut HubConfig)) -> World {
    let mut config = HubConfig::default();
    set(&mut config);
    World::with(config)
}
