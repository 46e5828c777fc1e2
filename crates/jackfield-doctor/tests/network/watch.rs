//! What counts as a change from one examination to the next.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_doctor::facts::{
    Clock, Facts, Interface, InterfaceKind, NetworkError, RelayError, RelayTransport, Udp, WebError,
};
use jackfield_doctor::{Conclusions, changes};
use jackfield_driver::discovery::Binding;

use crate::facts::{SERVER, allocated, failed, healthy};

/// Returns the topics that have changed after something happened to a healthy network.
fn after(what: impl Fn(&mut Facts)) -> Vec<&'static str> {
    let mut facts = healthy();
    what(&mut facts);
    let changes = changes(&Conclusions::of(&healthy()), &Conclusions::of(&facts));
    changes.iter().map(|change| change.topic).collect()
}

fn answered(mapped: &str) -> Udp {
    let mapped: SocketAddr = mapped.parse().unwrap();
    Udp::Answered(
        SERVER.parse().unwrap(),
        Binding {
            local: mapped,
            mapped,
            round_trip: Duration::from_millis(77),
        },
    )
}

#[test]
fn times_and_ports_that_are_new_each_time_are_no_changes() {
    let same = after(|facts| {
        facts.v4 = answered("203.0.113.200:4999");
        let web = facts.web.as_mut().unwrap();
        web.websocket = Ok(Duration::from_millis(900));
        let delivery = jackfield_doctor::facts::Delivery {
            sent: 10,
            arrived: 10,
            returned: 10,
        };
        facts.relays[0] = allocated(RelayTransport::Udp, "198.51.100.1:61000", Ok(delivery));
    });
    assert!(same.is_empty(), "{same:?}");
}

#[test]
fn what_happens_to_a_network_is_a_change_of_what_it_happens_to() {
    assert_eq!(
        after(|facts| facts.v4 = Udp::Silent(SERVER.parse().unwrap())),
        // Without UDP it is said whether TCP works.
        ["UDP v4", "TCP v4"]
    );
    assert_eq!(
        after(|facts| facts.v4 = answered("203.0.113.7:4000")),
        ["UDP v4"]
    );
    assert_eq!(
        after(|facts| facts.web.as_mut().unwrap().websocket = Err(WebError::Silent)),
        ["Signaling"]
    );
    assert_eq!(
        after(|facts| {
            let gone = RelayError::Unreachable(NetworkError::Refused);
            facts.relays[2] = failed(RelayTransport::Tls, gone);
        }),
        ["Relay TLS"]
    );
    assert_eq!(
        after(|facts| {
            facts.clock = Some(Clock {
                ahead: 400,
                error: 1,
            });
        }),
        ["Clock"]
    );
    assert_eq!(
        after(|facts| {
            facts.interfaces.push(Interface {
                name: "wlan0".to_owned(),
                ip: "192.168.7.7".parse().unwrap(),
                is_used: true,
                kind: InterfaceKind::Network,
            });
        }),
        ["Interfaces"]
    );
    assert_eq!(after(|facts| facts.report = None)[0], "NAT");
}
