//! A chat on axum: open http://127.0.0.1:3000/ in two windows.
//!
//! Clients join a room by name; the others in it hear who types, speaks or leaves.

#![expect(clippy::print_stdout, reason = "says where it listens")]

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use jackfield_socketio::{Event, Io, IoConfig, Socket};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let io = Io::new(IoConfig::default());
    // Handlers of the namespace serve every socket; they cost a socket nothing.
    let main = io.of("/");
    main.on("join", join);
    main.on("say", say);
    main.on("typing", typing);
    main.on_disconnect(async |socket: Socket, _reason| {
        if let Some(Member { name, room }) = socket.extensions().get() {
            socket.to(room).emit("left", &name).ok();
        }
    });

    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route_service("/socket.io/", io.service());
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await
}

/// Who a socket is, once it has joined.
#[derive(Clone, Deserialize)]
struct Member {
    name: String,
    room: String,
}

async fn join(socket: Socket, event: Event) {
    let Ok(member) = event.get::<Member>(0) else {
        event
            .ack(&json!({ "error": "a name and a room, please" }))
            .ok();
        return;
    };
    socket.join(&member.room);
    socket.to(&member.room).emit("joined", &member.name).ok();
    let others = socket.to(&member.room).local().fetch_sockets().await;
    socket.extensions().insert(member);
    event.ack(&json!({ "others": others.sockets.len() })).ok();
}

async fn say(socket: Socket, event: Event) {
    let (Some(member), Ok(text)) = (socket.extensions().get::<Member>(), event.get::<String>(0))
    else {
        return;
    };
    socket
        .to(member.room)
        .emit("said", &(member.name, text))
        .ok();
}

async fn typing(socket: Socket, _event: Event) {
    if let Some(member) = socket.extensions().get::<Member>() {
        // It may be lost: a client that is behind has better things to read.
        socket
            .to(member.room)
            .volatile()
            .emit("typing", &member.name)
            .ok();
    }
}

const PAGE: &str = r#"<!doctype html>
<title>Chat</title>
<ul id="log"></ul>
<form><input id="text" autocomplete="off" autofocus><button>Say</button></form>
<script src="https://cdn.socket.io/4.8.1/socket.io.min.js"></script>
<script>
  const name = prompt('Your name?') || 'guest';
  const socket = io();
  const log = (line) => {
    const item = document.createElement('li');
    item.textContent = line;
    document.querySelector('#log').append(item);
  };
  socket.on('connect', async () => {
    const { others } = await socket.emitWithAck('join', { name, room: location.hash || '#hall' });
    log(`${others} others are here`);
  });
  socket.on('joined', (who) => log(`${who} comes`));
  socket.on('left', (who) => log(`${who} leaves`));
  socket.on('said', (who, what) => log(`${who}: ${what}`));
  socket.on('typing', (who) => (document.title = `${who} is typing`));
  const text = document.querySelector('#text');
  text.addEventListener('input', () => socket.volatile.emit('typing'));
  document.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    socket.emit('say', text.value);
    log(`${name}: ${text.value}`);
    text.value = '';
  });
</script>
"#;
