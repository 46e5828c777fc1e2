//! A chat between browsers and this terminal over data channels, without any other server: the page
//! posts its offer and gets the answer back.
//!
//! `cargo run -p jackfield-driver --example peer_chat`, then open http://localhost:8080 in as many
//! browsers of this machine as you like; other machines open http://ADDRESS:8080 of one that
//! listens: `-- 0.0.0.0:8080`.

#![expect(clippy::print_stdout, reason = "that is where the chat is")]

mod room;

use std::error::Error;
use std::io::BufRead;

use jackfield_driver::peer::PeerOptions;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("http://{}", listener.local_addr()?);
    let room = room::Room::new(PeerOptions::new());
    let mut serving = tokio::spawn(room::serve(listener, room.clone()));
    let mut heard = room.listen();
    let (sender, mut lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => room.say("terminal", &line?),
                None => return Ok(()),
            },
            said = heard.recv() => println!("{}", said?),
            served = &mut serving => return Ok(served??),
        }
    }
}
