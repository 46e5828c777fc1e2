//! A transfer over a link that loses every fifth packet: shows how a driver advances the time.
//!
//! ```sh
//! cargo run -p jackfield-tcp --example lossy_link
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::time::Instant;

use jackfield_tcp::{Event, Stack};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let start = Instant::now();
    let mut now = start;
    let mut receiver = Stack::new(&["192.0.2.1".parse()?], [1; 32]);
    let mut sender = Stack::new(&["192.0.2.2".parse()?], [2; 32]);
    receiver.listen(80);
    let connection = sender.connect(now, 0, "192.0.2.1:80".parse()?)?;

    let data = vec![7; 200_000];
    let (mut sent, mut received, mut packets) = (0, 0, 0_u32);
    while received < data.len() {
        let mut idle = true;
        while let Some(packet) = sender.poll_packet() {
            idle = false;
            packets += 1;
            if !packets.is_multiple_of(5) {
                receiver.handle_packet(now, &packet);
            }
        }
        while let Some(packet) = receiver.poll_packet() {
            idle = false;
            sender.handle_packet(now, &packet);
        }
        while let Some(event) = receiver.poll_event() {
            if let Event::Data(id) = event {
                received += receiver.recv(now, id, data.len()).len();
            }
        }
        while let Some(event) = sender.poll_event() {
            if matches!(event, Event::Connected { .. } | Event::Writable(_)) {
                let rest = data.get(sent..).unwrap_or_default();
                sent += sender.send(now, connection, rest);
            }
        }
        if idle {
            // Nothing is under way: the clock jumps to the next timer, here a retransmission.
            let timeouts = [sender.next_timeout(), receiver.next_timeout()];
            let next = timeouts.into_iter().flatten().min();
            now = next.ok_or("no timer is set, and data is missing")?.max(now);
            sender.handle_timeout(now);
            receiver.handle_timeout(now);
        }
    }
    let took = now - start;
    println!("{received} bytes in {packets} packets and {took:?} of virtual time");
    Ok(())
}
