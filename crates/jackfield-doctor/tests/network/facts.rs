//! Facts made by hand: all is well, and the machine has a public address.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_doctor::facts::{
    Allocation, Delivery, Dns, Facts, Ice, NotTested, RelayAttempt, RelayError, RelayTransport,
    StunPort, Udp, Web,
};
use jackfield_driver::discovery::Binding;
use jackfield_stun::behaviour::{Discovery, DiscoveryConfig, Filtering, Finding, Mapping, Report};

pub(crate) const SERVER: &str = "198.51.100.1:3478";

/// A network where all is well, without a NAT.
pub(crate) fn healthy() -> Facts {
    let server: SocketAddr = SERVER.parse().unwrap();
    let own: SocketAddr = "203.0.113.200:4000".parse().unwrap();
    let binding = Binding {
        local: own,
        mapped: own,
        round_trip: Duration::from_millis(20),
    };
    Facts {
        dns: Dns {
            addresses: vec![server.ip()],
            ..Dns::default()
        },
        stun_port: StunPort::Named(3478),
        v4: Udp::Answered(server, binding),
        v6: Udp::NoRoute,
        report: Some(Report {
            nat: Finding::Known(false),
            local: Finding::Known(own),
            mapped: Finding::Known(own),
            mapping: Finding::Known(Mapping::EndpointIndependent),
            filtering: Finding::Known(Filtering::EndpointIndependent),
            ..Discovery::new(DiscoveryConfig::new(vec![server]), [0; 32]).report()
        }),
        tcp_v4: Some(Ok(Duration::from_millis(20))),
        web: Some(Web {
            ice: Ok(Ice {
                urls: Vec::new(),
                username: "u".to_owned(),
                credential: "c".to_owned(),
                ttl: 3600,
            }),
            websocket: Ok(Duration::from_millis(1)),
            polling: Ok(Duration::from_millis(1)),
            other_scheme: None,
            https: None,
            is_by_proxy: false,
        }),
        relays: [
            RelayTransport::Udp,
            RelayTransport::Tcp,
            RelayTransport::Tls,
        ]
        .map(working)
        .to_vec(),
        ..Facts::new(format!("http://{SERVER}").parse().unwrap())
    }
}

/// A relay that carries everything.
pub(crate) fn working(transport: RelayTransport) -> RelayAttempt {
    let all = Delivery {
        sent: 10,
        arrived: 10,
        returned: 10,
    };
    allocated(transport, "198.51.100.1:50000", Ok(all))
}

pub(crate) fn allocated(
    transport: RelayTransport,
    relayed: &str,
    outside: Result<Delivery, NotTested>,
) -> RelayAttempt {
    let inside = Delivery {
        sent: 10,
        arrived: 10,
        returned: 0,
    };
    RelayAttempt {
        url: url(transport),
        transport,
        result: Ok(Allocation {
            took: Duration::from_millis(3),
            relayed: relayed.parse().unwrap(),
            outside,
            between: Some(Ok(inside)),
        }),
    }
}

pub(crate) fn failed(transport: RelayTransport, error: RelayError) -> RelayAttempt {
    RelayAttempt {
        url: url(transport),
        transport,
        result: Err(error),
    }
}

fn url(transport: RelayTransport) -> String {
    match transport {
        RelayTransport::Udp => format!("turn:{SERVER}?transport=udp"),
        RelayTransport::Tcp => format!("turn:{SERVER}?transport=tcp"),
        RelayTransport::Tls => "turns:call.example:443?transport=tcp".to_owned(),
    }
}
