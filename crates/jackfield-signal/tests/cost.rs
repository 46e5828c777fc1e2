//! What a message costs is what it makes the hub do, and its sender pays for it.

mod common;

use std::time::Duration;

use common::World;
use jackfield_signal::{HubConfig, MemberId};

/// A crowd of 50 in each of 8 rooms, and what 49 of them hear of a change of the first.
const CROWD: usize = 50;
const ROOMS: usize = 8;
const HEARD: usize = (CROWD - 1) * ROOMS;

/// Names as long as may be.
fn long_name(number: usize) -> String {
    format!("{number:04}{}", "\u{20000}".repeat(60))
}

fn crowd(world: &mut World) -> Vec<MemberId> {
    let join = |number: usize| {
        let member = world.connect();
        for room in 0..ROOMS {
            world.join(member, &room.to_string(), &long_name(number));
        }
        member
    };
    let members = (0..CROWD).map(join).collect();
    // The members' rates recover from their joins.
    world.pass(Duration::from_secs(600));
    world.forget_all();
    members
}

fn rename(number: usize) -> String {
    serde_json::json!({ "type": "username", "name": long_name(number) }).to_string()
}

#[test]
fn a_new_name_is_a_short_message_whoever_reads_it() {
    let mut world = World::new();
    let members = crowd(&mut world);
    let before = *world.hub.counters();
    world.say(members[0], &rename(1000));
    let after = *world.hub.counters();
    assert_eq!(after.sent - before.sent, HEARD as u64);
    let bytes = after.sent_bytes - before.sent_bytes;
    assert!(bytes <= HEARD as u64 * 400, "{bytes} bytes for {HEARD}");
    for member in &members[1..] {
        assert_eq!(world.heard(*member).len(), ROOMS);
    }
    assert!(world.heard(members[0]).is_empty());
}

#[test]
fn the_members_of_a_room_share_one_text() {
    let mut world = World::new();
    let members = crowd(&mut world);
    let mut texts = |message: &str| world.texts(members[0], message);
    assert_eq!(texts(&rename(1000)), (HEARD, ROOMS));
    assert_eq!(texts(r#"{"type":"leave","room":"0"}"#), (CROWD, 1));
    // The list and the ICE servers are the newcomer's own; the others hear the same of it.
    assert_eq!(texts(r#"{"type":"join","room":"0"}"#), (CROWD, 2));
    let chat = r#"{"type":"message","room":"1","text":"hi"}"#;
    assert_eq!(texts(chat), (CROWD, 1));
}

#[test]
fn who_makes_the_hub_send_much_can_do_so_seldom_and_is_told() {
    let mut world = World::new();
    let members = crowd(&mut world);
    let before = world.hub.counters().sent_bytes;
    let mut turn = 0;
    while world.heard(members[0]).is_empty() {
        turn += 1;
        world.say(members[0], &rename(2000 + turn));
    }
    assert!((20..=30).contains(&turn), "{turn}");
    assert!(world.closed.is_empty(), "nothing but the cost is refused");
    let sent = world.hub.counters().sent_bytes - before;
    // A thousand messages at once, of 16 KiB each.
    assert!(sent <= 1000 * (16 << 10), "{sent}");
    // What costs little still passes.
    world.pass(Duration::from_millis(200));
    world.forget_all();
    let offer = r#"{"type":"video-offer","room":"1","target":"nobody","sdp":{}}"#;
    world.say(members[0], offer);
    assert_eq!(world.refusal(members[0]), "no-such-user");
    // A name that was refused was given nowhere.
    let given = format!("{:04}", 2000 + turn - 1);
    for room in 0..ROOMS {
        let room = room.to_string();
        let mut there = world.hub.members_of(&room);
        let (_, name) = there.find(|(member, _)| *member == members[0]).unwrap();
        assert!(name.starts_with(&given), "{name}");
    }
}

#[test]
fn a_long_message_counts_for_many() {
    let mut world = World::new();
    let ann = world.in_room("r", "ann");
    let bob = world.in_room("r", "bob");
    let text = "x".repeat(100 << 10);
    let long = format!(r#"{{"type":"message","target":"ann","text":"{text}"}}"#);
    let mut passed = 0;
    while world.closed.is_empty() {
        world.say(bob, &long);
        passed += world
            .heard_types(ann)
            .iter()
            .filter(|kind| *kind == "message")
            .count();
    }
    // 1 and 6 units of 16 KiB when it is read, and 6 when it is sent.
    assert!((70..=80).contains(&passed), "{passed}");
}

#[test]
fn a_message_of_the_greatest_cost_can_be_sent_at_times() {
    let mut world = World::with(HubConfig {
        messages_per_second: 5,
        message_burst: 40,
        ..HubConfig::default()
    });
    let members: Vec<_> = (0..10).map(|_| world.in_room("r", "ann")).collect();
    let text = "x".repeat(100 << 10);
    let long = format!(r#"{{"type":"message","text":"{text}"}}"#);
    for _ in 0..3 {
        world.pass(Duration::from_secs(60));
        world.forget_all();
        world.say(members[0], &long);
        assert_eq!(world.heard_types(members[0]), ["message"]);
        world.say(members[0], &long);
        assert_eq!(world.refusal(members[0]), "rate-limited");
    }
    assert!(world.closed.is_empty());
}
