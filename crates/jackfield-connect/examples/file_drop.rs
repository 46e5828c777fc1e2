//! A folder that people drop files into: `file_drop SERVER ROOM FOLDER` stays in a room, and takes
//! whatever somebody sends there, from a browser with the room's page or with `jackfield send`.

#![expect(clippy::print_stdout, reason = "what arrives is the output")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jackfield_connect::files::{Destination, Progress};
use jackfield_connect::{Event, Observer, RoomOptions, Server, Stay, Stop, Trust, WebRtc, receive};
use jackfield_proxy::ProxyRules;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .ok_or("usage: file_drop SERVER ROOM FOLDER")
    };
    let server: Server = next()?.parse()?;
    let options = RoomOptions {
        server,
        trust: Trust::new(None)?,
        proxies: ProxyRules::from_environment(|name| std::env::var(name).ok())?,
        room: next()?.parse()?,
        name: "file drop".to_owned(),
        token: None,
        purpose: "receive",
        seed: rand_seed()?,
    };
    let destination = Arc::new(Destination::new(next()?, false));
    println!("drop files at {}", options.server.page(&options.room));
    let observer: Arc<dyn Observer> = Arc::new(|event| {
        if let Event::File { path, size, sha256 } = event {
            println!("{path}: {size} bytes, SHA-256 {sha256}");
        }
    });
    loop {
        let stay = Stay {
            room: options.clone(),
            wait: Duration::MAX,
            stop: Stop::default(),
        };
        let connector = WebRtc::near(&options.server)
            .trusting(&options.trust)
            .proxied(options.proxies.clone());
        let (destination, progress) = (Arc::clone(&destination), Arc::<Progress>::default());
        // What one person sends badly must not keep the next from sending.
        if let Err(error) = receive(
            stay,
            connector,
            destination,
            progress,
            Arc::clone(&observer),
        )
        .await
        {
            println!("that did not work: {error}");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn rand_seed() -> std::io::Result<[u8; 16]> {
    let mut seed = [0; 16];
    getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
    Ok(seed)
}
