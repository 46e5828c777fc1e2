//! The server that the Engine.IO and Socket.IO protocol documents describe for testing one.
//!
//! On `/engine.io/` it echoes every message. On `/socket.io/` the namespaces `/` and `/custom`
//! emit `auth` with the client's credentials, answer `message` with `message-back`, and
//! acknowledge `message-with-ack` with its arguments. `--eio3` lets Socket.IO 2 clients in;
//! `--patient` gives up no client that a busy machine keeps from answering.
//!
//! ```sh
//! cargo run --release -p jackfield-socketio --example protocol_fixture -- --listen 127.0.0.1:3000
//! ```

#![expect(clippy::print_stdout, reason = "says where it listens")]

mod profile;

use std::error::Error;

use tokio::net::TcpListener;

use self::profile::{Profile, Times};

const USAGE: &str = "usage: protocol_fixture --listen ADDRESS:PORT [--eio3] [--patient]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut listen, mut eio3, mut times) = (None, false, Times::DOCUMENT);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--listen" => listen = arguments.next(),
            "--eio3" => eio3 = true,
            "--patient" => times = Times::PATIENT,
            other => return Err(format!("unknown argument {other:?}; {USAGE}").into()),
        }
    }
    let listener = TcpListener::bind(listen.ok_or(USAGE)?).await?;
    let profile = Profile::new(eio3, times);
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(profile.clone().serve(stream, peer));
    }
}
