//! A TCP echo server and a client, each a stack without sockets; the example carries their
//! packets.
//!
//! ```sh
//! cargo run -p jackfield-tcp --example echo
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::time::Instant;

use jackfield_tcp::{Event, Stack};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let now = Instant::now();
    let mut server = Stack::new(&["192.0.2.1".parse()?], [1; 32]);
    let mut client = Stack::new(&["192.0.2.2".parse()?], [2; 32]);
    server.listen(7);
    let connection = client.connect(now, 0, "192.0.2.1:7".parse()?)?;

    let mut received = Vec::new();
    while received != b"hello" {
        // A driver waits for packets here; this one passes them on until both sides are idle.
        while let Some(packet) = client.poll_packet() {
            server.handle_packet(now, &packet);
        }
        while let Some(packet) = server.poll_packet() {
            client.handle_packet(now, &packet);
        }
        while let Some(event) = server.poll_event() {
            if let Event::Data(id) = event {
                let data = server.recv(now, id, 1500);
                server.send(now, id, &data);
            }
        }
        while let Some(event) = client.poll_event() {
            match event {
                Event::Connected { .. } => {
                    client.send(now, connection, b"hello");
                }
                Event::Data(id) => received.extend(client.recv(now, id, 1500)),
                _ => {}
            }
        }
    }
    println!("{}", String::from_utf8_lossy(&received));
    Ok(())
}
