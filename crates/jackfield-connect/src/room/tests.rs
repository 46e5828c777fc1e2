//! A program that reads none of its room's events, and members and a server that go on.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jackfield_driver::tls::with_roots;
use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::actor::Actor;
use super::member::Member;
use super::preparing::Preparing;
use super::queue::{CHANNEL, OF_MEMBERS, OF_SERVER};
use super::*;
use crate::channel::Message;
use crate::connection::{Connection, ConnectionEvent, Events, Preparation};
use crate::signaling::Incoming;

#[tokio::test(start_paused = true)]
async fn a_member_that_floods_waits_for_a_program_that_reads_nothing_and_loses_nothing() {
    let (mut room, peer, member) = meet().await;
    let hello = member.channel();
    let flood = tokio::spawn(async move {
        for number in 0..FLOOD {
            let chat = json!({ "t": "chat", "text": number.to_string() }).to_string();
            hello.sender.send(Message::Text(chat)).await.unwrap();
        }
        hello
    });
    idle().await;
    assert!(!flood.is_finished());
    // Each failed try to reach the server is an event as well.
    assert!(room.events.len() >= OF_MEMBERS as usize);
    assert!(room.events.len() <= (OF_MEMBERS + OF_SERVER) as usize);

    // The room's task is not the one that waits.
    let opened = room.handle().open_channel(peer, "files", "").await;
    assert!(opened.is_ok());

    let mut heard = Vec::new();
    while heard.len() < FLOOD {
        if let RoomEvent::Chat { text, .. } = room.next().await.unwrap() {
            heard.push(text.parse::<usize>().unwrap());
        }
    }
    assert!(heard.into_iter().eq(0..FLOOD));
    drop(flood.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn channels_that_no_program_takes_are_few() {
    let (room, _, member) = meet().await;
    let opened = Arc::new(Mutex::new(0));
    let flood = tokio::spawn({
        let (opened, events) = (Arc::clone(&opened), member.events());
        async move {
            loop {
                let channel = ConnectionEvent::Channel {
                    label: String::new(),
                    protocol: String::new(),
                    channel: Channel::pair().0,
                };
                events.tell(channel).await;
                *opened.lock().unwrap() += 1;
            }
        }
    });
    idle().await;
    assert_eq!(*opened.lock().unwrap(), OF_MEMBERS / CHANNEL);
    flood.abort();
    drop(room);
}

#[tokio::test(start_paused = true)]
async fn news_of_the_server_waits_for_the_program() {
    let (room, ..) = meet().await;
    // A try every ten seconds at most: more than the queue takes.
    sleep(Duration::from_secs(20) * OF_SERVER).await;
    assert_eq!(room.events.len(), OF_SERVER as usize);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_is_left_out() {
    let (mut room, _, member) = meet().await;
    let hello = member.channel();
    for length in [64 << 10, 1] {
        let chat = json!({ "t": "chat", "text": "x".repeat(length) }).to_string();
        hello.sender.send(Message::Text(chat)).await.unwrap();
    }
    let text = loop {
        if let RoomEvent::Chat { text, .. } = room.next().await.unwrap() {
            break text;
        }
    };
    assert_eq!(text, "x");
}

#[tokio::test(start_paused = true)]
async fn what_a_member_left_behind_is_not_kept() {
    let (mut room, _, member) = meet().await;
    let hello = member.channel();
    let bye = json!({ "t": "bye" }).to_string();
    hello.sender.send(Message::Text(bye)).await.unwrap();
    while !matches!(room.next().await.unwrap(), RoomEvent::Left { .. }) {}
    // The room's end of the channel is dropped.
    hello.sender.closed().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_resolver_holds_up_the_first_calls_and_nothing_else() {
    let (resolved, connector) = Fake::resolving_slowly();
    let mut room = enter(connector, async |actor| {
        for message in [joined("there"), chat("hello")] {
            actor.handle_signaling(Incoming::Message(message)).await;
        }
    })
    .await;
    idle().await;
    // Commands are carried out.
    let opened = room.handle().open_channel(PeerId(0), "", "").await;
    assert!(opened.is_err());
    let is_call = |event: &RoomEvent| !matches!(event, RoomEvent::ServerLost(_));
    assert!(!room.events.drain().iter().any(is_call));

    resolved.add_permits(1);
    let mut heard = Vec::new();
    while heard.len() < 3 {
        match room.next().await.unwrap() {
            RoomEvent::Joined { .. } => heard.push("joined"),
            RoomEvent::Found { .. } => heard.push("found"),
            RoomEvent::Chat { .. } => heard.push("chat"),
            _ => {}
        }
    }
    assert_eq!(heard, ["joined", "found", "chat"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_is_left_while_a_resolver_is_silent() {
    let (resolved, connector) = Fake::resolving_slowly();
    let room = enter(connector, async |actor| {
        let message = Incoming::Message(joined("there"));
        actor.handle_signaling(message).await;
    })
    .await;
    room.leave().await;
    assert_eq!(resolved.available_permits(), 0);
}

#[tokio::test(start_paused = true)]
async fn other_ice_servers_are_prepared_while_the_earlier_ones_are_used() {
    let (resolved, connector) = Fake::resolving_slowly();
    resolved.add_permits(1);
    let mut room = enter(connector.clone(), async |actor| {
        actor
            .handle_signaling(Incoming::Message(joined("there")))
            .await;
        Preparing::done(&mut actor.preparing).await;
        actor.finish_preparing().await;
        let renewed = json!({ "type": "ice-servers", "iceServers": [{ "urls": "stun:later" }] });
        for message in [renewed, user_joined("later")] {
            actor.handle_signaling(Incoming::Message(message)).await;
        }
    })
    .await;
    let mut found = 0;
    while found < 2 {
        found += usize::from(matches!(
            room.next().await.unwrap(),
            RoomEvent::Found { .. }
        ));
    }
    let used = [
        json!([{ "urls": "stun:first" }]),
        json!([{ "urls": "stun:first" }]),
    ];
    assert_eq!(connector.0.lock().unwrap().used, used);
    resolved.add_permits(1);
    idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_back_on_another_connection_is_not_met_a_second_time() {
    let mut room = enter(Fake::default(), async |actor| {
        for message in [
            joined("there"),
            description(1, "answer", "mark"),
            // Back before the server has noticed that the earlier connection is dead.
            user_joined("there1"),
            description(2, "offer", "mark"),
            // The dead one is listed for a while.
            list(&[1, 2]),
            json!({
                "type": "joined",
                "room": "flood",
                "self": { "id": 10, "name": "here" },
                "users": [{ "id": 1, "name": "there" }, { "id": 2, "name": "there1" }],
                "iceServers": [{ "urls": "stun:first" }],
            }),
            user_left(1, "there"),
            list(&[2]),
        ] {
            take(actor, message).await;
        }
        let members: Vec<_> = actor.calls.values().map(|call| call.member.id).collect();
        assert_eq!(members, [2]);
        assert!(actor.replaced.is_empty(), "its end is known");
    })
    .await;
    let mut heard = Vec::new();
    for event in room.events.drain() {
        match event {
            RoomEvent::Found { name, .. } => heard.push(format!("found {name}")),
            RoomEvent::Returned { peer, found_as } => {
                heard.push(format!("{} returned as {}", peer.0, found_as.0));
            }
            RoomEvent::Left { name, .. } => heard.push(format!("left {name}")),
            _ => {}
        }
    }
    assert_eq!(heard, ["found there", "found there1", "0 returned as 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_left_out_of_lists_only_until_its_end_is_known() {
    enter(Fake::default(), async |actor| {
        for message in [
            joined("there"),
            description(1, "answer", "mark"),
            user_joined("there1"),
            description(2, "offer", "mark"),
        ] {
            take(actor, message).await;
        }
        assert!(actor.replaced.contains(&1));
        take(actor, list(&[1, 2])).await;
        assert_eq!(actor.calls.len(), 1);
        take(actor, user_left(1, "there")).await;
        take(actor, list(&[1, 2])).await;
        assert_eq!(actor.calls.len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_known_by_its_name_asks_for_no_session() {
    enter(Fake::default(), async |actor| {
        for (purpose, asks) in [("pipe", true), ("send", false), ("receive", false)] {
            actor.context.options.purpose = purpose;
            let join = actor.join_message();
            assert_eq!(join.get("session").is_some(), asks, "{purpose}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_session_of_the_last_answer_goes_with_the_next_request_to_join() {
    enter(Fake::default(), async |actor| {
        assert_eq!(actor.join_message()["session"], Value::Null);
        let mut answer = joined("there");
        answer["session"] = "9-abc".into();
        take(actor, answer).await;
        assert_eq!(actor.join_message()["session"], "9-abc");
        take(actor, joined("there")).await;
        assert_eq!(actor.join_message()["session"], Value::Null);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_knocks_hears_so_and_how_it_ends() {
    let mut room = enter(Fake::default(), async |actor| {
        let refused = |room: &str| {
            json!({
                "type": "error", "re": "join", "code": "not-admitted", "message": "No.", "room": room,
            })
        };
        take(actor, json!({ "type": "waiting", "room": "flood", "timeout": 300 })).await;
        take(actor, refused("another")).await;
        assert!(!actor.is_over);
        take(actor, refused("flood")).await;
        assert!(actor.is_over);
    })
    .await;
    let events = room.events.drain();
    let [
        RoomEvent::Knocking { within },
        RoomEvent::Refused { code, .. },
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!(
        (*within, &code[..]),
        (Duration::from_secs(300), "not-admitted")
    );
}

/// Has the room take a message of the server, with what has to be prepared for it done.
async fn take(actor: &mut Actor<Fake>, message: Value) {
    actor.handle_signaling(Incoming::Message(message)).await;
    if actor.preparing.is_some() {
        Preparing::done(&mut actor.preparing).await;
        actor.finish_preparing().await;
    }
}

fn description(id: u64, kind: &str, mark: &str) -> Value {
    json!({
        "type": format!("video-{kind}"),
        "room": "flood",
        "id": id,
        "from": mark,
        "sdp": { "type": kind, "sdp": "" },
    })
}

fn list(ids: &[u64]) -> Value {
    let users: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "name": format!("there{id}") }))
        .collect();
    json!({ "type": "userlist", "room": "flood", "users": users })
}

fn user_left(id: u64, name: &str) -> Value {
    json!({ "type": "user-left", "room": "flood", "user": { "id": id, "name": name } })
}

/// Enters a room whose server is out of reach, with one member that is there all the same.
async fn meet() -> (Room, PeerId, Fake) {
    let connector = Fake::default();
    let mut room = enter(connector.clone(), async |actor| {
        let member = json!({ "id": 1, "name": "there" });
        actor.meet(Member::read(&member).unwrap(), false).await;
    })
    .await;
    let Some(RoomEvent::Found { peer, .. }) = room.next().await else {
        panic!("nothing was found");
    };
    (room, peer, connector)
}

/// Enters a room whose server is out of reach, and does something before the room's task begins.
async fn enter(connector: Fake, first: impl AsyncFnOnce(&mut Actor<Fake>)) -> Room {
    let options = RoomOptions {
        // Port 1 of this machine refuses connections.
        server: "http://127.0.0.1:1".parse().unwrap(),
        trust: trust(),
        proxies: ProxyRules::default(),
        room: "flood".parse().unwrap(),
        name: "here".to_owned(),
        token: None,
        purpose: "pipe",
        seed: [7; 16],
    };
    let (commands, to_do) = mpsc::unbounded_channel();
    let (happened, events) = queue::queue();
    let (mut actor, internals) = Actor::new(options, connector, happened);
    first(&mut actor).await;
    Room {
        events,
        handle: RoomHandle(commands),
        task: tokio::spawn(actor.run(to_do, internals)),
    }
}

/// What the server says when we are in, and somebody was there before.
fn joined(name: &str) -> Value {
    json!({
        "type": "joined",
        "room": "flood",
        "self": { "id": 9, "name": "here" },
        "users": [{ "id": 1, "name": name }],
        "iceServers": [{ "urls": "stun:first" }],
    })
}

fn user_joined(name: &str) -> Value {
    json!({ "type": "user-joined", "room": "flood", "user": { "id": 2, "name": name } })
}

fn chat(text: &str) -> Value {
    json!({ "type": "message", "room": "flood", "name": "there", "text": text })
}

/// Lets every task go on until all of them wait: only then does paused time move.
async fn idle() {
    sleep(Duration::from_millis(100)).await;
}

/// Makes connections that a test holds the other end of.
#[derive(Debug, Clone, Default)]
struct Fake(Arc<Mutex<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    channels: Vec<Channel>,
    events: Option<Events>,
    /// A permit for each preparation that may be done; none has to wait if there is nothing.
    resolved: Option<Arc<Semaphore>>,
    /// The ICE servers of each connection.
    used: Vec<Value>,
}

impl Fake {
    fn resolving_slowly() -> (Arc<Semaphore>, Self) {
        let resolved = Arc::new(Semaphore::new(0));
        let fake = Self::default();
        fake.0.lock().unwrap().resolved = Some(Arc::clone(&resolved));
        (resolved, fake)
    }

    /// Returns the member's end of the last channel that was opened.
    fn channel(&self) -> Channel {
        self.0.lock().unwrap().channels.pop().unwrap()
    }

    fn events(&self) -> Events {
        self.0.lock().unwrap().events.clone().unwrap()
    }
}

impl Connector for Fake {
    type Connection = Self;

    fn prepare(&mut self, _: &Value) -> Preparation {
        let resolved = self.0.lock().unwrap().resolved.clone();
        Box::pin(async move {
            if let Some(resolved) = resolved {
                resolved.acquire().await.unwrap().forget();
            }
        })
    }

    async fn connect(&mut self, servers: &Value, events: Events) -> io::Result<Self> {
        let mut ends = self.0.lock().unwrap();
        ends.events = Some(events);
        ends.used.push(servers.clone());
        drop(ends);
        Ok(self.clone())
    }
}

impl Connection for Fake {
    async fn offer(&mut self, _: bool) -> Result<String, ConnectionError> {
        Ok(String::new())
    }

    async fn accept(&mut self, _: &str) -> Result<String, ConnectionError> {
        Ok(String::new())
    }

    async fn complete(&mut self, _: &str) -> Result<(), ConnectionError> {
        Ok(())
    }

    async fn add_candidate(&mut self, _: &str, _: Option<&str>) -> Result<(), ConnectionError> {
        Ok(())
    }

    async fn open_channel(
        &mut self,
        _: &str,
        _: &str,
        _: Option<u16>,
    ) -> Result<Channel, ConnectionError> {
        let (ours, theirs) = Channel::pair();
        self.0.lock().unwrap().channels.push(theirs);
        Ok(ours)
    }

    async fn close(self) {}
}

fn trust() -> Trust {
    Trust::of_config(Arc::new(with_roots(RootCertStore::empty())))
}

/// Messages of a member that floods: more than all queues hold.
const FLOOD: usize = 30_000;
