//! A TCP connection through a NAT with a lossy uplink, written as a capture for Wireshark.
//!
//! ```sh
//! cargo run -p jackfield-internet --example tcp_capture -- tcp.pcapng
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::time::{Duration, Instant};

use jackfield_internet::{Link, Loss, TcpApp, TcpClient, TcpEcho, World};
use jackfield_nat::profile::Profile;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1);
    let path = path.unwrap_or_else(|| "tcp.pcapng".to_owned());

    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let mut world = World::new(Instant::now(), 7);
    let lossy = Link {
        latency: Duration::from_millis(20),
        loss: Loss::even(50_000), // 5 %
        ..Link::default()
    };
    let internet = world.network("internet", lossy);
    let echo = TcpApp::new(1, TcpEcho::new([7]));
    world.host("server", internet, "198.51.100.9".parse()?, echo);
    let nat = Profile::HOME_ROUTER.config(&["203.0.113.1".parse()?]);
    let home = world.nat("home", internet, "192.168.1.0/24".parse()?, nat);
    let client = TcpClient::new("198.51.100.9:7".parse()?, vec![b'x'; 20_000]);
    let alice = world.host(
        "alice",
        home.inside,
        "192.168.1.2".parse()?,
        TcpApp::new(2, client),
    );

    world.run_for(Duration::from_secs(60));
    let client = world.app::<TcpApp<TcpClient>>(alice).ok_or("no client")?;
    let (bytes, outcome) = (client.program.response.len(), client.program.outcome);
    println!("{bytes} bytes came back; the client ended as {outcome:?}");
    std::fs::write(path, world.pcapng(Duration::from_secs(1_700_000_000)))?;
    Ok(())
}
