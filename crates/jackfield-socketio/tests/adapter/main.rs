//! Two servers that are one to their clients, by an adapter that is written outside of the crate.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod cluster;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use cluster::Bus;
use jackfield_socketio::adapter::SocketInfo;
use jackfield_socketio::{
    Binary, BroadcastOperator, Io, IoConfig, RemoteSocket, ServerEvent, Socket,
};
use serde_json::{Value, json};
use support::{LONG, Ws, serve, until};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// One of several servers on a bus.
struct Server {
    io: Io,
    address: SocketAddr,
    sockets: mpsc::UnboundedReceiver<Socket>,
}

impl Server {
    async fn start(bus: &Bus) -> Self {
        let bus = bus.clone();
        let io = Io::with_adapter(IoConfig::default(), move |namespace| bus.adapter(namespace));
        let (sender, sockets) = mpsc::unbounded_channel();
        io.on_connect(move |socket| {
            sender.send(socket).unwrap();
            std::future::ready(())
        });
        let address = serve(&io).await;
        Self {
            io,
            address,
            sockets,
        }
    }

    /// A client and its socket at this server.
    async fn join(&mut self) -> (Ws, Socket) {
        let ws = Ws::join(self.address).await;
        let socket = timeout(LONG, self.sockets.recv()).await.unwrap().unwrap();
        (ws, socket)
    }

    fn all(&self) -> BroadcastOperator {
        self.io.of("/").operator()
    }
}

/// Two servers that are joined.
async fn two() -> (Server, Server) {
    let bus = Bus::default();
    (Server::start(&bus).await, Server::start(&bus).await)
}

fn numbers(answers: &[jackfield_socketio::Args]) -> Vec<u64> {
    let mut numbers: Vec<u64> = answers.iter().map(|args| args.get(0).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

// Broadcasts

#[tokio::test]
async fn a_broadcast_reaches_the_rooms_of_every_server() {
    let (mut east, mut west) = two().await;
    let (mut a, socket_a) = east.join().await;
    let (mut b, socket_b) = west.join().await;
    let (mut c, socket_c) = west.join().await;
    socket_a.join("red");
    socket_b.join_all(["red", "blue"]);
    let file = Binary::from(&[7, 8][..]);

    let here = east.io.emit("everyone", &1).unwrap();
    assert_eq!(here.sent, 1, "the delivery is that of this process");
    east.io.to("red").emit("red", &file).unwrap();
    east.io.except("blue").emit("not blue", &()).unwrap();
    socket_a.to("red").to("blue").emit("others", &()).unwrap();
    east.io
        .to(&**socket_c.id())
        .emit("only c", &("x", 2))
        .unwrap();
    east.all().local().emit("here", &()).unwrap();
    west.io.emit("end", &()).unwrap();

    let red = r#"451-["red",{"_placeholder":true,"num":0}]"#;
    for event in [r#"42["everyone",1]"#, red] {
        assert_eq!(a.event().await, event);
    }
    assert_eq!(a.binary().await, [7, 8]);
    for event in [r#"42["not blue"]"#, r#"42["here"]"#, r#"42["end"]"#] {
        assert_eq!(a.event().await, event);
    }

    // What west sends itself may overtake what comes over the bus, so the end is awaited in any
    // place.
    let mut events = Vec::new();
    while events.len() < 4 {
        events.push(b.event().await);
        if events.last().unwrap() == red {
            assert_eq!(b.binary().await, [7, 8]);
        }
    }
    events.retain(|event| event != r#"42["end"]"#);
    assert_eq!(events, [r#"42["everyone",1]"#, red, r#"42["others"]"#]);

    let mut events = Vec::new();
    while events.len() < 4 {
        events.push(c.event().await);
    }
    events.retain(|event| event != r#"42["end"]"#);
    assert_eq!(
        events,
        [
            r#"42["everyone",1]"#,
            r#"42["not blue"]"#,
            r#"42["only c","x",2]"#
        ]
    );
}

#[tokio::test]
async fn namespaces_stay_apart_between_servers() {
    let (mut east, mut west) = two().await;
    let (mut a, _) = east.join().await;
    east.io.of("/chat");
    west.io.of("/chat").emit("not for a", &()).unwrap();
    west.io.emit("for a", &()).unwrap();
    assert_eq!(a.event().await, r#"42["for a"]"#);
    let (mut b, _) = west.join().await;
    b.send("40/chat,").await;
    assert!(b.event().await.starts_with("40/chat,{"));
    east.io.of("/chat").emit("news", &1).unwrap();
    assert_eq!(b.event().await, r#"42/chat,["news",1]"#);
}

// Acknowledgements

#[tokio::test]
async fn acknowledgements_are_counted_across_servers() {
    let (mut east, mut west) = two().await;
    let (mut a, _) = east.join().await;
    let (mut b, _) = west.join().await;
    let (mut c, _) = west.join().await;
    let asked = tokio::spawn({
        let acks = east.all().emit_with_ack("q", &()).unwrap();
        acks.collect()
    });
    for (number, ws) in [&mut a, &mut b, &mut c].into_iter().enumerate() {
        assert_eq!(ws.event().await, r#"420["q"]"#);
        ws.send(&format!("430[{number}]")).await;
    }
    let acks = timeout(LONG, asked).await.unwrap().unwrap();
    assert_eq!(numbers(&acks.answers), [0, 1, 2]);
    assert!(acks.is_complete());
}

#[tokio::test]
async fn each_server_numbers_its_own_acknowledgements() {
    let (mut east, mut west) = two().await;
    let (mut a, _) = east.join().await;
    let (mut b, _) = west.join().await;
    // West has used its first id already, for a question of its own.
    let own = west.all().local().emit_with_ack("own", &()).unwrap();
    assert_eq!(b.event().await, r#"420["own"]"#);
    let both = east.all().emit_with_ack("both", &()).unwrap();
    assert_eq!(a.event().await, r#"420["both"]"#);
    assert_eq!(b.event().await, r#"421["both"]"#);
    b.send("431[1]").await;
    b.send("430[2]").await;
    a.send("430[3]").await;
    assert_eq!(numbers(&own.collect().await.answers), [2]);
    assert_eq!(numbers(&both.collect().await.answers), [1, 3]);
}

#[tokio::test]
async fn clients_that_do_not_answer_in_time_are_counted_wherever_they_are() {
    let (mut east, mut west) = two().await;
    let (mut a, _) = east.join().await;
    let (mut b, _) = west.join().await;
    let (mut c, _) = west.join().await;
    let operator = east.all().timeout(ACK_TIMEOUT);
    let mut acks = operator.emit_with_ack("q", &()).unwrap();
    for ws in [&mut a, &mut b, &mut c] {
        assert_eq!(ws.event().await, r#"420["q"]"#);
    }
    b.send("430[1]").await;
    assert_eq!(acks.next().await.unwrap().get::<u64>(0).unwrap(), 1);
    let_time_pass().await;
    let acks = acks.collect().await;
    assert_eq!(
        (acks.answers.len(), acks.missing, acks.silent_servers),
        (0, 2, 0)
    );
    assert!(!acks.is_complete());
    assert_eq!(east.io.stats().ack_timeouts.get(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_another_server_ends_the_wait_for_it() {
    let (mut east, mut west) = two().await;
    let (mut a, _) = east.join().await;
    let (mut b, _) = west.join().await;
    let acks = east.all().emit_with_ack("q", &()).unwrap();
    assert_eq!(b.event().await, r#"420["q"]"#);
    drop(b);
    assert_eq!(a.event().await, r#"420["q"]"#);
    a.send("430[1]").await;
    // The default time limit is longer than this test may take.
    let acks = timeout(LONG, acks.collect()).await.unwrap();
    assert_eq!((acks.answers.len(), acks.missing), (1, 1));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_reported() {
    let bus = Bus::default();
    let mut east = Server::start(&bus).await;
    let _silent = bus.add_silent_server("/");
    let (mut a, _) = east.join().await;
    assert_eq!(east.io.of("/").server_count().await, 2);
    let operator = east.all().timeout(ACK_TIMEOUT);
    let acks = operator.clone().local().emit_with_ack("q", &()).unwrap();
    assert_eq!(a.event().await, r#"420["q"]"#);
    a.send("430[]").await;
    assert!(acks.collect().await.is_complete());
    let mut acks = operator.emit_with_ack("q", &()).unwrap();
    assert_eq!(a.event().await, r#"421["q"]"#);
    a.send("431[]").await;
    assert!(acks.next().await.is_some());
    let_time_pass().await;
    let acks = acks.collect().await;
    assert_eq!(
        (acks.answers.len(), acks.missing, acks.silent_servers),
        (0, 0, 1)
    );
    assert!(!acks.is_complete());
}

/// How long acknowledgements may take: enough for those that come, and less than the ping interval,
/// so that the end of this time is nothing else's.
const ACK_TIMEOUT: Duration = Duration::from_secs(15);

/// Lets the time for acknowledgements be over, once those that come have come.
async fn let_time_pass() {
    tokio::time::pause();
    tokio::time::advance(ACK_TIMEOUT).await;
}

// Many sockets at once

#[tokio::test]
async fn sockets_of_every_server_are_found() {
    let (mut east, mut west) = two().await;
    let (_a, socket_a) = east.join().await;
    let (mut b, socket_b) = west.join().await;
    socket_a.join("x");
    socket_b.join("x");
    socket_b.set_data(json!({"name": "Bea"}));
    let found = east.io.to("x").fetch_sockets().await;
    assert_eq!((found.sockets.len(), found.silent_servers), (2, 0));
    let found = found.into_iter().find(|found| found.id == *socket_b.id());
    let bea = found.unwrap();
    assert_eq!(bea.data["name"], "Bea");
    assert!(bea.rooms.contains("x") && bea.rooms.contains(&**socket_b.id()));
    assert_eq!(bea.handshake.query["EIO"], "4");
    assert_eq!(bea.handshake.address, socket_b.handshake().address);
    assert_eq!(bea.handshake.headers, socket_b.handshake().headers);
    bea.emit("to you", &1).unwrap();
    assert_eq!(b.event().await, r#"42["to you",1]"#);
    assert_eq!(east.io.to("x").local_ids().await, [&**socket_a.id()]);
}

/// The ids of the sockets of one process.
trait LocalIds {
    async fn local_ids(self) -> Vec<String>;
}

impl LocalIds for BroadcastOperator {
    async fn local_ids(self) -> Vec<String> {
        let found = self.local().fetch_sockets().await;
        found
            .into_iter()
            .map(|found| found.id.to_string())
            .collect()
    }
}

#[tokio::test]
async fn sockets_of_every_server_join_leave_and_are_disconnected() {
    let (mut east, mut west) = two().await;
    let (mut a, socket_a) = east.join().await;
    let (mut b, socket_b) = west.join().await;
    let (_c, socket_c) = west.join().await;
    east.all().except(&**socket_c.id()).sockets_join("x");
    until(|| socket_b.rooms().contains("x")).await;
    assert!(socket_a.rooms().contains("x") && !socket_c.rooms().contains("x"));

    east.io.to(&**socket_b.id()).sockets_leave("x");
    until(|| !socket_b.rooms().contains("x")).await;
    assert!(socket_a.rooms().contains("x"));

    west.io.to("x").disconnect_sockets(false);
    assert_eq!(a.event().await, "41");
    east.io.to(&**socket_b.id()).disconnect_sockets(true);
    assert_eq!(b.event().await, "41");
    b.closed().await;
    until(|| !socket_a.is_connected()).await;
    assert!(socket_c.is_connected());
}

#[tokio::test]
async fn a_handle_can_be_made_from_what_another_process_knows() {
    let (east, mut west) = two().await;
    let (mut b, socket_b) = west.join().await;
    let json = serde_json::to_value(SocketInfo::from(&socket_b)).unwrap();
    assert_eq!(json["handshake"]["secure"], json!(false));
    assert_eq!(json["handshake"]["auth"], json!({}));
    let info: SocketInfo = serde_json::from_value(json).unwrap();
    let remote = RemoteSocket::new(&east.io.of("/"), info);
    remote.join("cellar");
    until(|| socket_b.rooms().contains("cellar")).await;
    remote.disconnect(false);
    assert_eq!(b.event().await, "41");
}

// Events between servers

#[tokio::test]
async fn servers_send_each_other_events_that_no_client_hears_of() {
    let (east, mut west) = two().await;
    let (mut b, _) = west.join().await;
    let (sender, mut heard) = mpsc::unbounded_channel();
    for (name, server) in [("east", &east), ("west", &west)] {
        let sender = sender.clone();
        server
            .io
            .on_server_event("drop", move |event: ServerEvent| {
                let table: String = event.get(0).unwrap();
                sender.send((name, table)).unwrap();
                std::future::ready(())
            });
    }
    east.io.server_side_emit("drop", &("users", 3)).unwrap();
    let event = timeout(LONG, heard.recv()).await.unwrap().unwrap();
    assert_eq!(event, ("west", "users".to_owned()));
    west.io.emit("end", &()).unwrap();
    assert_eq!(b.event().await, r#"42["end"]"#);
    assert!(heard.try_recv().is_err(), "a server does not hear itself");
}

#[tokio::test]
async fn servers_answer_each_other() {
    let bus = Bus::default();
    let east = Server::start(&bus).await;
    let mut others = Vec::new();
    for number in 1..=2 {
        let server = Server::start(&bus).await;
        server
            .io
            .on_server_event("count", move |event: ServerEvent| {
                let (what, file): (String, Binary) = event.parse().unwrap();
                assert_eq!(
                    (what.as_str(), file),
                    ("sockets", Binary::from(&[1, 2][..]))
                );
                event.ack(&number).unwrap();
                event.ack(&"a second answer is not sent").unwrap();
                std::future::ready(())
            });
        others.push(server);
    }
    let args = ("sockets", Binary::from(&[1, 2][..]));
    let acks = east.io.server_side_emit_with_ack("count", &args).unwrap();
    let acks = timeout(LONG, acks.collect()).await.unwrap();
    assert_eq!(numbers(&acks.answers), [1, 2]);
    assert!(acks.is_complete());

    // No server has a handler for this one, so none answers.
    let acks = east.io.server_side_emit_with_ack("other", &()).unwrap();
    let acks = timeout(LONG, acks.collect()).await.unwrap();
    assert_eq!((acks.answers.len(), acks.missing), (0, 2));
}

#[tokio::test]
async fn a_server_without_others_gets_no_answers() {
    let io = Io::new(IoConfig::default());
    io.on_server_event("q", async |_| unreachable!("a server does not hear itself"));
    let acks = io.server_side_emit_with_ack("q", &Value::Null).unwrap();
    let acks = timeout(LONG, acks.collect()).await.unwrap();
    assert!(acks.answers.is_empty() && acks.is_complete());
    assert_eq!(io.of("/").server_count().await, 1);
}

#[tokio::test]
async fn a_server_that_closes_is_not_waited_for() {
    let (east, west) = two().await;
    assert_eq!(east.io.of("/").server_count().await, 2);
    west.io.close().await;
    assert_eq!(east.io.of("/").server_count().await, 1);
    let acks = east.io.server_side_emit_with_ack("q", &()).unwrap();
    assert!(timeout(LONG, acks.collect()).await.unwrap().is_complete());
}
