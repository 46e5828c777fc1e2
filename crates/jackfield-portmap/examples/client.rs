//! Drives a port mapping client by hand: the example is the network between it and a gateway.
//!
//! ```sh
//! cargo run -p jackfield-portmap --example client
//! ```
#![expect(clippy::print_stdout, reason = "the example shows its result")]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use jackfield_nat::{Nat, NatConfig};
use jackfield_portmap::client::{Client, ClientConfig, Event, MapRequest, Output};
use jackfield_portmap::{Gateway, GatewayConfig, TransportProtocol};

fn main() -> Result<(), Box<dyn Error>> {
    #[expect(clippy::disallowed_methods, reason = "an example needs some instant")]
    let now = Instant::now();
    let (router, host): (IpAddr, IpAddr) = ("192.168.1.1".parse()?, "192.168.1.2".parse()?);
    let config = NatConfig {
        externals: vec!["203.0.113.1".parse()?],
        inside: Some(router),
        ..NatConfig::default()
    };
    let mut nat = Nat::new(config, [1; 32]);
    let mut gateway = Gateway::new(now, GatewayConfig::default(), &nat, [2; 32]);

    let mut client = Client::new(now, ClientConfig::new(router, host), [3; 32]);
    client.map(now, MapRequest::new(TransportProtocol::Udp, 5000));
    let socket = SocketAddr::new(host, 40_000);
    loop {
        match client.poll_output() {
            Output::Transmit { to, bytes } => {
                gateway.handle_datagram(now, &mut nat, socket, to, &bytes);
            }
            Output::Event(Event::Mapped(_, lease)) => {
                println!(
                    "port 5000 is {} outside, by {:?}",
                    lease.external, lease.dialect
                );
                return Ok(());
            }
            Output::Event(event) => println!("{event:?}"),
            // UPnP needs multicast and TCP, which this network does not have.
            Output::Search { .. } | Output::Fetch { .. } => {}
            // A driver would sleep; here the answers of the gateway are already waiting.
            Output::Wait(_) => {
                let answer = gateway.poll_transmit().ok_or("the gateway is silent")?;
                client.handle_datagram(now, answer.source, &answer.data);
            }
        }
    }
}
