//! An unmodified client of MDN's `webrtc-from-chat` sample is at home in the lobby: recorded
//! exchanges, key order and all.

mod common;

use std::time::Duration;

use common::World;
use jackfield_signal::{HubConfig, MemberId};

const OFFER: &str =
    r#"{"name":"ann","target":"ann1","type":"video-offer","sdp":{"type":"offer","sdp":"v=0"}}"#;
const ANSWER: &str =
    r#"{"name":"ann1","target":"ann","type":"video-answer","sdp":{"type":"answer","sdp":"v=0"}}"#;
const HANG_UP: &str = r#"{"name":"ann","target":null,"type":"hang-up"}"#;

#[test]
fn the_recorded_session_of_the_original_server_is_repeated() {
    let mut world = listing_at_once();
    let a = world.connect_mdn();
    assert_eq!(world.heard(a), [format!(r#"{{"type":"id","id":{a}}}"#)]);
    world.say(
        a,
        &format!(r#"{{"name":"ann","date":1,"id":{a},"type":"username"}}"#),
    );
    assert_eq!(world.heard(a), [r#"{"type":"userlist","users":["ann"]}"#]);

    let (b, c) = (world.connect_mdn(), world.connect_mdn());
    assert_eq!(b.number(), a.number() + 1);
    world.forget_all();
    world.say(
        b,
        &format!(r#"{{"name":"ann","date":2,"id":{b},"type":"username"}}"#),
    );
    let list = r#"{"type":"userlist","users":["ann","ann1",null]}"#;
    let rejected = format!(r#"{{"id":{b},"type":"rejectusername","name":"ann1"}}"#);
    assert_eq!(world.heard(b), [rejected.as_str(), list]);
    assert_eq!(world.heard(a), [list]);
    assert_eq!(world.heard(c), [list]);

    world.say(
        c,
        &format!(r#"{{"name":"cyd","date":3,"id":{c},"type":"username"}}"#),
    );
    for member in [a, b, c] {
        assert_eq!(
            world.heard(member),
            [r#"{"type":"userlist","users":["ann","ann1","cyd"]}"#]
        );
    }

    world.say(
        a,
        &format!(r#"{{"text":"hi <b>there</b>","type":"message","id":{a},"date":4}}"#),
    );
    let said = format!(r#"{{"text":"hi there","type":"message","id":{a},"date":4,"name":"ann"}}"#);
    for member in [a, b, c] {
        assert_eq!(world.heard(member), [said.as_str()]);
    }

    world.say(a, OFFER);
    assert_eq!(world.heard(b), [OFFER]);
    world.say(b, ANSWER);
    assert_eq!(world.heard(a), [ANSWER]);
    let candidate = r#"{"type":"new-ice-candidate","target":"ann1","candidate":{"candidate":"candidate:1 1 udp 1 ::1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"x"}}"#;
    world.say(a, candidate);
    assert_eq!(world.heard(b), [candidate]);
    assert!(world.heard(c).is_empty());

    world.disconnect(c);
    for member in [a, b] {
        assert_eq!(
            world.heard(member),
            [r#"{"type":"userlist","users":["ann","ann1"]}"#]
        );
    }
}

#[test]
fn a_hang_up_without_a_target_ends_only_the_senders_own_call() {
    let mut world = World::new();
    let [ann, bob, cyd, dan] = named(&mut world, ["ann", "bob", "cyd", "dan"]);
    world.say(
        ann,
        r#"{"name":"ann","target":"bob","type":"video-offer","sdp":{}}"#,
    );
    world.say(
        cyd,
        r#"{"name":"cyd","target":"dan","type":"video-offer","sdp":{}}"#,
    );
    world.forget_all();
    world.say(ann, HANG_UP);
    assert_eq!(world.heard(bob), [HANG_UP]);
    for member in [ann, cyd, dan] {
        assert!(world.heard(member).is_empty());
    }
    world.say(ann, HANG_UP);
    assert!(world.heard(bob).is_empty(), "the call is over already");
    world.say(dan, r#"{"name":"dan","target":null,"type":"hang-up"}"#);
    assert_eq!(
        world.heard(cyd).len(),
        1,
        "the answering side can hang up as well"
    );
}

#[test]
fn the_sender_is_who_sent_it_and_not_who_the_message_says() {
    let mut world = World::new();
    let [ann, bob, _] = named(&mut world, ["ann", "bob", "eve"]);
    let forged = format!(
        r#"{{"name":"eve","target":"bob","type":"video-offer","id":{bob},"sdp":{{"sdp":"v=0"}}}}"#
    );
    world.say(ann, &forged);
    let received = world.heard_one(bob);
    assert_eq!(received["name"], "ann");
    assert_eq!(received["sdp"]["sdp"], "v=0");
    world.say(
        ann,
        &format!(r#"{{"text":"x","type":"message","id":{bob},"name":"eve"}}"#),
    );
    let received = world.heard_one(bob);
    assert_eq!(received["name"], "ann");
    assert_eq!(received["id"], ann.number());
}

#[test]
fn an_unknown_type_is_passed_on_but_one_of_the_servers_is_not() {
    let mut world = World::new();
    let [ann, bob] = named(&mut world, ["ann", "bob"]);
    let wave = r#"{"type":"wave","target":"bob","how":[1,2]}"#;
    world.say(ann, wave);
    assert_eq!(world.heard(bob), [wave]);
    world.say(ann, r#"{"type":"wave","name":"bob","target":""}"#);
    for member in [ann, bob] {
        assert_eq!(
            world.heard(member),
            [r#"{"type":"wave","name":"ann","target":""}"#]
        );
    }
    for kind in [
        "id",
        "rejectusername",
        "joined",
        "user-joined",
        "user-left",
        "user-renamed",
        "error",
        "ok",
    ] {
        world.say(ann, &format!(r#"{{"type":"{kind}","target":"bob"}}"#));
        assert_eq!(world.refusal(ann), "type-reserved");
        assert!(world.heard(bob).is_empty());
    }
}

#[test]
fn an_unknown_target_is_an_error_for_the_sender_only() {
    let mut world = World::new();
    let [ann, bob] = named(&mut world, ["ann", "bob"]);
    world.say(
        ann,
        r#"{"name":"ann","target":"nobody","type":"video-offer","sdp":{}}"#,
    );
    assert_eq!(world.refusal(ann), "no-such-user");
    assert!(world.heard(bob).is_empty());
}

#[test]
fn who_has_no_name_yet_is_listed_as_null_and_cannot_speak() {
    let mut world = World::new();
    let [ann] = named(&mut world, ["ann"]);
    let mute = world.connect_mdn();
    world.forget_all();
    world.say(mute, r#"{"type":"message","text":"boo"}"#);
    assert_eq!(world.refusal(mute), "name-required");
    world.say(mute, r#"{"type":"video-offer","target":"ann","sdp":{}}"#);
    assert_eq!(world.refusal(mute), "name-required");
    assert!(world.heard(ann).is_empty());
}

#[test]
fn a_client_without_the_subprotocol_enters_the_lobby_by_its_name() {
    let mut world = listing_at_once();
    let [ann] = named(&mut world, ["ann"]);
    let bob = world.connect();
    assert!(
        world.heard(ann).is_empty(),
        "a connection without a name is not in the lobby's list"
    );
    world.forget_all();
    world.say(bob, r#"{"type":"username","name":"bob"}"#);
    let list = r#"{"type":"userlist","users":["ann","bob"]}"#;
    assert_eq!(world.heard(bob), [list]);
    assert_eq!(world.heard(ann), [list]);
}

#[test]
fn who_joins_a_room_leaves_the_lobby_and_comes_back_with_the_last_room() {
    let mut world = listing_at_once();
    let [ann, bob] = named(&mut world, ["ann", "bob"]);
    world.say(bob, r#"{"type":"join","room":"r"}"#);
    assert_eq!(world.heard(ann), [r#"{"type":"userlist","users":["ann"]}"#]);
    let joined = world.heard_one(bob);
    assert_eq!(joined["self"]["name"], "bob", "the name is kept");
    world.say(bob, r#"{"type":"leave"}"#);
    let list = r#"{"type":"userlist","users":["ann","bob"]}"#;
    assert_eq!(world.heard(ann), [list]);
    assert_eq!(world.heard(bob)[1], list);
}

#[test]
fn changes_that_follow_each_other_fast_share_a_list() {
    let mut world = World::with(HubConfig {
        lobby_bytes_per_second: 100_000,
        ..HubConfig::default()
    });
    let [ann, bob] = named(&mut world, ["ann", "bob"]);
    world.pass(Duration::from_secs(60));
    world.forget_all();
    let rename = |turn| format!(r#"{{"type":"username","name":"bob-{turn}"}}"#);
    world.say(bob, &rename(0));
    let first = r#"{"type":"userlist","users":["ann","bob-0"]}"#;
    assert_eq!(world.heard(ann), [first], "the first comes at once");
    for turn in 1..50 {
        world.say(bob, &rename(turn));
    }
    assert!(world.heard(ann).is_empty());
    world.pass(Duration::from_secs(1));
    let last = r#"{"type":"userlist","users":["ann","bob-49"]}"#;
    assert_eq!(world.heard(ann), [last]);
    assert_eq!(world.heard(bob), [first, last]);
    assert_eq!(world.hub.counters().lobby_lists_merged, 48);
    world.disconnect(bob);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.heard(ann), [r#"{"type":"userlist","users":["ann"]}"#]);
    world.say(ann, &rename(50));
    world.disconnect(ann);
    assert_eq!(world.drain(), None, "an empty lobby needs no list");
}

#[test]
fn the_lists_of_a_busy_lobby_stay_within_their_rate() {
    let mut world = World::with(HubConfig {
        lobby_bytes_per_second: 1 << 20,
        messages_per_second: 0,
        ..HubConfig::default()
    });
    let name = |turn: usize| format!("{turn:03}{}", "\u{20000}".repeat(60));
    let members: Vec<MemberId> = (0..100).map(|_| world.connect_mdn()).collect();
    let rename = |world: &mut World, turn: usize| {
        let json = serde_json::json!({ "type": "username", "name": name(turn) });
        world.say(members[turn % 100], &json.to_string());
    };
    for turn in 0..100 {
        rename(&mut world, turn);
    }
    world.pass(Duration::from_secs(60));
    let before = world.hub.counters().sent_bytes;
    for turn in 0..1000 {
        rename(&mut world, turn);
        world.pass(Duration::from_millis(10));
    }
    let sent = world.hub.counters().sent_bytes - before;
    // Ten seconds and the list that comes at once; a list is 25 kB for each of 100 readers.
    assert!((5_000_000..=13_000_000).contains(&sent), "{sent}");
    assert!(world.closed.is_empty());
}

/// A world in which every change of the lobby is listed at once, as by the original server.
fn listing_at_once() -> World {
    World::with(HubConfig {
        lobby_bytes_per_second: 0,
        ..HubConfig::default()
    })
}

fn named<const N: usize>(world: &mut World, names: [&str; N]) -> [MemberId; N] {
    let members = names.map(|name| {
        let member = world.connect_mdn();
        world.say(
            member,
            &format!(r#"{{"name":"{name}","date":1,"id":{member},"type":"username"}}"#),
        );
        member
    });
    world.forget_all();
    members
}
