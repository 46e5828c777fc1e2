//! Adds a port mapping gateway to a NAT: a host asks for a port by NAT-PMP, and a remote that the
//! host has never sent to reaches it.
//!
//! ```sh
//! cargo run -p jackfield-portmap --example gateway
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::time::Instant;

use jackfield_nat::packet::{Packet, build};
use jackfield_nat::profile::Profile;
use jackfield_nat::{Nat, Side};
use jackfield_portmap::{Gateway, GatewayConfig, TransportProtocol, nat_pmp};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let now = Instant::now();
    let mut config = Profile::PORT_RESTRICTED_CONE.config(&["203.0.113.1".parse()?]);
    config.inside = Some("192.168.1.1".parse()?);
    let mut nat = Nat::new(config, [1; 32]);
    let mut gateway = Gateway::new(now, GatewayConfig::default(), &nat, [2; 32]);

    let request = nat_pmp::Request::Map {
        protocol: TransportProtocol::Udp,
        internal_port: 5000,
        suggested_port: 5000,
        lifetime: 3600,
    };
    let (host, server) = ("192.168.1.2:40000".parse()?, "192.168.1.1:5351".parse()?);
    let packet = build::udp(host, server, &request.encode());
    // Packets that are not for the gateway go to the NAT.
    if gateway.is_for(&nat, Side::Inside, &packet) {
        gateway.handle_packet(now, &mut nat, &packet);
    }
    for lease in gateway.leases() {
        println!("{} -> {}", lease.external, lease.internal);
    }

    let mut packet = build::udp("192.0.2.7:9".parse()?, "203.0.113.1:5000".parse()?, b"hi");
    println!("{}", nat.inbound(now, &mut Packet::new(&mut packet)));
    Ok(())
}
