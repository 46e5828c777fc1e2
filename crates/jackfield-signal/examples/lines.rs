//! A signaling server that speaks one JSON message a line over TCP:
//! `cargo run -p jackfield-signal --example lines -- 127.0.0.1:7000`.
//!
//! Try it with two terminals: `nc 127.0.0.1 7000`, and in both
//! `{"type":"join","room":"demo","name":"ann"}`, in one of them with another name.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "an example brings the sockets, threads and clock that the library goes without"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use jackfield_signal::{Gate, Hub, HubConfig, MemberId, NewMember, NoIceServers, Output};

/// What the threads of connections tell the thread of the hub.
enum Input {
    Connected(TcpStream),
    Line(MemberId, String),
    Disconnected(MemberId),
}

/// Admits to rooms whose names start with `private-` only members that know the word.
struct Word;

impl Gate for Word {
    fn admits(&mut self, _now: Instant, room: &str, _name: &str, token: Option<&str>) -> bool {
        !room.starts_with("private-") || token == Some("swordfish")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7000"))?;
    println!("Listening on {}", listener.local_addr()?);
    let (inputs, inbox) = mpsc::channel();
    let accepted = inputs.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if accepted.send(Input::Connected(stream)).is_err() {
                return;
            }
        }
    });
    serve(&inputs, &inbox)
}

/// One input, and then the drain: the loop of every driver.
fn serve(inputs: &Sender<Input>, inbox: &Receiver<Input>) -> Result<(), Box<dyn Error>> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut hub = Hub::new(HubConfig::default(), Box::new(NoIceServers), seed);
    hub.set_gate(Box::new(Word));
    let mut streams = BTreeMap::new();
    let mut deadline = None;
    loop {
        let until = deadline.map_or(Duration::from_secs(3600), |until: Instant| {
            until.saturating_duration_since(Instant::now())
        });
        match inbox.recv_timeout(until) {
            Ok(Input::Connected(stream)) => {
                let member = hub.handle_connect(Instant::now(), NewMember::default());
                let reading = stream.try_clone()?;
                streams.insert(member, stream);
                let inputs = inputs.clone();
                std::thread::spawn(move || read(member, reading, &inputs));
            }
            Ok(Input::Line(member, line)) => hub.handle_message(Instant::now(), member, &line),
            Ok(Input::Disconnected(member)) => {
                streams.remove(&member);
                hub.handle_disconnect(Instant::now(), member);
            }
            Err(RecvTimeoutError::Timeout) => hub.handle_timeout(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        deadline = drain(&mut hub, &mut streams);
    }
}

/// Does what the hub wants; returns when it wants to be told the time.
fn drain(hub: &mut Hub, streams: &mut BTreeMap<MemberId, TcpStream>) -> Option<Instant> {
    loop {
        match hub.poll_output() {
            Output::Send { to, json, .. } => {
                if let Some(stream) = streams.get_mut(&to)
                    && writeln!(stream, "{json}").is_err()
                {
                    // The thread that reads from the connection notices as well, and says so.
                    streams.remove(&to);
                }
            }
            // Nothing is charged for names that are held.
            Output::Ack { .. } | Output::NamesReleased { .. } => {}
            Output::Close { member, .. } => {
                if let Some(stream) = streams.remove(&member) {
                    // It may be closed already, which is all that is wanted.
                    let _closed = stream.shutdown(std::net::Shutdown::Both);
                }
            }
            Output::Wait(until) => return until,
        }
    }
}

/// Hands on the lines of a connection until it ends.
fn read(member: MemberId, stream: TcpStream, inputs: &Sender<Input>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    // A line without an end would else take all memory.
    while let Ok(1..) = reader.by_ref().take(64 * 1024).read_line(&mut line) {
        let text = line.trim_end().to_owned();
        line.clear();
        if !text.is_empty() && inputs.send(Input::Line(member, text)).is_err() {
            return;
        }
    }
    // Sending fails only if the hub's thread has ended.
    let _ended = inputs.send(Input::Disconnected(member));
}
