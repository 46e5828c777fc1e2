//! The state of a game sixty times a second, each way, over a channel like UDP: without order, and
//! nothing is sent again. The page and this terminal say at what rate states come, and how many are
//! lost.
//!
//! `cargo run -p jackfield-driver --example peer_game`, then open http://localhost:8080.

#![expect(clippy::print_stdout, reason = "that is where the rates are")]

mod game;

use std::error::Error;
use std::time::Duration;

use jackfield_driver::peer::PeerOptions;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("http://{}", listener.local_addr()?);
    let game = game::Game::new(PeerOptions::new());
    let mut serving = tokio::spawn(game::serve(listener, game.clone()));
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => {}
            served = &mut serving => return Ok(served??),
        }
        for (player, arrivals) in game.take_arrivals() {
            println!(
                "player {player}: {} states a second, {} lost, {} too late",
                arrivals.came, arrivals.lost, arrivals.late
            );
        }
    }
}
