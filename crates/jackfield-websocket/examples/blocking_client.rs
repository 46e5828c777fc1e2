//! A WebSocket client on a blocking socket: `blocking_client 127.0.0.1:9001 hello world` sends
//! each word as a message and prints the answers.
//!
//! The core does the protocol; all that is left is to read, to write, and to draw random numbers.

#![expect(clippy::print_stdout, reason = "the answers are the output")]
#![expect(clippy::disallowed_types, reason = "the sockets are the example's")]

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;

use jackfield_websocket::handshake::{ClientHandshake, Options};
use jackfield_websocket::{
    CloseCode, CloseFrame, Connection, Event, Message, Role, WebSocketLimits,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments
        .next()
        .ok_or("usage: blocking_client ADDRESS:PORT WORD...")?;
    let words: Vec<String> = arguments.collect();

    let mut stream = TcpStream::connect(&server)?;
    let (mut connection, early) = open(&mut stream, &server)?;
    for word in &words {
        connection.send(&Message::text(word.as_str()))?;
    }
    let mut answers = 0;
    let mut input = early;
    loop {
        let mut rest = &input[..];
        while let Some(event) = connection.receive(&mut rest) {
            match event {
                Event::Message(message) => {
                    println!("{message:?}");
                    answers += 1;
                }
                // The core has queued the Pong already.
                Event::Ping(_) | Event::Pong(_) => {}
                Event::Close(_) => return Ok(()),
                Event::Failed(violation) => return Err(violation.into()),
            }
        }
        if answers == words.len() {
            connection.close(Some(&CloseFrame::new(CloseCode::NORMAL, "")));
        }
        stream.write_all(&connection.outgoing().take_bytes())?;
        input = read(&mut stream)?;
    }
}

/// Shakes hands; returns the connection, and the bytes that came behind the server's answer.
fn open(stream: &mut TcpStream, server: &str) -> Result<(Connection, Vec<u8>), Box<dyn Error>> {
    let request = http::Request::get("/").header("Host", server).body(())?;
    let mut handshake = ClientHandshake::new(&request, &Options::default(), random()?)?;
    stream.write_all(handshake.request())?;
    loop {
        let input = read(stream)?;
        let mut rest = &input[..];
        if let Some(answer) = handshake.receive(&mut rest) {
            answer?;
            let role = Role::Client { seed: random()? };
            let connection = Connection::new(role, WebSocketLimits::default());
            return Ok((connection, rest.to_vec()));
        }
    }
}

fn read(stream: &mut TcpStream) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer)?;
    if length == 0 {
        return Err("the server closed the connection".into());
    }
    buffer.truncate(length);
    Ok(buffer)
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
