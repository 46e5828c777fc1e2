//! A Socket.IO server for load generators: `bench_server --listen 127.0.0.1:3000 [--shards N]`.
//!
//! On `/`: `echo` (data) emits `echo` (data) to the sender, `ack` (data) is acknowledged with
//! data, `join` (room) is acknowledged once the socket is in the room, `bcast` (room, data) emits
//! `msg` (data) to the room, the sender included if it is in it. Each shard is a thread with its
//! own listener on the same port; sockets of all shards share the rooms.

#![expect(clippy::print_stdout, reason = "says where it listens")]

use std::error::Error;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::thread;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use jackfield_socketio::{Args, Io, IoConfig};
use serde_json::value::RawValue;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime;

const USAGE: &str = "usage: bench_server --listen ADDRESS:PORT [--shards N]";
const BACKLOG: i32 = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut listen, mut shards) = (None, 1_usize);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => listen = arguments.next(),
            "--shards" => shards = arguments.next().ok_or(USAGE)?.parse()?,
            other => return Err(format!("unknown argument {other:?}; {USAGE}").into()),
        }
    }
    let address: SocketAddr = listen.ok_or(USAGE)?.parse()?;
    let io = server();
    let first = bind(address)?;
    let address = first.local_addr()?;
    for _ in 1..shards {
        let (listener, io) = (bind(address)?, io.clone());
        thread::spawn(move || run(listener, &io));
    }
    println!("listening on {address}");
    Ok(run(first, &io)?)
}

fn server() -> Io {
    let io = Io::new(IoConfig {
        keep_headers: false,
        ..IoConfig::default()
    });
    let main = io.of("/");
    main.on("echo", async |socket, event| {
        socket.emit("echo", event.args()).ok();
    });
    main.on("ack", async |_, event| {
        event.ack(event.args()).ok();
    });
    main.on("join", async |socket, event| {
        if let Ok(room) = event.get::<String>(0) {
            socket.join(room);
            event.ack(&()).ok();
        }
    });
    let all = main.clone();
    main.on("bcast", move |_, event| {
        if let Ok(room) = event.get::<String>(0) {
            broadcast(&all, &room, event.args());
        }
        std::future::ready(())
    });
    io
}

fn broadcast(namespace: &jackfield_socketio::Namespace, room: &str, args: &Args) {
    let sent = if args.attachments().is_empty() {
        let data: Option<&RawValue> = args.raw().get(1).copied();
        namespace.to(room).emit("msg", &data)
    } else {
        let data = args.get::<jackfield_socketio::Binary>(1).ok();
        namespace.to(room).emit("msg", &data)
    };
    sent.ok();
}

/// Binds a listener of its own for each shard; the kernel spreads connections among them.
fn bind(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn run(listener: StdListener, io: &Io) -> std::io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let service = TowerToHyperService::new(io.service());
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection =
                http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection.with_upgrades());
        }
    })
}
