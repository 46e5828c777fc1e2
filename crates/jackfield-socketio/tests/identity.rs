//! Who a socket is: what was refused stays outside, and no name of a room stands for another's id.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic on a shape it does not expect"
)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use jackfield_socketio::{ConnectError, Event, Io, IoConfig, Namespace, Socket};
use serde_json::Value;
use support::{Ws, serve, until};
use tokio::sync::Semaphore;

const PATH: &str = "/socket.io/?EIO=4";

/// Counts how many of its clones are there.
#[derive(Clone)]
struct Held(Arc<()>);

/// A namespace with two middlewares: the first waits for a permit and then lets everybody pass,
/// the second wants the word "valid".
struct Guarded {
    io: Io,
    first: Arc<Semaphore>,
    second: Arc<Semaphore>,
    judged: Arc<AtomicUsize>,
    posts: Arc<Mutex<Vec<String>>>,
}

impl Guarded {
    fn new() -> Self {
        let io = Io::new(IoConfig::default());
        let guarded = Self {
            first: Arc::new(Semaphore::new(0)),
            second: Arc::new(Semaphore::new(0)),
            judged: Arc::default(),
            posts: Arc::default(),
            io,
        };
        let namespace = guarded.namespace();
        let (first, judged) = (Arc::clone(&guarded.first), Arc::clone(&guarded.judged));
        namespace.use_middleware(move |_| {
            let (first, judged) = (Arc::clone(&first), Arc::clone(&judged));
            async move {
                judged.fetch_add(1, Ordering::AcqRel);
                first.acquire().await.unwrap().forget();
                Ok(())
            }
        });
        let second = Arc::clone(&guarded.second);
        namespace.use_middleware(move |socket| {
            let second = Arc::clone(&second);
            async move {
                second.acquire().await.unwrap().forget();
                let auth: Value = socket.handshake().auth().unwrap();
                if auth["word"] == "valid" {
                    Ok(())
                } else {
                    Err(ConnectError::new("refused"))
                }
            }
        });
        let posts = Arc::clone(&guarded.posts);
        namespace.on("post", move |socket: Socket, event: Event| {
            let auth = socket.handshake().raw_auth().to_owned();
            let text: String = event.get(0).unwrap();
            posts.lock().unwrap().push(format!("{auth} {text}"));
            std::future::ready(())
        });
        guarded
    }

    fn namespace(&self) -> Namespace {
        self.io.of("/auth")
    }
}

#[tokio::test]
async fn acceptance_is_the_sockets_that_was_judged_not_its_names() {
    let guarded = Guarded::new();
    let address = serve(&guarded.io).await;
    let mut ws = Ws::open(address, PATH).await;
    ws.send(r#"40/auth,{"word":"valid"}"#).await;
    until(|| guarded.judged.load(Ordering::Acquire) == 1).await;
    ws.send("41/auth,").await;
    ws.send(r#"40/auth,{"word":"invalid"}"#).await;
    until(|| guarded.judged.load(Ordering::Acquire) == 2).await;
    // The first socket passes both middlewares; the second waits in the second one.
    guarded.first.add_permits(2);
    guarded.second.add_permits(1);
    until(|| guarded.second.available_permits() == 0).await;
    ws.send(r#"42/auth,["post","unverified"]"#).await;
    until(|| guarded.io.stats().received_messages.get() == 4).await;
    guarded.second.add_permits(1);
    ws.closed().await;
    assert!(guarded.posts.lock().unwrap().is_empty());
    assert!(guarded.namespace().sockets().is_empty());
}

#[tokio::test]
async fn a_socket_that_asks_again_is_let_in_by_its_own_word() {
    let guarded = Guarded::new();
    let address = serve(&guarded.io).await;
    let mut ws = Ws::open(address, PATH).await;
    ws.send(r#"40/auth,{"word":"invalid"}"#).await;
    ws.send("41/auth,").await;
    ws.send(r#"40/auth,{"word":"valid"}"#).await;
    until(|| guarded.judged.load(Ordering::Acquire) == 2).await;
    guarded.first.add_permits(2);
    guarded.second.add_permits(2);
    let mut connected = ws.text().await;
    while !connected.starts_with("40/auth,") {
        connected = ws.text().await;
    }
    ws.send(r#"42/auth,["post","mine"]"#).await;
    until(|| !guarded.posts.lock().unwrap().is_empty()).await;
    assert_eq!(*guarded.posts.lock().unwrap(), [r#"{"word":"valid"} mine"#]);
    assert_eq!(guarded.namespace().sockets().len(), 1);
}

#[tokio::test]
async fn a_room_named_by_an_id_takes_nothing_from_its_owner() {
    let io = Io::new(IoConfig::default());
    io.on_connect(async |socket: Socket| {
        let auth: Value = socket.handshake().auth().unwrap_or_default();
        if let Some(room) = auth["room"].as_str() {
            socket.join(room);
        }
    });
    let address = serve(&io).await;
    let mut victim_ws = Ws::join(address).await;
    until(|| io.of("/").sockets().len() == 1).await;
    let victim = io.of("/").sockets().pop().unwrap();
    let mut attacker_ws = Ws::open(address, PATH).await;
    attacker_ws
        .send(&format!(r#"40{{"room":"{}"}}"#, victim.id()))
        .await;
    assert!(attacker_ws.text().await.starts_with("40"));
    until(|| io.of("/").sockets().iter().any(|it| it.rooms().len() == 2)).await;

    // As with Node.js, the name means the room and the socket.
    assert_eq!(io.to(&**victim.id()).emit("both", &()).unwrap().sent, 2);
    assert_eq!(victim_ws.text().await, r#"42["both"]"#);
    assert_eq!(attacker_ws.text().await, r#"42["both"]"#);
    assert_eq!(io.except(&**victim.id()).emit("none", &()).unwrap().sent, 0);

    // What is said of a socket means it alone.
    victim.broadcast().emit("others", &()).unwrap();
    assert_eq!(attacker_ws.text().await, r#"42["others"]"#);
    let fetched = io.of("/").operator().fetch_sockets().await;
    let mut fetched = fetched.into_iter();
    let remote = fetched.find(|it| it.id == *victim.id()).unwrap();
    assert_eq!(remote.emit("you", &()).unwrap().sent, 1);
    assert_eq!(victim_ws.text().await, r#"42["you"]"#);
    remote.disconnect(true);
    assert_eq!(victim_ws.text().await, "41");
    victim_ws.closed().await;
    assert_eq!(io.emit("left", &()).unwrap().sent, 1);
    assert_eq!(attacker_ws.text().await, r#"42["left"]"#);
}

#[tokio::test]
async fn handlers_of_a_socket_that_was_never_let_in_are_dropped() {
    let io = Io::new(IoConfig::default());
    let held = Held(Arc::new(()));
    let gate = Arc::new(Semaphore::new(0));
    let (mine, waits) = (held.clone(), Arc::clone(&gate));
    io.use_middleware(move |socket: Socket| {
        let (held, gate) = (mine.clone(), Arc::clone(&waits));
        async move {
            let (kept, own) = (held.clone(), socket.clone());
            socket.on("never", move |_, _| {
                let _both = (&kept, &own);
                std::future::ready(())
            });
            let auth: Value = socket.handshake().auth().unwrap_or_default();
            if auth["wait"] == true {
                gate.acquire().await.unwrap().forget();
                // It has left meanwhile, and a handler comes too late.
                let own = socket.clone();
                socket.on("late", move |_, _| {
                    let _both = (&held, &own);
                    std::future::ready(())
                });
            }
            Err(ConnectError::new("refused"))
        }
    });
    let address = serve(&io).await;
    let mut ws = Ws::open(address, PATH).await;
    for _ in 0..20 {
        ws.send("40").await;
        assert_eq!(ws.text().await, r#"44{"message":"refused"}"#);
    }
    ws.send(r#"40{"wait":true}"#).await;
    until(|| Arc::strong_count(&held.0) > 2).await;
    ws.send("41").await;
    drop(ws);
    gate.add_permits(1);
    // The middleware and this test have one each.
    until(|| Arc::strong_count(&held.0) == 2).await;
}
