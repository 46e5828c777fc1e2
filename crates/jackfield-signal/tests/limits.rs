//! Every limit answers with its error, counts it, and harms no other member.

mod common;

use std::time::Duration;

use common::World;
use jackfield_sansio::ClientNetwork;
use jackfield_signal::{CloseReason, ErrorCode, HubConfig, NewMember};

fn limited(set: impl FnOnce(&mut HubConfig)) -> World {
    let mut config = HubConfig::default();
    set(&mut config);
    World::with(config)
}

fn refused(world: &World, code: ErrorCode) -> u64 {
    let counts = world.hub.counters().refused();
    counts
        .filter(|(counted, _)| *counted == code)
        .map(|(_, count)| count)
        .sum()
}

#[test]
fn a_message_too_long_or_too_deep_is_refused_and_the_next_one_is_heard() {
    let mut world = limited(|config| config.max_message_bytes = 1000);
    let ann = world.in_room("r", "ann");
    let long = format!(r#"{{"type":"message","text":"{}"}}"#, "x".repeat(1000));
    world.say(ann, &long);
    assert_eq!(world.refusal(ann), "too-large");
    let deep = format!(
        r#"{{"type":"message","data":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    world.say(ann, &deep);
    assert_eq!(world.refusal(ann), "too-deep");
    assert_eq!(refused(&world, ErrorCode::TooLarge), 1);
    assert_eq!(refused(&world, ErrorCode::TooDeep), 1);
    world.say(ann, r#"{"type":"message","text":"x"}"#);
    assert_eq!(world.heard_types(ann), ["message"]);
}

#[test]
fn nonsense_gets_a_clear_error() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    for (text, code) in [
        ("", "malformed"),
        ("\0", "malformed"),
        ("hello", "malformed"),
        ("[]", "malformed"),
        (r#"{"type":"message""#, "malformed"),
        (
            r#"{"type":"message","target":"a","target":"b","text":"x"}"#,
            "malformed",
        ),
        ("{}", "type-missing"),
        (r#"{"type":7}"#, "type-missing"),
        (r#"{"type":null}"#, "type-missing"),
        (r#"{"type":""}"#, "type-missing"),
        (r#"{"type":"wave"}"#, "type-unknown"),
        (r#"{"type":"message"}"#, "bad-field"),
        (r#"{"type":"message","text":7}"#, "bad-field"),
        (
            r#"{"type":"message","text":"x","target":["ann"]}"#,
            "bad-field",
        ),
        (r#"{"type":"message","text":"x","room":{}}"#, "bad-field"),
        (r#"{"type":"join"}"#, "bad-room"),
        (r#"{"type":"join","room":""}"#, "bad-room"),
        (r#"{"type":"join","room":"a\nb"}"#, "bad-room"),
        (r#"{"type":"join","room":"\ud800"}"#, "bad-field"),
        (r#"{"type":"join","room":"x","name":"\u202e"}"#, "bad-name"),
        (r#"{"type":"join","room":"x","token":1}"#, "bad-field"),
        (r#"{"type":"username"}"#, "bad-name"),
        (r#"{"type":"username","name":"  "}"#, "bad-name"),
    ] {
        world.say(ann, text);
        assert_eq!(world.refusal(ann), code, "{text}");
    }
}

#[test]
fn an_error_says_which_type_was_refused() {
    let mut world = World::new();
    let ann = world.connect();
    world.forget_all();
    world.say(ann, r#"{"type":"leave"}"#);
    let error = world.heard_one(ann);
    assert_eq!(
        error,
        serde_json::json!({ "type": "error", "code": "not-in-room", "message": "Join the room first.", "re": "leave" })
    );
}

#[test]
fn rooms_and_names_have_a_length() {
    let mut world = World::new();
    let ann = world.connect();
    world.forget_all();
    world.join(ann, &"r".repeat(129), "ann");
    assert_eq!(world.refusal(ann), "bad-room");
    world.join(ann, "r", &"n".repeat(65));
    assert_eq!(world.refusal(ann), "bad-name");
    let token = "t".repeat(8 * 1024 + 1);
    world.say(
        ann,
        &format!(r#"{{"type":"join","room":"r","token":"{token}"}}"#),
    );
    assert_eq!(world.refusal(ann), "too-large");
    world.join(ann, &"ü".repeat(128), &"ü".repeat(64));
    assert_eq!(world.heard_types(ann), ["joined"]);
}

#[test]
fn a_full_room_takes_no_member_until_one_leaves() {
    let mut world = limited(|config| config.max_room_members = 2);
    let ann = world.in_room("r", "ann");
    world.in_room("r", "bob");
    let cyd = world.connect();
    world.forget_all();
    world.join(cyd, "r", "cyd");
    assert_eq!(world.refusal(cyd), "room-full");
    world.join(ann, "r", "ann");
    assert_eq!(
        world.heard_types(ann),
        ["joined"],
        "who is in can join again"
    );
    world.disconnect(ann);
    world.join(cyd, "r", "cyd");
    assert_eq!(world.heard_types(cyd), ["joined"]);
}

#[test]
fn one_member_is_in_so_many_rooms_and_the_hub_has_so_many() {
    let mut world = limited(|config| {
        config.max_rooms_per_member = 2;
        config.max_rooms = 3;
    });
    let ann = world.in_room("a", "ann");
    world.join(ann, "b", "ann");
    world.forget_all();
    world.join(ann, "c", "ann");
    assert_eq!(world.refusal(ann), "too-many-rooms");
    let bob = world.in_room("c", "bob");
    world.join(bob, "d", "bob");
    assert_eq!(world.refusal(bob), "server-full");
    world.join(bob, "a", "bob");
    assert_eq!(world.heard_types(bob), ["joined"]);
}

#[test]
fn rooms_are_guessed_no_faster_over_many_connections_of_one_network() {
    let mut world = limited(|config| {
        config.joins_per_second = 2;
        config.join_burst = 10;
    });
    let from = |world: &mut World, address: &str| {
        let network = Some(ClientNetwork::of(address.parse().unwrap()));
        let member = world.connect_as(NewMember {
            network,
            ..NewMember::default()
        });
        world.forget_all();
        member
    };
    let ann = from(&mut world, "2001:db8::1");
    for room in 0..10 {
        world.join(ann, "r", "ann");
        world.say(ann, r#"{"type":"leave"}"#);
        assert_eq!(world.heard_types(ann), ["joined", "user-left"], "{room}");
    }
    world.join(ann, "r", "ann");
    assert_eq!(world.refusal(ann), "rate-limited");
    world.disconnect(ann);
    // Another connection, and a neighbour in the same network.
    for address in ["2001:db8::1", "2001:db8::2"] {
        let again = from(&mut world, address);
        world.join(again, "r", "ann");
        assert_eq!(world.refusal(again), "rate-limited");
    }
    assert_eq!(world.hub.counters().joins_limited, 3);
    assert!(world.closed.is_empty());
    let other = from(&mut world, "2001:db8:0:1::1");
    world.join(other, "r", "bob");
    assert_eq!(world.heard_types(other), ["joined"]);
    world.pass(Duration::from_secs(1));
    let ann = from(&mut world, "2001:db8::1");
    for name in ["ann", "anna"] {
        // Who is in can ask for the list and for ICE servers without joining anew.
        world.join(ann, "r", name);
        assert_eq!(world.heard_types(ann), ["joined"]);
    }
    world.join(ann, "s", "ann");
    world.forget_all();
    world.join(ann, "t", "ann");
    assert_eq!(world.refusal(ann), "rate-limited");
}

#[test]
fn a_full_lobby_takes_no_more_names() {
    let mut world = limited(|config| config.max_lobby_members = 1);
    let ann = world.connect_mdn();
    let bob = world.connect_mdn();
    world.forget_all();
    world.say(bob, r#"{"type":"username","name":"bob"}"#);
    assert_eq!(world.refusal(bob), "lobby-full");
    world.disconnect(ann);
    world.say(bob, r#"{"type":"username","name":"bob"}"#);
    assert_eq!(world.heard_types(bob), ["userlist"]);
}

#[test]
fn a_full_hub_says_so_and_closes() {
    let mut world = limited(|config| config.max_members = 1);
    world.connect();
    let late = world.connect();
    assert_eq!(world.refusal(late), "server-full");
    assert_eq!(world.closed, [(late, CloseReason::ServerFull)]);
    assert_eq!(world.hub.member_count(), 1);
    world.say(late, r#"{"type":"join","room":"r"}"#);
    assert_eq!(world.hub.counters().late, 1);
    assert_eq!(world.hub.room_count(), 0);
}

#[test]
fn a_flood_gets_an_error_and_is_closed_and_the_room_hears_that_the_sender_left() {
    let mut world = limited(|config| {
        config.message_burst = 10;
        config.messages_per_second = 1;
    });
    let (ann, eve) = (world.in_room("r", "ann"), world.in_room("r", "eve"));
    world.pass(Duration::from_secs(60));
    for _ in 0..10 {
        world.say(eve, r#"{"type":"message","text":"x"}"#);
    }
    assert!(world.closed.is_empty());
    world.forget_all();
    world.say(eve, r#"{"type":"message","text":"x"}"#);
    assert_eq!(world.refusal(eve), "rate-limited");
    assert_eq!(world.closed, [(eve, CloseReason::RateLimited)]);
    assert_eq!(world.heard_types(ann), ["user-left"]);
    assert_eq!(refused(&world, ErrorCode::RateLimited), 1);
}

#[test]
fn a_steady_member_below_the_rate_is_never_stopped() {
    let mut world = limited(|config| {
        config.message_burst = 10;
        config.messages_per_second = 10;
    });
    let ann = world.in_room("r", "ann");
    for _ in 0..1000 {
        world.pass(Duration::from_millis(100));
        world.say(ann, r#"{"type":"message","text":"x"}"#);
    }
    assert!(world.closed.is_empty());
    assert_eq!(world.heard(ann).len(), 1000);
}
