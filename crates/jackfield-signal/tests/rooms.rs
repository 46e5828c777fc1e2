//! Rooms: joining, talking, calling, leaving.

mod common;

use std::time::{Duration, Instant};

use common::World;
use jackfield_signal::{Gate, HubConfig};
use serde_json::{Value, json};

// Joining

#[test]
fn a_join_is_answered_with_the_room_oneself_the_others_and_ice_servers() {
    let mut world = World::new();
    let ann = world.in_room("demo", "ann");
    let bob = world.connect();
    world.forget_all();
    world.join(bob, "demo", "bob");
    let joined = json!({
        "type": "joined", "room": "demo",
        "self": { "name": "bob", "id": bob.number() },
        "users": [{ "name": "ann", "id": ann.number(), "polite": true }],
        "iceServers": [{ "urls": "turn:example.org:3478", "username": "bob", "credential": "2" }],
        "ttl": 3600,
    });
    assert_eq!(world.heard_one(bob), joined);
    let user = json!({ "name": "bob", "id": bob.number(), "polite": false });
    assert_eq!(
        world.heard_one(ann),
        json!({ "type": "user-joined", "room": "demo", "user": user })
    );
}

#[test]
fn of_any_two_exactly_one_is_polite() {
    let mut world = World::new();
    let members: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| (name, world.in_room("r", name)))
        .into();
    let mut polite = Vec::new();
    for (reader, member) in &members {
        let list = world.ask(*member, "userlist", r#"{"room":"r"}"#);
        for user in list["users"].as_array().unwrap() {
            let name = user["name"].as_str().unwrap();
            assert_ne!(name, *reader);
            if user["polite"] == true {
                polite.push(format!("{reader} to {name}"));
            }
        }
    }
    assert_eq!(
        polite,
        ["b to a", "c to a", "c to b", "d to a", "d to b", "d to c"]
    );
}

#[test]
fn a_taken_name_gets_a_suffix_in_that_room_only() {
    let mut world = World::new();
    world.in_room("one", "ann");
    let other = world.connect();
    world.forget_all();
    world.join(other, "one", "ann");
    let heard = world.heard(other);
    let rejected =
        format!(r#"{{"id":{other},"type":"rejectusername","room":"one","name":"ann1"}}"#);
    assert_eq!(heard[0], rejected);
    let joined: Value = serde_json::from_str(&heard[1]).unwrap();
    assert_eq!(joined["self"]["name"], "ann1");
    world.say(other, r#"{"type":"join","room":"two"}"#);
    assert_eq!(world.heard_one(other)["self"]["name"], "ann");
}

#[test]
fn who_gives_no_name_is_a_guest() {
    let mut world = World::new();
    let member = world.connect();
    assert_eq!(
        world.ask(member, "join", r#"{"room":"r"}"#)["self"]["name"],
        "guest"
    );
}

#[test]
fn joining_again_answers_again_and_sends_nothing_to_others() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    world.join(ann, "r", "zoe");
    let again = world.heard_one(ann);
    assert_eq!(again["self"]["name"], "ann");
    assert_eq!(again["users"][0]["name"], "bob");
    assert!(world.heard(bob).is_empty());
}

#[test]
fn a_gate_decides_by_room_name_and_token() {
    #[derive(Debug)]
    struct Password;
    impl Gate for Password {
        fn admits(&mut self, _now: Instant, room: &str, name: &str, token: Option<&str>) -> bool {
            token == Some(format!("{room}/{name}").as_str())
        }
    }
    let mut world = World::new();
    world.hub.set_gate(Box::new(Password));
    let member = world.connect();
    for body in [
        r#"{"room":"r","name":"ann"}"#,
        r#"{"room":"r","name":"ann","token":"x"}"#,
    ] {
        assert_eq!(world.ask(member, "join", body)["code"], "refused");
    }
    assert_eq!(world.hub.room_count(), 0);
    let body = r#"{"room":"r","name":"ann","token":"r/ann"}"#;
    assert_eq!(world.ask(member, "join", body)["type"], "joined");
}

// Talking

#[test]
fn a_message_reaches_all_members_of_the_room_in_one_order_and_no_others() {
    let mut world = World::new();
    let (ann, bob, eve) = (
        world.in_room("r", "ann"),
        world.in_room("r", "bob"),
        world.in_room("s", "eve"),
    );
    world.say(ann, r#"{"type":"message","text":"a < b > c"}"#);
    world.say(bob, r#"{"type":"message","data":{"x": [1,  2.50]}}"#);
    let expected = [
        format!(r#"{{"type":"message","text":"a < b > c","name":"ann","room":"r","id":{ann}}}"#),
        format!(
            r#"{{"type":"message","data":{{"x": [1,  2.50]}},"name":"bob","room":"r","id":{bob}}}"#
        ),
    ];
    assert_eq!(world.heard(ann), expected);
    assert_eq!(world.heard(bob), expected);
    assert!(world.heard(eve).is_empty());
}

#[test]
fn a_message_with_a_target_reaches_the_target_alone() {
    let mut world = World::new();
    let (ann, bob, cyd) = (
        world.in_room("r", "ann"),
        world.in_room("r", "bob"),
        world.in_room("r", "cyd"),
    );
    world.say(ann, r#"{"type":"message","text":"psst","target":"cyd"}"#);
    assert_eq!(world.heard(cyd).len(), 1);
    assert!(world.heard(ann).is_empty() && world.heard(bob).is_empty());
}

#[test]
fn a_target_can_be_an_id_which_stays_the_same_member_whatever_it_is_called() {
    let mut world = World::new();
    let (ann, bob, cyd) = (
        world.in_room("r", "ann"),
        world.in_room("r", "bob"),
        world.in_room("r", "cyd"),
    );
    world.say(bob, r#"{"type":"username","name":"ben"}"#);
    world.say(cyd, r#"{"type":"username","name":"bob"}"#);
    world.forget_all();
    for kind in ["message", "video-offer", "new-ice-candidate", "hang-up"] {
        let message = format!(r#"{{"type":"{kind}","target":{bob},"data":1}}"#);
        world.say(ann, &message);
        assert_eq!(world.heard_one(bob)["id"], ann.number());
        assert!(world.heard(cyd).is_empty());
    }
    let dan = world.in_room("s", "dan");
    let message = format!(r#"{{"type":"message","target":{dan},"text":"x"}}"#);
    world.say(ann, &message);
    assert_eq!(world.refusal(ann), "no-such-user");
    for target in ["1.5", "-1", "[1]", "true"] {
        let message = format!(r#"{{"type":"message","target":{target},"text":"x"}}"#);
        world.say(ann, &message);
        assert_eq!(world.refusal(ann), "bad-field", "{target}");
    }
}

#[test]
fn nothing_that_a_member_writes_passes_for_who_it_is() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    let forged = |kind: &str| {
        format!(
            r#"{{"type":"{kind}","target":"bob","data":1,"id":{bob},"name":"bob","user":{{"name":"bob","id":{bob}}},"from":{bob},"room":null}}"#
        )
    };
    for kind in [
        "message",
        "video-offer",
        "video-answer",
        "new-ice-candidate",
        "hang-up",
    ] {
        world.say(ann, &forged(kind));
        let heard = world.heard_one(bob);
        assert_eq!(heard["id"], ann.number(), "{kind}");
        assert_eq!(heard["name"], "ann");
        assert_eq!(heard["user"], json!({ "name": "ann", "id": ann.number() }));
        assert_eq!(heard["from"], ann.number());
        assert_eq!(heard["room"], "r");
    }
    // The marks by which the two ends of a call know each other are theirs.
    let offer = r#"{"type":"video-offer","target":"bob","from":"7-9","to":"3-5"}"#;
    world.say(ann, offer);
    let heard = world.heard_one(bob);
    assert_eq!(
        (&heard["from"], &heard["to"]),
        (&"7-9".into(), &"3-5".into())
    );
    world.say(
        ann,
        r#"{"type":"message","target":"bob","text":"x","from":"bob"}"#,
    );
    assert_eq!(world.heard_one(bob)["from"], ann.number());
    let twice = r#"{"type":"message","text":"x","from":1,"from":2}"#;
    world.say(ann, twice);
    assert_eq!(world.refusal(ann), "malformed");
}

#[test]
fn nothing_is_said_into_a_room_from_outside() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let eve = world.in_room("s", "eve");
    for text in [
        r#"{"type":"message","text":"x","room":"r"}"#,
        r#"{"type":"message","text":"x","room":"r","target":"ann"}"#,
        r#"{"type":"video-offer","sdp":{},"room":"r","target":"ann"}"#,
        r#"{"type":"new-ice-candidate","candidate":{},"room":"r","target":"ann"}"#,
        r#"{"type":"hang-up","room":"r","target":"ann"}"#,
        r#"{"type":"leave","room":"r"}"#,
        r#"{"type":"userlist","room":"r"}"#,
    ] {
        world.say(eve, text);
        assert_eq!(world.refusal(eve), "not-in-room", "{text}");
    }
    world.say(eve, r#"{"type":"video-offer","sdp":{},"target":"ann"}"#);
    assert_eq!(world.refusal(eve), "no-such-user");
    assert!(world.heard(ann).is_empty());
}

#[test]
fn in_several_rooms_the_target_or_the_room_says_which_is_meant() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("s", "bob"));
    let hub = world.in_room("r", "x");
    world.join(hub, "s", "y");
    world.forget_all();
    world.say(hub, r#"{"type":"message","text":"hi"}"#);
    assert_eq!(world.refusal(hub), "room-required");
    world.say(hub, r#"{"type":"video-offer","target":"bob","sdp":1}"#);
    let offer = world.heard_one(bob);
    assert_eq!((&offer["name"], &offer["room"]), (&json!("y"), &json!("s")));
    world.say(hub, r#"{"type":"video-offer","target":"ann","sdp":1}"#);
    assert_eq!(world.heard_one(ann)["name"], "x");
}

// Calling

#[test]
fn payloads_are_carried_byte_for_byte_and_in_order() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    let sdp = r#"{"type":"offer", "sdp":"v=0\r\no=- \u00e9 😀\u0000", "x":[1e400,-0,{"":null}]}"#;
    world.say(
        ann,
        &format!(r#"{{"type":"video-offer","target":"bob","name":"ann","sdp":{sdp}}}"#),
    );
    let candidates: Vec<String> = (0..20)
        .map(|n| format!(r#"{{"candidate":"candidate:{n}", "sdpMid":"0"}}"#))
        .collect();
    for candidate in &candidates {
        world.say(
            ann,
            &format!(r#"{{"type":"new-ice-candidate","target":"bob","candidate":{candidate}}}"#),
        );
    }
    let heard = world.heard(bob);
    assert_eq!(
        heard[0],
        format!(
            r#"{{"type":"video-offer","target":"bob","name":"ann","sdp":{sdp},"room":"r","id":{ann}}}"#
        )
    );
    for (heard, candidate) in heard[1..].iter().zip(&candidates) {
        assert_eq!(
            *heard,
            format!(
                r#"{{"type":"new-ice-candidate","target":"bob","candidate":{candidate},"name":"ann","room":"r","id":{ann}}}"#
            )
        );
    }
    assert_eq!(heard.len(), 21);
}

#[test]
fn a_call_needs_another_member_as_its_target() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    for text in [
        r#"{"type":"video-offer","sdp":{}}"#,
        r#"{"type":"video-answer","sdp":{},"target":null}"#,
        r#"{"type":"new-ice-candidate","candidate":{},"target":""}"#,
        r#"{"type":"video-offer","sdp":{},"target":"ann"}"#,
    ] {
        world.say(ann, text);
        assert_eq!(world.refusal(ann), "bad-target", "{text}");
    }
}

#[test]
fn a_hang_up_reaches_every_partner_or_the_one_that_is_named() {
    let mut world = World::new();
    let (ann, bob, cyd) = (
        world.in_room("r", "ann"),
        world.in_room("r", "bob"),
        world.in_room("r", "cyd"),
    );
    for target in ["bob", "cyd"] {
        world.say(
            ann,
            &format!(r#"{{"type":"video-offer","target":"{target}","sdp":{{}}}}"#),
        );
    }
    world.forget_all();
    world.say(ann, r#"{"type":"hang-up","target":"cyd"}"#);
    assert_eq!(world.heard_one(cyd)["name"], "ann");
    assert!(world.heard(bob).is_empty());
    world.say(ann, r#"{"type":"hang-up"}"#);
    assert_eq!(world.heard_one(bob)["name"], "ann");
    assert!(world.heard(cyd).is_empty());
}

#[test]
fn a_call_is_over_when_the_two_meet_nowhere_any_more() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    world.say(ann, r#"{"type":"video-offer","target":"bob","sdp":{}}"#);
    world.say(bob, r#"{"type":"leave","room":"r"}"#);
    world.join(bob, "r", "bob");
    world.forget_all();
    world.say(ann, r#"{"type":"hang-up"}"#);
    assert!(world.heard(bob).is_empty());
}

// Renaming and leaving

#[test]
fn a_new_name_reaches_the_room() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    world.say(bob, r#"{"type":"username","name":"ann"}"#);
    assert_eq!(world.heard_types(bob), ["rejectusername"]);
    let user = json!({ "name": "ann1", "id": bob.number() });
    assert_eq!(
        world.heard_one(ann),
        json!({ "type": "user-renamed", "room": "r", "user": user })
    );
    world.say(bob, r#"{"type":"username","name":"ann1"}"#);
    assert!(world.heard(ann).is_empty(), "nothing has changed");
    world.say(ann, r#"{"type":"message","text":"x","target":"bob"}"#);
    assert_eq!(world.refusal(ann), "no-such-user");
}

#[test]
fn the_room_hears_of_leaves_and_disconnects_and_empty_rooms_are_gone() {
    let mut world = World::new();
    let (ann, bob, cyd) = (
        world.in_room("r", "ann"),
        world.in_room("r", "bob"),
        world.in_room("r", "cyd"),
    );
    assert_eq!(world.hub.rooms().collect::<Vec<_>>(), [("r", 3)]);
    world.disconnect(cyd);
    let left = |name: &str, id: u64| json!({ "type": "user-left", "room": "r", "user": { "name": name, "id": id } });
    assert_eq!(world.heard_one(ann), left("cyd", cyd.number()));
    assert_eq!(world.heard_one(bob), left("cyd", cyd.number()));
    world.say(bob, r#"{"type":"leave","room":"r"}"#);
    assert_eq!(world.heard_one(bob), left("bob", bob.number()));
    assert_eq!(world.heard_one(ann), left("bob", bob.number()));
    world.say(ann, r#"{"type":"leave"}"#);
    assert_eq!(world.hub.room_count(), 0);
    world.say(ann, r#"{"type":"leave"}"#);
    world.forget_all();
    world.disconnect(ann);
    world.disconnect(bob);
    assert_eq!(world.hub.member_count(), 0);
    assert_eq!(world.drain(), None);
}

// ICE servers

#[test]
fn fresh_ice_servers_come_at_three_quarters_of_their_life_while_in_a_room() {
    let mut world = World::minting(HubConfig::default(), Duration::from_secs(400));
    let ann = world.in_room("r", "ann");
    world.pass(Duration::from_secs(299));
    assert!(world.heard(ann).is_empty());
    world.pass(Duration::from_secs(1));
    let pushed = world.heard_one(ann);
    assert_eq!(pushed["type"], "ice-servers");
    assert_eq!(pushed["iceServers"][0]["credential"], "2");
    assert_eq!(pushed["iceServers"][0]["username"], "ann");
    assert_eq!(pushed["ttl"], 400);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.heard_types(ann), ["ice-servers", "ice-servers"]);
    world.say(ann, r#"{"type":"leave"}"#);
    assert_eq!(
        world.drain(),
        None,
        "nothing is planned for who is in no room"
    );
}

#[test]
fn fresh_ice_servers_can_be_asked_for() {
    let mut world = World::new();
    let ann = world.connect();
    assert_eq!(world.ask(ann, "ice-servers", "{}")["code"], "not-in-room");
    world.join(ann, "r", "ann");
    assert_eq!(
        world.ask(ann, "ice-servers", "{}")["iceServers"][0]["credential"],
        "2"
    );
}

#[test]
fn credentials_that_hold_for_ever_are_never_pushed() {
    let mut world = World::minting(HubConfig::default(), Duration::ZERO);
    world.in_room("r", "ann");
    assert_eq!(world.drain(), None);
}

// Socket.IO

#[test]
fn an_event_needs_no_type_in_its_body_and_gets_one_on_its_way() {
    let mut world = World::new();
    let (ann, bob) = (world.in_room("r", "ann"), world.in_room("r", "bob"));
    let answer = world.ask(ann, "message", r#"{"text":"hi"}"#);
    assert_eq!(answer, json!({ "type": "ok", "re": "message" }));
    assert_eq!(
        world.heard(bob),
        [format!(
            r#"{{"type":"message","text":"hi","name":"ann","room":"r","id":{ann}}}"#
        )]
    );
    assert_eq!(
        world.ask(ann, "message", r#"{"type":"message","text":"hi"}"#)["type"],
        "ok"
    );
    assert_eq!(
        world.ask(ann, "message", r#"{"type":"hang-up","text":"hi"}"#)["code"],
        "malformed"
    );
}

#[test]
fn an_acknowledgement_carries_the_answer_or_the_error() {
    let mut world = World::new();
    let ann = world.connect();
    world.forget_all();
    assert_eq!(
        world.ask(ann, "join", r#"{"room":"r","name":"ann"}"#)["type"],
        "joined"
    );
    assert!(world.heard(ann).is_empty());
    let refused = world.ask(ann, "leave", r#"{"room":"s"}"#);
    assert_eq!(
        (&refused["type"], &refused["code"], &refused["re"]),
        (&json!("error"), &json!("not-in-room"), &json!("leave"))
    );
    assert_eq!(world.ask(ann, "leave", "{}")["type"], "ok");
    assert_eq!(world.heard_types(ann), ["user-left"]);
}
