//! What members say is refused to them while its receiver has no room for it.

mod common;

use common::World;
use jackfield_signal::{ErrorCode, MemberId, Queues};

/// A queue that has no room for what others say.
struct Full(MemberId);

impl Queues for Full {
    fn have_room(&mut self, _from: MemberId, to: MemberId, _bytes: usize) -> bool {
        to != self.0
    }

    fn have_room_for_change(&mut self, _to: MemberId, _bytes: usize) -> bool {
        true
    }
}

/// A queue that has no room for what changes in rooms.
struct FullForChanges(MemberId);

impl Queues for FullForChanges {
    fn have_room(&mut self, _from: MemberId, _to: MemberId, _bytes: usize) -> bool {
        true
    }

    fn have_room_for_change(&mut self, to: MemberId, _bytes: usize) -> bool {
        to != self.0
    }
}

#[test]
fn what_a_busy_receiver_does_not_get_is_refused_to_its_sender() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let bob = world.in_room("r", "bob");
    let eve = world.in_room("r", "eve");
    world.forget_all();
    world.hub.set_queues(Box::new(Full(ann)));
    for message in [
        r#"{"type":"message","target":"ann","text":"hi"}"#,
        r#"{"type":"video-offer","target":"ann","sdp":{}}"#,
        r#"{"type":"new-ice-candidate","target":"ann","candidate":{}}"#,
        r#"{"type":"hang-up","target":"ann"}"#,
    ] {
        world.say(eve, message);
        assert_eq!(world.refusal(eve), "receiver-busy", "{message}");
    }
    let answer = world.ask(eve, "message", r#"{"target":"ann","text":"hi"}"#);
    assert_eq!(answer["code"], "receiver-busy");
    // The others have a message to all, the sender beside its error.
    world.say(eve, r#"{"type":"message","text":"hi"}"#);
    assert_eq!(world.heard_types(bob), ["message"]);
    assert_eq!(world.heard_types(eve), ["message", "error"]);
    assert!(world.heard(ann).is_empty());
    assert_eq!(world.hub.counters().receiver_busy, 6);
    let mut refused = world.hub.counters().refused();
    assert!(refused.any(|count| count == (ErrorCode::ReceiverBusy, 6)));
    drop(refused);
    // The server's own messages come through, and no call began that would end now.
    world.disconnect(bob);
    assert_eq!(world.heard_types(ann), ["user-left"]);
    world.say(eve, r#"{"type":"hang-up"}"#);
    assert_eq!(world.heard_types(eve), ["user-left"]);
}

#[test]
fn who_reads_too_slowly_gets_what_it_missed_as_one_list_a_room() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    world.join(ann, "s", "ann");
    let bob = world.in_room("r", "bob");
    world.forget_all();
    world.hub.set_queues(Box::new(FullForChanges(ann)));
    for _ in 0..100 {
        let eve = world.in_room("r", "eve");
        world.join(eve, "s", "eve");
        world.disconnect(eve);
    }
    let cyd = world.in_room("r", "cyd");
    world.say(bob, r#"{"type":"username","name":"ben"}"#);
    assert!(world.heard(ann).is_empty());
    assert_eq!(world.hub.counters().changes_coalesced, 402);
    // Room is there again, but the changes would make no sense without those before.
    world.hub.set_queues(Box::new(Full(cyd)));
    let dan = world.in_room("r", "dan");
    assert!(world.heard(ann).is_empty());
    assert!(world.drained(ann), "another room is left");
    let list = world.heard_one(ann);
    assert_eq!(
        (&list["type"], &list["room"]),
        (&"userlist".into(), &"r".into())
    );
    let users = list["users"].as_array().unwrap();
    let seen: Vec<_> = users
        .iter()
        .map(|user| {
            (
                user["name"].as_str().unwrap(),
                user["polite"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("ben", false), ("cyd", false), ("dan", false)]);
    assert!(!world.drained(ann));
    assert_eq!(world.heard_one(ann)["room"], "s");
    world.disconnect(dan);
    assert_eq!(world.heard_types(ann), ["user-left"]);
}

#[test]
fn what_was_asked_for_or_left_is_no_longer_missed() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    for room in ["s", "t"] {
        world.join(ann, room, "ann");
    }
    world.hub.set_queues(Box::new(FullForChanges(ann)));
    let eve = world.in_room("r", "eve");
    for room in ["s", "t"] {
        world.join(eve, room, "eve");
    }
    world.forget_all();
    world.say(ann, r#"{"type":"userlist","room":"r"}"#);
    world.join(ann, "s", "ann");
    world.say(ann, r#"{"type":"leave","room":"t"}"#);
    assert_eq!(world.heard_types(ann), ["userlist", "joined", "user-left"]);
    assert!(!world.drained(ann));
    assert!(world.heard(ann).is_empty());
}

#[test]
fn a_hang_up_that_a_busy_partner_does_not_get_can_be_said_again() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let eve = world.in_room("r", "eve");
    world.say(eve, r#"{"type":"video-offer","target":"ann","sdp":{}}"#);
    world.forget_all();
    world.hub.set_queues(Box::new(Full(ann)));
    world.say(eve, r#"{"type":"hang-up"}"#);
    assert_eq!(world.refusal(eve), "receiver-busy");
    world.hub.set_queues(Box::new(Full(eve)));
    world.say(eve, r#"{"type":"hang-up"}"#);
    assert_eq!(world.heard_types(ann), ["hang-up"]);
}
