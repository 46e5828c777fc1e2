//! Passes a few packets through a NAT and writes a capture for Wireshark, with the verdicts as
//! comments.
//!
//! ```sh
//! cargo run -p jackfield-nat --example capture -- nat.pcapng
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use jackfield_nat::packet::{Packet, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Nat, pcapng};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1);
    let path = path.unwrap_or_else(|| "nat.pcapng".to_owned());
    let (host, server) = ("192.168.1.2:5000".parse()?, "198.51.100.9:3478".parse()?);
    let (outside, stranger) = ("203.0.113.1:5000".parse()?, "192.0.2.7:9".parse()?);

    let config = Profile::LINUX.config(&["203.0.113.1".parse()?]);
    let mut nat = Nat::new(config, [7; 32]);
    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let now = Instant::now();

    let mut file = pcapng::file_header(["inside", "outside"]);
    let mut record = |interface: u32, bytes: &[u8], comment: &str| {
        let at = Duration::from_secs(1_700_000_000);
        file.extend(pcapng::packet_block(interface, at, bytes, Some(comment)));
    };

    let mut question = build::udp(host, server, b"hello");
    let verdict = nat.outbound(now, &mut Packet::new(&mut question));
    record(1, &question, &verdict.to_string());

    let mut answer = build::udp(server, outside, b"hello yourself");
    let verdict = nat.inbound(now, &mut Packet::new(&mut answer));
    record(0, &answer, &verdict.to_string());

    // The filter lets in only the endpoint that the host has sent to.
    let mut unasked = build::udp(stranger, outside, b"let me in");
    let verdict = nat.inbound(now, &mut Packet::new(&mut unasked));
    record(1, &unasked, &verdict.to_string());

    std::fs::write(path, file)?;
    Ok(())
}
