//! The client against the gateway: it finds, maps, renews, notices losses, and ends.

use std::time::{Duration, Instant};

use jackfield_portmap::client::{
    AbsenceReason, Client, ClientConfig, Event, Lease, MapError, MapId, MapRequest, Output, Support,
};
use jackfield_portmap::{Dialect, Dialects, TransportProtocol, pcp};

use jackfield_nat::packet::build;

use crate::rig::{EXTERNAL, GATEWAY, HOST, OTHER_HOST, Rig, STRANGER, at, ip};
use crate::upnp::over_tcp;

/// A client on the host of a rig.
struct Side {
    rig: Rig,
    client: Client,
    events: Vec<Event>,
    /// Nothing reaches the gateway.
    cut: bool,
}

impl Side {
    fn new(rig: Rig, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new(ip(GATEWAY), ip(HOST));
        change(&mut config);
        let client = Client::new(rig.now, config, [9; 32]);
        let mut side = Self {
            rig,
            client,
            events: Vec::new(),
            cut: false,
        };
        side.exchange();
        side
    }

    /// Carries datagrams to and fro until both are silent; returns when the client wants to be
    /// woken.
    fn exchange(&mut self) -> Option<Instant> {
        loop {
            match self.client.poll_output() {
                Output::Transmit { to, bytes } => {
                    assert_eq!(to, at(GATEWAY, 5351));
                    if self.cut {
                        continue;
                    }
                    for answer in self.rig.ask_all(HOST, &bytes) {
                        self.client.handle_datagram(self.rig.now, to, &answer);
                    }
                }
                Output::Search { to, bytes } if !self.cut => {
                    let from = at(HOST, 6001);
                    let packet = build::udp(from, to, &bytes);
                    for (from, answer) in self.rig.packet(&packet) {
                        self.client.handle_ssdp(self.rig.now, from, &answer);
                    }
                }
                Output::Fetch { id, to, request } if !self.cut => {
                    let response = over_tcp(&mut self.rig, HOST, to, &request);
                    let now = self.rig.now;
                    self.client.handle_response(now, id, Some(&response));
                }
                Output::Search { .. } => {}
                Output::Fetch { id, .. } => {
                    self.client.handle_response(self.rig.now, id, None);
                }
                Output::Event(event) => self.events.push(event),
                Output::Wait(next) => return next,
            }
        }
    }

    /// Lets this much time pass.
    fn run(&mut self, time: Duration) {
        let end = self.rig.now + time;
        while let Some(next) = self.exchange().filter(|next| *next <= end) {
            let wait = next.saturating_duration_since(self.rig.now);
            self.rig.pass(wait);
            self.announced();
            self.client.handle_timeout(self.rig.now);
        }
        self.rig.pass(end - self.rig.now);
        self.announced();
        self.exchange();
    }

    /// Carries the gateway's announcements.
    fn announced(&mut self) {
        for (from, data) in std::mem::take(&mut self.rig.announced) {
            self.client.handle_datagram(self.rig.now, from, &data);
        }
        while let Some(datagram) = self.rig.gateway.poll_transmit() {
            let now = self.rig.now;
            self.client
                .handle_datagram(now, datagram.source, &datagram.data);
        }
    }

    fn map(&mut self, port: u16) -> MapId {
        let request = MapRequest::new(TransportProtocol::Udp, port);
        let id = self.client.map(self.rig.now, request).unwrap();
        self.exchange();
        id
    }

    fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn mapped(&mut self) -> Lease {
        let all = self.take();
        let mapped = all.iter().find_map(|event| match event {
            Event::Mapped(_, mapping) => Some(*mapping),
            _ => None,
        });
        mapped.unwrap_or_else(|| panic!("{all:?}"))
    }
}

fn only(dialect: Dialect) -> Dialects {
    Dialects {
        nat_pmp: dialect == Dialect::NatPmp,
        pcp: dialect == Dialect::Pcp,
        upnp: dialect == Dialect::Upnp,
    }
}

#[test]
fn all_dialects_are_found_with_the_outside_address_and_no_trace_stays() {
    let mut side = Side::new(Rig::new(|_| {}), |config| {
        config.learn_external = Some(6000);
    });
    assert!(side.client.has_probed_all());
    let there = Support::Present {
        external: Some(ip(EXTERNAL)),
    };
    assert_eq!(side.client.support(Dialect::Pcp), Some(there));
    assert_eq!(side.client.support(Dialect::NatPmp), Some(there));
    assert_eq!(side.client.support(Dialect::Upnp), Some(there));
    side.exchange();
    assert!(side.rig.leases().is_empty());
}

#[test]
fn a_gateway_that_speaks_one_dialect_is_used_in_it_at_once() {
    for dialect in Dialect::ALL {
        let rig = Rig::new(|config| config.dialects = only(dialect));
        let mut side = Side::new(rig, |_| {});
        side.map(5000);
        side.run(Duration::from_secs(5));
        let mapping = side.mapped();
        assert_eq!(mapping.dialect, dialect);
        assert_eq!(mapping.external, at(EXTERNAL, 5000));
        assert_eq!(
            side.rig.arrives(STRANGER, mapping.external),
            Some(at(HOST, 5000))
        );
    }
}

#[test]
fn a_silent_gateway_is_given_up_after_a_while_and_tried_again() {
    let mut side = Side::new(Rig::new(|_| {}), |_| {});
    side.take();
    side.cut = true;
    let mut side = Side::new(side.rig, |_| {});
    side.cut = true;
    let mut config = ClientConfig::new(ip(GATEWAY), ip(HOST));
    config.dialects.upnp = false;
    side.client = Client::new(side.rig.now, config, [1; 32]);
    side.take();
    let id = side.map(5000);
    side.run(Duration::from_secs(2));
    let failed = Event::Failed(id, MapError::NoService);
    let all = side.take();
    assert!(all.contains(&failed), "{all:?}");
    assert!(all.contains(&Event::Probed(
        Dialect::Pcp,
        Support::Absent(AbsenceReason::Silent)
    )));
    side.cut = false;
    side.run(Duration::from_secs(61));
    assert_eq!(side.mapped().external, at(EXTERNAL, 5000));
}

#[test]
fn the_answer_in_another_version_tells_which_dialect_is_not_spoken() {
    for dialect in [Dialect::Pcp, Dialect::NatPmp] {
        let rig = Rig::new(|config| config.dialects = only(dialect));
        let side = Side::new(rig, |_| {});
        let (other, version) = match dialect {
            Dialect::Pcp => (Dialect::NatPmp, 2),
            _ => (Dialect::Pcp, 0),
        };
        let absent = Support::Absent(AbsenceReason::Version(version));
        assert_eq!(side.client.support(other), Some(absent));
    }
}

#[test]
fn nothing_that_listens_is_noticed_at_once() {
    let mut side = Side::new(Rig::new(|_| {}), |_| {});
    let mut config = ClientConfig::new(ip(GATEWAY), ip(HOST));
    config.dialects.upnp = false;
    side.client = Client::new(side.rig.now, config, [1; 32]);
    // UPnP has another port.
    side.client.handle_unreachable(side.rig.now);
    assert!(side.client.has_probed_all());
}

#[test]
fn a_mapping_is_renewed_in_time_for_days() {
    for dialect in Dialect::ALL {
        let rig = Rig::new(|config| config.dialects = only(dialect));
        let mut side = Side::new(rig, |_| {});
        side.map(5000);
        side.run(Duration::from_secs(5));
        let external = side.mapped().external;
        side.run(Duration::from_secs(5));
        side.take();
        for _ in 0..48 {
            side.run(Duration::from_secs(3600));
            assert_eq!(side.rig.arrives(STRANGER, external), Some(at(HOST, 5000)));
        }
        let all = side.take();
        let renewed = |event: &Event| matches!(event, Event::Renewed(..));
        assert!(all.iter().all(renewed), "{all:?}");
        // A lifetime of two hours is renewed about once an hour, never much more often.
        assert!((38..=48).contains(&all.len()), "{}", all.len());
        assert_eq!(side.rig.gateway.counters().granted, 1);
    }
}

#[test]
fn a_gateway_that_forgot_everything_is_told_again() {
    for dialect in [Dialect::Pcp, Dialect::NatPmp] {
        for announces in [true, false] {
            let rig = Rig::new(|config| {
                config.dialects = only(dialect);
                config.announcements = if announces { 3 } else { 0 };
            });
            let mut side = Side::new(rig, |_| {});
            side.map(5000);
            side.run(Duration::from_secs(1000));
            side.take();
            side.rig.nat.reboot();
            let wait = if announces { 1 } else { 4000 };
            side.run(Duration::from_secs(wait));
            let mut all = side.take();
            // All clients hear of it at once, so each waits for up to five seconds.
            side.run(Duration::from_secs(6));
            all.extend(side.take());
            assert!(all.contains(&Event::GatewayRestarted(dialect)), "{all:?}");
            assert_eq!(
                side.rig.arrives(STRANGER, at(EXTERNAL, 5000)),
                Some(at(HOST, 5000))
            );
        }
    }
}

#[test]
fn a_new_outside_address_is_told() {
    for dialect in [Dialect::Pcp, Dialect::NatPmp] {
        let rig = Rig::new(|config| {
            config.dialects = only(dialect);
            config.announcements = 3;
        });
        let mut side = Side::new(rig, |_| {});
        side.map(5000);
        side.run(Duration::from_secs(1000));
        side.take();
        side.rig.nat.renumber(vec![ip("203.0.113.7")]);
        side.run(Duration::from_secs(1));
        side.run(Duration::from_secs(6));
        assert_eq!(
            side.mapped().external,
            at("203.0.113.7", 5000),
            "{dialect:?}"
        );
    }
}

#[test]
fn a_mapping_is_ended_on_request_and_the_gateway_confirms_it() {
    for dialect in Dialect::ALL {
        let rig = Rig::new(|config| config.dialects = only(dialect));
        let mut side = Side::new(rig, |_| {});
        side.run(Duration::from_secs(5));
        let id = side.map(5000);
        side.take();
        side.client.unmap(side.rig.now, id);
        side.exchange();
        assert_eq!(side.take(), [Event::Unmapped(id, true)]);
        assert!(side.rig.leases().is_empty());
        assert_eq!(side.client.mappings(), 0);
    }
}

#[test]
fn a_lost_gateway_makes_a_mapping_lost_and_its_return_mends_it() {
    let mut side = Side::new(Rig::new(|_| {}), |_| {});
    let id = side.map(5000);
    side.take();
    side.cut = true;
    side.run(Duration::from_secs(7300));
    let lost = Event::Failed(id, MapError::Silent);
    assert!(side.take().contains(&lost));
    side.cut = false;
    side.run(Duration::from_secs(120));
    assert_eq!(side.mapped().external, at(EXTERNAL, 5000));
}

#[test]
fn what_one_dialect_refuses_is_asked_for_in_the_next() {
    // The nonce of a mapping that another program made is unknown, and so PCP refuses; NAT-PMP has
    // to as well.
    let mut rig = Rig::new(|_| {});
    let stolen = pcp::Map {
        nonce: pcp::Nonce([3; 12]),
        protocol: 17,
        internal_port: 5000,
        external_port: 5000,
        external_address: ip("0.0.0.0"),
    };
    let request = pcp::Request {
        lifetime: 600,
        client: ip(HOST),
        body: pcp::Body::Map(stolen),
        options: Vec::new(),
    };
    rig.ask(HOST, &request.encode());
    let mut side = Side::new(rig, |config| config.dialects.upnp = false);
    side.take();
    let id = side.map(5000);
    let refused = MapError::Pcp(pcp::ResultCode::NotAuthorized);
    assert_eq!(side.take(), [Event::Failed(id, refused)]);
    assert_eq!(side.rig.gateway.counters().unauthorized, 2);
    side.run(Duration::from_secs(700));
    assert_eq!(
        side.mapped().external,
        at(EXTERNAL, 5000),
        "once the other has ended"
    );
}

#[test]
fn a_port_that_another_host_has_is_another_one_by_upnp() {
    for version in [1, 2] {
        let mut rig = Rig::new(|config| {
            config.dialects = Dialects::ALL;
            config.igd_version = version;
        });
        let others = [0, 1, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0x0e, 0x10];
        assert_eq!(rig.ask(OTHER_HOST, &others)[..4], [0, 0x81, 0, 0]);
        let mut side = Side::new(rig, |config| config.dialects = only(Dialect::Upnp));
        side.map(5000);
        let mapping = side.mapped();
        assert_ne!(mapping.external.port(), 5000);
        assert_eq!(
            side.rig.arrives(STRANGER, mapping.external),
            Some(at(HOST, 5000))
        );
    }
}

#[test]
fn a_gateway_is_believed_when_it_points_to_itself() {
    let advertisement = |location: &str| jackfield_portmap::upnp::ssdp::Advertisement {
        target: "urn:schemas-upnp-org:device:InternetGatewayDevice:1".into(),
        usn: "uuid:1".into(),
        location: jackfield_portmap::upnp::Url::parse(location),
        max_age: 1800,
    };
    let fetches = |from: &str, location: &str| {
        let mut side = Side::new(Rig::new(|_| {}), |_| {});
        let config = ClientConfig::new(ip(GATEWAY), ip(HOST));
        side.client = Client::new(side.rig.now, config, [1; 32]);
        let bytes = advertisement(location).encode_answer("x");
        side.client
            .handle_ssdp(side.rig.now, at(from, 1900), &bytes);
        loop {
            match side.client.poll_output() {
                Output::Fetch { .. } => return true,
                Output::Wait(_) => return false,
                _ => {}
            }
        }
    };
    assert!(fetches(GATEWAY, "http://192.168.1.1:49000/rootDesc.xml"));
    assert!(!fetches(GATEWAY, "http://192.168.1.3:49000/rootDesc.xml"));
    assert!(!fetches(
        OTHER_HOST,
        "http://192.168.1.1:49000/rootDesc.xml"
    ));
    assert!(!fetches(
        OTHER_HOST,
        "http://192.168.1.3:49000/rootDesc.xml"
    ));
}

#[test]
fn answers_of_strangers_mean_nothing() {
    let mut side = Side::new(Rig::new(|_| {}), |_| {});
    side.cut = true;
    let id = side.map(5000);
    side.take();
    let grant = jackfield_portmap::nat_pmp::Response {
        result: jackfield_portmap::nat_pmp::ResultCode::Success,
        epoch: 0,
        answer: jackfield_portmap::nat_pmp::Answer::Map {
            protocol: TransportProtocol::Udp,
            internal_port: 5000,
            external_port: 5000,
            lifetime: 600,
        },
    };
    for from in [at(OTHER_HOST, 5351), at(GATEWAY, 5352)] {
        side.client
            .handle_datagram(side.rig.now, from, &grant.encode());
    }
    side.exchange();
    assert_eq!(side.take(), []);
    side.client.unmap(side.rig.now, id);
    side.run(Duration::from_secs(10));
    assert_eq!(
        side.take(),
        [Event::Unmapped(id, false)],
        "the gateway never confirmed it"
    );
}

/// Takes the next datagram that a client sends.
fn next_datagram(client: &mut Client) -> Vec<u8> {
    loop {
        match client.poll_output() {
            Output::Transmit { bytes, .. } => return bytes,
            Output::Wait(_) => panic!("nothing is sent"),
            _ => {}
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-14.1.3
//# if the Epoch Time value is outside the expected range for that server, it MUST wait a
//# random amount of time between 0 and 5 seconds (to prevent synchronization of all PCP
//# clients), then for all PCP mappings it made at that server address the client issues new
//# PCP requests to recreate any lost mapping state.
//= https://www.rfc-editor.org/rfc/rfc6886#section-3.7
//# the client MUST first delay by a random amount of time selected with uniform random
//# distribution in the range 0 to 5 seconds, and then send its first port mapping request.
#[test]
fn a_restart_is_answered_after_a_pause_that_no_two_clients_share() {
    let pauses: std::collections::BTreeSet<Duration> = (0..20_u8)
        .map(|seed| {
            let rig = Rig::new(|config| config.dialects = only(Dialect::Pcp));
            let mut side = Side::new(rig, |_| {});
            let config = ClientConfig::new(ip(GATEWAY), ip(HOST));
            side.client = Client::new(side.rig.now, config, [seed; 32]);
            side.exchange();
            side.map(5000);
            side.run(Duration::from_secs(100));
            side.rig.nat.reboot();
            let body = pcp::Body::Announce;
            let restarted = pcp::Response {
                result: pcp::ResultCode::Success,
                lifetime: 0,
                epoch: 0,
                body,
                options: Vec::new(),
            };
            let now = side.rig.now;
            let from = at(GATEWAY, 5351);
            side.client.handle_datagram(now, from, &restarted.encode());
            let next = side.exchange().unwrap();
            assert!(side.rig.leases().len() <= 1);
            next.saturating_duration_since(now)
        })
        .collect();
    assert!(pauses.len() > 15, "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause < Duration::from_secs(5)));
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-15.1
//# In requests where the requested Lifetime is 0, the Suggested External Address and
//# Suggested External Port fields MUST be set to zero on transmission and MUST be ignored on
//# reception,
#[test]
fn who_ends_a_mapping_suggests_nothing() {
    let rig = Rig::new(|config| config.dialects = only(Dialect::Pcp));
    let mut side = Side::new(rig, |_| {});
    let id = side.map(5000);
    side.client.unmap(side.rig.now, id);
    let request = pcp::Request::decode(&next_datagram(&mut side.client)).unwrap();
    assert_eq!(request.lifetime, 0);
    let pcp::Body::Map(map) = request.body else {
        panic!("{request:?}");
    };
    assert_eq!(
        (map.external_port, map.external_address),
        (0, ip("0.0.0.0"))
    );
}

//= https://www.rfc-editor.org/rfc/rfc6887#section-14.2
//# Upon receipt of such an updated MAP or PEER response, a PCP client uses the information in
//# the response to adjust rendezvous servers or reconnect to servers, respectively.
//= https://www.rfc-editor.org/rfc/rfc6887#section-15
//# Upon receipt of a PCP response with an absurdly long assigned lifetime, the PCP client
//# SHOULD behave as if it received a more sane value (e.g., 24 hours), and renew the mapping
//# accordingly,
#[test]
fn a_gateway_may_move_a_mapping_and_promise_more_than_is_believed() {
    let rig = Rig::new(|config| config.dialects = only(Dialect::Pcp));
    let mut side = Side::new(rig, |_| {});
    let request = MapRequest::new(TransportProtocol::Udp, 5000);
    side.client.map(side.rig.now, request).unwrap();
    let asked = pcp::Request::decode(&next_datagram(&mut side.client)).unwrap();
    let pcp::Body::Map(map) = asked.body else {
        panic!("{asked:?}");
    };
    let now = side.rig.now;
    let mut tell = |ip_text: &str| {
        let response = pcp::Response {
            result: pcp::ResultCode::Success,
            lifetime: u32::MAX,
            epoch: 0,
            body: pcp::Body::Map(pcp::Map {
                external_port: 7000,
                external_address: ip(ip_text),
                ..map
            }),
            options: Vec::new(),
        };
        let from = at(GATEWAY, 5351);
        side.client.handle_datagram(now, from, &response.encode());
        side.exchange();
        side.mapped()
    };
    for address in ["203.0.113.1", "203.0.113.2"] {
        let mapped = tell(address);
        assert_eq!(mapped.external, at(address, 7000));
        assert_eq!(mapped.lifetime, Duration::from_secs(86_400));
    }
}
